# Pending updates, from the lists that the device has fetched: no network is used. The first line says which manager answers,
# lines =at when the lists were fetched, in seconds since 1970, lines =lock what the device holds back. The command whose exit code
# counts comes last.
if command -v apt-get >/dev/null; then
echo '#apt'
set -- /var/lib/apt/lists/*_Packages*
if [ -e "$1" ]; then
t stat -c '=at %Y' /var/lib/apt/lists/partial /var/lib/apt/periodic/update-success-stamp
t apt list --upgradable
else
echo '=never'
fi
elif command -v dnf >/dev/null; then
echo '#dnf'
t stat -c '=at %Y' /var/cache/dnf/*/repodata /var/cache/libdnf5/*/repodata
t dnf -C -q updateinfo list --updates
# What is locked is told too. The first file is that of the plugin, the second that of dnf 5, which has no plugin to leave out.
sed -n 's/^\([^#!]\)/=lock \1/p' /etc/dnf/plugins/versionlock.list
sed -n 's/^name *= *"\([^"]*\)".*/=lock \1/p' /etc/dnf/versionlock.toml
q='=up %{name} %{epoch}:%{version}-%{release} %{arch} %{repoid}\n'
t dnf -C -q --disableplugin=versionlock repoquery --upgrades --latest-limit=1 --qf "$q" ||
t dnf -C -q repoquery --upgrades --latest-limit=1 --qf "$q"
elif command -v zypper >/dev/null; then
echo '#zypper'
t stat -c '=at %Y' /var/cache/zypp/raw/*/repodata
set -- $(t zypper --non-interactive --no-refresh --quiet list-patches | sed -n 's/^[^|]*| *\([^ |]*\) *|.*| *needed *|.*/\1/p' | head -n 300)
[ $# = 0 ] || t zypper --non-interactive --no-refresh --quiet info -t patch -- "$@"
# A list without what is locked; where something is, another one with everything before it.
if l=$(sed -n 's/^solvable_name: */=lock /p' /etc/zypp/locks) && [ -n "$l" ]; then
printf '%s\n' "$l"
t zypper --non-interactive --no-refresh --xmlout list-updates --all
fi
t zypper --non-interactive --no-refresh --xmlout list-updates
elif command -v yum >/dev/null; then
echo '#yum'
t stat -c '=at %Y' /var/cache/yum/*/*/*/repomd.xml
t yum -C -q list updates
elif command -v apk >/dev/null; then
echo '#apk'
set -- /var/cache/apk/APKINDEX.* /etc/apk/cache/APKINDEX.*
if [ -e "$1" ] || [ -e "$2" ]; then
t stat -c '=at %Y' /var/cache/apk/APKINDEX.* /etc/apk/cache/APKINDEX.*
t apk --no-network version -v -l '<'
else
echo '=never'
fi
elif command -v pacman >/dev/null; then
echo '#pacman'
set -- /var/lib/pacman/sync/*.db
if [ -e "$1" ]; then
t stat -c '=at %Y' "$@"
t pacman -Qu || :
else
echo '=never'
fi
else
echo '#none'
fi
