# Runs the parts of an observation side by side, each with a time limit of its own, and prints one line a part. In $p:
#   nonce   stands before every line;  most  parts at the same time;  seconds  for everything together
#   frame   the script around each part;  parts  name, script, seconds, asked (what a probe is asked for)
# A part that hangs is left behind in its runspace, and the others go on in others.
$clock = [System.Diagnostics.Stopwatch]::StartNew()
$utf8 = New-Object System.Text.UTF8Encoding $false
$out = [Console]::OpenStandardOutput()

# On a line of its own, whatever something else has printed before it.
function Send-Line([string]$text) {
    $bytes = $utf8.GetBytes("`n@" + $p.nonce + ' ' + $text + "`n")
    $out.Write($bytes, 0, $bytes.Length)
    $out.Flush()
}

# Without modules: those that are needed load themselves.
function New-Room {
    $state = [System.Management.Automation.Runspaces.InitialSessionState]::CreateDefault2()
    $room = [System.Management.Automation.Runspaces.RunspaceFactory]::CreateRunspace($state)
    $room.Open()
    $room
}

$me = New-Object System.Security.Principal.WindowsPrincipal ([System.Security.Principal.WindowsIdentity]::GetCurrent())
$about = [ordered]@{
    version = $PSVersionTable.PSVersion.ToString()
    admin = $me.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}
Send-Line (ConvertTo-Json -InputObject ([ordered]@{ s = 'host'; d = $about }) -Compress)

$waiting = New-Object System.Collections.Queue
foreach ($part in $p.parts) { $waiting.Enqueue($part) }
$free = New-Object System.Collections.Stack
$busy = New-Object System.Collections.ArrayList
$hung = 0
while ($waiting.Count -gt 0 -or $busy.Count -gt 0) {
    if ($clock.Elapsed.TotalSeconds -ge [int]$p.seconds) { break }
    while ($waiting.Count -gt 0 -and $busy.Count -lt [int]$p.most) {
        $part = $waiting.Dequeue()
        if ($free.Count -gt 0) { $room = $free.Pop() } else { $room = New-Room }
        $shell = [System.Management.Automation.PowerShell]::Create()
        $shell.Runspace = $room
        [void]$shell.AddScript([string]$p.frame, $true)
        [void]$shell.AddArgument([string]$part.name)
        [void]$shell.AddArgument([string]$part.script)
        [void]$shell.AddArgument($part.asked)
        $until = $clock.Elapsed.TotalSeconds + [int]$part.seconds
        [void]$busy.Add(@{ name = $part.name; shell = $shell; room = $room; work = $shell.BeginInvoke(); until = $until })
    }
    $handles = @($busy | ForEach-Object { $_.work.AsyncWaitHandle })
    [void][System.Threading.WaitHandle]::WaitAny([System.Threading.WaitHandle[]]$handles, 250)
    foreach ($one in @($busy)) {
        if ($one.work.IsCompleted) {
            try {
                $said = @($one.shell.EndInvoke($one.work))
                if ($said.Count -eq 1) { Send-Line ([string]$said[0]) }
            } catch {
                Send-Line (ConvertTo-Json -InputObject ([ordered]@{ s = $one.name; error = [string]$_.Exception.Message }) -Compress)
            }
            $one.shell.Dispose()
            $free.Push($one.room)
            $busy.Remove($one)
        } elseif ($clock.Elapsed.TotalSeconds -ge $one.until) {
            # Asked to stop, and not waited for: what hangs outside of PowerShell does not hear it.
            [void]$one.shell.BeginStop($null, $null)
            Send-Line (ConvertTo-Json -InputObject ([ordered]@{ s = $one.name; timeout = $true }) -Compress)
            $busy.Remove($one)
            $hung = $hung + 1
        }
    }
}
foreach ($one in @($busy) + @($waiting.ToArray())) {
    Send-Line (ConvertTo-Json -InputObject ([ordered]@{ s = $one.name; timeout = $true }) -Compress)
}
Send-Line 'done'
# Runspaces that hang would keep the process from ending.
if ($hung -gt 0 -or $busy.Count -gt 0) { [Environment]::Exit(0) }
foreach ($room in @($free.ToArray())) { $room.Dispose() }
