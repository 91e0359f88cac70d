# PowerShell itself: what it is, how far scripts are restricted, and which newer ones are installed beside it.
$newer = New-Object System.Collections.ArrayList
$installed = $machine.OpenSubKey('SOFTWARE\Microsoft\PowerShellCore\InstalledVersions')
if ($null -ne $installed) {
    foreach ($name in $installed.GetSubKeyNames()) {
        $version = Get-Registry ('SOFTWARE\Microsoft\PowerShellCore\InstalledVersions\' + $name) 'SemanticVersion'
        if ($null -ne $version) { [void]$newer.Add([string]$version) }
    }
    $installed.Dispose()
}
@{
    version = [string]$PSVersionTable.PSVersion
    edition = [string]$PSVersionTable.PSEdition
    mode = [string]$ExecutionContext.SessionState.LanguageMode
    policy = Get-Registry 'SOFTWARE\Policies\Microsoft\Windows\PowerShell' 'ExecutionPolicy'
    newer = @($newer.ToArray())
}
