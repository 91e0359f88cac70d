function Get-Service {
    [CmdletBinding()] param([string]$Name)
    if ($env:RMM_FAKE_SERVICE) { [pscustomobject]@{ Name = $Name; Status = $env:RMM_FAKE_SERVICE } } else { Write-Error "Cannot find any service with service name '$Name'." -ErrorAction $ErrorActionPreference }
}
