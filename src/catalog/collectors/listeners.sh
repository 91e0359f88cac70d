# Sockets that listen. The kernel answers ss far more cheaply than it prints its tables: state 0A of TCP, 07 of UDP.
# The mark says that they came along with the connections.
{ [ -n "$A" ] && echo '#connections'; } || { command -v ss >/dev/null && t ss -Htuln; } ||
t grep -sH -e ' 0A ' -e ' 07 ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
