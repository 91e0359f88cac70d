# Exploit protection of the system or of a program. Asked for: System, or the file name of a program.
if ($null -eq (Get-Command -Name Get-ProcessMitigation -ErrorAction SilentlyContinue)) { Stop-Unsupported 'this Windows has no exploit protection' }
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; exists = $false; values = @() }
        $number = $number + 1
        try {
            $name = [string]$one.name
            if ($name -eq 'System') { $found = @(Get-ProcessMitigation -System) } else { $found = @(Get-ProcessMitigation -Name $name) }
            if ($name -eq 'System' -and $found.Count -eq 0) { throw 'the system tells nothing' }
            $answer['exists'] = ($found.Count -gt 0)
            $answer['values'] = @(if ($found.Count -gt 0) {
                foreach ($group in $found[0].PSObject.Properties) {
                    if ($null -eq $group.Value -or $group.Value -is [string]) { continue }
                    foreach ($member in $group.Value.PSObject.Properties) {
                        , @(($group.Name + '.' + $member.Name).ToLowerInvariant(), [string]$member.Value)
                    }
                }
            })
        } catch {
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer
    })
}
