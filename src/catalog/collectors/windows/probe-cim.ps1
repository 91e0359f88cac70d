# A property of all instances of a class. Asked for: namespace, class, property.
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; exists = $false; values = @() }
        $number = $number + 1
        try {
            # They become part of a query.
            foreach ($word in $one.class, $one.property) {
                if ([string]$word -notmatch '^[A-Za-z0-9_]+$') { throw 'class and property are names' }
            }
            $property = [string]$one.property
            $found = @(Get-CimInstance -Namespace ([string]$one.namespace).Replace('\', '/') -ClassName ([string]$one.class) -Property $property)
            $answer['exists'] = ($found.Count -gt 0)
            $answer['values'] = @($found | ForEach-Object { $_.CimInstanceProperties[$property].Value } | ForEach-Object {
                if ($_ -is [datetime]) { Format-Moment $_ } else { $_ }
            })
            if ($answer['values'].Count -gt 1000) {
                $answer['values'] = @()
                throw 'there are more than 1000 values'
            }
        } catch {
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer
    })
}
