# Routes.
@{
    items = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetRoute |
        Select-Members 'DestinationPrefix', 'NextHop', 'InterfaceAlias', 'InterfaceIndex', 'RouteMetric', 'InterfaceMetric', 'Store')
}
