# Packages by the ids of winget, from its own PowerShell module. What winget prints is translated and cut to the width of a console.
if ($null -eq (Get-Command -Name Get-WinGetPackage -ErrorAction SilentlyContinue)) { Stop-Unsupported 'the module Microsoft.WinGet.Client is not there' }
@{
    items = @(Get-WinGetPackage | ForEach-Object {
        $newer = $null
        if ($_.IsUpdateAvailable) { $newer = [string](@($_.AvailableVersions)[0]) }
        [ordered]@{ id = [string]$_.Id; name = [string]$_.Name; version = [string]$_.InstalledVersion; available = $newer; source = [string]$_.Source }
    })
}
