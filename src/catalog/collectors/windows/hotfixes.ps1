# Updates that Windows lists as installed. The day is a text of several forms; it is read elsewhere.
@{ items = @(Get-CimInstance -ClassName Win32_QuickFixEngineering | Select-Members 'HotFixID', 'Description', 'InstalledOn') }
