# The effective configuration of the SSH server. Without root, or where it refuses, its files are read.
[ "$U" = 0 ] && command -v sshd >/dev/null && t "$(command -v sshd)" -T
