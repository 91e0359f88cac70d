# What starts when somebody signs in: Run keys and the folders for it.
$found = New-Object System.Collections.ArrayList
function Read-Run($root, [string]$path, [string]$shown) {
    # One that may not be read costs nothing but itself.
    try { $key = $root.OpenSubKey($path) } catch { return }
    if ($null -eq $key) { return }
    foreach ($name in $key.GetValueNames()) {
        $command = $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
        [void]$found.Add([ordered]@{ where = $shown; name = $name; command = [string]$command })
    }
    $key.Dispose()
}
$run = 'Microsoft\Windows\CurrentVersion\Run'
foreach ($software in 'SOFTWARE\', 'SOFTWARE\WOW6432Node\') {
    foreach ($once in '', 'Once') { Read-Run $machine ($software + $run + $once) ('HKLM\' + $software + $run + $once) }
}
$users = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::Users, [Microsoft.Win32.RegistryView]::Registry64)
foreach ($sid in $users.GetSubKeyNames()) {
    # People of the device, of a domain and of the cloud.
    if (($sid -like 'S-1-5-21-*' -or $sid -like 'S-1-12-1-*') -and $sid -notlike '*_Classes') {
        foreach ($once in '', 'Once') { Read-Run $users ($sid + '\Software\' + $run + $once) ('HKU\' + $sid + '\Software\' + $run + $once) }
    }
}
$folders = @([Environment]::GetFolderPath('CommonStartup'))
$profiles = $machine.OpenSubKey('SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList')
foreach ($sid in $profiles.GetSubKeyNames()) {
    $home1 = [string](Get-Registry ('SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\' + $sid) 'ProfileImagePath')
    if (($sid -like 'S-1-5-21-*' -or $sid -like 'S-1-12-1-*') -and $home1) { $folders += $home1 + '\AppData\Roaming\Microsoft\Windows\Start Menu\Programs\Startup' }
}
foreach ($folder in $folders) {
    if ($folder -and [System.IO.Directory]::Exists($folder)) {
        try { $files = [System.IO.Directory]::GetFiles($folder) } catch { continue }
        foreach ($file in $files) {
            if ([System.IO.Path]::GetFileName($file) -ne 'desktop.ini') { [void]$found.Add([ordered]@{ where = $file; name = ''; command = '' }) }
        }
    }
}
@{ items = @($found.ToArray()) }
