# Monitors by what they say themselves.
@{
    items = @(Get-CimInstance -Namespace root/wmi -ClassName WmiMonitorID |
        Select-Members 'Active', 'ManufacturerName', 'UserFriendlyName', 'ProductCodeID', 'SerialNumberID')
}
