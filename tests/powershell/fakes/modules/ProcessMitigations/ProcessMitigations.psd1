@{ RootModule = 'ProcessMitigations.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-ProcessMitigation'); CmdletsToExport = @(); AliasesToExport = @() }
