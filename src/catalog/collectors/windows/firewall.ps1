# The firewall as it is in force: policies and own settings together. Without its module what the registry says.
$service = Get-CimInstance -ClassName Win32_Service -Filter 'Name = "MpsSvc"' -Property State | Select-Members 'State'
$found = @()
if ($null -ne (Get-Command -Name Get-NetFirewallProfile -ErrorAction SilentlyContinue)) {
    $found = @(Get-NetFirewallProfile -PolicyStore ActiveStore | ForEach-Object {
        [ordered]@{
            name = [string]$_.Name; enabled = [int]$_.Enabled; inbound = [int]$_.DefaultInboundAction; outbound = [int]$_.DefaultOutboundAction
            notify = [int]$_.NotifyOnListen; local_rules = [int]$_.AllowLocalFirewallRules; log_file = [string]$_.LogFileName
            log_max_kb = [long]$_.LogMaxSizeKilobytes; log_dropped = [int]$_.LogBlocked; log_allowed = [int]$_.LogAllowed
        }
    })
}
$kept = [ordered]@{}
foreach ($name in 'DomainProfile', 'StandardProfile', 'PublicProfile') {
    $one = [ordered]@{}
    foreach ($value in 'EnableFirewall', 'DefaultInboundAction', 'DefaultOutboundAction', 'DisableNotifications') {
        $one[$value] = Get-Registry ('SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\' + $name) $value
        # What local machines call standard is called private in policies too.
        foreach ($alias in $name, $name.Replace('Standard', 'Private')) {
            $forced = Get-Registry ('SOFTWARE\Policies\Microsoft\WindowsFirewall\' + $alias) $value
            if ($null -ne $forced) { $one[$value] = $forced }
        }
    }
    $kept[$name] = $one
}
@{ service = $service.State; profiles = $found; registry = $kept }
