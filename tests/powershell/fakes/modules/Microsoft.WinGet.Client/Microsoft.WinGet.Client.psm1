function Get-WinGetPackage {
    [CmdletBinding()] param()
    if ([Fakes.Mode]::Is('denied', 'WinGetPackage')) { throw 'This command must be run as a user, not as SYSTEM.' }
    if ([Fakes.Mode]::Is('silent', 'WinGetPackage')) { return }
    [pscustomobject]@{ Id = '7zip.7zip'; Name = '7-Zip'; InstalledVersion = '24.08'; Source = 'winget'; IsUpdateAvailable = $true; AvailableVersions = @('24.09', '24.08') }
    if ([Fakes.Mode]::Is('one', 'WinGetPackage')) { return }
    [pscustomobject]@{ Id = 'ARP\Machine\X64\{1}'; Name = 'Old'; InstalledVersion = '1'; Source = $null; IsUpdateAvailable = $false; AvailableVersions = $null }
}
