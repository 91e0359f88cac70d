function Get-ProcessMitigation {
    [CmdletBinding()] param([string]$Name, [switch]$System)
    if ([Fakes.Mode]::Is('denied', 'ProcessMitigation')) { throw 'Access is denied.' }
    if ([Fakes.Mode]::Is('silent', 'ProcessMitigation')) { return }
    if ($Name -eq 'absent.exe') { return }
    [pscustomobject]@{
        ProcessName = $Name; Source = 'Registry'; Id = 0; Dep = [pscustomobject]@{ Enable = 'ON'; EmulateAtlThunks = $false; OverrideDEP = $false }
        Aslr = [pscustomobject]@{ ForceRelocateImages = 'NOTSET'; RequireInfo = $false }; Other = $null
    }
}
