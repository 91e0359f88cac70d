# The module of winget.
function Write-Package([string]$what, $bound) {
    Write-Call ($what + '-WinGetPackage') $bound
    if ($bound.Id -eq 'nothing.known') { return }
    $status = 'Ok'
    if ($bound.Id -eq 'broken.package') { $status = 'InstallError' }
    [pscustomobject]@{ Id = $bound.Id; Status = $status; InstallerErrorCode = 1603; UninstallerErrorCode = $null }
}
function Install-WinGetPackage { [CmdletBinding()] param([string]$Id, [ValidateSet('Equals', 'EqualsCaseInsensitive', 'StartsWithCaseInsensitive', 'ContainsCaseInsensitive')] [string]$MatchOption, [string]$Version, [ValidateSet('Default', 'Silent', 'Interactive')] [string]$Mode, [string]$Scope, [switch]$Force) Write-Package 'Install' $PSBoundParameters }
function Update-WinGetPackage { [CmdletBinding()] param([string]$Id, [string]$MatchOption, [string]$Version, [string]$Mode, [switch]$IncludeUnknown, [switch]$Force) Write-Package 'Update' $PSBoundParameters }
function Uninstall-WinGetPackage { [CmdletBinding()] param([string]$Id, [string]$MatchOption, [string]$Version, [ValidateSet('Default', 'Silent', 'Interactive')] [string]$Mode, [switch]$Force) Write-Package 'Uninstall' $PSBoundParameters }
Export-ModuleMember -Function *-WinGetPackage
