# Processors. Only these members: the load that the class also has takes a second each.
@{
    items = @(Get-CimInstance -ClassName Win32_Processor -Property Name, Manufacturer, Architecture, NumberOfCores, NumberOfLogicalProcessors, MaxClockSpeed |
        Select-Members 'Name', 'Manufacturer', 'Architecture', 'NumberOfCores', 'NumberOfLogicalProcessors', 'MaxClockSpeed')
}
