# The security policy as secedit exports it: its keys are not translated, and accounts are numbers. Those that stand there by name
# are looked up.
$folder = New-Folder
try {
    $file = [System.IO.Path]::Combine($folder, 'policy.inf')
    $done = Invoke-Program 'secedit.exe' '/export', '/areas', 'SECURITYPOLICY', 'USER_RIGHTS', '/cfg', $file, '/quiet'
    if (-not [System.IO.File]::Exists($file)) { throw ('secedit wrote nothing, exit code ' + $done.code + ' ' + $done.errors) }
    $text = [System.IO.File]::ReadAllText($file)
} finally {
    # A folder that stays behind does not keep back what was found.
    try { [System.IO.Directory]::Delete($folder, $true) } catch { $null = $_ }
}
$numbers = [ordered]@{}
foreach ($line in $text.Split([char]10)) {
    if (-not $line.StartsWith('Se') -or $line.IndexOf('=') -lt 0) { continue }
    foreach ($word in $line.Substring($line.IndexOf('=') + 1).Split(',')) {
        $name = $word.Trim()
        if ($name -eq '' -or $name.StartsWith('*') -or $numbers.Contains($name)) { continue }
        try {
            $numbers[$name] = (New-Object System.Security.Principal.NTAccount $name).Translate([System.Security.Principal.SecurityIdentifier]).Value
        } catch {
            $numbers[$name] = $null
        }
    }
}
@{ text = $text; numbers = $numbers; code = $done.code }
