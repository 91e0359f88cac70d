# Hands a script on to PowerShell 7, which is started with the line that started this one, and answers in its place. In $p: job, what
# that line reads.
$start = New-Object System.Diagnostics.ProcessStartInfo
$start.FileName = [System.IO.Path]::Combine([Environment]::GetFolderPath('ProgramFiles'), 'PowerShell\7\pwsh.exe')
if (-not [System.IO.File]::Exists($start.FileName)) {
    $start.FileName = [string]@(Get-Command -Name pwsh.exe -CommandType Application -ErrorAction SilentlyContinue)[0].Path
}
if (-not $start.FileName) { throw 'the script requires PowerShell 7, which is not installed here' }
$start.Arguments = '-NoProfile -NonInteractive -ExecutionPolicy Bypass -EncodedCommand ' + [Environment]::CommandLine.TrimEnd().Split(' ')[-1]
$start.UseShellExecute = $false
$start.RedirectStandardInput = $true
# Colours are for people.
$start.EnvironmentVariables['NO_COLOR'] = '1'
# Output and errors are those of this process: nothing is read, and nothing is changed on the way.
$process = [System.Diagnostics.Process]::Start($start)
try {
    $process.StandardInput.Write([string]$p.job)
    $process.StandardInput.Close()
} catch [System.IO.IOException] {
    # It has ended without reading: its code says more than that.
    $rest = $null
}
$process.WaitForExit()
exit $process.ExitCode
