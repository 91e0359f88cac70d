# TCP connections, at most 1000 or so. Where there are few, the sockets that listen come along and need no ss of their own.
A=
if command -v ss >/dev/null; then
n=
while read -r k w n rest; do [ "$k" = TCP: ] && break; done </proc/net/sockstat
if [ "${n:-1000}" -lt 1000 ]; then
t ss -Htun exclude time-wait exclude syn-recv && A=1
else
t ss -Htun | t head -n 1000
fi
else
t grep -sHm 1000 -E ' 0[1-689B] ' /proc/net/tcp /proc/net/tcp6
fi
