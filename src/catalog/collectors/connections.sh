# TCP connections, at most 1000 of each family.
t grep -sHm 1000 -E ' 0[1-689B] ' /proc/net/tcp /proc/net/tcp6
