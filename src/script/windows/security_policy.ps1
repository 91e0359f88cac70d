# Applies a security template that holds one section with only the keys of $p.entries. Each has a name and a value, or accounts
# as SIDs, in which S-1-5-21-*-RID stands for the account or group with that number, of this machine or of its domain.
function Resolve-Account([string]$account) {
    if ($account -notmatch '^S-1-5-21-\*-([0-9]+)$') { return $account }
    $number = [int]$Matches[1]
    if ($number -eq 512 -or $number -eq 518 -or $number -eq 519) {
        $system = Get-CimInstance -ClassName Win32_ComputerSystem
        if (-not $system.PartOfDomain) { return $null }
        $root = New-Object System.DirectoryServices.DirectoryEntry 'LDAP://RootDSE'
        $context = $root.Properties['defaultNamingContext'].Value
        if ($number -ne 512) { $context = $root.Properties['rootDomainNamingContext'].Value }
        $domain = New-Object System.DirectoryServices.DirectoryEntry ('LDAP://' + $context)
        $sid = New-Object System.Security.Principal.SecurityIdentifier ([byte[]]$domain.Properties['objectSid'].Value), 0
        return $sid.Value + '-' + $number
    }
    $local = Get-CimInstance -ClassName Win32_UserAccount -Filter 'LocalAccount = TRUE' | Where-Object { $_.SID -match ('-' + $number + '$') }
    foreach ($found in @($local)) { if ($found) { return $found.SID } }
    return $null
}
$folder = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), 'rmm-' + [Guid]::NewGuid().ToString('N'))
[void](New-Item -ItemType Directory -Path $folder)
try {
    $lines = New-Object System.Collections.Generic.List[string]
    $lines.Add('[Unicode]')
    $lines.Add('Unicode=yes')
    $lines.Add('[Version]')
    $lines.Add('signature="$CHICAGO$"')
    $lines.Add('Revision=1')
    $lines.Add('[' + $p.section + ']')
    foreach ($entry in @($p.entries)) {
        $value = $entry.value
        if ($null -ne $entry.accounts) {
            $sids = @($entry.accounts | ForEach-Object { Resolve-Account $_ } | Where-Object { $_ } | ForEach-Object { '*' + $_ })
            $value = $sids -join ','
        }
        $lines.Add($entry.name + ' = ' + $value)
    }
    $template = [System.IO.Path]::Combine($folder, 'rmm.inf')
    $database = [System.IO.Path]::Combine($folder, 'rmm.sdb')
    $log = [System.IO.Path]::Combine($folder, 'rmm.log')
    [System.IO.File]::WriteAllLines($template, $lines, [System.Text.Encoding]::Unicode)
    $area = 'SECURITYPOLICY'
    if ($p.section -eq 'Privilege Rights') { $area = 'USER_RIGHTS' }
    [void](& secedit.exe /configure /db $database /cfg $template /areas $area /log $log /quiet)
    if ($LASTEXITCODE -ne 0) {
        $told = ''
        if (Test-Path -LiteralPath $log) { $told = [string](Get-Content -LiteralPath $log -Tail 3) }
        throw ('secedit ended with ' + $LASTEXITCODE + ': ' + $told)
    }
} finally {
    Remove-Item -LiteralPath $folder -Recurse -Force
}
