# Rules of the firewall where Windows keeps them: asking its service for each takes minutes.
$rules = New-Object System.Collections.ArrayList
$places = @(
    @('local', 'SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules'),
    @('policy', 'SOFTWARE\Policies\Microsoft\WindowsFirewall\FirewallRules')
)
foreach ($place in $places) {
    $key = $machine.OpenSubKey($place[1])
    if ($null -eq $key) { continue }
    foreach ($name in $key.GetValueNames()) {
        if ($rules.Count -ge 10000) { break }
        [void]$rules.Add(@($place[0], $name, [string]$key.GetValue($name)))
    }
    $key.Dispose()
}
@{ items = @($rules.ToArray()) }
