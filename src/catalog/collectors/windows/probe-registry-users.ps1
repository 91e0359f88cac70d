# A value of the registry of every user whose registry is loaded. Asked for: key below that registry, name.
$number = 0
$users = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::Users, [Microsoft.Win32.RegistryView]::Registry64)
# People of the device, of a domain and of the cloud.
$sids = @($users.GetSubKeyNames() | Where-Object { ($_ -like 'S-1-5-21-*' -or $_ -like 'S-1-12-1-*') -and $_ -notlike '*_Classes' })
if ($sids.Count -gt 500) { throw 'more than 500 users are signed in' }
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; users = @() }
        $number = $number + 1
        try {
            $answer['users'] = @(foreach ($sid in $sids) {
                $told = [ordered]@{ exists = $false; kind = $null; value = $null }
                $key = $users.OpenSubKey($sid + '\' + [string]$one.key)
                if ($null -ne $key) {
                    $told = Read-Value $key ([string]$one.name)
                    $key.Dispose()
                }
                $told['sid'] = $sid
                $told
            })
        } catch {
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer
    })
}
