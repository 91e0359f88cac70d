# Rules of the packet filter in force.
if [ "$U" = 0 ]; then
if command -v nft >/dev/null; then
echo '#nft'
t nft list ruleset
elif command -v iptables >/dev/null; then
echo '#iptables'
t iptables -S
t ip6tables -S
elif [ "$K" = Darwin ]; then
echo '#pf'
t pfctl -s info
t pfctl -s rules
else
echo '#none'
fi
fi
