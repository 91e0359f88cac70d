# Has the system install, uninstall, hide or show updates, and waits: Windows lets no session from afar do it, so a task of the system
# does, and is removed afterwards. What it is to do and what came of it stand in a key that administrators alone may write.
$name = 'rmm-updates'
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey('SOFTWARE\rmm\updates')
function Get-State {
    $task = Get-ScheduledTask -TaskName $name -ErrorAction SilentlyContinue
    if ($null -ne $task) { [string]$task.State }
}
# One that was begun before its session broke off.
while (@('Running', 'Queued') -contains (Get-State)) { Start-Sleep -Seconds 2 }
$key.DeleteValue('result', $false)
$key.SetValue('job', (ConvertTo-Json -Compress -Depth 4 -InputObject @{ what = [string]$p.what; updates = @($p.updates) }))
# $worker stands before this. It goes through the command line of the task, which is not endless: comments stay here.
$code = (($worker -split '\r?\n') | Where-Object { $_ -notmatch '^\s*#' }) -join [string][char]10
$encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($code))
$line = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + $encoded
$action = New-ScheduledTaskAction -Execute ($PSHOME + '\powershell.exe') -Argument $line
$system = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -RunLevel Highest
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit (New-TimeSpan -Hours 6)
[void](Register-ScheduledTask -TaskName $name -Action $action -Principal $system -Settings $settings -Force)
Start-ScheduledTask -TaskName $name
$idle = 0
while ($null -eq $key.GetValue('result') -and $idle -lt 15) {
    Start-Sleep -Seconds 2
    if (@('Running', 'Queued') -contains (Get-State)) { $idle = 0 } else { $idle = $idle + 1 }
}
$told = $key.GetValue('result')
Unregister-ScheduledTask -TaskName $name -Confirm:$false
if ($null -eq $told) { throw 'the task that handles updates ended without a result' }
$result = ConvertFrom-Json -InputObject $told
if ($null -ne $result.error) { throw $result.error }
$told
