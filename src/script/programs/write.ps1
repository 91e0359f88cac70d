# Replaces a file. In $p: path, content.
$path = [string]$p.path
$folder = [System.IO.Path]::GetDirectoryName($path)
$beside = [System.IO.Path]::Combine($folder, '.' + [System.IO.Path]::GetFileName($path) + '.rmm-tmp')
if ([System.IO.Directory]::Exists($path)) { throw ($path + ' is a folder') }
[System.IO.File]::Delete($beside)
$bytes = (New-Object System.Text.UTF8Encoding $false).GetBytes([string]$p.content)
# A file that somebody else put there meanwhile is refused.
$file = New-Object System.IO.FileStream $beside, ([System.IO.FileMode]::CreateNew), ([System.IO.FileAccess]::Write), ([System.IO.FileShare]::None)
try {
    try {
        $file.Write($bytes, 0, $bytes.Length)
        $file.Flush($true)
    } finally {
        $file.Dispose()
    }
    if ([System.IO.File]::Exists($path)) {
        [System.IO.File]::Replace($beside, $path, [NullString]::Value)
    } else {
        [System.IO.File]::Move($beside, $path)
    }
} catch {
    [System.IO.File]::Delete($beside)
    throw ($path + ' was not written and is as it was: ' + $_.Exception.Message)
}
