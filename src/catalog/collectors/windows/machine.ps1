# The machine as its maker names it: system, firmware, board.
@{
    system = Get-CimInstance -ClassName Win32_ComputerSystem -Property Manufacturer, Model, SystemFamily, HypervisorPresent |
        Select-Members 'Manufacturer', 'Model', 'SystemFamily', 'HypervisorPresent'
    product = Get-CimInstance -ClassName Win32_ComputerSystemProduct | Select-Members 'Vendor', 'Name', 'Version', 'IdentifyingNumber', 'UUID'
    enclosure = @(Get-CimInstance -ClassName Win32_SystemEnclosure | Select-Members 'ChassisTypes')
    bios = Get-CimInstance -ClassName Win32_BIOS | Select-Members 'Manufacturer', 'SMBIOSBIOSVersion', 'ReleaseDate', 'SerialNumber'
    board = @(Get-CimInstance -ClassName Win32_BaseBoard | Select-Members 'Manufacturer', 'Product', 'Version', 'SerialNumber')
}
