function Get-WindowsCapability {
    [CmdletBinding()] param([switch]$Online)
    if ([Fakes.Mode]::Is('denied', 'WindowsCapability')) { throw (New-Object System.Runtime.InteropServices.COMException 'The requested operation requires elevation.', -2147024156) }
    if ([Fakes.Mode]::Is('silent', 'WindowsCapability')) { return }
    [pscustomobject]@{ Name = 'OpenSSH.Server~~~~0.0.1.0'; State = 'Installed' }
    if ([Fakes.Mode]::Is('one', 'WindowsCapability')) { return }
    [pscustomobject]@{ Name = 'Print.Fax.Scan~~~~0.0.1.0'; State = 'NotPresent' }
    [pscustomobject]@{ Name = 'Removed~~~~0.0.1.0'; State = 'Removed' }
}
