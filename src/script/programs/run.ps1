# Starts a program. In $p: program, arguments (one line, quoted), input or nothing.
$utf8 = New-Object System.Text.UTF8Encoding $false
function Write-Bytes($stream, [string]$text, $encoding) {
    $bytes = $encoding.GetBytes($text)
    $stream.Write($bytes, 0, $bytes.Length)
    $stream.Flush()
}
function Stop-Here([string]$why, [int]$code) {
    Write-Bytes ([Console]::OpenStandardError()) $why $utf8
    exit $code
}
$program = [string]$p.program
if ($program.IndexOfAny([char[]]'\/') -lt 0) {
    # Found on the path, and not in the folder where we happen to be.
    $found = Get-Command -Name ([System.Management.Automation.WildcardPattern]::Escape($program)) -CommandType Application -ErrorAction SilentlyContinue
    if ($null -eq $found) { Stop-Here ('there is no program ' + $program) 127 }
    $program = @($found)[0].Path
}
if (@('.exe', '.com') -notcontains [System.IO.Path]::GetExtension($program).ToLowerInvariant()) {
    Stop-Here ($program + ' is not a program: cmd would read its arguments as commands') 126
}
$start = New-Object System.Diagnostics.ProcessStartInfo
$start.FileName = $program
$start.Arguments = [string]$p.arguments
$start.UseShellExecute = $false
$start.CreateNoWindow = $true
$start.RedirectStandardInput = $true
$start.RedirectStandardOutput = $true
$start.RedirectStandardError = $true
# Without a window a program gets a console of its own, and that has the code page of the system.
$encoding = [Console]::OutputEncoding
$page = [Microsoft.Win32.Registry]::GetValue('HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\Nls\CodePage', 'OEMCP', $null)
if ($page) { $encoding = [System.Text.Encoding]::GetEncoding([int]$page) }
# Else .NET writes a byte order mark in front of the input where the code page is UTF-8.
try {
    if ([Console]::InputEncoding.GetPreamble().Length -gt 0) { [Console]::InputEncoding = $utf8 }
} catch {
    $null = $_
}
try {
    $process = [System.Diagnostics.Process]::Start($start)
} catch {
    Stop-Here ($program + ' cannot be started: ' + $_.Exception.Message) 126
}
# Both at the same time: a program that has filled the one would wait for ever while we read the other.
$printed = New-Object System.IO.MemoryStream
$complained = New-Object System.IO.MemoryStream
$reading = @($process.StandardOutput.BaseStream.CopyToAsync($printed), $process.StandardError.BaseStream.CopyToAsync($complained))
function Read-Text($memory) {
    $bytes = New-Object System.IO.MemoryStream (, $memory.ToArray())
    (New-Object System.IO.StreamReader $bytes, $encoding, $true).ReadToEnd()
}
try {
    if ($null -ne $p.input) { Write-Bytes $process.StandardInput.BaseStream ([string]$p.input) $utf8 }
    $process.StandardInput.Close()
} catch [System.IO.IOException] {
    # It did not want to read all of it.
    $rest = $null
}
$process.WaitForExit()
# What it left behind in the background may hold both open as long as it lives.
try {
    [void][System.Threading.Tasks.Task]::WaitAll([System.Threading.Tasks.Task[]]$reading, 2000)
} catch {
    $rest = $null
}
Write-Bytes ([Console]::OpenStandardOutput()) (Read-Text $printed) $utf8
Write-Bytes ([Console]::OpenStandardError()) (Read-Text $complained) $utf8
exit $process.ExitCode
