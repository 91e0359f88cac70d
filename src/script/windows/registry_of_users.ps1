# Sets ($p.kind, $p.value) or removes ($p.absent) one value in the registry of every user whose hive is loaded.
# $p.only limits it to one user. Accounts of the system and of services are left alone.
$base = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::Users, [Microsoft.Win32.RegistryView]::Registry64)
$count = 0
foreach ($sid in $base.GetSubKeyNames()) {
    if ($sid -notmatch '^S-1-(5-21|12-1)-[0-9-]+$') { continue }
    if ($p.only -and $sid -ne $p.only) { continue }
    $count = $count + 1
    $path = $sid + '\' + $p.path
    $key = $base.OpenSubKey($path, $true)
    if ($p.absent) {
        if ($null -ne $key) { $key.DeleteValue($p.name, $false) }
    } else {
        if ($null -eq $key) { $key = $base.CreateSubKey($path) }
        $value = ConvertTo-Kept $p.value $p.kind
        $key.SetValue($p.name, $value, [Microsoft.Win32.RegistryValueKind]$p.kind)
    }
    if ($null -ne $key) { $key.Dispose() }
}
$base.Dispose()
if ($count -eq 0) { throw 'nobody is signed in whose registry could be changed' }
ConvertTo-Json -Compress -InputObject @{ users = $count }
