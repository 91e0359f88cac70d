@{ RootModule = 'Services.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-Service'); CmdletsToExport = @(); AliasesToExport = @() }
