# Secure boot as the loader left it in the registry; the firmware's kind beside it: 1 is a BIOS, 2 is UEFI.
@{
    enabled = Get-Registry 'SYSTEM\CurrentControlSet\Control\SecureBoot\State' 'UEFISecureBootEnabled'
    firmware = Get-Registry 'SYSTEM\CurrentControlSet\Control' 'PEFirmwareType'
}
