@{ RootModule = 'ServerManager.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-WindowsFeature'); CmdletsToExport = @(); AliasesToExport = @() }
