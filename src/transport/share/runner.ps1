# Carries out jobs that `rmm` leaves on a file share: those that are signed for this device, have not expired and were not
# carried out before. Everything else is refused. Works with Windows PowerShell 5.1 and needs nothing else.
#
#   powershell -ExecutionPolicy Bypass -File rmm-runner.ps1 -Share \\server\rmm -Install     once, as an administrator
#   powershell -ExecutionPolicy Bypass -File rmm-runner.ps1 -Share \\server\rmm -Uninstall
#
# Installed, it runs as SYSTEM once a minute and looks for a minute; SYSTEM comes to the share as the computer's account. -Device is the
# name of this device in the repository, where that is not the name of the computer.
param(
    [Parameter(Mandatory = $true)] [string] $Share,
    [string] $Device = $env:COMPUTERNAME,
    [switch] $Install,
    [switch] $Uninstall,
    [int] $Seconds = 58
)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

# Whose jobs are carried out: X and Y of a point on P-256.
$publicKey = '@PUBLIC_KEY@'
$taskName = 'rmm runner'
# Only administrators can make folders here: nobody else can have prepared one.
$home0 = Join-Path ([Environment]::GetFolderPath('ProgramFiles')) 'rmm'
$ledger = Join-Path $home0 'jobs'
$Device = $Device.ToLowerInvariant()
# At the end of a word in quotes it would be taken together with the quote.
$Share = $Share.TrimEnd('\')
$folder = Join-Path (Join-Path $Share 'devices') $Device
$utf8 = New-Object System.Text.UTF8Encoding $false
$inv = [System.Globalization.CultureInfo]::InvariantCulture
$largest = 8MB

function Get-Now {
    [DateTimeOffset]::UtcNow.ToUnixTimeMilliseconds()
}

function Test-Signature([byte[]] $bytes, [byte[]] $signature) {
    $point = [Convert]::FromBase64String($publicKey)
    if ($point.Length -ne 64 -or $signature.Length -ne 64) { return $false }
    # BCRYPT_ECCPUBLIC_BLOB: 'ECS1', the length of a coordinate, both coordinates.
    [byte[]] $blob = @(0x45, 0x43, 0x53, 0x31, 0x20, 0, 0, 0) + $point
    $key = [System.Security.Cryptography.CngKey]::Import($blob, [System.Security.Cryptography.CngKeyBlobFormat]::EccPublicBlob)
    $ecdsa = New-Object -TypeName System.Security.Cryptography.ECDsaCng -ArgumentList $key
    # The one that is allowed where only certified cryptography is.
    $sha = New-Object System.Security.Cryptography.SHA256CryptoServiceProvider
    try { $ecdsa.VerifyHash($sha.ComputeHash($bytes), $signature) } finally { $ecdsa.Dispose(); $sha.Dispose() }
}

# The answer appears whole or not at all. A share that is away for a moment does not cost what a job has brought.
function Write-Answer([string] $id, $answer, [int] $tries = 60) {
    $answer['format'] = 'rmm.result/1'
    $answer['id'] = $id
    $bytes = $utf8.GetBytes((ConvertTo-Json -InputObject $answer -Compress))
    $results = Join-Path $folder 'results'
    $beside = Join-Path $results ($id + '.tmp')
    $there = Join-Path $results ($id + '.json')
    for ($i = 1; $true; $i++) {
        try {
            [System.IO.File]::WriteAllBytes($beside, $bytes)
            [System.IO.File]::Move($beside, $there)
            return
        } catch {
            # One that is there already stays.
            if ([System.IO.File]::Exists($there)) { return }
            if ($i -ge $tries) { throw }
            Start-Sleep -Milliseconds 1500
        }
    }
}

# The end, in milliseconds, of the last job that is not remembered any more; nothing that ends before is carried out, whatever the clock
# says meanwhile. The name of an empty folder: it is there or not, and never half written.
function Get-Forgotten {
    $most = [long]0
    foreach ($entry in (Get-ChildItem -LiteralPath $home0 -Directory -Filter 'before-*')) {
        if ($entry.Name -match '^before-([0-9]{13,18})$' -and [long]$Matches[1] -gt $most) { $most = [long]$Matches[1] }
    }
    $most
}

# What is wrong with a job, or the job.
function Read-Job([string] $path, [string] $id) {
    if ((Get-Item -LiteralPath $path).Length -gt $largest) { return @{ refused = 'it is too large' } }
    $bytes = $null
    try {
        $outer = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($path, $utf8))
        $bytes = [Convert]::FromBase64String($outer.body)
        $signature = [Convert]::FromBase64String($outer.signature)
    } catch {
        return @{ refused = 'it cannot be read' }
    }
    if (-not (Test-Signature $bytes $signature)) { return @{ refused = 'its signature is wrong' } }
    $job = ConvertFrom-Json -InputObject $utf8.GetString($bytes)
    if ($job.format -ne 'rmm.job/1') { return @{ refused = 'it is of another version: install the newer runner' } }
    if ($job.id -cne $id) { return @{ refused = 'it was renamed' } }
    if ($job.device -cne $Device) { return @{ refused = 'it is for another device' } }
    if ([long] $job.expires -lt (Get-Now)) { return @{ refused = 'it has expired: the clock of the device says ' + [DateTime]::UtcNow.ToString('s', $inv) + ' UTC' } }
    $end = Get-Forgotten
    if ([long] $job.expires -le $end) {
        $end = [DateTimeOffset]::FromUnixTimeMilliseconds($end).UtcDateTime.ToString('s', $inv)
        return @{ refused = "it is older than what is remembered on the device: what ended by $end UTC is forgotten" }
    }
    @{ job = $job }
}

