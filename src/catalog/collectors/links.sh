# Where symbolic links point, of many at once.
t ls -dn /etc/localtime /sys/class/block/* /sys/class/net/* /sys/class/net/*/device/driver /sys/class/drm/card[0-9]/device/driver
