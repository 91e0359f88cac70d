# The effective configuration of the SSH server. Without root, or where it refuses, its files are read.
# It loads its host keys first, and the RSA key costs more than all the rest: one key is enough for it to answer. The mark
# says which, since it then stands in the answer whether it is configured or not.
k=/etc/ssh/ssh_host_ed25519_key
if [ "$U" = 0 ] && command -v sshd >/dev/null; then
{ [ -r "$k" ] && t sshd -T -h "$k" && echo "#key $k"; } || t sshd -T
else
false
fi
