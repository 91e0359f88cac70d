# The operating system. What Win32_OperatingSystem calls it is translated; the registry is not.
$version = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
$names = [ordered]@{}
foreach ($one in 'ProductName', 'EditionID', 'InstallationType', 'DisplayVersion', 'ReleaseId', 'CurrentBuildNumber', 'UBR') {
    $names[$one] = Get-Registry $version $one
}
$winget = $false
$packages = $machine.OpenSubKey('SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications')
if ($null -ne $packages) {
    $winget = @($packages.GetSubKeyNames() | Where-Object { $_ -like 'Microsoft.DesktopAppInstaller_*' }).Count -gt 0
    $packages.Dispose()
}
$me = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
@{
    system = Get-CimInstance -ClassName Win32_OperatingSystem -Property Version, BuildNumber, ProductType, LastBootUpTime |
        Select-Members 'Version', 'BuildNumber', 'ProductType', 'LastBootUpTime'
    computer = Get-CimInstance -ClassName Win32_ComputerSystem -Property Name, DNSHostName, Domain, PartOfDomain, DomainRole |
        Select-Members 'Name', 'DNSHostName', 'Domain', 'PartOfDomain', 'DomainRole'
    registry = $names
    architecture = [string](Get-Registry 'SYSTEM\CurrentControlSet\Control\Session Manager\Environment' 'PROCESSOR_ARCHITECTURE')
    timezone = [System.TimeZoneInfo]::Local.Id
    machine = [string](Get-Registry 'SOFTWARE\Microsoft\Cryptography' 'MachineGuid')
    winget = $winget
    admin = $me.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
    powershell = [string](Get-Registry 'SOFTWARE\Microsoft\PowerShell\3\PowerShellEngine' 'PowerShellVersion')
}
