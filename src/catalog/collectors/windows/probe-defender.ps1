# Preferences of Microsoft Defender. Asked for: name.
# Functions of modules do not see how errors are dealt with outside of them.
$preferences = Get-MpPreference -ErrorAction Stop
if ($null -eq $preferences) { throw 'Defender tells nothing' }
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; exists = $false; value = $null }
        $number = $number + 1
        $name = [string]$one.name
        if ($name -like 'AttackSurfaceReductionRules.*') {
            $rule = $name.Substring($name.IndexOf('.') + 1)
            $answer['exists'] = ($null -ne $preferences.PSObject.Properties['AttackSurfaceReductionRules_Ids'])
            $ids = @($preferences.AttackSurfaceReductionRules_Ids)
            $actions = @($preferences.AttackSurfaceReductionRules_Actions)
            for ($i = 0; $i -lt $ids.Count; $i++) {
                if ($ids[$i] -eq $rule -and $i -lt $actions.Count) { $answer['value'] = [int]$actions[$i] }
            }
        } else {
            $member = $preferences.PSObject.Properties[$name]
            if ($null -ne $member) {
                $answer['exists'] = $true
                $value = $member.Value
                if ($value -is [datetime]) { $value = Format-Moment $value }
                elseif ($value -is [timespan]) { $value = $value.ToString('c', $inv) }
                elseif ($value -is [array]) {
                    $value = @($value | ForEach-Object { [string]$_ })
                    if ($value.Count -gt 1000) {
                        $answer['error'] = 'there are more than 1000 values'
                        $value = $null
                    }
                }
                $answer['value'] = $value
            }
        }
        $answer
    })
}
