# Memory that is built in, and page files.
@{
    total = (Get-CimInstance -ClassName Win32_ComputerSystem -Property TotalPhysicalMemory).TotalPhysicalMemory
    modules = @(Get-CimInstance -ClassName Win32_PhysicalMemory |
        Select-Members 'DeviceLocator', 'Capacity', 'SMBIOSMemoryType', 'Speed', 'ConfiguredClockSpeed', 'Manufacturer', 'PartNumber')
    pagefiles = @(Get-CimInstance -ClassName Win32_PageFileUsage | Select-Members 'AllocatedBaseSize', 'CurrentUsage')
}
