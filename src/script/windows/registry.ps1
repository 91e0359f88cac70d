# Sets ($p.kind, $p.value) or removes ($p.absent) one value of the registry. Answers what was there before, as JSON.
$hives = @{ HKLM = 'LocalMachine'; HKCU = 'CurrentUser'; HKCR = 'ClassesRoot'; HKU = 'Users'; HKCC = 'CurrentConfig' }
$hive, $path = $p.path.Split([char[]]'\', 2)
$base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]$hives[$hive], [Microsoft.Win32.RegistryView]::Registry64)
$key = $base.OpenSubKey($path, $true)
$before = @{ existed = $false; kind = $null; value = $null }
if ($null -ne $key -and @($key.GetValueNames()) -contains $p.name) {
    $kind = $key.GetValueKind($p.name)
    $value = $key.GetValue($p.name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    if ($kind -eq 'DWord') { $value = [BitConverter]::ToUInt32([BitConverter]::GetBytes([int]$value), 0) }
    if ($kind -eq 'Binary') { $value = [BitConverter]::ToString([byte[]]$value).Replace('-', '') }
    if ($kind -eq 'MultiString') { $value = @($value) }
    $before.existed = $true
    $before.kind = $kind.ToString().Substring(0, 1).ToLowerInvariant() + $kind.ToString().Substring(1)
    if ($kind -eq 'DWord' -or $kind -eq 'QWord') { $before.kind = $kind.ToString().ToLowerInvariant() }
    $before.value = $value
}
if ($p.absent) {
    if ($before.existed) { $key.DeleteValue($p.name) }
} else {
    if ($null -eq $key) { $key = $base.CreateSubKey($path) }
    $value = ConvertTo-Kept $p.value $p.kind
    $key.SetValue($p.name, $value, [Microsoft.Win32.RegistryValueKind]$p.kind)
}
if ($null -ne $key) { $key.Dispose() }
$base.Dispose()
ConvertTo-Json -Compress -InputObject $before
