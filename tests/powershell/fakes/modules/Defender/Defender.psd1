@{ RootModule = 'Defender.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-MpPreference'); CmdletsToExport = @(); AliasesToExport = @() }
