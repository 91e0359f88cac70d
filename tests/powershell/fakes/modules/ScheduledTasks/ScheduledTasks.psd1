@{ RootModule = 'ScheduledTasks.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-ScheduledTask'); CmdletsToExport = @(); AliasesToExport = @() }
