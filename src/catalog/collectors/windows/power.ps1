# The power plan in force: what a policy says, else what was set for the plan, else what it came with. Seconds.
$power = 'SYSTEM\CurrentControlSet\Control\Power\'
$plan = [string](Get-Registry ($power + 'User\PowerSchemes') 'ActivePowerScheme')
$forced = [string](Get-Registry 'SOFTWARE\Policies\Microsoft\Power\PowerSettings' 'ActivePowerScheme')
if ($forced) { $plan = $forced }
$times = [ordered]@{}
$all = @(
    @('sleep', '238c9fa8-0aad-41ed-83f4-97be242c8f20', '29f6c1db-86da-48c5-9fdb-f2b67b1f44da'),
    @('hibernate', '238c9fa8-0aad-41ed-83f4-97be242c8f20', '9d7815a6-7ee4-497e-8888-515a05f02364'),
    @('display', '7516b95f-f776-4464-8c53-06167f40cc99', '3c0bc021-c8a8-4e07-a973-6b14cbcb2b7e'),
    @('disk', '0012ee47-9041-4b5d-9b77-535fba8b1442', '6738e2c4-e8a5-4a42-b16a-e040e769756e')
)
foreach ($one in $all) {
    foreach ($source in 'AC', 'DC') {
        $value = Get-Registry ('SOFTWARE\Policies\Microsoft\Power\PowerSettings\' + $one[2]) ($source + 'SettingIndex')
        if ($null -eq $value) { $value = Get-Registry ($power + 'User\PowerSchemes\' + $plan + '\' + $one[1] + '\' + $one[2]) ($source + 'SettingIndex') }
        if ($null -eq $value) {
            $value = Get-Registry ($power + 'PowerSettings\' + $one[1] + '\' + $one[2] + '\DefaultPowerSchemeValues\' + $plan) ($source + 'SettingIndex')
        }
        $times[$one[0] + '_' + $source.ToLowerInvariant()] = $value
    }
}
@{
    plan = $plan
    name = [string](Get-Registry ($power + 'User\PowerSchemes\' + $plan) 'FriendlyName')
    times = $times
    hibernation = Get-Registry 'SYSTEM\CurrentControlSet\Control\Power' 'HibernateEnabled'
    fast = Get-Registry 'SYSTEM\CurrentControlSet\Control\Session Manager\Power' 'HiberbootEnabled'
}
