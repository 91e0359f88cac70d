# Applies a security template that holds one section with only the keys of $p.entries. Each has a name and a value, or accounts
# as SIDs, in which S-1-5-21-*-RID stands for the account or group with that number, of this machine or of its domain.
function Resolve-Account([string]$account) {
    if ($account -notmatch '^S-1-5-21-\*-([0-9]+)$') { return $account }
    $number = [long]$Matches[1]
    $system = Get-CimInstance -ClassName Win32_ComputerSystem
    $shared = $number -eq 512 -or $number -eq 518 -or $number -eq 519
    # Outside a domain nobody can be in these groups.
    if ($shared -and -not $system.PartOfDomain) { return $null }
    # A domain controller (4 and 5) has no accounts but those of its domain.
    if ($shared -or $system.DomainRole -ge 4) {
        $domain = $system.Domain
        if ($number -eq 518 -or $number -eq 519) {
            # These are in the first domain of the forest alone.
            $root = New-Object System.DirectoryServices.DirectoryEntry 'LDAP://RootDSE'
            $context = [string]$root.Properties['rootDomainNamingContext'].Value
            if (-not $context) { throw 'the first domain of the forest is not told' }
            $domain = @($context -split ',' | ForEach-Object { $_ -replace '^DC=', '' }) -join '.'
        }
        # The machine asks for this name itself. Reading the number of the domain from the directory fails in a session from afar,
        # which has no password to hand on. Every domain has this account.
        # Not in $account, which is a text and makes one of what is put there.
        $known = New-Object System.Security.Principal.NTAccount ($domain + '\krbtgt')
        $found = $known.Translate([System.Security.Principal.SecurityIdentifier]).AccountDomainSid.Value + '-' + $number
        if (-not $shared) {
            $sid = New-Object System.Security.Principal.SecurityIdentifier $found
            try { [void]$sid.Translate([System.Security.Principal.NTAccount]) } catch { throw ('there is no account with the number ' + $number + ' here') }
        }
        return $found
    }
    $local = Get-CimInstance -ClassName Win32_UserAccount -Filter 'LocalAccount = TRUE' | Where-Object { $_.SID -match ('-' + $number + '$') }
    foreach ($found in @($local)) { if ($found) { return $found.SID } }
    # Left out, the right would be that of fewer than was asked for, or of nobody.
    throw ('there is no account with the number ' + $number + ' here')
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
    # A folder that stays must not hide what came of it.
    Remove-Item -LiteralPath $folder -Recurse -Force -ErrorAction SilentlyContinue
}
