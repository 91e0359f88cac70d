# Records of the Windows event log after a place, the oldest first, one JSON object a line; before those of each log a line
# with its newest and its oldest record, and behind them one that says that these were all, or that there are more. What is asked for
# stands in $p:
#   logs      name, and number and time of the last record that was read; without these nothing but the place is told
#   levels    levels that count;  failures  whether audit failures do
#   most      records of one log; bytes     of one log;  seconds  for one log;  longest  characters of a message
# Reads only. Works from Windows PowerShell 5.1 on. Not with Get-WinEvent: to it a record whose text cannot be put together is an error,
# and nothing behind that record would ever be read.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$utf8 = New-Object System.Text.UTF8Encoding $false
# Of its own: without a console the encoding of [Console]::Out cannot be chosen.
$out = New-Object System.IO.StreamWriter ([Console]::OpenStandardOutput()), $utf8
$inv = [System.Globalization.CultureInfo]::InvariantCulture
$thread = [System.Threading.Thread]::CurrentThread
# Texts are looked up in the language of the formats, and Windows may have none in that one.
$cultures = @($thread.CurrentCulture, $thread.CurrentUICulture, [System.Globalization.CultureInfo]::GetCultureInfo('en-US'))

# Answers how many bytes it took.
function Write-Line($value) {
    $text = (ConvertTo-Json -InputObject $value -Compress -Depth 3) + "`n"
    $out.Write($text)
    $utf8.GetByteCount($text)
}

# Milliseconds since 1970.
function Get-Moment($time) {
    ([DateTimeOffset]$time.ToUniversalTime()).ToUnixTimeMilliseconds()
}

function Open-Log([string]$name, [string]$filter, [bool]$last) {
    $query = New-Object System.Diagnostics.Eventing.Reader.EventLogQuery $name, ([System.Diagnostics.Eventing.Reader.PathType]::LogName), $filter
    $query.ReverseDirection = $last
    New-Object System.Diagnostics.Eventing.Reader.EventLogReader $query
}

# The first or the last record that fits; nothing where there is none.
function Get-Place([string]$name, [string]$filter, [bool]$last) {
    $reader = Open-Log $name $filter $last
    try {
        $reader.BatchSize = 1
        $record = $reader.ReadEvent()
        if ($null -ne $record) {
            @{ number = $record.RecordId; at = (Get-Moment $record.TimeCreated) }
            $record.Dispose()
        }
    } finally {
        $reader.Dispose()
    }
}

# The texts of a provider that was removed are gone, and some cannot be put together; the values are there all the same.
function Get-Text($record) {
    $text = $null
    foreach ($culture in $cultures) {
        if ($text) { break }
        try {
            $thread.CurrentCulture = $culture
            $text = $record.FormatDescription()
        } catch {
            $text = $null
        }
    }
    $thread.CurrentCulture = $cultures[0]
    if (-not $text) { $text = @(foreach ($one in $record.Properties) { [string]$one.Value }) -join ' ' }
    if ($text.Length -gt [int]$p.longest) { $text = $text.Substring(0, [int]$p.longest) }
    $text
}

function Get-Word($record, [string]$name) {
    try { [string]$record.$name } catch { '' }
}

function Get-Fields($record) {
    $keywords = if ($null -eq $record.Keywords) { '0' } else { ([long]$record.Keywords).ToString('x', $inv) }
    [ordered]@{
        RecordId = $record.RecordId; Id = $record.Id; Level = $record.Level; LevelDisplayName = Get-Word $record 'LevelDisplayName'
        Keywords = $keywords; ProviderName = $record.ProviderName; MachineName = $record.MachineName
        TaskDisplayName = Get-Word $record 'TaskDisplayName'; TimeCreated = $record.TimeCreated.ToUniversalTime().ToString('o', $inv)
        Message = [string](Get-Text $record)
    }
}

$which = @($p.levels | ForEach-Object { 'Level=' + ([int]$_).ToString($inv) })
# The bit of the keyword 'Audit Failure'.
if ($p.failures) { $which += 'band(Keywords,4503599627370496)' }
$which = $which -join ' or '

foreach ($log in $p.logs) {
    try {
        $newest = Get-Place $log.name '*' $true
        $oldest = Get-Place $log.name '*' $false
        $known = $null
        $after = [long]0
        if ($null -ne $log.number -and $null -ne $newest) {
            $after = [long]$log.number
            # Cleared meanwhile: its numbers have begun anew. Not so where the record itself is still there: the clock was another one.
            if ($newest.number -lt $after -or ($oldest.number -le $after -and $oldest.at -gt [long]$log.at)) {
                $known = Get-Place $log.name ('*[System[(EventRecordID=' + $after.ToString($inv) + ')]]') $false
                if ($null -eq $known -or $known.at -ne [long]$log.at) { $after = [long]0 }
            }
        }
        [void](Write-Line @{ log = $log.name; newest = $newest; oldest = $oldest; known = $known })
        if ($null -eq $log.number -or $null -eq $newest) { continue }
        $filter = '*[System[(EventRecordID>' + $after.ToString($inv) + ') and (' + $which + ')]]'
        $watch = [System.Diagnostics.Stopwatch]::StartNew()
        $count = 0
        $sent = 0
        $more = $false
        $reader = Open-Log $log.name $filter $false
        try {
            while ($true) {
                $record = $reader.ReadEvent()
                if ($null -eq $record) { break }
                if ($count -ge [int]$p.most -or $sent -ge [int]$p.bytes -or ($count -gt 0 -and $watch.Elapsed.TotalSeconds -ge [int]$p.seconds)) {
                    $more = $true
                    break
                }
                $count = $count + 1
                # One that cannot be read does not keep those behind it from being read.
                try { $fields = Get-Fields $record } catch { $fields = $null }
                $record.Dispose()
                if ($null -ne $fields) { $sent = $sent + (Write-Line $fields) }
            }
        } finally {
            $reader.Dispose()
        }
        if ($more) { [void](Write-Line @{ log = $log.name; more = $true }) } else { [void](Write-Line @{ log = $log.name; done = $true }) }
    } catch {
        [void](Write-Line @{ log = $log.name; problem = [string]$_.Exception.GetBaseException().Message })
    }
}
$out.Flush()
