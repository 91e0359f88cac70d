# Network interfaces with addresses, name servers and counters, as .NET knows them.
$items = @([System.Net.NetworkInformation.NetworkInterface]::GetAllNetworkInterfaces() | ForEach-Object {
    $link = $_
    $of = $link.GetIPProperties()
    $mtu = $null
    try { $mtu = $of.GetIPv4Properties().Mtu } catch { try { $mtu = $of.GetIPv6Properties().Mtu } catch { $mtu = $null } }
    $counted = $link.GetIPStatistics()
    [ordered]@{
        name = $link.Name; type = [int]$link.NetworkInterfaceType; state = [int]$link.OperationalStatus; mac = $link.GetPhysicalAddress().ToString(); mtu = $mtu
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
