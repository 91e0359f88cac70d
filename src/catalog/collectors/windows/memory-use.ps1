# Memory in use.
@{
    system = Get-CimInstance -ClassName Win32_OperatingSystem -Property TotalVisibleMemorySize, FreePhysicalMemory | Select-Members 'TotalVisibleMemorySize', 'FreePhysicalMemory'
    counters = @(Get-CimInstance -ClassName Win32_PerfRawData_PerfOS_Memory |
        Select-Members 'AvailableBytes', 'CacheBytes', 'ModifiedPageListBytes', 'StandbyCacheCoreBytes', 'StandbyCacheNormalPriorityBytes', 'StandbyCacheReserveBytes')
    pagefiles = @(Get-CimInstance -ClassName Win32_PageFileUsage | Select-Members 'AllocatedBaseSize', 'CurrentUsage')
}
