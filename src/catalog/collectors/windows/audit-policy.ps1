# What the security log records, as auditpol backs it up: numbers stand there beside the translated names.
$folder = New-Folder
try {
    $file = [System.IO.Path]::Combine($folder, 'audit.csv')
    $done = Invoke-Program 'auditpol.exe' '/backup', ('/file:' + $file)
    if (-not [System.IO.File]::Exists($file)) { throw ('auditpol wrote nothing, exit code ' + $done.code + ' ' + $done.errors) }
    $text = [System.IO.File]::ReadAllText($file)
} finally {
    # A folder that stays behind does not keep back what was found.
    try { [System.IO.Directory]::Delete($folder, $true) } catch { $null = $_ }
}
@{ text = $text; code = $done.code }
