# systemd is asked where it runs; the last mark says that it answered everything. Elsewhere: OpenRC's own links, or unit files and init scripts with the process table.
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null; then
echo '#systemd-files'
t systemctl list-unit-files --type=service --no-legend --no-pager --full &&
echo '#systemd-units' &&
t systemctl list-units --type=service --all --no-legend --no-pager --plain --full &&
echo '#systemd-end'
elif [ -d /run/openrc ] || [ -d /lib/rc/init.d/started ]; then
echo '#openrc'
printf '%s\n' /etc/init.d/* /etc/runlevels/*/* /run/openrc/started/* /run/openrc/failed/* /lib/rc/init.d/started/* /lib/rc/init.d/failed/*
elif [ "$K" = Darwin ]; then
echo '#launchd'
t launchctl list
else
echo '#files'
for f in /etc/systemd/system/*.service; do
[ -c "$f" ] && printf 'masked %s\n' "$f"
done
for f in /etc/systemd/system/*.wants/*.service /etc/systemd/system/*.requires/*.service; do
[ -L "$f" ] && printf 'wanted %s\n' "$f"
done
for f in /etc/init.d/* /etc/rc.d/init.d/*; do
[ -f "$f" ] && [ -x "$f" ] && printf 'script %s\n' "$f"
done
for f in /etc/rc[2345].d/S* /etc/rc.d/rc[2345].d/S* /etc/runlevels/*/*; do
[ -L "$f" ] && printf 'start %s\n' "$f"
done
d=/usr/lib/systemd/system
set -- /etc/systemd/system/*.service "$d"/*.service
[ -L /lib ] || set -- "$@" /lib/systemd/system/*.service
t grep -sHE '^(ExecStart=|PIDFile=|Type=|\[)' "$@"
fi
:
