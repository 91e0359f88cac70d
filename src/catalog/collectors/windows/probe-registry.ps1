# Values of the registry. Asked for: key, name.
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ exists = $false; kind = $null; value = $null }
        try {
            $key = Open-Key ([string]$one.key)
            if ($null -ne $key) {
                $answer = Read-Value $key ([string]$one.name)
                $key.Dispose()
            }
        } catch {
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer['n'] = $number
        $number = $number + 1
        $answer
    })
}
