# Certificates of the machine. Stores that do not exist are not made; the first one always does.
$found = New-Object System.Collections.ArrayList
foreach ($name in 'My', 'WebHosting', 'Remote Desktop') {
    $store = New-Object System.Security.Cryptography.X509Certificates.X509Store $name, 'LocalMachine'
    try { $store.Open('ReadOnly, OpenExistingOnly') } catch { if ($name -eq 'My') { throw } else { continue } }
    foreach ($one in $store.Certificates) {
        [void]$found.Add([ordered]@{
            thumbprint = $one.Thumbprint; store = $name; subject = $one.Subject; issuer = $one.Issuer
            not_after = Format-Moment $one.NotAfter; key = $one.HasPrivateKey
        })
    }
    $store.Close()
}
@{ items = @($found.ToArray()); now = Format-Moment ([datetime]::UtcNow) }
