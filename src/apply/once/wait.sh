# Given: k key, n length of the line, m length of its input, t time limit in seconds, b most 512-byte blocks of a stream, go the
# program that begins. On standard input: the hash of the operation, the line, the input.
say() { printf 'rmm-once %s %s %s %s\n' "$1" "${2:-0}" "${3:-0}" "${4:-0}"; }
told() {
  i=0; while [ ! -e "$d/end" ] && [ "$i" -lt 20 ] && alive; do i=$((i+1)); nap 0.1; done
  read -r c <"$d/code"; a=$(wc -c <"$d/out") e=$(wc -c <"$d/err")
  say done "$c" $((a)) $((e))
  [ $((a)) = 0 ] || head -c $((a)) "$d/out"
  [ $((e)) = 0 ] || head -c $((e)) "$d/err"
  exit 0
}
u=$(umask)
#common
h=$(dd bs=64 count=1 2>/dev/null)
mkdir -p "$r" 2>/dev/null
set -- $(ls -ldn "$r" 2>/dev/null)
case "${1:-} ${3:-}" in
  "drwx------ $me"|"drwx------. $me"|"drwx------@ $me") ;;
  *) say unsafe; echo "$r is not a directory of mode 0700 that belongs to user $me: $*" >&2; exit 0;;
esac
if [ ! -d "$d" ]; then
  exec 7<&0
  if command -v setsid >/dev/null 2>&1; then rmm_h=$h setsid /bin/sh -c "$go" rmm-once "$d" "$n" "$m" "$t" "$b" "$u" "$boot" <&7 7<&- >/dev/null 2>&1 &
  else set -m; rmm_h=$h /bin/sh -c "$go" rmm-once "$d" "$n" "$m" "$t" "$b" "$u" "$boot" <&7 7<&- >/dev/null 2>&1 & set +m; fi
  exec 7<&-
fi
j=0 g=0
while :; do
  if [ -e "$d/op" ]; then
    read -r o <"$d/op"
    [ "$o" = "$h" ] || { say other; exit 0; }
    [ ! -e "$d/code" ] || told
    if ! alive; then
      [ ! -e "$d/code" ] || told
      if [ -e "$d/late" ]; then say late; elif [ -e "$d/cut" ]; then say cut; else say lost; fi
      exit 0
    fi
  elif [ -e "$d/cut" ]; then say cut; exit 0
  else
    g=$((g+1))
    [ "$g" -lt 60 ] || { if [ -d "$d" ]; then say lost; else say none; fi; exit 0; }
  fi
  j=$((j+1))
  if [ "$j" -lt 20 ]; then nap 0.05; elif [ "$j" -lt 60 ]; then nap 0.25; else sleep 1; fi
done
