# The battery; what it was made for is in classes that not every driver fills.
$more = @{}
foreach ($class in 'BatteryStaticData', 'BatteryFullChargedCapacity', 'BatteryCycleCount') {
    try {
        $more[$class] = @(Get-CimInstance -Namespace root/wmi -ClassName $class | Select-Members 'DesignedCapacity', 'FullChargedCapacity', 'CycleCount')
    } catch {
        $more[$class] = @()
    }
}
@{
    items = @(Get-CimInstance -ClassName Win32_Battery -Property EstimatedChargeRemaining, BatteryStatus | Select-Members 'EstimatedChargeRemaining', 'BatteryStatus')
    more = $more
}
