# What settings change: Defender, BitLocker, accounts, shares, features, packages of winget, and more.
function Start-Process {
    [CmdletBinding()] param([string]$FilePath, [string[]]$ArgumentList, [switch]$Wait, [switch]$PassThru, [ValidateSet('Normal', 'Hidden', 'Minimized', 'Maximized')] [string]$WindowStyle, [switch]$NoNewWindow)
    [void]$PSBoundParameters.Remove('WindowStyle')
    Microsoft.PowerShell.Management\Start-Process @PSBoundParameters
}
function Update-MpSignature { [CmdletBinding()] param() Write-Call 'Update-MpSignature' @{} }
function Assert-Defender {
    if ($env:RMM_FAKE_DEFENDER -eq 'absent') { throw 'The term is not recognized' }
}
# Parameters of Set-MpPreference that our lists and examples name; another is an error, as there.
function Set-MpPreference {
    [CmdletBinding()] param([bool]$DisableRealtimeMonitoring, [byte]$PUAProtection, [byte]$MAPSReporting, [byte]$CloudBlockLevel, [bool]$DisableArchiveScanning, [string[]]$ExclusionPath)
    Assert-Defender
    Write-Call 'Set-MpPreference' $PSBoundParameters
}
function Add-MpPreference {
    [CmdletBinding()] param([string[]]$ExclusionPath, [string[]]$ExclusionExtension, [string[]]$AttackSurfaceReductionRules_Ids, [ValidateSet('Disabled', 'Enabled', 'AuditMode', 'NotConfigured', 'Warn')] [string[]]$AttackSurfaceReductionRules_Actions)
    Assert-Defender
    Write-Call 'Add-MpPreference' $PSBoundParameters
}
function Remove-MpPreference {
    [CmdletBinding()] param([string[]]$ExclusionPath, [string[]]$ExclusionExtension)
    Assert-Defender
    Write-Call 'Remove-MpPreference' $PSBoundParameters
}
function Set-ProcessMitigation {
    [CmdletBinding()] param([string]$Name, [switch]$System, [ValidateSet('DEP', 'EmulateAtlThunks', 'ForceRelocateImages', 'BottomUp', 'HighEntropy', 'SEHOP', 'CFG', 'StrictHandle', 'BlockDynamicCode', 'TerminateOnError')] [string[]]$Enable, [string[]]$Disable)
    Write-Call 'Set-ProcessMitigation' $PSBoundParameters
}
function Set-TimeZone {
    [CmdletBinding()] param([Parameter(Mandatory = $true)] [string]$Id)
    Write-Call 'Set-TimeZone' $PSBoundParameters
}
function Set-NetFirewallProfile {
    [CmdletBinding()] param([string[]]$Name, [ValidateSet('True', 'False', 'NotConfigured')] [string]$Enabled, [ValidateSet('Block', 'Allow', 'NotConfigured')] [string]$DefaultInboundAction, [ValidateSet('Block', 'Allow', 'NotConfigured')] [string]$DefaultOutboundAction,
        [ValidateSet('True', 'False', 'NotConfigured')] [string]$NotifyOnListen, [ValidateSet('True', 'False', 'NotConfigured')] [string]$LogBlocked, [ValidateSet('True', 'False', 'NotConfigured')] [string]$LogAllowed, [uint64]$LogMaxSizeKilobytes)
    Write-Call 'Set-NetFirewallProfile' $PSBoundParameters
}
# Shares: Name, Path, Description, Special.
function Get-SmbShare {
    [CmdletBinding()] param([string]$Name)
    $found = @(Read-State 'shares' | Where-Object { $_.Name -eq $Name })
    if ($found.Count -eq 0) { Write-Missing 'CmdletizationQuery_NotFound_Name,Get-SmbShare' "No MSFT_SMBShare objects found with property 'Name' equal to '$Name'." $PSCmdlet; return }
    $found[0]
}
function New-SmbShare {
    [CmdletBinding()] param([Parameter(Mandatory = $true)] [string]$Name, [Parameter(Mandatory = $true)] [string]$Path, [string[]]$FullAccess, [string[]]$ChangeAccess, [string[]]$ReadAccess)
    Write-Call 'New-SmbShare' $PSBoundParameters
    if (@(Read-State 'shares' | Where-Object { $_.Name -eq $Name }).Count -gt 0) { throw 'The name has already been shared.' }
    Write-State 'shares' (@(Read-State 'shares') + @([pscustomobject]@{ Name = $Name; Path = $Path; Description = ''; Special = $false }))
    [pscustomobject]@{ Name = $Name }
}
function Remove-SmbShare {
    [CmdletBinding()] param([string]$Name, [switch]$Force)
    Write-Call 'Remove-SmbShare' $PSBoundParameters
    Write-State 'shares' @(Read-State 'shares' | Where-Object { $_.Name -ne $Name })
}
function Set-SmbShare {
    [CmdletBinding()] param([string]$Name, [string]$Description, [switch]$Force)
    Write-Call 'Set-SmbShare' $PSBoundParameters
    $all = @(Read-State 'shares')
    foreach ($one in $all) { if ($one.Name -eq $Name) { $one.Description = $Description } }
    Write-State 'shares' $all
}
# Accounts: Name, FullName, Enabled. Groups: Name, SID, Members.
function Get-FakedUser([string]$name, $cmdlet) {
    $one = @(Read-State 'users' | Where-Object { $_.Name -eq $name })[0]
    if ($null -eq $one) { Write-Missing 'UserNotFound,Microsoft.PowerShell.Commands.LocalUserCommand' "User $name was not found." $cmdlet }
    $one
}
function Set-FakedUser([string]$name, [string]$member, $value) {
    $all = @(Read-State 'users')
    foreach ($one in $all) { if ($one.Name -eq $name) { $one.$member = $value } }
    Write-State 'users' $all
}
function New-LocalUser {
    [CmdletBinding()] param([ValidateLength(1, 20)] [string]$Name, [securestring]$Password)
    Write-Call 'New-LocalUser' @{ Name = $Name; Password = $Password.Length }
    if (@(Read-State 'users' | Where-Object { $_.Name -eq $Name }).Count -gt 0) { throw "User $Name already exists." }
    Write-State 'users' (@(Read-State 'users') + @([pscustomobject]@{ Name = $Name; FullName = ''; Enabled = $true }))
    [pscustomobject]@{ Name = $Name }
}
function Set-LocalUser { [CmdletBinding()] param([string]$Name, [string]$FullName) Write-Call 'Set-LocalUser' $PSBoundParameters; if (Get-FakedUser $Name $PSCmdlet) { Set-FakedUser $Name 'FullName' $FullName } }
function Enable-LocalUser { [CmdletBinding()] param([string]$Name) Write-Call 'Enable-LocalUser' $PSBoundParameters; if (Get-FakedUser $Name $PSCmdlet) { Set-FakedUser $Name 'Enabled' $true } }
function Disable-LocalUser { [CmdletBinding()] param([string]$Name) Write-Call 'Disable-LocalUser' $PSBoundParameters; if (Get-FakedUser $Name $PSCmdlet) { Set-FakedUser $Name 'Enabled' $false } }
function Remove-LocalUser { [CmdletBinding()] param([string]$Name) Write-Call 'Remove-LocalUser' $PSBoundParameters; if (Get-FakedUser $Name $PSCmdlet) { Write-State 'users' @(Read-State 'users' | Where-Object { $_.Name -ne $Name }) } }
function Get-FakedGroup([string]$group, [string]$sid, $cmdlet) {
    $one = @(Read-State 'groups' | Where-Object { ($group -and $_.Name -eq $group) -or ($sid -and $_.SID -eq $sid) })[0]
    if ($null -eq $one) { Write-Missing 'GroupNotFound' "Group $group$sid was not found." $cmdlet }
    $one
}
function Add-LocalGroupMember {
    [CmdletBinding()] param([string]$Group, [string]$SID, [string[]]$Member)
    Write-Call 'Add-LocalGroupMember' $PSBoundParameters
    $one = Get-FakedGroup $Group $SID $PSCmdlet
    if ($null -eq $one) { return }
    if (@($one.Members) -contains $Member[0]) { Write-Missing 'MemberExists,Microsoft.PowerShell.Commands.AddLocalGroupMemberCommand' "$Member is already a member of group $($one.Name)." $PSCmdlet; return }
    $all = @(Read-State 'groups')
    foreach ($other in $all) { if ($other.Name -eq $one.Name) { $other.Members = @($other.Members) + @($Member) } }
    Write-State 'groups' $all
}
function Remove-LocalGroupMember {
    [CmdletBinding()] param([string]$Group, [string]$SID, [string[]]$Member)
    Write-Call 'Remove-LocalGroupMember' $PSBoundParameters
    $one = Get-FakedGroup $Group $SID $PSCmdlet
    if ($null -eq $one) { return }
    if (@($one.Members) -notcontains $Member[0]) { Write-Missing 'MemberNotFound,Microsoft.PowerShell.Commands.RemoveLocalGroupMemberCommand' "Member $Member was not found in group $($one.Name)." $PSCmdlet; return }
    $all = @(Read-State 'groups')
    foreach ($other in $all) { if ($other.Name -eq $one.Name) { $other.Members = @($other.Members | Where-Object { $Member -notcontains $_ }) } }
    Write-State 'groups' $all
}
# Volumes: MountPoint, VolumeType, ProtectionStatus, VolumeStatus, KeyProtector, AutoUnlockEnabled.
function Get-BitLockerVolume {
    [CmdletBinding()] param([string]$MountPoint)
    $found = @(Read-State 'volumes' | Where-Object { -not $MountPoint -or $_.MountPoint -eq $MountPoint })
    if ($MountPoint -and $found.Count -eq 0) { throw "$MountPoint does not have an associated BitLocker volume." }
    $found
}
function Add-BitLockerKeyProtector {
    [CmdletBinding()] param([string]$MountPoint, [switch]$RecoveryPasswordProtector, [switch]$TpmProtector)
    Write-Call 'Add-BitLockerKeyProtector' $PSBoundParameters
    $kind = 'RecoveryPassword'
    if ($TpmProtector) { $kind = 'Tpm' }
    $all = @(Read-State 'volumes')
    foreach ($one in $all) { if ($one.MountPoint -eq $MountPoint) { $one.KeyProtector = @($one.KeyProtector) + @([pscustomobject]@{ KeyProtectorType = $kind; KeyProtectorId = "{$kind}" }) } }
    Write-State 'volumes' $all
    if ($RecoveryPasswordProtector) { Write-Warning 'ACTIONS REQUIRED: 1. Save this numerical recovery password in a secure location away from your computer: 111111-222222-333333-444444-555555-666666-777777-888888' }
    [pscustomobject]@{ MountPoint = $MountPoint }
}
function Backup-BitLockerKeyProtector { [CmdletBinding()] param([string]$MountPoint, [string]$KeyProtectorId) Write-Call 'Backup-BitLockerKeyProtector' $PSBoundParameters; [pscustomobject]@{ MountPoint = $MountPoint } }
function BackupToAAD-BitLockerKeyProtector { [CmdletBinding()] param([string]$MountPoint, [string]$KeyProtectorId) Write-Call 'BackupToAAD-BitLockerKeyProtector' $PSBoundParameters; [pscustomobject]@{ MountPoint = $MountPoint } }
function Resume-BitLocker { [CmdletBinding()] param([string]$MountPoint) Write-Call 'Resume-BitLocker' $PSBoundParameters; [pscustomobject]@{ MountPoint = $MountPoint } }
function Enable-BitLockerAutoUnlock { [CmdletBinding()] param([string]$MountPoint) Write-Call 'Enable-BitLockerAutoUnlock' $PSBoundParameters; [pscustomobject]@{ MountPoint = $MountPoint } }
# Features.
function Install-WindowsFeature { [CmdletBinding()] param([string]$Name) Write-Call 'Install-WindowsFeature' $PSBoundParameters; [pscustomobject]@{ Success = $Name -ne 'Broken'; ExitCode = 'Failed'; RestartNeeded = 'No' } }
function Uninstall-WindowsFeature { [CmdletBinding()] param([string]$Name) Write-Call 'Uninstall-WindowsFeature' $PSBoundParameters; [pscustomobject]@{ Success = $Name -ne 'Broken'; ExitCode = 'Failed'; RestartNeeded = 'No' } }
function Enable-WindowsOptionalFeature { [CmdletBinding()] param([switch]$Online, [string]$FeatureName, [switch]$All, [switch]$NoRestart) Write-Call 'Enable-WindowsOptionalFeature' $PSBoundParameters; Write-Warning 'Restart is suppressed'; [pscustomobject]@{ RestartNeeded = $true } }
function Disable-WindowsOptionalFeature { [CmdletBinding()] param([switch]$Online, [string]$FeatureName, [switch]$NoRestart) Write-Call 'Disable-WindowsOptionalFeature' $PSBoundParameters; Write-Warning 'Restart is suppressed'; [pscustomobject]@{ RestartNeeded = $true } }
function Add-WindowsCapability { [CmdletBinding()] param([switch]$Online, [string]$Name) Write-Call 'Add-WindowsCapability' $PSBoundParameters; if ($Name -like 'Broken*') { throw 'Add-WindowsCapability failed. Error code = 0x800f0954' }; [pscustomobject]@{ RestartNeeded = $false } }
function Remove-WindowsCapability { [CmdletBinding()] param([switch]$Online, [string]$Name) Write-Call 'Remove-WindowsCapability' $PSBoundParameters; [pscustomobject]@{ RestartNeeded = $false } }
