# Marks that cost nothing to look for: which files stand there, which commands there are.
for f in /.dockerenv /run/.containerenv /run/systemd/container /run/systemd/system /run/openrc /proc/vz /proc/bc /sys/firmware/efi \
/run/reboot-required /var/run/reboot-required /var/run/reboot-needed /run/systemd/timesync/synchronized \
"/lib/modules/${K_RELEASE:-none}" /usr/lib/modules/*/pkgbase /sys/class/tpm/tpm0 /etc/rc.local /etc/systemd/system/timers.target.wants/apt-daily-upgrade.timer \
/lib/systemd/system/apt-daily-upgrade.timer /etc/xdg/autostart/*.desktop /etc/local.d/*.start \
/etc/systemd/system/timers.target.wants/*.timer /usr/lib/systemd/system/timers.target.wants/*.timer \
/lib/systemd/system/timers.target.wants/*.timer /sys/class/block/dm-*/slaves/* /etc/systemd/system/*.wants/* /sbin/openrc-run; do
[ -e "$f" ] && printf '%s\n' "$f"
done
for c in apt-get dnf yum zypper apk pacman ufw firewall-cmd nft iptables auditd clamd sshd chronyd ntpd systemctl; do
command -v "$c" >/dev/null && printf '+%s\n' "$c"
done
[ -r /proc/device-tree/model ] && read -r m </proc/device-tree/model && printf '=model %s\n' "$m"
if [ "$K" = Darwin ]; then
printf '=os %s\n' "$(sw_vers -productVersion)"
printf '=build %s\n' "$(sw_vers -buildVersion)"
printf '=boot %s\n' "$(sysctl -n kern.boottime)"
fi
:
