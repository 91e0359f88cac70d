# Tasks of the task scheduler.
# Windows names its own accounts in its language, with or without what stands before them; told is one name for each.
$own = [ordered]@{ 'S-1-5-18' = 'SYSTEM'; 'S-1-5-19' = 'LOCAL SERVICE'; 'S-1-5-20' = 'NETWORK SERVICE' }
$names = @{}
foreach ($sid in @($own.Keys)) {
    $names[$sid] = $own[$sid]
    try {
        $number = New-Object System.Security.Principal.SecurityIdentifier $sid
        $whole = $number.Translate([System.Security.Principal.NTAccount]).Value
        $names[$whole] = $own[$sid]
        $names[$whole.Substring($whole.IndexOf('\') + 1)] = $own[$sid]
    } catch {
        $null = $_
    }
}
@{
    # Asked for here too: functions of modules do not see how errors are dealt with outside of them.
    items = @(Get-ScheduledTask -ErrorAction Stop | ForEach-Object {
        $action = @($_.Actions)[0]
        $by = $_.Principal.UserId
        if (-not $by) { $by = $_.Principal.GroupId }
        if ($by -and $names.ContainsKey([string]$by)) { $by = $names[[string]$by] }
        [ordered]@{
            path = [string]$_.TaskPath; name = [string]$_.TaskName; state = [int]$_.State; hidden = [bool]$_.Settings.Hidden
            command = [string]$action.Execute; arguments = [string]$action.Arguments; directory = [string]$action.WorkingDirectory
            class = [string]$action.ClassId; actions = @($_.Actions).Count
            user = [string]$by; level = [int]$_.Principal.RunLevel; author = [string]$_.Author
            triggers = @($_.Triggers | Where-Object { $null -ne $_ } | ForEach-Object {
                [ordered]@{ kind = [string]$_.CimClass.CimClassName; start = [string]$_.StartBoundary; enabled = [bool]$_.Enabled; days = [int]$_.DaysOfWeek }
            })
        }
    })
}
