@{ RootModule = 'Dism.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-WindowsCapability'); CmdletsToExport = @(); AliasesToExport = @() }
