# Programs of Windows, each a script in bin. Who calls one decides how errors are dealt with.
foreach ($name in 'secedit.exe', 'auditpol.exe', 'w32tm.exe') {
    Set-Item -Path ('function:' + $name) -Value ([ScriptBlock]::Create('
        [CmdletBinding()] param([Parameter(ValueFromRemainingArguments = $true)][object[]]$rest)
        $ErrorActionPreference = $PSCmdlet.SessionState.PSVariable.GetValue("ErrorActionPreference")
        & ($env:RMM_FAKES + "/system32/bin/' + $name + '") @(@($rest) | ForEach-Object { $_ })'))
}
Export-ModuleMember -Function *.exe
