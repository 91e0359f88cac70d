# Local accounts and groups with their members, by number: names are translated.
$computer = Get-CimInstance -ClassName Win32_ComputerSystem -Property Name, DomainRole
if ([int]$computer.DomainRole -ge 4) { Stop-Unsupported 'a domain controller has no local accounts' }
$groups = @(Get-CimInstance -ClassName Win32_Group -Filter 'LocalAccount = TRUE' -Property Name, SID, Description | ForEach-Object {
    $group = $_ | Select-Members 'Name', 'SID', 'Description'
    $entry = New-Object System.DirectoryServices.DirectoryEntry ('WinNT://' + $computer.Name + '/' + $_.Name + ',group')
    $group['members'] = @(foreach ($member in $entry.psbase.Invoke('Members')) {
        $type = $member.GetType()
        $bytes = [byte[]]$type.InvokeMember('objectSid', [System.Reflection.BindingFlags]::GetProperty, $null, $member, $null)
        [ordered]@{
            path = [string]$type.InvokeMember('AdsPath', [System.Reflection.BindingFlags]::GetProperty, $null, $member, $null)
            sid = (New-Object System.Security.Principal.SecurityIdentifier $bytes, 0).Value
        }
    })
    $group
})
@{
    computer = [string]$computer.Name
    users = @(Get-CimInstance -ClassName Win32_UserAccount -Filter 'LocalAccount = TRUE' |
        Select-Members 'Name', 'SID', 'FullName', 'Description', 'Disabled', 'Lockout', 'PasswordExpires', 'PasswordRequired', 'PasswordChangeable')
    groups = $groups
}
