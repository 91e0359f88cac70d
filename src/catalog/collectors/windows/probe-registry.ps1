# Values of the registry. Asked for: key, name.
$hives = @{ HKLM = 'LocalMachine'; HKU = 'Users'; HKCR = 'ClassesRoot'; HKCC = 'CurrentConfig' }
$words = @{ DWord = 'dword'; QWord = 'qword'; String = 'string'; ExpandString = 'expandString'; MultiString = 'multiString'; Binary = 'binary' }
$open = @{}
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; exists = $false; kind = $null; value = $null }
        $number = $number + 1
        try {
            $hive, $path = ([string]$one.key).Split([char[]]'\', 2)
            if (-not $open.ContainsKey($hive)) {
                $open[$hive] = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]$hives[$hive], [Microsoft.Win32.RegistryView]::Registry64)
            }
            $key = $open[$hive].OpenSubKey($path)
            if ($null -ne $key) {
                $name = [string]$one.name
                # Of the default value only GetValue tells whether there is one.
                $value = $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
                if ($null -ne $value) {
                    $kind = [string]$key.GetValueKind($name)
                    $answer['exists'] = $true
                    $answer['kind'] = 'none'
                    if ($words.ContainsKey($kind)) { $answer['kind'] = $words[$kind] }
                    # Numbers have no sign in the registry.
                    if ($kind -eq 'DWord') { $value = [BitConverter]::ToUInt32([BitConverter]::GetBytes([int]$value), 0) }
                    if ($kind -eq 'QWord') { $value = [BitConverter]::ToUInt64([BitConverter]::GetBytes([long]$value), 0) }
                    if ($value -is [byte[]]) {
                        if ($value.Length -gt 65536) { throw 'longer than 64 KiB' }
                        $value = [BitConverter]::ToString($value).Replace('-', '')
                    }
                    if ($kind -eq 'MultiString') { $value = @($value) }
                    $answer['value'] = $value
                }
                $key.Dispose()
            }
        } catch {
            $answer['error'] = [string]$_.Exception.Message
        }
        $answer
    })
}
