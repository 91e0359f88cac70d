# Counters of disks since the start; times in units of 100 ns.
@{
    items = @(Get-CimInstance -ClassName Win32_PerfRawData_PerfDisk_PhysicalDisk |
        Select-Members 'Name', 'DiskReadsPersec', 'DiskWritesPersec', 'DiskReadBytesPersec', 'DiskWriteBytesPersec', 'PercentDiskReadTime', 'PercentDiskWriteTime', 'CurrentDiskQueueLength')
}
