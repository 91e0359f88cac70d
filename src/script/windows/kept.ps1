# A value as the registry keeps it. Numbers have no sign there, and .NET has them with one.
function ConvertTo-Kept($value, [string]$kind) {
    if ($kind -eq 'dword') { return [BitConverter]::ToInt32([BitConverter]::GetBytes([uint32]$value), 0) }
    if ($kind -eq 'qword') { return [int64]$value }
    if ($kind -eq 'multiString') { return , [string[]]@($value) }
    if ($kind -eq 'binary') {
        $bytes = New-Object byte[] ($value.Length / 2)
        for ($i = 0; $i -lt $bytes.Length; $i++) { $bytes[$i] = [Convert]::ToByte($value.Substring(2 * $i, 2), 16) }
        return , $bytes
    }
    $value
}
