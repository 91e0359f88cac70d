# USB devices; a function of a device is not one.
@{
    items = @(Get-CimInstance -ClassName Win32_PnPEntity -Filter 'PNPDeviceID LIKE "USB\\VID%"' -Property Name, Manufacturer, PNPDeviceID, Service, Present |
        Select-Members 'Name', 'Manufacturer', 'PNPDeviceID', 'Service', 'Present')
}
