# BitLocker on each volume; where the class does not tell by itself it is asked.
$items = @(Get-CimInstance -Namespace root/cimv2/Security/MicrosoftVolumeEncryption -ClassName Win32_EncryptableVolume | ForEach-Object {
    $one = $_ | Select-Members 'DriveLetter', 'DeviceID', 'ProtectionStatus', 'ConversionStatus', 'EncryptionMethod', 'VolumeType'
    if ($null -eq $one.ConversionStatus) { $one['ConversionStatus'] = (Invoke-CimMethod -InputObject $_ -MethodName GetConversionStatus).ConversionStatus }
    if ($null -eq $one.EncryptionMethod) { $one['EncryptionMethod'] = (Invoke-CimMethod -InputObject $_ -MethodName GetEncryptionMethod).EncryptionMethod }
    $one
})
@{ items = $items; system = [string]$env:SystemDrive }
