@{ RootModule = 'NetSecurity.psm1'; ModuleVersion = '1.0.0.0'; FunctionsToExport = @('Get-NetFirewallProfile'); CmdletsToExport = @(); AliasesToExport = @() }
