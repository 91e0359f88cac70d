# Has the system install, uninstall, hide or show updates, and waits: Windows lets no session from afar do it, so a task of the system
# does, and is removed afterwards. What it runs, what it is to do and what came of it stand meanwhile in a key that administrators alone
# may write: a command line has an end.
$name = 'rmm-updates'
$path = 'SOFTWARE\rmm\updates'
$key = [Microsoft.Win32.Registry]::LocalMachine.CreateSubKey($path)
function Get-State {
    $task = Get-ScheduledTask -TaskName $name -ErrorAction SilentlyContinue
    if ($null -ne $task) { [string]$task.State }
}
$job = ConvertTo-Json -Compress -Depth 4 -InputObject ([ordered]@{ what = [string]$p.what; updates = @($p.updates) })
# One that was begun before its session broke off.
while (@('Running', 'Queued') -contains (Get-State)) { Start-Sleep -Seconds 2 }
# Where it was to do the same, and has ended just now, its answer is the one to this: done again, all of it would be there already.
$told = $null
$ended = [DateTime]::MinValue
if ([string]$key.GetValue('job') -ceq $job -and [DateTime]::TryParse([string]$key.GetValue('ended'), [System.Globalization.CultureInfo]::InvariantCulture, 'RoundtripKind', [ref]$ended)) {
    if ([Math]::Abs(([DateTime]::UtcNow - $ended).TotalMinutes) -lt 15) { $told = $key.GetValue('result') }
}
if ($null -eq $told) {
    foreach ($old in 'result', 'ended') { $key.DeleteValue($old, $false) }
    # $worker stands before this.
    $key.SetValue('worker', $worker)
    $key.SetValue('job', $job)
    $loader = '& ([ScriptBlock]::Create([Microsoft.Win32.Registry]::LocalMachine.OpenSubKey(''' + $path + ''').GetValue(''worker'')))'
    $encoded = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes($loader))
    $line = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + $encoded
    $action = New-ScheduledTaskAction -Execute ($PSHOME + '\powershell.exe') -Argument $line
    $system = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    $settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit (New-TimeSpan -Hours 6)
    [void](Register-ScheduledTask -TaskName $name -Action $action -Principal $system -Settings $settings -Force)
    Start-ScheduledTask -TaskName $name
    $idle = 0
    while ($null -eq $key.GetValue('result') -and $idle -lt 15) {
        Start-Sleep -Seconds 2
        if (@('Running', 'Queued') -contains (Get-State)) { $idle = 0 } else { $idle = $idle + 1 }
    }
    $told = $key.GetValue('result')
}
if ($null -ne (Get-State)) { Unregister-ScheduledTask -TaskName $name -Confirm:$false }
foreach ($old in 'worker', 'job', 'result', 'ended') { $key.DeleteValue($old, $false) }
if ($null -eq $told) { throw 'the task that handles updates ended without a result' }
$result = ConvertFrom-Json -InputObject $told
if ($null -ne $result.error) { throw $result.error }
$told
