# Sizes of the file systems that hold data of their own. A network file system is not asked: its server may be away.
if [ "$K" = Linux ]; then
set --
while read -r dev mnt fs rest; do
case $fs in
ext[234] | xfs | btrfs | zfs | f2fs | jfs | reiserfs | bcachefs | vfat | exfat | ntfs* | overlay | tmpfs | 9p | virtiofs | squashfs)
case $mnt in
/proc* | /sys* | /dev | /dev/* | /run/user/* | /run/credentials/* | /var/lib/docker/* | /var/lib/containers/* | /var/lib/kubelet/* | /snap/*) ;;
*\\*) set -- "$@" "$(printf '%b' "$mnt")" ;;
*) set -- "$@" "$mnt" ;;
esac ;;
esac
done </proc/mounts
[ "$#" -eq 0 ] || t stat -f -c '%S %b %f %a %n' -- "$@"
fi
