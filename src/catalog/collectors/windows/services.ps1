# Services. State and start mode are words that are not translated.
@{
    items = @(Get-CimInstance -ClassName Win32_Service -Property Name, DisplayName, State, StartMode, DelayedAutoStart, StartName, PathName, ExitCode |
        Select-Members 'Name', 'DisplayName', 'State', 'StartMode', 'DelayedAutoStart', 'StartName', 'PathName', 'ExitCode')
}
