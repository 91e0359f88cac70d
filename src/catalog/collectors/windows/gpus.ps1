# Graphics adapters.
@{ items = @(Get-CimInstance -ClassName Win32_VideoController | Select-Members 'Name', 'AdapterCompatibility', 'DriverVersion', 'PNPDeviceID') }
