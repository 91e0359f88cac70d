# Volumes on disks of the device's own.
@{
    items = @(Get-CimInstance -ClassName Win32_Volume -Filter 'DriveType = 3' -Property Name, DriveLetter, DeviceID, FileSystem, Capacity, FreeSpace |
        Select-Members 'Name', 'DriveLetter', 'DeviceID', 'FileSystem', 'Capacity', 'FreeSpace')
}
