# Sockets and who holds them.
$names = @{}
foreach ($one in [System.Diagnostics.Process]::GetProcesses()) { $names[$one.Id] = $one.ProcessName }
$tcp = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetTCPConnection -Property LocalAddress, LocalPort, RemoteAddress, RemotePort, State, OwningProcess |
    Select-Object -First 5000 | ForEach-Object {
        , @($_.LocalAddress, $_.LocalPort, $_.RemoteAddress, $_.RemotePort, [int]$_.State, $names[[int]$_.OwningProcess])
    })
$udp = @(Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetUDPEndpoint -Property LocalAddress, LocalPort, OwningProcess |
    Select-Object -First 5000 | ForEach-Object { , @($_.LocalAddress, $_.LocalPort, $names[[int]$_.OwningProcess]) })
@{ tcp = $tcp; udp = $udp }
