function Get-WindowsFeature {
    [CmdletBinding()] param()
    if ([Fakes.Mode]::Is('denied', 'WindowsFeature')) { Write-Error 'Access is denied.'; return }
    [pscustomobject]@{ Name = 'Web-Server'; InstallState = 'Available' }
    [pscustomobject]@{ Name = 'FileAndStorage-Services'; InstallState = 'Installed' }
}
