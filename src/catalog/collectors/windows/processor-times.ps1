# Processor time since the start, in units of 100 ns.
$heat = @()
try { $heat = @(Get-CimInstance -Namespace root/wmi -ClassName MSAcpi_ThermalZoneTemperature | Select-Members 'CurrentTemperature') } catch { $heat = @() }
@{
    items = @(Get-CimInstance -ClassName Win32_PerfRawData_Counters_ProcessorInformation -Property Name, PercentIdleTime, PercentUserTime, PercentPrivilegedTime, ProcessorFrequency |
        Select-Members 'Name', 'PercentIdleTime', 'PercentUserTime', 'PercentPrivilegedTime', 'ProcessorFrequency')
    heat = $heat
}
