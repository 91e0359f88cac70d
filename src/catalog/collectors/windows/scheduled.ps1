# Tasks of the task scheduler.
@{
    items = @(Get-ScheduledTask | ForEach-Object {
        $action = @($_.Actions)[0]
        $by = $_.Principal.UserId
        if (-not $by) { $by = $_.Principal.GroupId }
        [ordered]@{
            path = [string]$_.TaskPath; name = [string]$_.TaskName; state = [int]$_.State; hidden = [bool]$_.Settings.Hidden
            command = [string]$action.Execute; arguments = [string]$action.Arguments; directory = [string]$action.WorkingDirectory
            class = [string]$action.ClassId; actions = @($_.Actions).Count
            user = [string]$by; level = [int]$_.Principal.RunLevel; author = [string]$_.Author
            triggers = @($_.Triggers | Where-Object { $null -ne $_ } | ForEach-Object {
                [ordered]@{ kind = [string]$_.CimClass.CimClassName; start = [string]$_.StartBoundary; enabled = [bool]$_.Enabled }
            })
        }
    })
}
