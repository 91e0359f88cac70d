# Directories that are shared.
@{ items = @(Get-CimInstance -ClassName Win32_Share | Select-Members 'Name', 'Path', 'Description', 'Type') }
