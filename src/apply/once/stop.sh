# Given: k key. Ends what runs under it; where nothing was begun yet, nothing will be.
#common
mkdir "$d" 2>/dev/null
: >"$d/cut"
[ ! -e "$d/code" ] || exit 0
if alive; then
  kill -TERM "-$p" 2>/dev/null
  i=0; while [ "$i" -lt 20 ] && alive; do i=$((i+1)); nap 0.1; done
  ! alive || kill -KILL "-$p" 2>/dev/null
fi
