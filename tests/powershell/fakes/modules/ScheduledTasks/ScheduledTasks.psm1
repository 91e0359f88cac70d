function Get-ScheduledTask {
    [CmdletBinding()] param()
    if ([Fakes.Mode]::Is('denied', 'ScheduledTask')) { Write-Error 'Access is denied.'; return }
    if ([Fakes.Mode]::Is('silent', 'ScheduledTask')) { return }
    $start = [pscustomobject]@{ StartBoundary = '2026-01-01T03:00:00'; Enabled = $true; CimClass = [pscustomobject]@{ CimClassName = 'MSFT_TaskDailyTrigger' } }
    $logon = [pscustomobject]@{ StartBoundary = $null; Enabled = $true; CimClass = [pscustomobject]@{ CimClassName = 'MSFT_TaskLogonTrigger' } }
    $run = [pscustomobject]@{ Execute = '%windir%\system32\cleanmgr.exe'; Arguments = '/autoclean'; WorkingDirectory = $null }
    $com = [pscustomobject]@{ ClassId = '{0E8CE2A0-0000-0000-0000-000000000000}'; Data = $null }
    $all = @(
        [pscustomobject]@{ TaskPath = '\Microsoft\Windows\DiskCleanup\'; TaskName = 'SilentCleanup'; State = 3; Author = 'Microsoft'; Settings = [pscustomobject]@{ Hidden = $false }; Actions = @($run); Triggers = @($start)
            Principal = [pscustomobject]@{ UserId = "NT-AUTORIT$([char]0xc4)T\SYSTEM"; GroupId = $null; RunLevel = 1 } },
        [pscustomobject]@{ TaskPath = '\'; TaskName = "Pr$([char]0xfc)fen"; State = 1; Author = $null; Settings = [pscustomobject]@{ Hidden = $true }; Actions = @($com, $run); Triggers = $null
            Principal = [pscustomobject]@{ UserId = $null; GroupId = 'VORDEFINIERT\Benutzer'; RunLevel = 0 } },
        [pscustomobject]@{ TaskPath = '\'; TaskName = 'Leer'; State = 4; Author = $null; Settings = $null; Actions = $null; Triggers = @($start, $logon, $null); Principal = $null })
    if ([Fakes.Mode]::Is('one', 'ScheduledTask')) { $all[0] } else { $all }
}
