function Get-NetFirewallProfile {
    [CmdletBinding()] param([string]$PolicyStore)
    if ([Fakes.Mode]::Is('denied', 'NetFirewallProfile')) { throw 'Access is denied.' }
    if ([Fakes.Mode]::Is('soft', 'NetFirewallProfile')) { Write-Error 'Access is denied.'; return }
    if ([Fakes.Mode]::Is('silent', 'NetFirewallProfile')) { return }
    $names = 'Domain', 'Private', 'Public'
    if ([Fakes.Mode]::Is('one', 'NetFirewallProfile')) { $names = @('Public') }
    foreach ($name in $names) {
        [pscustomobject]@{
            Name = $name; Enabled = [uint16]1; DefaultInboundAction = [uint16]4; DefaultOutboundAction = [uint16]2; NotifyOnListen = [uint16]0
            AllowLocalFirewallRules = [uint16]2; LogFileName = '%systemroot%\system32\LogFiles\Firewall\pfirewall.log'; LogMaxSizeKilobytes = [uint64]4096
            LogBlocked = [uint16]0; LogAllowed = [uint16]0
        }
    }
}
