# Installed packages. Text databases are read as they are, which is ten times cheaper than asking their manager.
if [ -f /var/lib/dpkg/status ]; then
echo '#dpkg'
# Nearly every package has the same status: only others are sent.
t grep -E '^(Package|Version): |^Status: ([^i]|i[^n]|install ([^o]|ok [^i]))' /var/lib/dpkg/status
elif [ -f /lib/apk/db/installed ]; then
echo '#apk'
t grep '^[PV]:' /lib/apk/db/installed
elif [ -f /usr/lib/apk/db/installed ]; then
echo '#apk'
t grep '^[PV]:' /usr/lib/apk/db/installed
elif [ -d /var/lib/pacman/local ]; then
echo '#pacman'
printf '%s\n' /var/lib/pacman/local/*/desc
elif command -v rpm >/dev/null; then
echo '#rpm'
t rpm -qa --qf '%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n'
else
echo '#none'
fi
