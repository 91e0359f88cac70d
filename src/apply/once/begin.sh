# Detached from whoever waits. Whoever makes the directory carries the operation out; nobody else ever does.
d=$1 n=$2 m=$3 t=$4 b=$5 u=$6 boot=$7 h=$rmm_h
unset rmm_h
umask 077
mkdir "$d" 2>/dev/null || exit 0
x=$(cat /proc/$$/stat 2>/dev/null)
set -- ${x##*) }
{ echo "$$ ${20:--} $boot" >"$d/pid" && echo "$h" >"$d/o" && mv "$d/o" "$d/op"; } || { rm -rf "$d"; exit 1; }
sync "$d/op" "$d" "${d%/*}" 2>/dev/null || sync
l=$(dd bs="$n" count=1 2>/dev/null)
exec 3<&0 </dev/null
( trap '' TERM HUP
  i=0; while [ "$i" -lt "$t" ]; do [ ! -e "$d/code" ] || exit 0; sleep 1; i=$((i+1)); done
  [ -e "$d/code" ] || { : >"$d/late"; kill -TERM 0; sleep 3; kill -KILL 0; } ) 3<&- &
cap() { trap '' XFSZ; ulimit -f "$b"; cat >"$1"; cat >/dev/null; } 2>/dev/null
work() { exec 3<&-; umask "$u"; unset d n m t b u h x i boot; eval "$l"; }
{
  {
    if [ "$m" -gt 0 ]; then cat <&3 | ( work ); else ( work ) </dev/null; fi
    echo "$?" >"$d/c" && mv "$d/c" "$d/code"
  } 2>&1 >&4 4>&- | cap "$d/err" 4>&-
} 4>&1 | cap "$d/out"
: >"$d/end"
sync "$d/code" "$d" 2>/dev/null
find "${d%/*}/." ! -name . -prune -type d -mtime +30 2>/dev/null | head -n 1000 | while read -r x; do rm -rf -- "$x"; done
