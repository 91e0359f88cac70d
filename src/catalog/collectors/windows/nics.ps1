# Network adapters that are hardware.
@{
    items = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetAdapter -Filter 'HardwareInterface = TRUE' |
        Select-Members 'Name', 'InterfaceDescription', 'PermanentAddress', 'Speed', 'MediaConnectState', 'DriverName')
}
