# Use of graphics adapters: of each engine the sum over programs in percent, and the memory in use in bytes.
$engines = @{}
foreach ($one in @(Get-CimInstance -ClassName Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine -Property Name, UtilizationPercentage)) {
    # pid_1234_luid_0x00000000_0x0000D1B2_phys_0_eng_3_engtype_3D
    if ($one.Name -notmatch '(luid_[0-9A-Fa-fx_]+_phys_\d+)_eng_(\d+)') { continue }
    $engine = $Matches[1] + ' ' + $Matches[2]
    $engines[$engine] = [double]$engines[$engine] + $one.UtilizationPercentage
}
@{
    engines = @(foreach ($engine in $engines.Keys) { @{ Name = $engine; Percent = $engines[$engine] } })
    memory = @(Get-CimInstance -ClassName Win32_PerfFormattedData_GPUPerformanceCounters_GPUAdapterMemory -Property Name, DedicatedUsage |
        Select-Members 'Name', 'DedicatedUsage')
}
