# How updates come: what a policy says, else what was set on the device.
$policy = 'SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate'
@{
    none = Get-Registry ($policy + '\AU') 'NoAutoUpdate'
    policy = Get-Registry ($policy + '\AU') 'AUOptions'
    own = Get-Registry 'SOFTWARE\Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update' 'AUOptions'
    wsus = Get-Registry ($policy + '\AU') 'UseWUServer'
    server = Get-Registry $policy 'WUServer'
    # Client, Server or Server Core: what happens where nobody has said anything is not the same.
    kind = [string](Get-Registry 'SOFTWARE\Microsoft\Windows NT\CurrentVersion' 'InstallationType')
    service = [string](Get-CimInstance -ClassName Win32_Service -Filter 'Name = "wuauserv"' -Property StartMode).StartMode
}
