# Before the script under test: what Windows has takes its place here, by name. Where from: RMM_FAKES.
Add-Type -Path ($env:RMM_FAKES + '/modules/CimCmdlets/CimCmdlets.dll')
$types = [psobject].Assembly.GetType('System.Management.Automation.TypeAccelerators').GetField('builtinTypeAccelerators', 'NonPublic,Static').GetValue($null)
foreach ($one in @(
        @('Microsoft.Win32.RegistryKey', [Fakes.RegistryKey]), @('Environment', [Fakes.Environment_]),
        @('System.Security.Principal.WindowsIdentity', [Fakes.WindowsIdentity]), @('System.Security.Principal.WindowsPrincipal', [Fakes.WindowsPrincipal]),
        @('Security.Principal.WindowsIdentity', [Fakes.WindowsIdentity]), @('Security.Principal.WindowsPrincipal', [Fakes.WindowsPrincipal]),
        @('System.Security.Principal.NTAccount', [Fakes.NTAccount]), @('System.Security.Principal.SecurityIdentifier', [Fakes.SecurityIdentifier]),
        @('System.Security.Cryptography.X509Certificates.X509Store', [Fakes.X509Store]), @('System.DirectoryServices.DirectoryEntry', [Fakes.DirectoryEntry]))) {
    $types[$one[0]] = $one[1]
}
if ($env:RMM_FAKE_MODE) { [Fakes.Mode]::Name = $env:RMM_FAKE_MODE }
if ($env:RMM_FAKE_OF) { [Fakes.Mode]::Of = $env:RMM_FAKE_OF }
[Fakes.Environment_]::SystemDirectory = $env:RMM_FAKES + '/system32'
[Fakes.Environment_]::Startup = $env:RMM_FAKES + '/startup'
if (Test-Path ($env:RMM_FAKES + '/machine.ps1')) { . ($env:RMM_FAKES + '/machine.ps1') }
[Fakes.InitialSessionState]::NewObject = @'
[CmdletBinding()] param([Parameter(Position = 0)][string]$TypeName, [Parameter(Position = 1)][Alias('Args')][object[]]$ArgumentList, [string]$ComObject)
if (-not $ComObject) { return Microsoft.PowerShell.Utility\New-Object @PSBoundParameters }
if ([Fakes.Mode]::Is('absent', $ComObject)) { throw (Microsoft.PowerShell.Utility\New-Object System.Runtime.InteropServices.COMException 'Retrieving the COM class factory failed: Class not registered', -2147221164) }
if ($ComObject -eq 'Microsoft.Update.AutoUpdate') { return [pscustomobject]@{ Results = [pscustomobject]@{ LastSearchSuccessDate = [datetime]'2026-11-21T03:00:12' } } }
$update = [pscustomobject]@{
    Title = "Kumulatives Update f$([char]0xfc)r Windows 11 (KB5034441)"; KBArticleIDs = @('5034441'); Identity = [pscustomobject]@{ UpdateID = 'f3a0c1d2-0000-4000-8000-000000000001'; RevisionNumber = 200 }
    Categories = @([pscustomobject]@{ CategoryID = '0fa1201d-4330-4fa8-8ae9-b877473b6441' }); MsrcSeverity = 'Important'; Type = 1; IsHidden = $false; LastDeploymentChangeTime = [datetime]'2026-11-10T00:00:00'
}
$searcher = [pscustomobject]@{ Online = $true }
Add-Member -InputObject $searcher -MemberType ScriptMethod -Name Search -Value {
    param($what)
    if ([Fakes.Mode]::Is('denied', 'Microsoft.Update')) { throw (Microsoft.PowerShell.Utility\New-Object System.Runtime.InteropServices.COMException 'Exception from HRESULT: 0x80240044', -2145124284) }
    $updates = if ([Fakes.Mode]::Is('silent', 'Microsoft.Update')) { @() } else { @($update) }
    [pscustomobject]@{ Updates = $updates }
}.GetNewClosure()
$session = [pscustomobject]@{}
Add-Member -InputObject $session -MemberType ScriptMethod -Name CreateUpdateSearcher -Value { $searcher }.GetNewClosure()
$session
'@
$types['System.Management.Automation.Runspaces.InitialSessionState'] = [Fakes.InitialSessionState]
