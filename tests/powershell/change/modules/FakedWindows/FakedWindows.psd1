@{
    RootModule = '../../cmdlets.psm1'
    ModuleVersion = '1.0'
    FunctionsToExport = @('New-FakedBlock', 'Get-CimInstance', 'Invoke-CimMethod')
}
