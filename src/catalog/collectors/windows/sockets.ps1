# Sockets and who holds them. Listening ones all, so that many connections hide none; of the others the first ones. From port 49152 on
# UDP is nobody's service: a name server alone holds thousands of them.
$names = @{}
foreach ($one in [System.Diagnostics.Process]::GetProcesses()) { $names[$one.Id] = $one.ProcessName }
$others = 0
$tcp = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetTCPConnection -Property LocalAddress, LocalPort, RemoteAddress, RemotePort, State, OwningProcess |
    ForEach-Object {
        if ([int]$_.State -ne 2) { $others = $others + 1 }
        if ([int]$_.State -eq 2 -or $others -le 2000) {
            , @($_.LocalAddress, $_.LocalPort, $_.RemoteAddress, $_.RemotePort, [int]$_.State, $names[[int]$_.OwningProcess])
        }
    })
$udp = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetUDPEndpoint -Property LocalAddress, LocalPort, OwningProcess |
    Where-Object { [int]$_.LocalPort -lt 49152 } |
    ForEach-Object { , @($_.LocalAddress, $_.LocalPort, $names[[int]$_.OwningProcess]) })
@{ tcp = $tcp; udp = $udp }
