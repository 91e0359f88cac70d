# What stands at paths. Asked for: path.
$number = 0
@{
    items = @(foreach ($one in $asked) {
        $answer = [ordered]@{ n = $number; type = 'absent' }
        $number = $number + 1
        try {
            $path = [string]$one.path
            $item = $null
            $attributes = $null
            # Whoever asks whether it exists hears no where it may not be looked at, too.
            try {
                $attributes = [System.IO.File]::GetAttributes($path)
            } catch [System.IO.FileNotFoundException] {
                $attributes = $null
            } catch [System.IO.DirectoryNotFoundException] {
                $attributes = $null
            }
            if ($null -ne $attributes) {
                $item = New-Object System.IO.FileInfo $path
                if (($attributes -band [System.IO.FileAttributes]::Directory) -ne 0) { $item = New-Object System.IO.DirectoryInfo $path }
            }
            if ($null -ne $item) {
                $answer['type'] = 'file'
                if ($item -is [System.IO.DirectoryInfo]) { $answer['type'] = 'dir' }
                if (($attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) {
                    # Files in the cloud and files without duplicates are marked like links, and point nowhere.
                    $link = Get-Item -LiteralPath $path -Force
                    if (@('SymbolicLink', 'Junction') -contains [string]$link.LinkType) {
                        $answer['type'] = 'link'
                        $answer['target'] = @($link.Target)[0]
                    }
                }
                $answer['modified'] = Format-Moment $item.LastWriteTimeUtc
                try { $answer['owner'] = [string](Get-Acl -LiteralPath $path).Owner } catch { $answer['owner'] = $null }
                if ($answer['type'] -eq 'file') {
                    $answer['size'] = $item.Length
                    # Offline, or fetched when it is read.
                    if (([long]$attributes -band 0x401000) -ne 0) {
                        $answer['error'] = 'its content is kept elsewhere: not hashed'
                    } elseif ($item.Length -le 268435456) {
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
            $answer['error'] = [string]$_.Exception.GetBaseException().Message
        }
        $answer
    })
}
