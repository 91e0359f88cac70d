# A notebook with a German Windows 11, as its classes and its registry tell it; made after their documentation.
function Cim([string]$space, [string]$name, [object[]]$all) { [Fakes.Cim]::Set($space, $name, $all) }
function Reg([string]$path, [string]$name, [string]$kind, $value) { [Fakes.RegistryKey]::Put('LocalMachine', $path, $name, $kind, $value) }
function User([string]$path, [string]$name, [string]$kind, $value) { [Fakes.RegistryKey]::Put('Users', $path, $name, $kind, $value) }
$boot = [datetime]::Now.AddHours(-30)
$cim = 'root/cimv2'
Cim $cim Win32_ComputerSystem @(@{ Name = 'PC-1'; DNSHostName = 'pc-1'; Domain = 'example.com'; PartOfDomain = $true; DomainRole = [uint16]1; Manufacturer = 'LENOVO'; Model = '21HMCTO1WW'; SystemFamily = 'ThinkPad X1'; HypervisorPresent = $true; TotalPhysicalMemory = [uint64]16909500416 })
Cim $cim Win32_OperatingSystem @(@{ Version = '10.0.22631'; BuildNumber = '22631'; ProductType = [uint32]1; LastBootUpTime = $boot; TotalVisibleMemorySize = [uint64]16513184; FreePhysicalMemory = [uint64]8000000; Caption = 'Microsoft Windows 11 Pro' })
Cim $cim Win32_ComputerSystemProduct @(@{ Vendor = 'LENOVO'; Name = '21HMCTO1WW'; Version = 'ThinkPad X1'; IdentifyingNumber = 'PF4ABCDE'; UUID = '4C4C4544-0042-3510-8052-B4C04F4E4E32' })
Cim $cim Win32_SystemEnclosure @(@{ ChassisTypes = [uint16[]](10) }, @{ ChassisTypes = [uint16[]](12) })
Cim $cim Win32_BIOS @(@{ Manufacturer = 'LENOVO'; SMBIOSBIOSVersion = 'N3XET44W'; ReleaseDate = [datetime]'2026-05-01T02:00:00'; SerialNumber = 'PF4ABCDE' })
Cim $cim Win32_BaseBoard @(@{ Manufacturer = 'LENOVO'; Product = '21HMCTO1WW'; Version = 'SDK0T76461'; SerialNumber = 'L1HF34' })
Cim $cim Win32_Processor @(@{ Name = '13th Gen Intel(R) Core(TM) i7-1365U'; Manufacturer = 'GenuineIntel'; Architecture = [uint16]9; NumberOfCores = [uint32]10; NumberOfLogicalProcessors = [uint32]12; MaxClockSpeed = [uint32]1800 })
Cim $cim Win32_PhysicalMemory @(
    @{ DeviceLocator = 'Controller0-ChannelA'; Capacity = [uint64]8589934592; SMBIOSMemoryType = [uint32]35; Speed = [uint32]6400; ConfiguredClockSpeed = [uint32]6400; Manufacturer = 'Samsung'; PartNumber = 'K3KL8L80CM  ' },
    @{ DeviceLocator = 'Controller1-ChannelA'; Capacity = [uint64]8589934592; SMBIOSMemoryType = [uint32]35; Speed = [uint32]6400; ConfiguredClockSpeed = $null; Manufacturer = 'Samsung'; PartNumber = 'K3KL8L80CM  ' })
Cim $cim Win32_PageFileUsage @(@{ AllocatedBaseSize = [uint32]4864; CurrentUsage = [uint32]120 })
Cim $cim Win32_DiskDrive @(
    @{ Index = [uint32]0; Model = 'SAMSUNG MZVL2512HCJQ'; Manufacturer = '(Standardlaufwerke)'; SerialNumber = '0025_38B1_31B0_1234.'; Size = [uint64]512105932800; MediaType = 'Fixed hard disk media'; InterfaceType = 'SCSI'; PNPDeviceID = 'SCSI\DISK&VEN_NVME' },
    @{ Index = [uint32]1; Model = 'USB Stick'; Manufacturer = $null; SerialNumber = $null; Size = $null; MediaType = $null; InterfaceType = 'USB'; PNPDeviceID = 'USBSTOR\DISK' })
