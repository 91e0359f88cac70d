@{ RootModule = 'CimCmdlets.dll'; ModuleVersion = '1.0.0.0'; CmdletsToExport = @('Get-CimInstance', 'Invoke-CimMethod'); FunctionsToExport = @(); AliasesToExport = @() }
