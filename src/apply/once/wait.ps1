# Begins an operation where nobody has, detached from this session, and waits for its end. In $p: key; hash of the operation;
# program, arguments and input (base64) of it; seconds for it; most bytes of a stream that are kept; begin, the script that carries
# it out; loader, the one that starts that.
#common
function Start-Operation {
    $name = [string]$p.key + '~' + [guid]::NewGuid().ToString('n')
    $folder = Join-Name $root $name
    [void][System.IO.Directory]::CreateDirectory($folder)
    [System.IO.File]::WriteAllText((Join-Name $folder 'begin.ps1'), [string]$p.begin, $utf8)
    # Through a pipe that we alone may open: what the operation is given never comes to lie on the disk.
    $security = New-Object System.IO.Pipes.PipeSecurity
    $me = [System.Security.Principal.WindowsIdentity]::GetCurrent().User
    $security.AddAccessRule((New-Object System.IO.Pipes.PipeAccessRule $me, 'FullControl', 'Allow'))
    $pipe = New-Object System.IO.Pipes.NamedPipeServerStream ('rmm-' + $name), 'Out', 1, 'Byte', 'Asynchronous', 4096, 65536, $security
    try {
        $loader = [Convert]::ToBase64String([System.Text.Encoding]::Unicode.GetBytes([string]$p.loader))
        $line = '"' + (Join-Name $PSHOME 'powershell.exe') + '" -NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + $loader
        $made = Invoke-CimMethod -ClassName Win32_Process -MethodName Create -Arguments @{ CommandLine = $line; CurrentDirectory = $folder }
        if ($made.ReturnValue -ne 0) { throw ('no process could be made: ' + $made.ReturnValue) }
        $waiting = $pipe.BeginWaitForConnection($null, $null)
        if ($waiting.AsyncWaitHandle.WaitOne(30000)) {
            $pipe.EndWaitForConnection($waiting)
            $job = @{ hash = $p.hash; program = $p.program; arguments = $p.arguments; input = $p.input; seconds = $p.seconds; most = $p.most }
            $bytes = $utf8.GetBytes((ConvertTo-Json -InputObject $job -Compress))
            $pipe.Write($bytes, 0, $bytes.Length)
            $pipe.WaitForPipeDrain()
        }
    } finally {
        $pipe.Dispose()
    }
}
function Send-Answer($claim) {
    $until = [datetime]::UtcNow.AddSeconds(2)
    while (-not [System.IO.File]::Exists((Join-Name $claim.folder 'end')) -and [datetime]::UtcNow -lt $until -and (Test-Alive $claim)) {
        Start-Sleep -Milliseconds 100
    }
    $code = [int][System.IO.File]::ReadAllText((Join-Name $claim.folder 'code')).Trim()
    $parts = @{}
    foreach ($one in 'out', 'err') {
        $share = [System.IO.FileShare]::ReadWrite
        $stream = New-Object System.IO.FileStream (Join-Name $claim.folder $one), ([System.IO.FileMode]::Open), ([System.IO.FileAccess]::Read), $share
        try {
            $memory = New-Object System.IO.MemoryStream
            $stream.CopyTo($memory)
            $parts[$one] = $memory.ToArray()
        } finally {
            $stream.Dispose()
        }
    }
    Send-State 'done' $code $parts['out'].Length $parts['err'].Length
    Send-Bytes $parts['out']
    Send-Bytes $parts['err']
}
if (-not [System.IO.File]::Exists($file)) { Start-Operation }
$round = 0
$nobody = 0
while ($true) {
    $claim = Read-Claim $file
    if ($null -eq $claim) {
        $nobody = $nobody + 1
        if ($nobody -ge 60) { Send-State 'none' 0 0 0; break }
    } elseif ($claim.hash -eq 'cut') {
        Send-State 'cut' 0 0 0
        break
    } elseif ($claim.hash -ne $p.hash) {
        Send-State 'other' 0 0 0
        break
    } else {
        # In this order: it may end between the one question and the other.
        $alive = Test-Alive $claim
        if ([System.IO.File]::Exists((Join-Name $claim.folder 'code'))) { Send-Answer $claim; break }
        if (-not $alive) {
            $state = 'lost'
            if ([System.IO.File]::Exists((Join-Name $claim.folder 'late'))) { $state = 'late' }
            elseif ([System.IO.File]::Exists((Join-Name $claim.folder 'cut'))) { $state = 'cut' }
            Send-State $state 0 0 0
            break
        }
    }
    $round = $round + 1
    if ($round -lt 20) { Start-Sleep -Milliseconds 50 } elseif ($round -lt 60) { Start-Sleep -Milliseconds 250 } else { Start-Sleep -Seconds 1 }
}
$stdout.Flush()
