# Processes, services, shares, accounts, the firewall and what else a system has.
function Invoke-CimMethod {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$ClassName, [string]$Namespace, [Parameter(Position = 1)] $Arguments, [string]$MethodName, $InputObject, $Query)
    Write-Call 'Invoke-CimMethod' @{ ClassName = $ClassName; MethodName = $MethodName }
    if ($ClassName -eq 'Win32_Process' -and $MethodName -eq 'Create') {
        if ($env:RMM_FAKE_CREATE) { return [pscustomobject]@{ ReturnValue = [uint32]$env:RMM_FAKE_CREATE; ProcessId = $null } }
        # By another process, so that it is nobody's child.
        $line = [string]$Arguments.CommandLine
        $folder = [string]$Arguments.CurrentDirectory
        $made = & (Join-Path $PSScriptRoot 'detach') $folder $line
        return [pscustomobject]@{ ReturnValue = [uint32]0; ProcessId = [uint32]$made }
    }
    if ($MethodName -eq 'RenewDHCPLease') { return [pscustomobject]@{ ReturnValue = [uint32]0 } }
    [pscustomobject]@{ ReturnValue = [uint32]0 }
}
function Get-CimInstance {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$ClassName, [string]$Namespace = 'root/cimv2', [string]$Filter, [uint32]$OperationTimeoutSec, [string[]]$Property, [string]$Query)
    $all = @(Read-State 'cim' | Where-Object { $_.class -eq $ClassName } | ForEach-Object { $_.instances } | ForEach-Object { $_ })
    if ($Filter -match '^(\w+) = (TRUE|FALSE)$') { $name = $Matches[1]; $want = $Matches[2] -eq 'TRUE'; $all = @($all | Where-Object { $_.$name -eq $want }) }
    elseif ($Filter -match "^(\w+) ?= ?'(.*)'$") { $name = $Matches[1]; $want = $Matches[2]; $all = @($all | Where-Object { $_.$name -eq $want }) }
    elseif ($Filter) { throw "this fake does not read the filter $Filter" }
    $all
}
function Get-Process {
    [CmdletBinding(DefaultParameterSetName = 'Name')] param([Parameter(Position = 0)] [string[]]$Name, [int[]]$Id, [switch]$IncludeUserName)
    $all = @(Read-State 'processes')
    if ($Id) {
        $found = @($all | Where-Object { $Id -contains $_.Id })
        if ($found.Count -eq 0) { Write-Missing 'NoProcessFoundForGivenId,Microsoft.PowerShell.Commands.GetProcessCommand' "Cannot find a process with the process identifier $Id." $PSCmdlet }
        return $found
    }
    if ($Name) {
        $found = @($all | Where-Object { $one = $_; @($Name | Where-Object { $one.ProcessName -like $_ }).Count -gt 0 })
        if ($found.Count -eq 0) { Write-Missing 'NoProcessFoundForGivenName,Microsoft.PowerShell.Commands.GetProcessCommand' "Cannot find a process with the name ""$Name""." $PSCmdlet }
        return $found
    }
    $all
}
function Stop-Process {
    [CmdletBinding()] param([Parameter(Position = 0)] [int[]]$Id, [object[]]$InputObject, [switch]$Force)
    Write-Call 'Stop-Process' @{ Id = @($Id) + @($InputObject | ForEach-Object { $_.Id }) | Where-Object { $_ }; Force = $Force }
}
# Services: Name, Status, StartType, Needs (names of those that depend on it).
function New-FakedService($one) {
    $all = @(Read-State 'services')
    $needs = @($all | Where-Object { @($one.Needs) -contains $_.Name } | ForEach-Object { [pscustomobject]@{ Name = $_.Name; Status = $_.Status; StartType = $_.StartType } })
    [pscustomobject]@{ Name = $one.Name; DisplayName = $one.Name; Status = $one.Status; StartType = $one.StartType; DependentServices = $needs }
}
function Get-Service {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Name)
    $all = @(Read-State 'services')
    if ($Name) {
        foreach ($want in $Name) {
            $found = @($all | Where-Object { $_.Name -like $want })
            if ($found.Count -eq 0 -and $want -notmatch '[*?]') { Write-Missing 'NoServiceFoundForGivenName,Microsoft.PowerShell.Commands.GetServiceCommand' "Cannot find any service with service name '$want'." $PSCmdlet }
            $found | ForEach-Object { New-FakedService $_ }
        }
        return
    }
    $all | ForEach-Object { New-FakedService $_ }
}
function Set-FakedStatus([string]$name, [string]$status, $cmdlet) {
    $all = @(Read-State 'services')
    $one = @($all | Where-Object { $_.Name -eq $name })[0]
    if ($null -eq $one) { Write-Missing 'NoServiceFoundForGivenName' "Cannot find any service with service name '$name'." $cmdlet; return }
    if ($status -eq 'Running' -and $one.StartType -eq 'Disabled') { Write-Missing 'CouldNotStartService' "Service '$name' cannot be started due to the following error: Cannot start service $name on computer '.'." $cmdlet; return }
    $one.Status = $status
    if ($status -eq 'Stopped') { foreach ($other in $all) { if (@($one.Needs) -contains $other.Name) { $other.Status = 'Stopped' } } }
    Write-State 'services' $all
}
function Start-Service {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Name, [Parameter(ValueFromPipeline = $true)] [object[]]$InputObject)
    process { foreach ($one in @($Name) + @($InputObject | ForEach-Object { $_.Name }) | Where-Object { $_ }) { Write-Call 'Start-Service' @{ Name = $one }; Set-FakedStatus $one 'Running' $PSCmdlet } }
}
function Stop-Service {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Name, [Parameter(ValueFromPipeline = $true)] [object[]]$InputObject, [switch]$Force, [switch]$NoWait)
    process {
        foreach ($one in @($Name) + @($InputObject | ForEach-Object { $_.Name }) | Where-Object { $_ }) {
            Write-Call 'Stop-Service' @{ Name = $one; Force = $Force }
            $known = @(Read-State 'services' | Where-Object { $_.Name -eq $one })[0]
            if (-not $Force -and @($known.Needs).Count -gt 0) { Write-Missing 'ServiceHasDependentServices' "Cannot stop service '$one' because it has dependent services." $PSCmdlet; continue }
            Set-FakedStatus $one 'Stopped' $PSCmdlet
        }
    }
}
function Restart-Service {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Name, [Parameter(ValueFromPipeline = $true)] [object[]]$InputObject, [switch]$Force)
    process { foreach ($one in @($Name) + @($InputObject | ForEach-Object { $_.Name }) | Where-Object { $_ }) { Write-Call 'Restart-Service' @{ Name = $one; Force = $Force }; Set-FakedStatus $one 'Running' $PSCmdlet } }
}
function Set-Service {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$Name, [ValidateSet('Automatic', 'Manual', 'Disabled', 'Boot', 'System')] [string]$StartupType, [string]$Status)
    Write-Call 'Set-Service' $PSBoundParameters
    $all = @(Read-State 'services')
    $one = @($all | Where-Object { $_.Name -eq $Name })[0]
    if ($null -eq $one) { Write-Missing 'NoServiceFoundForGivenName' "Service $Name was not found on computer '.'." $PSCmdlet; return }
    if ($StartupType) { $one.StartType = $StartupType }
    Write-State 'services' $all
}
function Clear-DnsClientCache { [CmdletBinding()] param() Write-Call 'Clear-DnsClientCache' @{} }
# Rules of the firewall: Name, DisplayName, Group, Enabled, and what they were made of.
function Get-NetFirewallRule {
    [CmdletBinding()] param([string[]]$Name, [string]$Group, [string]$PolicyStore)
    $all = @(Read-State 'rules')
    if ($Name) {
        $found = @($all | Where-Object { $Name -contains $_.Name })
        if ($found.Count -eq 0) { Write-Missing 'CmdletizationQuery_NotFound_InstanceID,Get-NetFirewallRule' "No MSFT_NetFirewallRule objects found with property 'InstanceID' equal to '$Name'." $PSCmdlet }
        return $found
    }
    if ($Group) {
        $found = @($all | Where-Object { $_.Group -eq $Group })
        if ($found.Count -eq 0) { Write-Missing 'CmdletizationQuery_NotFound_RuleGroup,Get-NetFirewallRule' "No MSFT_NetFirewallRule objects found with property 'RuleGroup' equal to '$Group'." $PSCmdlet }
        return $found
    }
    $all
}
function Set-FakedRule($names, [string]$enabled) {
    $all = @(Read-State 'rules')
    foreach ($rule in $all) { if ($names -contains $rule.Name) { $rule.Enabled = $enabled } }
    Write-State 'rules' $all
}
function Enable-NetFirewallRule {
    [CmdletBinding()] param([string[]]$Name, [Parameter(ValueFromPipeline = $true)] $InputObject)
    process { $which = @($Name) + @($InputObject.Name) | Where-Object { $_ }; Write-Call 'Enable-NetFirewallRule' @{ Name = $which }; Set-FakedRule $which 'True' }
}
function Disable-NetFirewallRule {
    [CmdletBinding()] param([string[]]$Name, [Parameter(ValueFromPipeline = $true)] $InputObject)
    process { $which = @($Name) + @($InputObject.Name) | Where-Object { $_ }; Write-Call 'Disable-NetFirewallRule' @{ Name = $which }; Set-FakedRule $which 'False' }
}
function Remove-NetFirewallRule {
    [CmdletBinding()] param([string[]]$Name)
    Write-Call 'Remove-NetFirewallRule' $PSBoundParameters
    Write-State 'rules' @(Read-State 'rules' | Where-Object { $Name -notcontains $_.Name })
}
function Rename-NetFirewallRule {
    [CmdletBinding()] param([string]$Name, [string]$NewName)
    Write-Call 'Rename-NetFirewallRule' $PSBoundParameters
    $all = @(Read-State 'rules')
    if (@($all | Where-Object { $_.Name -eq $NewName }).Count -gt 0) { throw 'Cannot create a file when that file already exists.' }
    foreach ($rule in $all) { if ($rule.Name -eq $Name) { $rule.Name = $NewName } }
    Write-State 'rules' $all
}
function New-NetFirewallRule {
    [CmdletBinding()] param([string]$Name, [Parameter(Mandatory = $true)] [string]$DisplayName, [ValidateSet('True', 'False')] [string]$Enabled = 'True', [ValidateSet('Inbound', 'Outbound')] [string]$Direction,
        [ValidateSet('Allow', 'Block')] [string]$Action = 'Allow', [string]$Protocol, [string[]]$LocalPort, [string[]]$RemotePort, [string[]]$RemoteAddress, [string]$Program, [string[]]$Profile)
    Write-Call 'New-NetFirewallRule' $PSBoundParameters
    if (@(Read-State 'rules' | Where-Object { $_.Name -eq $Name }).Count -gt 0) { throw 'Cannot create a file when that file already exists.' }
    foreach ($port in @($LocalPort) + @($RemotePort) | Where-Object { $_ }) { if ($port -notmatch '^[0-9]+(-[0-9]+)?$|^[A-Za-z]+$' -or -not $Protocol) { throw 'The port is invalid.' } }
    Write-State 'rules' (@(Read-State 'rules') + @([pscustomobject]@{ Name = $Name; DisplayName = $DisplayName; Group = $null; Enabled = $Enabled; Direction = $Direction; Action = $Action; Protocol = $Protocol; LocalPort = $LocalPort; RemotePort = $RemotePort; RemoteAddress = $RemoteAddress; Program = $Program; Profile = $Profile }))
    [pscustomobject]@{ Name = $Name }
}