function Stop-Tree($process) {
    # A child that has ended meanwhile is no error.
    $ErrorActionPreference = 'Continue'
    & (Join-Path ([Environment]::SystemDirectory) 'taskkill.exe') /T /F /PID $process.Id 2>&1 | Out-Null
}

function Invoke-Job($job, [string] $stop) {
    $start = New-Object System.Diagnostics.ProcessStartInfo
    $start.FileName = Join-Path ([Environment]::SystemDirectory) 'cmd.exe'
    $start.Arguments = '/d /s /c "' + $job.line + '"'
    $start.WorkingDirectory = [Environment]::SystemDirectory
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    # Else .NET writes a byte order mark in front of the input where the code page is UTF-8.
    try { [Console]::InputEncoding = $utf8 } catch { $null = $_ }
    $process = [System.Diagnostics.Process]::Start($start)
    $script:started = $true
    try {
        $out = New-Object System.IO.MemoryStream
        $err = New-Object System.IO.MemoryStream
        $reading = @($process.StandardOutput.BaseStream.CopyToAsync($out), $process.StandardError.BaseStream.CopyToAsync($err))
        [byte[]] $given = [Convert]::FromBase64String($job.input)
        $writing = $process.StandardInput.BaseStream.WriteAsync($given, 0, $given.Length)
        $closed = $false
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        $outcome = 'done'
        $look = 0
        while (-not $process.WaitForExit(50)) {
            if (-not $closed -and $writing.IsCompleted) {
                $closed = $true
                # A program that does not read to the end closes it first.
                try { $process.StandardInput.Close() } catch { $null = $_ }
            }
            if ($out.Length -gt $job.max_output -or $err.Length -gt $job.max_output) { $outcome = 'too-much' }
            elseif ($watch.ElapsedMilliseconds -gt $job.timeout_ms) { $outcome = 'timeout' }
            elseif (($look++ % 40) -eq 0 -and [System.IO.File]::Exists($stop)) { $outcome = 'interrupted' }
            if ($outcome -ne 'done') {
                Stop-Tree $process
                return @{ outcome = $outcome }
            }
        }
        # Programs that were left running may hold the streams open.
        try { [void] [System.Threading.Tasks.Task]::WaitAll($reading, 5000) } catch { $null = $_ }
        if ($out.Length -gt $job.max_output -or $err.Length -gt $job.max_output) { return @{ outcome = 'too-much' } }
        @{
            outcome = 'done'; code = $process.ExitCode
            stdout = [Convert]::ToBase64String($out.ToArray()); stderr = [Convert]::ToBase64String($err.ToArray())
        }
    } catch {
        # Nobody would wait for it any more.
        if (-not $process.HasExited) { Stop-Tree $process }
        throw
    }
}