Cim 'root/Microsoft/Windows/Storage' MSFT_PhysicalDisk @(@{ DeviceId = '0'; MediaType = [uint16]4; BusType = [uint16]17; SerialNumber = '0025_38B1_31B0_1234.'; Manufacturer = $null })
Cim $cim Win32_Volume @(
    @{ Name = 'C:\'; DriveLetter = 'C:'; DeviceID = '\\?\Volume{11111111-0000-0000-0000-100000000000}\'; FileSystem = 'NTFS'; Capacity = [uint64]510770802688; FreeSpace = [uint64]300000000000; DriveType = [uint32]3 },
    @{ Name = '\\?\Volume{22222222-0000-0000-0000-100000000000}\'; DriveLetter = $null; DeviceID = '\\?\Volume{22222222-0000-0000-0000-100000000000}\'; FileSystem = 'FAT32'; Capacity = [uint64]268435456; FreeSpace = [uint64]200000000; DriveType = [uint32]3 },
    @{ Name = 'D:\'; DriveLetter = 'D:'; DeviceID = 'x'; FileSystem = $null; Capacity = $null; FreeSpace = $null; DriveType = [uint32]5 })
Cim $cim Win32_VideoController @(@{ Name = 'Intel(R) Iris(R) Xe Graphics'; AdapterCompatibility = 'Intel Corporation'; DriverVersion = '31.0.101.4502'; PNPDeviceID = 'PCI\VEN_8086&DEV_A7A1' })
Cim 'root/StandardCimv2' MSFT_NetAdapter @(
    @{ Name = 'WLAN'; InterfaceDescription = 'Intel(R) Wi-Fi 6E AX211'; PermanentAddress = '0C9A3C112233'; Speed = [uint64]1200000000; MediaConnectState = [uint32]1; DriverName = '\SystemRoot\System32\drivers\Netwtw14.sys'; HardwareInterface = $true },
    @{ Name = 'vEthernet'; InterfaceDescription = 'Hyper-V'; PermanentAddress = '00155D000000'; Speed = [uint64]10000000000; MediaConnectState = [uint32]1; DriverName = $null; HardwareInterface = $false })
Cim 'root/StandardCimv2' MSFT_NetRoute @(
    @{ DestinationPrefix = '0.0.0.0/0'; NextHop = '192.168.1.1'; InterfaceAlias = 'WLAN'; InterfaceIndex = [uint32]12; RouteMetric = [uint16]0; InterfaceMetric = [uint32]35; Store = [byte]1 },
    @{ DestinationPrefix = '0.0.0.0/0'; NextHop = '192.168.1.1'; InterfaceAlias = 'WLAN'; InterfaceIndex = [uint32]12; RouteMetric = [uint16]0; InterfaceMetric = [uint32]35; Store = [byte]0 },
    @{ DestinationPrefix = 'fe80::/64'; NextHop = '::'; InterfaceAlias = 'WLAN'; InterfaceIndex = [uint32]12; RouteMetric = [uint16]256; InterfaceMetric = [uint32]35; Store = [byte]1 })
Cim 'root/StandardCimv2' MSFT_NetTCPConnection @(
    @{ LocalAddress = '0.0.0.0'; LocalPort = [uint16]445; RemoteAddress = '0.0.0.0'; RemotePort = [uint16]0; State = [byte]2; OwningProcess = [uint32]1 },
    @{ LocalAddress = '192.168.1.5'; LocalPort = [uint16]50000; RemoteAddress = '20.1.2.3'; RemotePort = [uint16]443; State = [byte]5; OwningProcess = [uint32]999999 },
    @{ LocalAddress = 'fe80::1%12'; LocalPort = [uint16]139; RemoteAddress = '::'; RemotePort = [uint16]0; State = [byte]2; OwningProcess = [uint32]1 })
Cim 'root/StandardCimv2' MSFT_NetUDPEndpoint @(@{ LocalAddress = '0.0.0.0'; LocalPort = [uint16]5353; OwningProcess = [uint32]1 })
Cim $cim Win32_PnPEntity @(
    @{ Name = 'Logitech USB Receiver'; Manufacturer = 'Logitech (x64)'; PNPDeviceID = 'USB\VID_046D&PID_C534\5&1A2B3C4D&0&2'; Service = 'usbccgp'; Present = $true },
    @{ Name = 'USB-Eingabe'; Manufacturer = '(Standard)'; PNPDeviceID = 'USB\VID_046D&PID_C534&MI_00\6&1'; Service = 'HidUsb'; Present = $true },
    @{ Name = 'ACPI'; Manufacturer = 'x'; PNPDeviceID = 'ACPI\PNP0C0A'; Service = $null; Present = $true })
Cim 'root/wmi' WmiMonitorID @(@{ Active = $true; ManufacturerName = [uint16[]](68, 69, 76, 0, 0); UserFriendlyName = [uint16[]](85, 50, 55, 0); ProductCodeID = [uint16[]](65, 49, 0); SerialNumberID = [uint16[]](65, 66, 0) })
Cim 'root/wmi' BatteryStaticData @(@{ DesignedCapacity = [uint32]57000; FullChargedCapacity = $null; CycleCount = $null })
Cim 'root/wmi' BatteryFullChargedCapacity @(@{ FullChargedCapacity = [uint32]50000 })
Cim 'root/wmi' BatteryCycleCount @(@{ CycleCount = [uint32]123 })
Cim 'root/wmi' MSAcpi_ThermalZoneTemperature @(@{ CurrentTemperature = [uint32]3182 })
Cim $cim Win32_Battery @(@{ EstimatedChargeRemaining = [uint16]87; BatteryStatus = [uint16]2 })
Cim $cim Win32_QuickFixEngineering @(@{ HotFixID = 'KB5034441'; Description = 'Security Update'; InstalledOn = '11/12/2026' }, @{ HotFixID = 'KB5030000'; Description = 'Update'; InstalledOn = $null })
Cim $cim Win32_Service @(
    @{ Name = 'MpsSvc'; DisplayName = 'Windows Defender Firewall'; State = 'Running'; StartMode = 'Auto'; DelayedAutoStart = $false; StartName = 'NT Authority\LocalService'; PathName = 'C:\Windows\system32\svchost.exe -k LocalServiceNoNetworkFirewall -p'; ExitCode = [uint32]0 },
    @{ Name = 'W32Time'; DisplayName = 'Windows-Zeitgeber'; State = 'Running'; StartMode = 'Manual'; DelayedAutoStart = $false; StartName = 'NT AUTHORITY\LocalService'; PathName = 'C:\Windows\system32\svchost.exe -k LocalService'; ExitCode = [uint32]0 },
    @{ Name = 'wuauserv'; DisplayName = 'Windows Update'; State = 'Stopped'; StartMode = 'Manual'; DelayedAutoStart = $false; StartName = 'LocalSystem'; PathName = 'C:\Windows\system32\svchost.exe -k netsvcs -p'; ExitCode = [uint32]0 },
    @{ Name = 'Broken'; DisplayName = 'Kaputt'; State = 'Stopped'; StartMode = 'Auto'; DelayedAutoStart = $true; StartName = $null; PathName = $null; ExitCode = [uint32]1066 })
Cim $cim Win32_OptionalFeature @(@{ Name = 'SMB1Protocol'; InstallState = [uint32]2 }, @{ Name = 'TelnetClient'; InstallState = [uint32]3 }, @{ Name = 'MSRDC-Infrastructure'; InstallState = [uint32]1 })
Cim $cim Win32_Share @(
    @{ Name = 'ADMIN$'; Path = 'C:\Windows'; Description = 'Remoteverwaltung'; Type = [uint32]2147483648 }, @{ Name = 'IPC$'; Path = ''; Description = 'Remote-IPC'; Type = [uint32]2147483651 },
    @{ Name = 'Daten'; Path = 'C:\Daten'; Description = ''; Type = [uint32]0 })
Cim $cim Win32_Group @(
    @{ Name = 'Administratoren'; SID = 'S-1-5-32-544'; Description = 'Administratoren haben vollen Zugriff'; LocalAccount = $true }, @{ Name = 'Benutzer'; SID = 'S-1-5-32-545'; Description = ''; LocalAccount = $true })
Cim $cim Win32_UserAccount @(
    @{ Name = 'kim'; SID = 'S-1-5-21-1-2-3-1001'; FullName = "Kim M$([char]0xfc)ller"; Description = ''; Disabled = $false; Lockout = $false; PasswordExpires = $true; PasswordRequired = $true; PasswordChangeable = $true; LocalAccount = $true },
    @{ Name = 'Gast'; SID = 'S-1-5-21-1-2-3-501'; FullName = ''; Description = 'Gast'; Disabled = $true; Lockout = $false; PasswordExpires = $false; PasswordRequired = $false; PasswordChangeable = $false; LocalAccount = $true })
$bytes = [byte[]](1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xE9, 3, 0, 0)
[Fakes.DirectoryEntry]::Groups['WinNT://PC-1/Administratoren,group'] = [Fakes.Member[]]@((New-Object Fakes.Member 'WinNT://EXAMPLE/PC-1/kim', $bytes), (New-Object Fakes.Member 'WinNT://S-1-5-21-9-9-9-1107', $null), (New-Object Fakes.Member 'WinNT://EXAMPLE/Domain Admins', $null))
[Fakes.DirectoryEntry]::Groups['WinNT://PC-1/Benutzer,group'] = [Fakes.Member[]]@()
Cim 'root/Microsoft/Windows/Defender' MSFT_MpComputerStatus @(@{ AMProductVersion = '4.18.24090.11'; AMRunningMode = 'Normal'; AMServiceEnabled = $true; AntivirusEnabled = $true; RealTimeProtectionEnabled = $true; AntivirusSignatureAge = [uint32]1; AntivirusSignatureVersion = '1.421.100.0'; IsTamperProtected = $true })
Cim 'root/SecurityCenter2' AntiVirusProduct @(@{ displayName = 'Windows Defender'; productState = [uint32]397568; instanceGuid = '{D68DDC3A-831F-4fae-9E44-DA132C1ACF46}' })
Cim 'root/cimv2/Security/MicrosoftVolumeEncryption' Win32_EncryptableVolume @(@{ DriveLetter = 'C:'; DeviceID = '\\?\Volume{1}\'; ProtectionStatus = [uint32]1; ConversionStatus = $null; EncryptionMethod = $null; VolumeType = [uint32]0 })
[Fakes.InvokeCimMethodCommand]::Answers['GetConversionStatus'] = @{ ConversionStatus = [uint32]1; ReturnValue = [uint32]0 }
[Fakes.InvokeCimMethodCommand]::Answers['GetEncryptionMethod'] = @{ EncryptionMethod = [uint32]6; ReturnValue = [uint32]0 }
Cim 'root/cimv2/Security/MicrosoftTpm' Win32_Tpm @(@{ SpecVersion = '2.0, 0, 1.59'; ManufacturerVersion = '600.18.64.0'; IsEnabled_InitialValue = $true; IsActivated_InitialValue = $true })
Cim $cim Win32_PerfRawData_PerfDisk_PhysicalDisk @(
    @{ Name = '0 C:'; DiskReadsPersec = [uint32]1000; DiskWritesPersec = [uint32]2000; DiskReadBytesPersec = [uint64]99999999999; DiskWriteBytesPersec = [uint64]88888888888; PercentDiskReadTime = [uint64]123456789; PercentDiskWriteTime = [uint64]223456789; CurrentDiskQueueLength = [uint32]0 },
    @{ Name = '_Total'; DiskReadsPersec = [uint32]1000; DiskWritesPersec = [uint32]2000; DiskReadBytesPersec = [uint64]1; DiskWriteBytesPersec = [uint64]1; PercentDiskReadTime = [uint64]1; PercentDiskWriteTime = [uint64]1; CurrentDiskQueueLength = [uint32]0 })
Cim $cim Win32_PerfRawData_Counters_ProcessorInformation @(
    @{ Name = '0,0'; PercentIdleTime = [uint64]900000000000; PercentUserTime = [uint64]50000000000; PercentPrivilegedTime = [uint64]40000000000; ProcessorFrequency = [uint32]1800 },
    @{ Name = '0,_Total'; PercentIdleTime = [uint64]1; PercentUserTime = [uint64]1; PercentPrivilegedTime = [uint64]1; ProcessorFrequency = [uint32]0 })
Cim $cim Win32_PerfRawData_PerfOS_Memory @(@{ AvailableBytes = [uint64]8192000000; CacheBytes = [uint64]100000000; ModifiedPageListBytes = [uint64]1000; StandbyCacheCoreBytes = [uint64]2000; StandbyCacheNormalPriorityBytes = [uint64]3000; StandbyCacheReserveBytes = [uint64]4000 })
Cim $cim Win32_PerfRawData_PerfOS_System @(@{ SystemUpTime = [uint64]133000000000000000; Timestamp_Object = [uint64]133001080000000000; Frequency_Object = [uint64]10000000 })
Cim $cim Win32_PerfFormattedData_GPUPerformanceCounters_GPUEngine @(
    @{ Name = 'pid_1234_luid_0x00000000_0x0000D1B2_phys_0_eng_0_engtype_3D'; UtilizationPercentage = [uint64]12 }, @{ Name = 'pid_99_luid_0x00000000_0x0000D1B2_phys_0_eng_0_engtype_3D'; UtilizationPercentage = [uint64]3 })
Cim $cim Win32_PerfFormattedData_GPUPerformanceCounters_GPUAdapterMemory @(@{ Name = 'luid_0x00000000_0x0000D1B2_phys_0'; DedicatedUsage = [uint64]123456 })

$nt = 'SOFTWARE\Microsoft\Windows NT\CurrentVersion'
Reg $nt ProductName String 'Windows 10 Pro'
Reg $nt EditionID String 'Professional'
Reg $nt InstallationType String 'Client'
Reg $nt DisplayVersion String '23H2'
Reg $nt ReleaseId String '2009'
Reg $nt CurrentBuildNumber String '22631'
Reg $nt UBR DWord ([int]4391)
Reg 'SOFTWARE\Microsoft\Cryptography' MachineGuid String '0A1B2C3D-0000-4000-8000-000000000001'
Reg 'SOFTWARE\Microsoft\PowerShell\3\PowerShellEngine' PowerShellVersion String '5.1.22621.4391'
$manager = 'SYSTEM\CurrentControlSet\Control\Session Manager'
Reg "$manager\Environment" PROCESSOR_ARCHITECTURE String 'AMD64'
Reg "$manager\Environment" Path ExpandString '%SystemRoot%\system32;%SystemRoot%'
Reg "$manager\Environment" NUMBER_OF_PROCESSORS String '12'
Reg $manager PendingFileRenameOperations MultiString @('\??\C:\Temp\a.tmp', '', '\??\C:\Temp\b.tmp', '')
Reg "$manager\Power" HiberbootEnabled DWord ([int]1)
Reg 'SYSTEM\CurrentControlSet\Control\ComputerName\ActiveComputerName' ComputerName String 'PC-1'
Reg 'SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName' ComputerName String 'PC-2'
Reg 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired' '' '' $null
Reg 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' AUOptions DWord ([int]4)
Reg 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU' UseWUServer DWord ([int]1)
Reg 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate' WUServer String 'http://wsus.example.com:8530'
Reg 'SYSTEM\CurrentControlSet\Control\SecureBoot\State' UEFISecureBootEnabled DWord ([int]1)
Reg 'SYSTEM\CurrentControlSet\Control' PEFirmwareType DWord ([int]2)
Reg 'SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System' InactivityTimeoutSecs DWord ([int]900)
$power = 'SYSTEM\CurrentControlSet\Control\Power'
Reg $power HibernateEnabled DWord ([int]1)
Reg "$power\User\PowerSchemes" ActivePowerScheme String '381b4222-f694-41f0-9685-ff5bb260df2e'
$plan = "$power\User\PowerSchemes\381b4222-f694-41f0-9685-ff5bb260df2e"
Reg $plan FriendlyName ExpandString '@%SystemRoot%\system32\powrprof.dll,-15,Balanced'
Reg "$plan\238c9fa8-0aad-41ed-83f4-97be242c8f20\29f6c1db-86da-48c5-9fdb-f2b67b1f44da" ACSettingIndex DWord ([int]1800)
Reg "$power\PowerSettings\7516b95f-f776-4464-8c53-06167f40cc99\3c0bc021-c8a8-4e07-a973-6b14cbcb2b7e\DefaultPowerSchemeValues\381b4222-f694-41f0-9685-ff5bb260df2e" ACSettingIndex DWord ([int]600)
$uninstall = 'Microsoft\Windows\CurrentVersion\Uninstall'
Reg "SOFTWARE\$uninstall\7-Zip" DisplayName String '7-Zip 24.08 (x64)'
Reg "SOFTWARE\$uninstall\7-Zip" DisplayVersion String '24.08'
Reg "SOFTWARE\$uninstall\{90160000}" DisplayName String 'Hidden part'
Reg "SOFTWARE\$uninstall\{90160000}" SystemComponent DWord ([int]1)
Reg "SOFTWARE\$uninstall\denied" '' Denied $null
Reg "SOFTWARE\WOW6432Node\$uninstall\old" DisplayName String "Altes Programm $([char]0xfc)"
$kim = 'S-1-5-21-1-2-3-1001'
User "$kim\Software\$uninstall\Teams" DisplayName String 'Teams'
User "$kim\Software\$uninstall\Teams" DisplayVersion String '1.7'
User "$kim\Software\Microsoft\Windows\CurrentVersion\Run" OneDrive String '"C:\Program Files\OneDrive.exe" /background'
User "${kim}_Classes\x" '' '' $null
User 'S-1-5-18\Software' '' '' $null
User "$kim\Control Panel\Desktop" ScreenSaveActive String '1'
Reg 'SOFTWARE\Microsoft\Windows\CurrentVersion\Run' SecurityHealth ExpandString '%windir%\system32\SecurityHealthSystray.exe'
Reg "$nt\ProfileList\$kim" ProfileImagePath ExpandString 'C:\Users\kim'
$rules = 'SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy'
Reg "$rules\FirewallRules" 'WINRM-HTTP-In-TCP' String 'v2.31|Action=Allow|Active=TRUE|Dir=In|Protocol=6|Profile=Public|LPort=5985|RA4=LocalSubnet|App=System|Name=@FirewallAPI.dll,-30253|'
foreach ($one in 'DomainProfile', 'StandardProfile', 'PublicProfile') {
    Reg "$rules\$one" EnableFirewall DWord ([int]1)
    Reg "$rules\$one" DefaultInboundAction DWord ([int]1)
}
Reg 'SYSTEM\CurrentControlSet\Services\W32Time\Parameters' Type String 'NTP'
Reg 'SYSTEM\CurrentControlSet\Services\W32Time\Parameters' NtpServer String 'time.windows.com,0x9'
Reg 'SYSTEM\CurrentControlSet\Services\Tcpip\Parameters' SearchList String 'example.com,corp.example.com'
Reg 'SYSTEM\CurrentControlSet\Services\Tcpip\Parameters' Domain String 'example.com'
Reg 'SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\Applications\Microsoft.DesktopAppInstaller_1.24.25180.0_x64__8wekyb3d8bbwe' '' '' $null
Reg 'SOFTWARE\Microsoft\Windows\CurrentVersion\Appx\AppxAllUserStore\S-1-5-21-1-2-3-1001\Microsoft.WindowsCalculator_11.2405.2.0_x64__8wekyb3d8bbwe' '' '' $null
Reg 'SOFTWARE\Microsoft\PowerShellCore\InstalledVersions\{31ab5147}' SemanticVersion String '7.4.6'
# For probes.
Reg 'SOFTWARE\Example' '' String 'standard'
Reg 'SOFTWARE\Example' Number DWord ([int]-1)
Reg 'SOFTWARE\Example' Large QWord ([long]-1)
Reg 'SOFTWARE\Example' Text String "gr$([char]0xfc)n"
Reg 'SOFTWARE\Example' Expand ExpandString '%SystemRoot%\x'
Reg 'SOFTWARE\Example' Many MultiString @('a', 'b')
Reg 'SOFTWARE\Example' One MultiString @('a')
Reg 'SOFTWARE\Example' None MultiString ([string[]]@())
Reg 'SOFTWARE\Example' Bytes Binary ([byte[]](0, 255, 16))
Reg 'SOFTWARE\Example' NoBytes Binary ([byte[]]@())
Reg 'SOFTWARE\Example' Odd None ([byte[]](1, 2))
Reg 'SOFTWARE\Secret' '' Denied $null
$certificate = New-Object Fakes.Certificate
$certificate.Thumbprint = '0123456789ABCDEF0123456789ABCDEF01234567'
$certificate.Subject = 'CN=pc-1.example.com'
$certificate.Issuer = 'CN=Example CA'
$certificate.NotAfter = [datetime]::Now.AddDays(100).AddHours(1)
$certificate.HasPrivateKey = $true
[Fakes.X509Store]::Stores['My'] = [Fakes.Certificate[]]@($certificate)
