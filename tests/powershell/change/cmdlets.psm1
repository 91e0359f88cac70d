# Cmdlets of Windows as far as our changing scripts call them. What is called is written down in $env:RMM_FAKE/calls, one line each;
# what a device has is kept beside it as JSON, so that all its processes see the same.
$ErrorActionPreference = 'Stop'
$root = $env:RMM_FAKE
$names = ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText((Join-Path $root 'names.json')))

function New-FakedBlock([string]$text) {
    foreach ($pair in $names) { $text = $text.Replace($pair[0], $pair[1]) }
    [System.Management.Automation.ScriptBlock]::Create($text)
}
function Write-Call([string]$name, $bound) {
    $given = [ordered]@{}
    foreach ($key in ($bound.Keys | Sort-Object)) {
        $value = $bound[$key]
        if ($value -is [switch]) { $value = [bool]$value }
        elseif ($value -is [datetime]) { $value = $value.ToString('HH:mm') }
        elseif ($key -eq 'InputObject') { $value = @($value | ForEach-Object { if ($_.Name) { $_.Name } else { [string]$_ } }) }
        $given[$key] = $value
    }
    $line = $name + ' ' + (ConvertTo-Json -Compress -Depth 4 -InputObject $given) + "`n"
    [System.IO.File]::AppendAllText((Join-Path $root 'calls'), $line)
}
function Read-State([string]$name) {
    $file = Join-Path $root ($name + '.json')
    if (-not (Microsoft.PowerShell.Management\Test-Path -LiteralPath $file)) { return }
    foreach ($one in (ConvertFrom-Json -InputObject ([System.IO.File]::ReadAllText($file)))) { $one }
}
function Write-State([string]$name, $list) {
    [System.IO.File]::WriteAllText((Join-Path $root ($name + '.json')), (ConvertTo-Json -Depth 8 -InputObject @($list)))
}
# As cmdlets do: what is not found is an error that ends a script whose preference is Stop.
function Write-Missing([string]$id, [string]$text, $cmdlet) {
    $record = New-Object System.Management.Automation.ErrorRecord (New-Object System.Exception $text), $id, 'ObjectNotFound', $null
    $cmdlet.WriteError($record)
}

# Registry as a drive.
function Get-FakedKey([string]$path) {
    if ($path -match '^(Microsoft\.PowerShell\.Core\\)?Registry::(.+)$') { return $Matches[2] }
    if ($path -match '^(HKLM|HKCU|HKU|HKCR):\\?(.*)$') {
        $long = @{ HKLM = 'HKEY_LOCAL_MACHINE'; HKCU = 'HKEY_CURRENT_USER'; HKU = 'HKEY_USERS'; HKCR = 'HKEY_CLASSES_ROOT' }
        return ($long[$Matches[1].ToUpperInvariant()] + '\' + $Matches[2]).TrimEnd('\')
    }
}
function Test-Path {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Path, [string]$LiteralPath, [string]$PathType)
    $key = Get-FakedKey ($Path + $LiteralPath)
    if ($key) { return $null -ne [Faked.Win32.Registry]::Open($key) }
    Microsoft.PowerShell.Management\Test-Path @PSBoundParameters
}
function Get-ItemProperty {
    [CmdletBinding()] param([Parameter(Position = 0)] [string[]]$Path, [string]$LiteralPath, [Parameter(Position = 1)] [string[]]$Name)
    $at = ([string]$Path) + $LiteralPath
    $key = Get-FakedKey $at
    if (-not $key) { return Microsoft.PowerShell.Management\Get-ItemProperty @PSBoundParameters }
    $open = [Faked.Win32.Registry]::Open($key)
    if ($null -eq $open) { Write-Missing 'PathNotFound,Microsoft.PowerShell.Commands.GetItemPropertyCommand' "Cannot find path '$at' because it does not exist." $PSCmdlet; return }
    $found = [ordered]@{}
    foreach ($one in $open.GetValueNames()) {
        if ($Name -and $Name -notcontains $one) { continue }
        $value = $open.GetValue($one)
        $found[$one] = $value
    }
    if ($Name -and $found.Count -eq 0) { Write-Missing 'System.Management.Automation.PSArgumentException,Microsoft.PowerShell.Commands.GetItemPropertyCommand' "Property $Name does not exist at path $at." $PSCmdlet; return }
    # Nothing at all for a key that has no values.
    if ($found.Count -gt 0) { [pscustomobject]$found }
}
function Set-ItemProperty {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath, [Parameter(Position = 1)] [string]$Name, [Parameter(Position = 2)] $Value, [string]$Type)
    $at = $Path + $LiteralPath
    Write-Call 'Set-ItemProperty' $PSBoundParameters
    $open = [Faked.Win32.Registry]::Open((Get-FakedKey $at))
    if ($null -eq $open) { Write-Missing 'PathNotFound' "Cannot find path '$at' because it does not exist." $PSCmdlet; return }
    $kind = [Faked.Win32.RegistryValueKind]::Unknown
    if ($Type) { $kind = [Faked.Win32.RegistryValueKind]$Type }
    if ($kind -eq 'DWord') { $Value = [int]$Value }
    $open.SetValue($Name, $Value, $kind)
}
function Get-ChildItem {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath, [string]$Filter, [switch]$File, [switch]$Directory, [switch]$Force, [switch]$Recurse)
    $key = Get-FakedKey ($Path + $LiteralPath)
    if (-not $key) { return Microsoft.PowerShell.Management\Get-ChildItem @PSBoundParameters }
    $open = [Faked.Win32.Registry]::Open($key)
    if ($null -eq $open) { Write-Missing 'PathNotFound' "Cannot find path '$Path$LiteralPath' because it does not exist." $PSCmdlet; return }
    foreach ($name in $open.GetSubKeyNames()) { $open.OpenSubKey($name) }
}
function Get-Acl {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath)
    [Faked.Access.DirectorySecurity]::Of($Path + $LiteralPath)
}
function Set-Acl {
    [CmdletBinding()] param([Parameter(Position = 0)] [string]$Path, [string]$LiteralPath, $AclObject)
    if ($env:RMM_FAKE_ACL -eq 'denied') { throw (New-Object System.UnauthorizedAccessException 'Attempted to perform an unauthorized operation.') }
    $AclObject.Keep($Path + $LiteralPath)
}

# COM.
function New-Object {
    [CmdletBinding(DefaultParameterSetName = 'Net')]
    param([Parameter(Position = 0, ParameterSetName = 'Net')] [string]$TypeName, [Parameter(Position = 1, ParameterSetName = 'Net')] [object[]]$ArgumentList,
        [Parameter(ParameterSetName = 'Com')] [string]$ComObject, [System.Collections.IDictionary]$Property)
    if ($ComObject) { $made = New-FakedCom $ComObject } else { $made = Microsoft.PowerShell.Utility\New-Object @PSBoundParameters }
    # A collection stays whole.
    $PSCmdlet.WriteObject($made, $false)
}
. (Join-Path $PSScriptRoot 'updates.ps1')
. (Join-Path $PSScriptRoot 'tasks.ps1')
. (Join-Path $PSScriptRoot 'system.ps1')
. (Join-Path $PSScriptRoot 'settings.ps1')
Export-ModuleMember -Function *
