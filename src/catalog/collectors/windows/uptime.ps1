# Time since the start, by a clock that nobody sets.
@{
    items = @(Get-CimInstance -ClassName Win32_PerfRawData_PerfOS_System -Property SystemUpTime, Timestamp_Object, Frequency_Object |
        Select-Members 'SystemUpTime', 'Timestamp_Object', 'Frequency_Object')
}
