# The TPM. Without one there is no instance.
@{
    items = @(Get-CimInstance -Namespace root/cimv2/Security/MicrosoftTpm -ClassName Win32_Tpm |
        Select-Members 'SpecVersion', 'ManufacturerVersion', 'IsEnabled_InitialValue', 'IsActivated_InitialValue')
}
