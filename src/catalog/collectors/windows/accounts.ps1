# Local accounts and groups with their members, by number: names are translated.
$computer = Get-CimInstance -ClassName Win32_ComputerSystem -Property Name, DomainRole
if ([int]$computer.DomainRole -ge 4) { Stop-Unsupported 'a domain controller has no local accounts' }
$groups = @(Get-CimInstance -ClassName Win32_Group -Filter 'LocalAccount = TRUE' -Property Name, SID, Description | ForEach-Object {
    $group = $_ | Select-Members 'Name', 'SID', 'Description'
    $entry = New-Object System.DirectoryServices.DirectoryEntry ('WinNT://' + $computer.Name + '/' + $_.Name + ',group')
    $group['members'] = @(foreach ($member in $entry.psbase.Invoke('Members')) {
        $type = $member.GetType()
        $path = [string]$type.InvokeMember('AdsPath', [System.Reflection.BindingFlags]::GetProperty, $null, $member, $null)
        # An account that is gone, or of a domain that cannot be asked, has its number as its name at most. It costs nothing but itself.
        $last = $path.Substring($path.LastIndexOf('/') + 1)
        $sid = $null
        if ($last -like 'S-1-*') { $sid = $last }
        try {
            $bytes = [byte[]]$type.InvokeMember('objectSid', [System.Reflection.BindingFlags]::GetProperty, $null, $member, $null)
            $sid = (New-Object System.Security.Principal.SecurityIdentifier $bytes, 0).Value
        } catch {
            $null = $_
        }
        [ordered]@{ path = $path; sid = $sid }
    })
    $group
})
@{
    computer = [string]$computer.Name
    users = @(Get-CimInstance -ClassName Win32_UserAccount -Filter 'LocalAccount = TRUE' |
        Select-Members 'Name', 'SID', 'FullName', 'Description', 'Disabled', 'Lockout', 'PasswordExpires', 'PasswordRequired', 'PasswordChangeable')
    groups = $groups
}