# Takes one job, and answers it whatever becomes of it.
function Step-Job([string] $id) {
    $taken = Join-Path (Join-Path $folder 'taken') ($id + '.json')
    # Whoever renames it first has it: the one who left it there takes it back in the same way.
    try { [System.IO.File]::Move((Join-Path (Join-Path $folder 'jobs') ($id + '.json')), $taken) } catch { return }
    try { $read = Read-Job $taken $id } catch { $read = @{ refused = 'it cannot be checked: ' + $_.Exception.Message } }
    if ($read.refused) {
        Write-Answer $id @{ outcome = 'refused'; reason = $read.refused }
        return
    }
    # Remembered before it is begun. A copy of the same file, put there by whomever, is not carried out again.
    $entry = Join-Path $ledger $id
    try { [void] (New-Item -ItemType Directory -Path $entry) } catch {
        $reason = 'it cannot be remembered: ' + $_.Exception.Message
        if (Test-Path -LiteralPath $entry) { $reason = 'it was carried out before' }
        Write-Answer $id @{ outcome = 'refused'; reason = $reason }
        return
    }
    [System.IO.File]::WriteAllText((Join-Path $entry 'expires'), [string] $read.job.expires, $utf8)
    $script:started = $false
    try {
        $answer = Invoke-Job $read.job (Join-Path (Join-Path $folder 'taken') ($id + '.stop'))
    } catch {
        $answer = @{ outcome = 'refused'; reason = 'it could not be started: ' + $_.Exception.Message }
        if ($script:started) { $answer = @{ outcome = 'interrupted' } }
    }
    Write-Answer $id $answer
}

# What an earlier start took and did not answer. What cannot be answered now is at the next start.
function Step-Interrupted {
    foreach ($file in (Get-ChildItem -LiteralPath (Join-Path $folder 'taken') -Filter '*.json')) {
        $id = $file.BaseName
        if ($id -match '^j-[0-9]{8}-[0-9]{6}-[0-9a-f]{32}$' -and -not (Test-Path -LiteralPath (Join-Path (Join-Path $folder 'results') ($id + '.json')))) {
            try { Write-Answer $id @{ outcome = 'interrupted' } 1 } catch { $null = $_ }
        }
    }
}

function Remove-Old {
    $before = [DateTime]::UtcNow.AddDays(-7)
    foreach ($name in @('taken', 'results')) {
        Get-ChildItem -LiteralPath (Join-Path $folder $name) -File | Where-Object { $_.LastWriteTimeUtc -lt $before } | Remove-Item -Force -ErrorAction SilentlyContinue
    }
    $gone = @()
    $end = Get-Forgotten
    foreach ($entry in (Get-ChildItem -LiteralPath $ledger -Directory)) {
        if ($entry.CreationTimeUtc -ge $before) { continue }
        $path = Join-Path $entry.FullName 'expires'
        $date = ''
        if (Test-Path -LiteralPath $path) { $date = [System.IO.File]::ReadAllText($path).Trim() }
        # Without a whole date, in milliseconds, it was taken and not written to the end: it stays.
        if ($date -notmatch '^[0-9]{13,18}$' -or [long] $date -ge ((Get-Now) - 604800000)) { continue }
        $gone += $entry
        if ([long] $date -gt $end) { $end = [long] $date }
    }
    if ($gone.Count -eq 0) { return }
    # Noted before any is forgotten.
    $mark = 'before-' + $end.ToString($inv)
    [void] (New-Item -ItemType Directory -Path (Join-Path $home0 $mark) -Force)
    foreach ($entry in $gone) { Remove-Item -LiteralPath $entry.FullName -Recurse -Force }
    Get-ChildItem -LiteralPath $home0 -Directory -Filter 'before-*' | Where-Object { $_.Name -ne $mark } | Remove-Item -Force -Recurse
}

