# TCP connections, at most 1000 or so.
if command -v ss >/dev/null; then
t ss -Htun | t head -n 1000
else
t grep -sHm 1000 -E ' 0[1-689B] ' /proc/net/tcp /proc/net/tcp6
fi
