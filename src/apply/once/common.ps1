# Where receipts are ($root): for the system and administrators alone. A claim is a file named after its key: hash of the
# operation, folder of its work, number and start of the process that does it. It is moved there whole, which only one can do.
$utf8 = New-Object System.Text.UTF8Encoding $false
$stdout = [Console]::OpenStandardOutput()
function Join-Name([string]$one, [string]$two) { [System.IO.Path]::Combine($one, $two) }
function Send-Bytes([byte[]]$bytes) { $stdout.Write($bytes, 0, $bytes.Length) }
function Send-State([string]$state, [int]$code, [long]$out, [long]$err) {
    Send-Bytes $utf8.GetBytes(('rmm-once {0} {1} {2} {3}' -f $state, $code, $out, $err) + "`n")
}
function Stop-Unsafe([string]$why) {
    Send-State 'unsafe' 0 0 0
    $bytes = $utf8.GetBytes($why)
    $stderr = [Console]::OpenStandardError()
    $stderr.Write($bytes, 0, $bytes.Length)
    exit 0
}
function Protect-Folder([string]$folder) {
    $system = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-18'
    $admins = New-Object System.Security.Principal.SecurityIdentifier 'S-1-5-32-544'
    $me = [System.Security.Principal.WindowsIdentity]::GetCurrent().User
    try {
        [void][System.IO.Directory]::CreateDirectory($folder)
    } catch {
        Stop-Unsafe ($folder + ' cannot be made: ' + $_.Exception.Message)
    }
    $item = Get-Item -LiteralPath $folder -Force
    if (($item.Attributes -band [System.IO.FileAttributes]::ReparsePoint) -ne 0) { Stop-Unsafe ($folder + ' is a link') }
    $acl = Get-Acl -LiteralPath $folder
    $owner = $acl.GetOwner([System.Security.Principal.SecurityIdentifier])
    # Somebody else may have prepared it, and could change it again.
    if (@($system, $admins, $me) -notcontains $owner) { Stop-Unsafe ($folder + ' belongs to ' + $owner.Value) }
    $rules = $acl.GetAccessRules($true, $true, [System.Security.Principal.SecurityIdentifier])
    $others = @($rules | Where-Object { @($system, $admins) -notcontains $_.IdentityReference })
    if ($acl.AreAccessRulesProtected -and $others.Count -eq 0) { return }
    $only = New-Object System.Security.AccessControl.DirectorySecurity
    $only.SetAccessRuleProtection($true, $false)
    foreach ($who in $system, $admins) {
        $only.AddAccessRule((New-Object System.Security.AccessControl.FileSystemAccessRule $who, 'FullControl', 'ContainerInherit, ObjectInherit', 'None', 'Allow'))
    }
    try {
        $only.SetOwner($admins)
        Set-Acl -LiteralPath $folder -AclObject $only
    } catch {
        Stop-Unsafe ($folder + ' cannot be kept from others: ' + $_.Exception.Message)
    }
}
function Read-Claim([string]$file) {
    if (-not [System.IO.File]::Exists($file)) { return }
    $lines = [System.IO.File]::ReadAllLines($file)
    if ($lines.Length -ge 4) {
        @{ hash = $lines[0]; folder = (Join-Name $root $lines[1]); process = [int]$lines[2]; started = [long]$lines[3] }
    } else {
        @{ hash = 'cut'; folder = ''; process = 0; started = 0 }
    }
}
function Test-Alive($claim) {
    try {
        $process = [System.Diagnostics.Process]::GetProcessById($claim.process)
        $process.StartTime.ToUniversalTime().Ticks -eq $claim.started
    } catch {
        $false
    }
}
# Only administrators can make folders here: nobody else can have prepared one.
$root = Join-Name ([Environment]::GetFolderPath('ProgramFiles')) 'rmm-once'
Protect-Folder $root
$root = Join-Name $root 'receipts'
Protect-Folder $root
$file = Join-Name $root ([string]$p.key)
