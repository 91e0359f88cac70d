# The time service. What w32tm says is translated; the numbers of its first six lines are not: leap indicator, stratum, precision, two
# delays, and what the clock refers to.
$parameters = 'SYSTEM\CurrentControlSet\Services\W32Time\Parameters'
$policy = 'SOFTWARE\Policies\Microsoft\W32Time\Parameters'
$type = Get-Registry $policy 'Type'
if ($null -eq $type) { $type = Get-Registry $parameters 'Type' }
$servers = Get-Registry $policy 'NtpServer'
if ($null -eq $servers) { $servers = Get-Registry $parameters 'NtpServer' }
$service = Get-CimInstance -ClassName Win32_Service -Filter 'Name = "W32Time"' -Property State, StartMode | Select-Members 'State', 'StartMode'
$lines = @()
$code = $null
if ($service.State -eq 'Running') {
    # To its end: a program whose output is cut short leaves no exit code.
    $done = Invoke-Program 'w32tm.exe' '/query', '/status'
    $code = $done.code
    $lines = @($done.lines | Select-Object -First 6)
}
@{ type = $type; servers = $servers; service = $service; lines = $lines; code = $code }
