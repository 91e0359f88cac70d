# Programs that have an uninstall key: for everybody, 64 and 32 bits, and for users who are signed in.
$found = New-Object System.Collections.ArrayList
function Read-Keys($root, [string]$path, [string]$where) {
    # One of a user that may not be read costs nothing but itself; without the machine's own there is no list.
    try { $key = $root.OpenSubKey($path) } catch { if ($where -eq 'user') { return } else { throw } }
    if ($null -eq $key) { if ($where -eq 'machine') { throw 'there is no list of programs' } else { return } }
    foreach ($name in $key.GetSubKeyNames()) {
        try { $one = $key.OpenSubKey($name) } catch { continue }
        if ($null -eq $one) { continue }
        $entry = [ordered]@{ key = $name; where = $where }
        foreach ($value in 'DisplayName', 'DisplayVersion', 'Publisher', 'SystemComponent', 'ParentKeyName', 'ReleaseType', 'WindowsInstaller') {
            $entry[$value] = $one.GetValue($value)
        }
        $one.Dispose()
        if ($null -ne $entry.DisplayName) { [void]$found.Add($entry) }
    }
    $key.Dispose()
}
$uninstall = 'Microsoft\Windows\CurrentVersion\Uninstall'
Read-Keys $machine ('SOFTWARE\' + $uninstall) 'machine'
Read-Keys $machine ('SOFTWARE\WOW6432Node\' + $uninstall) 'machine32'
$users = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::Users, [Microsoft.Win32.RegistryView]::Registry64)
foreach ($sid in $users.GetSubKeyNames()) {
    # People of the device, of a domain and of the cloud.
    if (($sid -like 'S-1-5-21-*' -or $sid -like 'S-1-12-1-*') -and $sid -notlike '*_Classes') { Read-Keys $users ($sid + '\Software\' + $uninstall) 'user' }
}
@{ items = @($found.ToArray()) }
