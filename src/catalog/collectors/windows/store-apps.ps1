# Packages of the Store and others of that kind (MSIX, AppX), for everybody and for each user. What asks their service hangs where that is disabled; the
# registry does not.
$root = 'SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore'
$key = $machine.OpenSubKey($root)
if ($null -eq $key) { Stop-Unsupported 'this edition of Windows has no packages of this kind' }
$found = New-Object System.Collections.ArrayList
foreach ($name in $key.GetSubKeyNames()) {
    # Applications: what every new user gets. By number of an account: what that user has.
    $user = $null
    if ($name -like 'S-1-5-21-*' -or $name -like 'S-1-12-1-*') { $user = $name }
    if ($null -eq $user -and $name -ne 'Applications') { continue }
    # One that may not be read costs nothing but itself.
    try { $packages = $key.OpenSubKey($name) } catch { continue }
    if ($null -eq $packages) { continue }
    foreach ($one in $packages.GetSubKeyNames()) {
        [void]$found.Add([ordered]@{ full = $one; user = $user })
    }
    $packages.Dispose()
}
$key.Dispose()
@{ items = @($found.ToArray()) }
