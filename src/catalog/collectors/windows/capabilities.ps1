# Features on demand.
@{ items = @(Get-WindowsCapability -Online | ForEach-Object { [ordered]@{ name = [string]$_.Name; state = [string]$_.State } }) }
