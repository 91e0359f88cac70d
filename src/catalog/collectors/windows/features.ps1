# Optional features by the names of DISM, and on servers the roles: a workstation may have the command, and no roles.
$roles = @()
$kind = [string](Get-Registry 'SOFTWARE\Microsoft\Windows NT\CurrentVersion' 'InstallationType')
if ($kind -like 'Server*' -and $null -ne (Get-Command -Name Get-WindowsFeature -ErrorAction SilentlyContinue)) {
    # Functions of modules do not see how errors are dealt with outside of them.
    $roles = @(Get-WindowsFeature -ErrorAction Stop | ForEach-Object { [ordered]@{ name = [string]$_.Name; state = [string]$_.InstallState } })
}
@{
    features = @(Get-CimInstance -ClassName Win32_OptionalFeature -Property Name, InstallState | Select-Members 'Name', 'InstallState')
    roles = $roles
}
