# Around each part: what parts share, and its answer as one line of JSON.
#   name  of the part;  script  its text, which gives one object;  asked  what a probe is asked for
param([string]$name, [string]$script, $asked)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$PSDefaultParameterValues = @{ 'Get-CimInstance:OperationTimeoutSec' = 30; 'Invoke-CimMethod:OperationTimeoutSec' = 30 }
$inv = [System.Globalization.CultureInfo]::InvariantCulture
# What 32-bit programs see is another registry.
$machine = [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]::LocalMachine, [Microsoft.Win32.RegistryView]::Registry64)

# A moment in UTC, to the second; nothing where there is none.
function Format-Moment($time) {
    if ($null -ne $time) { ([datetime]$time).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ', $inv) }
}

# These members of each object, moments as text.
filter Select-Members([string[]]$names) {
    $picked = [ordered]@{}
    foreach ($one in $names) {
        $value = $_.$one
        if ($value -is [datetime]) { $value = Format-Moment $value }
        $picked[$one] = $value
    }
    $picked
}

# A value below HKLM as it is kept; nothing where there is none.
function Get-Registry([string]$path, [string]$value) {
    $key = $machine.OpenSubKey($path)
    if ($null -eq $key) { return }
    try {
        $key.GetValue($value, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    } finally {
        $key.Dispose()
    }
}

# A value of a key as it is told everywhere: whether there is one, its kind, and what it is.
$words = @{ DWord = 'dword'; QWord = 'qword'; String = 'string'; ExpandString = 'expandString'; MultiString = 'multiString'; Binary = 'binary' }
function Read-Value($key, [string]$name) {
    $told = [ordered]@{ exists = $false; kind = $null; value = $null }
    # Of the default value only GetValue tells whether there is one.
    $value = $key.GetValue($name, $null, [Microsoft.Win32.RegistryValueOptions]::DoNotExpandEnvironmentNames)
    if ($null -eq $value) { return $told }
    $kind = [string]$key.GetValueKind($name)
    $told['exists'] = $true
    $told['kind'] = 'none'
    if ($words.ContainsKey($kind)) { $told['kind'] = $words[$kind] }
    # Numbers have no sign in the registry.
    if ($kind -eq 'DWord') { $value = [BitConverter]::ToUInt32([BitConverter]::GetBytes([int]$value), 0) }
    if ($kind -eq 'QWord') { $value = [BitConverter]::ToUInt64([BitConverter]::GetBytes([long]$value), 0) }
    if ($value -is [byte[]]) {
        if ($value.Length -gt 65536) { throw 'longer than 64 KiB' }
        $value = [BitConverter]::ToString($value).Replace('-', '')
    }
    if ($kind -eq 'MultiString') { $value = @($value) }
    $told['value'] = $value
    $told
}

# A key by its whole name; nothing where there is none.
$hives = @{ HKLM = 'LocalMachine'; HKU = 'Users'; HKCR = 'ClassesRoot'; HKCC = 'CurrentConfig' }
function Open-Key([string]$whole) {
    $hive, $path = $whole.Split([char[]]'\', 2)
    [Microsoft.Win32.RegistryKey]::OpenBaseKey([Microsoft.Win32.RegistryHive]$hives[$hive], [Microsoft.Win32.RegistryView]::Registry64).OpenSubKey($path)
}

# Ends the part: this device does not have it.
function Stop-Unsupported([string]$why) {
    throw ('rmm-unsupported ' + $why)
}

# A folder of one's own, for programs that write files only.
function New-Folder {
    $folder = [System.IO.Path]::Combine([System.IO.Path]::GetTempPath(), 'rmm-' + [guid]::NewGuid().ToString('n'))
    [System.IO.Directory]::CreateDirectory($folder).FullName
}

# Whether a class or its namespace is not there: another thing than one that does not answer.
function Test-Absent($problem) {
    $number = ''
    if ($null -ne $problem.Exception.PSObject.Properties['NativeErrorCode']) { $number = [string]$problem.Exception.NativeErrorCode }
    (@('InvalidNamespace', 'InvalidClass') -contains $number) -or ([string]$problem.FullyQualifiedErrorId -match '0x8004100e|0x80041010')
}

# Parts whose classes not every Windows has. Where those of the others are not there, Windows is damaged.
$rare = @('bitlocker', 'gpu-use', 'monitors', 'tpm')

# Runs a program of Windows: what it prints by line, what it says of errors, and how it ends. Here each of its errors would be one of PowerShell
# too, and end the part before any of that is known.
function Invoke-Program([string]$program, [string[]]$words) {
    $ErrorActionPreference = 'Continue'
    $all = @(& ([Environment]::SystemDirectory + '\' + $program) $words 2>&1)
    $code = $LASTEXITCODE
    @{
        code = $code
        lines = @($all | Where-Object { $_ -isnot [System.Management.Automation.ErrorRecord] } | ForEach-Object { [string]$_ })
        errors = [string](@($all | Where-Object { $_ -is [System.Management.Automation.ErrorRecord] } | ForEach-Object { [string]$_ }) -join ' ')
    }
}

try {
    $answer = & ([ScriptBlock]::Create($script))
    ConvertTo-Json -InputObject ([ordered]@{ s = $name; d = $answer }) -Compress -Depth 8
} catch {
    # What a method says, without PowerShell's words around it.
    $why = [string]$_.Exception.GetBaseException().Message
    $id = [string]$_.FullyQualifiedErrorId
    $native = ''
    if ($null -ne $_.Exception.PSObject.Properties['NativeErrorCode']) { $native = [string]$_.Exception.NativeErrorCode }
    $kind = 'error'
    if ($why.StartsWith('rmm-unsupported ')) {
        $kind = 'unsupported'
        $why = $why.Substring(16)
    } elseif ($_.Exception -is [System.Management.Automation.CommandNotFoundException] -and $id -notlike 'CouldNotAuto*') {
        # A command that is there, in a module that cannot be loaded, is not absent.
        $kind = 'unsupported'
    } elseif ($native -eq 'NotSupported' -or $id -match '0x8004100c' -or ($rare -contains $name -and (Test-Absent $_))) {
        $kind = 'unsupported'
    }
    if ($why.Length -gt 300) { $why = $why.Substring(0, 300) }
    ConvertTo-Json -InputObject ([ordered]@{ s = $name; $kind = $why }) -Compress
}
