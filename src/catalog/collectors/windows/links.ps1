# Network interfaces with addresses, name servers and counters, as .NET knows them.
$items = @([System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces() | ForEach-Object {
    $of = $_.GetIPProperties()
    $mtu = $null
    try { $mtu = $of.GetIPv4Properties().Mtu } catch { try { $mtu = $of.GetIPv6Properties().Mtu } catch { $mtu = $null } }
    $counted = $_.GetIPStatistics()
    [ordered]@{
        name = $_.Name; type = [int]$_.NetworkInterfaceType; state = [int]$_.OperationalStatus; mac = $_.GetPhysicalAddress().ToString(); mtu = $mtu
        addresses = @($of.UnicastAddresses | ForEach-Object { $_.Address.ToString() + '/' + $_.PrefixLength.ToString($inv) })
        servers = @($of.DnsAddresses | ForEach-Object { $_.ToString() })
        suffix = [string]$of.DnsSuffix
        received = $counted.BytesReceived; sent = $counted.BytesSent
        received_errors = $counted.IncomingPacketsWithErrors; sent_errors = $counted.OutgoingPacketsWithErrors
        received_dropped = $counted.IncomingPacketsDiscarded; sent_dropped = $counted.OutgoingPacketsDiscarded
    }
})
$tcp = 'SYSTEM\CurrentControlSet\Services\Tcpip\Parameters'
@{ items = $items; search = [string](Get-Registry $tcp 'SearchList'); domain = [string](Get-Registry $tcp 'Domain'); leased = [string](Get-Registry $tcp 'DhcpDomain') }
