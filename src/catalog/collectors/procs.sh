# Names of processes by id. Where systemd runs it knows better, and the table is not read.
[ -d /run/systemd/system ] || t grep -sH '' /proc/[0-9]*/comm
