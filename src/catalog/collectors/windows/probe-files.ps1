# What stands at paths. Asked for: path.
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; type = 'absent' }
        $number = $number + 1
        try {
            $path = [string]$one.path
            $item = $null
            if ([System.IO.File]::Exists($path)) { $item = New-Object System.IO.FileInfo $path }
            elseif ([System.IO.Directory]::Exists($path)) { $item = New-Object System.IO.DirectoryInfo $path }
            if ($null -ne $item) {
                $answer['type'] = 'file'
                if ($item -is [System.IO.DirectoryInfo]) { $answer['type'] = 'dir' }
                if (($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) {
                    $answer['type'] = 'link'
                    $answer['target'] = @((Get-Item -LiteralPath $path -Force).Target)[0]
                }
                $answer['modified'] = Format-Moment $item.LastWriteTimeUtc
                try { $answer['owner'] = [string](Get-Acl -LiteralPath $path).Owner } catch { $answer['owner'] = $null }
                if ($answer['type'] -eq 'file') {
                    $answer['size'] = $item.Length
                    if ($item.Length -le 268435456) {
                        $share = [System.IO.FileShare]::ReadWrite -bor [System.IO.FileShare]::Delete
                        $stream = New-Object System.IO.FileStream $path, ([System.IO.FileMode]::Open), ([System.IO.FileAccess]::Read), $share
                        try {
                            $answer['sha256'] = (Get-FileHash -InputStream $stream -Algorithm SHA256).Hash.ToLowerInvariant()
                        } finally {
                            $stream.Dispose()
                        }
                    } else {
                        $answer['error'] = 'larger than 256 MiB: not hashed'
                    }
                }
            }
        } catch {
            $answer['error'] = [string]$_.Exception.Message
        }
        $answer
    })
}
