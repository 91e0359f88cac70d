# Scheduled tasks: TaskPath, TaskName, what they start, and a process where they run.
function New-ScheduledTaskAction {
    [CmdletBinding()] param([Parameter(Mandatory = $true)] [string]$Execute, [string]$Argument, [string]$WorkingDirectory)
    [pscustomobject]@{ Execute = $Execute; Arguments = $Argument; WorkingDirectory = $WorkingDirectory }
}
function New-ScheduledTaskTrigger {
    [CmdletBinding()] param([switch]$Once, [switch]$Daily, [switch]$Weekly, [switch]$AtStartup, [switch]$AtLogOn, [datetime]$At, [timespan]$RepetitionInterval, [timespan]$RepetitionDuration,
        [ValidateSet('Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday')] [string[]]$DaysOfWeek)
    Write-Call 'New-ScheduledTaskTrigger' $PSBoundParameters
    $start = $null
    if ($PSBoundParameters.ContainsKey('At')) { $start = $At.ToString('yyyy-MM-ddTHH:mm:sszzz') }
    [pscustomobject]@{ Kind = "$($PSBoundParameters.Keys)"; StartBoundary = $start }
}
function New-ScheduledTaskSettingsSet {
    [CmdletBinding()] param([ValidateSet('Parallel', 'Queue', 'IgnoreNew')] [string]$MultipleInstances, [switch]$StartWhenAvailable, [switch]$AllowStartIfOnBatteries, [switch]$DontStopIfGoingOnBatteries, [timespan]$ExecutionTimeLimit)
    [pscustomobject]@{ Limit = "$ExecutionTimeLimit" }
}
function New-ScheduledTaskPrincipal {
    [CmdletBinding()] param([Parameter(Mandatory = $true)] [string]$UserId, [ValidateSet('None', 'Password', 'S4U', 'Interactive', 'Group', 'ServiceAccount', 'InteractiveOrPassword')] [string]$LogonType, [ValidateSet('Limited', 'Highest')] [string]$RunLevel)
    [pscustomobject]@{ UserId = $UserId; LogonType = $LogonType }
}
function Register-ScheduledTask {
    [CmdletBinding()] param([Parameter(Mandatory = $true)] [string]$TaskName, [string]$TaskPath = '\', $Action, $Trigger, $Settings, $Principal, [switch]$Force)
    Write-Call 'Register-ScheduledTask' @{ TaskName = $TaskName; TaskPath = $TaskPath; Execute = $Action.Execute; Arguments = ([string]$Action.Arguments -replace '(-EncodedCommand) .*', '$1 ...'); Trigger = $Trigger.Kind; StartBoundary = ([string]$Trigger.StartBoundary -replace '^[0-9-]+T', ''); UserId = $Principal.UserId }
    # What the task engine takes as the arguments of an action.
    if (([string]$Action.Arguments).Length -gt 32767) { throw 'The parameter is incorrect.' }
    $others = @(Read-State 'tasks' | Where-Object { $_.TaskName -ne $TaskName -or $_.TaskPath -ne $TaskPath })
    if (-not $Force -and $others.Count -ne @(Read-State 'tasks').Count) { throw 'Cannot create a file when that file already exists.' }
    Write-State 'tasks' ($others + @([pscustomobject]@{ TaskName = $TaskName; TaskPath = $TaskPath; Execute = $Action.Execute; Arguments = $Action.Arguments; Enabled = $true; Process = 0 }))
    [pscustomobject]@{ TaskName = $TaskName; State = 'Ready' }
}
function Get-FakedTask([string]$name, [string]$path, $cmdlet) {
    $found = @(Read-State 'tasks' | Where-Object { $_.TaskName -eq $name -and (-not $path -or $_.TaskPath -eq $path) })
    if ($found.Count -eq 0) { Write-Missing 'CmdletizationQuery_NotFound_TaskName,Get-ScheduledTask' "No MSFT_ScheduledTask objects found with property 'TaskName' equal to '$name'." $cmdlet; return }
    $found[0]
}
function Get-ScheduledTask {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$TaskName, [string]$TaskPath)
    $one = Get-FakedTask $TaskName $TaskPath $PSCmdlet
    if ($null -eq $one) { return }
    $state = 'Ready'
    if (-not $one.Enabled) { $state = 'Disabled' }
    if ($one.Process -gt 0 -and [System.IO.File]::Exists("/proc/$($one.Process)/stat") -and [System.IO.File]::ReadAllText("/proc/$($one.Process)/stat") -notmatch '\) Z ') { $state = 'Running' }
    [pscustomobject]@{ TaskName = $one.TaskName; TaskPath = $one.TaskPath; State = $state }
}
function Start-ScheduledTask {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$TaskName, [string]$TaskPath)
    Write-Call 'Start-ScheduledTask' $PSBoundParameters
    $all = @(Read-State 'tasks')
    $one = @($all | Where-Object { $_.TaskName -eq $TaskName })[0]
    $one.Process = [int](& (Join-Path $PSScriptRoot 'detach') $root ('"' + $one.Execute + '" ' + $one.Arguments))
    Write-State 'tasks' $all
}
function Unregister-ScheduledTask {
    [CmdletBinding(SupportsShouldProcess = $true, ConfirmImpact = 'High')] param([Parameter(Position = 0)] [string]$TaskName, [string]$TaskPath)
    Write-Call 'Unregister-ScheduledTask' @{ TaskName = $TaskName; TaskPath = $TaskPath }
    if ($null -eq (Get-FakedTask $TaskName $TaskPath $PSCmdlet)) { return }
    if (-not $PSCmdlet.ShouldProcess($TaskName)) { return }
    Write-State 'tasks' @(Read-State 'tasks' | Where-Object { $_.TaskName -ne $TaskName -or ($TaskPath -and $_.TaskPath -ne $TaskPath) })
}
function Set-FakedTask([string]$name, [string]$path, [bool]$on, $cmdlet) {
    if ($null -eq (Get-FakedTask $name $path $cmdlet)) { return }
    $all = @(Read-State 'tasks')
    foreach ($one in $all) { if ($one.TaskName -eq $name -and $one.TaskPath -eq $path) { $one.Enabled = $on } }
    Write-State 'tasks' $all
}
function Enable-ScheduledTask { [CmdletBinding()] param([string]$TaskName, [string]$TaskPath) Write-Call 'Enable-ScheduledTask' $PSBoundParameters; Set-FakedTask $TaskName $TaskPath $true $PSCmdlet }
function Disable-ScheduledTask { [CmdletBinding()] param([string]$TaskName, [string]$TaskPath) Write-Call 'Disable-ScheduledTask' $PSBoundParameters; Set-FakedTask $TaskName $TaskPath $false $PSCmdlet }
