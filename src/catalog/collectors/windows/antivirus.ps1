# Defender by its own class, and what has registered itself with the security centre, which servers do not have.
$defender = @()
$products = @()
$absent = 0
try {
    $defender = @(Get-CimInstance -Namespace root/Microsoft/Windows/Defender -ClassName MSFT_MpComputerStatus |
        Select-Members 'AMProductVersion', 'AMRunningMode', 'AMServiceEnabled', 'AntivirusEnabled', 'RealTimeProtectionEnabled', 'AntivirusSignatureAge', 'AntivirusSignatureVersion', 'IsTamperProtected')
    if ($defender.Count -eq 0) { throw 'it tells nothing' }
} catch {
    $service = Get-Service -Name WinDefend -ErrorAction SilentlyContinue
    if ($null -eq $service) {
        $absent = $absent + 1
    } elseif ([string]$service.Status -eq 'Running') {
        # It works, and what it does is not known.
        throw ('Defender runs and does not answer: ' + $_.Exception.Message)
    } else {
        # Installed and switched off: its class answers only where the service runs.
        $defender = @([ordered]@{ AMServiceEnabled = $false; AntivirusEnabled = $false; RealTimeProtectionEnabled = $false })
    }
}
try {
    $products = @(Get-CimInstance -Namespace root/SecurityCenter2 -ClassName AntiVirusProduct | Select-Members 'displayName', 'productState', 'instanceGuid')
} catch {
    # Where Defender itself protects it does not matter who else there is.
    $alone = $defender.Count -gt 0 -and $defender[0].AntivirusEnabled -and @('', 'Normal') -contains [string]$defender[0].AMRunningMode
    if (Test-Absent $_) { $absent = $absent + 1 } elseif (-not $alone) { throw ('the security centre does not answer: ' + $_.Exception.Message) }
}
if ($absent -eq 2) { Stop-Unsupported 'neither Defender nor a security centre is there' }
@{ defender = $defender; products = $products }
