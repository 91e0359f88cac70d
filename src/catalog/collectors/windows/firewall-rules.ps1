# Rules of the firewall where Windows keeps them: asking its service for each takes minutes. Those of apps and those that Intune has sent
# have keys of their own.
$rules = New-Object System.Collections.ArrayList
$kept = 'SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\'
$places = @(
    @('local', ($kept + 'FirewallRules')),
    @('local', ($kept + 'RestrictedServices\AppIso\FirewallRules')),
    @('mdm', ($kept + 'Mdm\FirewallRules')),
    @('policy', 'SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules')
)
foreach ($place in $places) {
    $key = $machine.OpenSubKey($place[1])
    if ($null -eq $key) { continue }
    foreach ($name in $key.GetValueNames()) {
        # A part of them would make absent what is there.
        if ($rules.Count -ge 20000) { throw 'there are more than 20000 rules' }
        # What it is for in words is read by nobody, and a third of all.
        [void]$rules.Add(@($place[0], $name, ([string]$key.GetValue($name) -replace '\|Desc=[^|]*', '')))
    }
    $key.Dispose()
}
@{ items = @($rules.ToArray()) }
