# Whether somebody waits for a restart.
function Test-Key([string]$path) {
    $key = $machine.OpenSubKey($path)
    if ($null -eq $key) { return $false }
    $key.Dispose()
    $true
}
$control = 'SYSTEM\CurrentControlSet\Control\'
$manager = $null
try {
    $manager = [bool](Invoke-CimMethod -Namespace root/ccm/ClientSDK -ClassName CCM_ClientUtilities -MethodName DetermineIfRebootPending).RebootPending
} catch {
    $manager = $null
}
@{
    servicing = Test-Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending'
    update = Test-Key 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired'
    renames = @(Get-Registry ($control + 'Session Manager') 'PendingFileRenameOperations' | Where-Object { $_ }).Count
    active = [string](Get-Registry ($control + 'ComputerName\ActiveComputerName') 'ComputerName')
    wanted = [string](Get-Registry ($control + 'ComputerName\ComputerName') 'ComputerName')
    joining = ($null -ne (Get-Registry 'SYSTEM\CurrentControlSet\Services\Netlogon' 'JoinDomain'))
    manager = $manager
}
