# FILE MATCH LINE ...: whether the very line stands in the file, and which lines match the expression.
probe_lines() {
i=0
while [ "$#" -ge 3 ]; do
if [ ! -e "$1" ]; then
d=${1%/*}
while [ -n "$d" ] && [ ! -e "$d" ]; do d=${d%/*}; done
if [ -d "${d:-/}" ] && [ ! -x "${d:-/}" ]; then printf '%s|denied\n' "$i"; else printf '%s|absent\n' "$i"; fi
elif [ ! -f "$1" ]; then printf '%s|special\n' "$i"
elif [ ! -r "$1" ]; then printf '%s|denied\n' "$i"
else
p=0
if [ -n "$3" ]; then
t grep -qFx -e "$3" -- "$1"
p=$?
else
p=1
fi
m=0
f=
r=0
if [ -n "$2" ]; then
m=$(t grep -cE -e "$2" -- "$1")
r=$?
[ "$r" -eq 0 ] && f=$(t grep -m1 -E -e "$2" -- "$1")
fi
printf '%s|seen|%s|%s|%s|%s\n' "$i" "$p" "$r" "$m" "$f"
fi
i=$((i + 1))
shift 3
done
}
