# Records of the Windows event log after a place, the oldest first, one JSON object a line; before those of each log a line
# with its newest and its oldest record, and behind them one that says that these were all. What is asked for stands in $p:
#   logs      name, and number and time of the last record that was read; without these nothing but the place is told
#   levels    levels that count;  failures  whether audit failures do
#   most      records of one log; longest   characters of a message
# Reads only. Works from Windows PowerShell 5.1 on.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# Of its own: without a console the encoding of [Console]::Out cannot be chosen.
$out = New-Object System.IO.StreamWriter ([Console]::OpenStandardOutput()), (New-Object System.Text.UTF8Encoding $false)
$inv = [System.Globalization.CultureInfo]::InvariantCulture

function Write-Line($value) {
    $out.Write((ConvertTo-Json -InputObject $value -Compress -Depth 3) + "`n")
}

# Milliseconds since 1970.
function Get-Moment($time) {
    ([DateTimeOffset]$time.ToUniversalTime()).ToUnixTimeMilliseconds()
}

# The first or the last record of a log; nothing where it is empty.
function Get-Place($name, [bool]$oldest) {
    try {
        $found = Get-WinEvent -LogName $name -MaxEvents 1 -Oldest:$oldest
        @{ number = $found.RecordId; at = (Get-Moment $found.TimeCreated) }
    } catch {
        if ($_.FullyQualifiedErrorId -notlike 'NoMatchingEventsFound*') { throw }
    }
}

$which = @($p.levels | ForEach-Object { 'Level=' + ([int]$_).ToString($inv) })
# The bit of the keyword 'Audit Failure'.
if ($p.failures) { $which += 'band(Keywords,4503599627370496)' }
$which = $which -join ' or '

foreach ($log in $p.logs) {
    try {
        $newest = Get-Place $log.name $false
        $oldest = Get-Place $log.name $true
        Write-Line @{ log = $log.name; newest = $newest; oldest = $oldest }
        if ($null -eq $log.number -or $null -eq $newest) { continue }
        $after = [long]$log.number
        # Cleared meanwhile: its numbers have begun anew.
        if ($newest.number -lt $after -or ($oldest.number -le $after -and $oldest.at -gt [long]$log.at)) { $after = 0 }
        $filter = '*[System[(EventRecordID>' + $after.ToString($inv) + ') and (' + $which + ')]]'
        Get-WinEvent -LogName $log.name -FilterXPath $filter -MaxEvents ([int]$p.most) -Oldest | ForEach-Object {
            $text = $_.Message
            # The texts of a provider that was removed are gone; its values are not.
            if (-not $text) { $text = ($_.Properties | ForEach-Object { [string]$_.Value }) -join ' ' }
            if ($text.Length -gt [int]$p.longest) { $text = $text.Substring(0, [int]$p.longest) }
            $keywords = if ($null -eq $_.Keywords) { '0' } else { ([long]$_.Keywords).ToString('x', $inv) }
            Write-Line ([ordered]@{
                RecordId = $_.RecordId; Id = $_.Id; Level = $_.Level; LevelDisplayName = [string]$_.LevelDisplayName
                Keywords = $keywords; ProviderName = $_.ProviderName; MachineName = $_.MachineName
                TaskDisplayName = [string]$_.TaskDisplayName; TimeCreated = $_.TimeCreated.ToUniversalTime().ToString('o', $inv)
                Message = $text
            })
        }
        Write-Line @{ log = $log.name; done = $true }
    } catch {
        if ($_.FullyQualifiedErrorId -like 'NoMatchingEventsFound*') {
            Write-Line @{ log = $log.name; done = $true }
        } else {
            Write-Line @{ log = $log.name; problem = [string]$_.Exception.Message }
        }
    }
}
$out.Flush()
