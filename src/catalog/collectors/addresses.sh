# Addresses of the network interfaces.
if command -v ip >/dev/null; then
t ip -o addr show
else
t ifconfig -a
fi