# Held by the one that works; nothing where another one does. A file in the closed folder: what has a name alone, any user can hold.
function Open-Lock {
    try { New-Object System.IO.FileStream (Join-Path $home0 'lock'), 'OpenOrCreate', 'ReadWrite', 'None' } catch { $null = $_ }
}

function Install-Runner {
    [void] (New-Item -ItemType Directory -Path $ledger -Force)
    # SYSTEM and administrators, by their numbers: the names are translated.
    & (Join-Path ([Environment]::SystemDirectory) 'icacls.exe') $home0 /inheritance:r /grant:r '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-544:(OI)(CI)F' | Out-Null
    if ($LASTEXITCODE -ne 0) { throw "the folder $home0 could not be closed to others" }
    $own = Join-Path $home0 'rmm-runner.ps1'
    # Its bytes alone: not the mark of a file from elsewhere, which a policy may refuse to start.
    if ($PSCommandPath -ne $own) { [System.IO.File]::WriteAllBytes($own, [System.IO.File]::ReadAllBytes($PSCommandPath)) }
    $quote = '"'
    $words = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -File ' + $quote + $own + $quote + ' -Share ' + $quote + $Share + $quote + ' -Device ' + $quote + $Device + $quote
    $action = New-ScheduledTaskAction -Execute (Join-Path ([Environment]::SystemDirectory) 'WindowsPowerShell\v1.0\powershell.exe') -Argument $words
    # Long ago: a clock that is ahead on this day would put off the start until then.
    $trigger = New-ScheduledTaskTrigger -Once -At ([DateTime] '2020-01-01') -RepetitionInterval (New-TimeSpan -Minutes 1)
    $settings = New-ScheduledTaskSettingsSet -MultipleInstances IgnoreNew -StartWhenAvailable -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -ExecutionTimeLimit ([TimeSpan]::Zero)
    $who = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    [void] (Register-ScheduledTask -TaskName $taskName -Action $action -Trigger $trigger -Settings $settings -Principal $who -Force)
    Write-Output "installed: the task '$taskName' takes jobs for $Device from $folder"
}

if ($Share -match '["\r\n]' -or $Device -notmatch '^[a-z0-9][a-z0-9._-]*$') { throw 'the share or the name of the device cannot be used' }
# Another folder would be that of programs.
if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) { throw 'start it with the 64-bit PowerShell' }
if ($Install) { Install-Runner; exit 0 }
if ($Uninstall) {
    Unregister-ScheduledTask -TaskName $taskName -Confirm:$false -ErrorAction SilentlyContinue
    if (-not (Test-Path -LiteralPath $home0)) { exit 0 }
    # One that is still at work ends within a minute.
    $lock = $null
    for ($i = 0; $null -eq $lock -and $i -lt 90; $i++) {
        $lock = Open-Lock
        if ($null -eq $lock) { Start-Sleep -Seconds 1 }
    }
    if ($null -ne $lock) { $lock.Dispose() }
    Remove-Item -LiteralPath $home0 -Recurse -Force
    exit 0
}

if (-not (Test-Path -LiteralPath $home0)) { throw 'it is not installed here: start it with -Install' }
$lock = Open-Lock
if ($null -eq $lock) { exit 0 }
try {
    foreach ($name in @('jobs', 'taken', 'results')) { [void] (New-Item -ItemType Directory -Path (Join-Path $folder $name) -Force) }
    # What cannot be tidied up keeps no job from its turn.
    try { Step-Interrupted } catch { $null = $_ }
    try { Remove-Old } catch { $null = $_ }
    $watch = [System.Diagnostics.Stopwatch]::StartNew()
    do {
        foreach ($file in (Get-ChildItem -LiteralPath (Join-Path $folder 'jobs') -Filter '*.json' | Sort-Object -Property Name)) {
            if ($file.BaseName -match '^j-[0-9]{8}-[0-9]{6}-[0-9a-f]{32}$') { Step-Job $file.BaseName }
        }
        Start-Sleep -Milliseconds 1000
    } while ($watch.Elapsed.TotalSeconds -lt $Seconds)
} finally {
    $lock.Dispose()
}
