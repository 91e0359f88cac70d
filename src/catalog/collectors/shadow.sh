# /etc/shadow without the hashes: only whether there is one, and whether it is locked.
[ "$U" = 0 ] && t sed -e 's/^\([^:]*:[!*]\{0,2\}\)[^:]\{1,\}:/\1x:/' /etc/shadow
