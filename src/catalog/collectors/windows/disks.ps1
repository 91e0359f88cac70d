# Whole disks. What kind they are is known to Windows 8 and later only.
$kinds = @()
try {
    $kinds = @(Get-CimInstance -Namespace root/Microsoft/Windows/Storage -ClassName MSFT_PhysicalDisk |
        Select-Members 'DeviceId', 'MediaType', 'BusType', 'SerialNumber', 'Manufacturer')
} catch {
    $kinds = @()
}
@{
    items = @(Get-CimInstance -ClassName Win32_DiskDrive |
        Select-Members 'Index', 'Model', 'Manufacturer', 'SerialNumber', 'Size', 'MediaType', 'InterfaceType', 'PNPDeviceID')
    kinds = $kinds
}
