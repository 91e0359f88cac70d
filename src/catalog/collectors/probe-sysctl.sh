# Kernel parameters. Where the first separator is a dot, dots divide directories and a slash stands for a dot.
probe_sysctl() {
i=0
for k in "$@"; do
f=/proc/sys/
r=${k#"${k%%[./]*}"}
case $r in
/*) ;;
*)
while :; do
case $k in
*[./]*)
h=${k%%[./]*}
r=${k#"$h"}
k=${r#?}
case $r in
.*) f=$f$h/ ;;
*) f=$f$h. ;;
esac ;;
*) break ;;
esac
done ;;
esac
f=$f$k
if [ -f "$f" ]; then
# Not with `read`: shells that take one byte at a time get one digit of a number, and then the end of the file.
v=$(cat "$f" 2>/dev/null) && printf '%s|seen|%s\n' "$i" "${v%%
*}" || printf '%s|denied|\n' "$i"
else
printf '%s|absent|\n' "$i"
fi
i=$((i + 1))
done
}
