# Memory modules, as the firmware lists them.
[ "$U" = 0 ] && [ -r /sys/firmware/dmi/tables/DMI ] && command -v dmidecode >/dev/null && t dmidecode -t 17
