# Sockets that listen: state 0A of TCP, 07 of UDP.
t grep -sH -e ' 0A ' -e ' 07 ' /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
