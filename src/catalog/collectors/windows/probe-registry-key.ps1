# All values of keys of the registry. Asked for: key.
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; exists = $false; values = @() }
        $number = $number + 1
        try {
            $key = Open-Key ([string]$one.key)
            if ($null -ne $key) {
                $answer['exists'] = $true
                if ($key.ValueCount -gt 1000) { throw 'the key has more than 1000 values' }
                $answer['values'] = @($key.GetValueNames() | ForEach-Object {
                    $told = Read-Value $key $_
                    $told['name'] = $_
                    $told
                })
                $key.Dispose()
            }
        } catch {
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer
    })
}
