# Environment variables of the machine.
$key = $machine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager\Environment')
@{
    items = @($key.GetValueNames() | ForEach-Object {
        [ordered]@{
            name = $_; value = [string]$key.GetValue($_, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
            kind = [string]$key.GetValueKind($_)
        }
    })
}
