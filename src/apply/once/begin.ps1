# Detached from whoever waits. Whoever moves the claim to its place carries the operation out; nobody else ever does.
param([string]$folder)
$ErrorActionPreference = 'Stop'
$utf8 = New-Object System.Text.UTF8Encoding $false
function Join-Name([string]$one, [string]$two) { [System.IO.Path]::Combine($one, $two) }
function Write-Whole([string]$name, [string]$text) {
    $bytes = $utf8.GetBytes($text)
    $stream = New-Object System.IO.FileStream (Join-Name $folder $name), ([System.IO.FileMode]::Create), ([System.IO.FileAccess]::Write), ([System.IO.FileShare]::Read)
    $stream.Write($bytes, 0, $bytes.Length)
    $stream.Flush($true)
    $stream.Dispose()
}
$name = [System.IO.Path]::GetFileName($folder)
$root = [System.IO.Path]::GetDirectoryName($folder)
$key = $name.Substring(0, $name.LastIndexOf('~'))
# Out of the folder, so that it can be removed some day.
[Environment]::CurrentDirectory = $root
Set-Location -LiteralPath $root
$pipe = New-Object System.IO.Pipes.NamedPipeClientStream '.', ('rmm-' + $name), 'In'
$pipe.Connect(30000)
$reader = New-Object System.IO.StreamReader $pipe, $utf8
# A job that was cut on its way cannot be read, or is empty: nothing happens, and nothing is left behind.
$job = $null
try { $job = ConvertFrom-Json -InputObject $reader.ReadToEnd() } catch { $job = $null }
$reader.Dispose()
if ($null -eq $job -or -not $job.hash) {
    [System.IO.Directory]::Delete($folder, $true)
    exit 0
}
$self = [System.Diagnostics.Process]::GetCurrentProcess()
Write-Whole 'claim' (($job.hash, $name, $self.Id.ToString(), $self.StartTime.ToUniversalTime().Ticks.ToString()) -join "`n")
try {
    [System.IO.File]::Move((Join-Name $folder 'claim'), (Join-Name $root $key))
} catch {
    [System.IO.Directory]::Delete($folder, $true)
    exit 0
}
$start = New-Object System.Diagnostics.ProcessStartInfo
$start.FileName = [string]$job.program
$start.Arguments = [string]$job.arguments
$start.UseShellExecute = $false
$start.CreateNoWindow = $true
$start.WorkingDirectory = [Environment]::SystemDirectory
$start.RedirectStandardInput = $true
$start.RedirectStandardOutput = $true
$start.RedirectStandardError = $true
$clock = [System.Diagnostics.Stopwatch]::StartNew()
$process = [System.Diagnostics.Process]::Start($start)
$streams = @(foreach ($one in 'out', 'err') {
    $from = $process.StandardOutput.BaseStream
    if ($one -eq 'err') { $from = $process.StandardError.BaseStream }
    $buffer = New-Object byte[] 65536
    @{
        from = $from; buffer = $buffer; kept = 0; open = $true; read = $from.ReadAsync($buffer, 0, $buffer.Length)
        to = [System.IO.File]::Open((Join-Name $folder $one), [System.IO.FileMode]::Create, [System.IO.FileAccess]::Write, [System.IO.FileShare]::Read)
    }
})
# Beside reading: whoever does not read its input may well print.
$given = [Convert]::FromBase64String([string]$job.input)
$sending = $process.StandardInput.BaseStream.WriteAsync($given, 0, $given.Length)
$closed = $false
$over = $null
while (@($streams | Where-Object { $_.open }).Count -gt 0) {
    if (-not $closed -and $sending.IsCompleted) {
        $closed = $true
        try { $process.StandardInput.Close() } catch { $closed = $true }
    }
    $tasks = @($streams | Where-Object { $_.open } | ForEach-Object { $_.read })
    [void][System.Threading.Tasks.Task]::WaitAny([System.Threading.Tasks.Task[]]$tasks, 200)
    foreach ($one in $streams) {
        if (-not $one.open -or -not $one.read.IsCompleted) { continue }
        $count = 0
        if (-not $one.read.IsFaulted) { $count = $one.read.Result }
        if ($count -eq 0) {
            $one.open = $false
            continue
        }
        $room = [Math]::Min($count, [long]$job.most - $one.kept)
        if ($room -gt 0) {
            $one.to.Write($one.buffer, 0, $room)
            $one.kept = $one.kept + $room
        }
        $one.read = $one.from.ReadAsync($one.buffer, 0, $one.buffer.Length)
    }
    if ($process.HasExited) {
        # What it left behind in the background does not keep its end from being told.
        if ($null -eq $over) { $over = $clock.Elapsed.TotalSeconds + 2 }
        if ($clock.Elapsed.TotalSeconds -ge $over) { break }
    } elseif ($clock.Elapsed.TotalSeconds -ge [int]$job.seconds) {
        Write-Whole 'late' ''
        $ErrorActionPreference = 'Continue'
        $null = & ([Environment]::SystemDirectory + '\taskkill.exe') /PID $process.Id /T /F
        exit 0
    }
}
while (-not $process.WaitForExit(200)) {
    if ($clock.Elapsed.TotalSeconds -ge [int]$job.seconds) {
        Write-Whole 'late' ''
        $ErrorActionPreference = 'Continue'
        $null = & ([Environment]::SystemDirectory + '\taskkill.exe') /PID $process.Id /T /F
        exit 0
    }
}
foreach ($one in $streams) {
    $one.to.Flush($true)
    $one.to.Dispose()
}
Write-Whole 'c' $process.ExitCode.ToString()
[System.IO.File]::Move((Join-Name $folder 'c'), (Join-Name $folder 'code'))
Write-Whole 'end' ''
# Receipts of a month ago.
$old = [datetime]::UtcNow.AddDays(-30)
foreach ($one in @([System.IO.Directory]::GetFileSystemEntries($root)) | Select-Object -First 2000) {
    try {
        if ([System.IO.File]::GetLastWriteTimeUtc($one) -lt $old) {
            if ([System.IO.Directory]::Exists($one)) { [System.IO.Directory]::Delete($one, $true) } else { [System.IO.File]::Delete($one) }
        }
    } catch {
        continue
    }
}
