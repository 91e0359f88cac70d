//! The tables of what can be observed: sections with the files and shell blocks they are read from, and probes.

use serde_json::{Map, Value};

use super::parse;
use super::raw::{Parsed, Raw};
use crate::model::Category;
use crate::model::facts::Status;

/// A section of the inventory.
pub(super) struct Spec {
    /// `hardware.memory`.
    pub(super) name: &'static str,
    /// Files that are read as they are; shell patterns within components.
    pub(super) files: &'static [&'static str],
    /// Shell fragments, `catalog/collectors/NAME.sh`.
    pub(super) blocks: &'static [&'static str],
    /// Whether it is read on macOS too.
    pub(super) darwin: bool,
    /// Reads it.
    pub(super) parse: fn(&Raw<'_>) -> Parsed,
}

impl Spec {
    /// Its category: the first word of its name.
    pub(super) fn category(&self) -> Category {
        match self.name.split('.').next().unwrap_or_default() {
            "hardware" => Category::Hardware,
            "software" => Category::Software,
            "security" => Category::Security,
            "network" => Category::Network,
            _ => Category::Performance,
        }
    }
}

/// Reads the answers to one batch of a probe's argument lists.
pub(super) type ProbeParser = fn(&Raw<'_>, &[&Vec<String>], &str, &mut Map<String, Value>) -> Result<(), Status>;

/// A probe.
pub(super) struct Probe {
    /// `files`.
    pub(super) kind: &'static str,
    /// Number of arguments.
    pub(super) arguments: usize,
    /// What is wrong with a first argument.
    pub(super) check: fn(&str) -> Result<(), &'static str>,
    /// Files that it needs beside its own output.
    pub(super) files: &'static [&'static str],
    /// Blocks that it needs.
    pub(super) blocks: &'static [&'static str],
    /// The fragment that defines its shell function (dashes become underscores); empty where files and blocks suffice.
    pub(super) fragment: &'static str,
    /// Whether it works on macOS.
    pub(super) darwin: bool,
    /// Reads it.
    pub(super) parse: ProbeParser,
}

/// The section of a name.
pub(super) fn section(name: &str) -> Option<&'static Spec> {
    SECTIONS.iter().find(|spec| spec.name == name)
}

/// The probe of a kind.
pub(super) fn probe(kind: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.kind == kind)
}

const fn spec(name: &'static str, files: &'static [&'static str], blocks: &'static [&'static str], parse: fn(&Raw<'_>) -> Parsed) -> Spec {
    Spec { name, files, blocks, darwin: false, parse }
}

const fn both(mut spec: Spec) -> Spec {
    spec.darwin = true;
    spec
}

/// One that only Windows has; `windows/` observes it.
const fn of_windows(name: &'static str) -> Spec {
    spec(name, &[], &[], parse::of_windows)
}

/// A probe that only Windows has.
const fn of_windows_probe(kind: &'static str, arguments: usize, check: fn(&str) -> Result<(), &'static str>) -> Probe {
    Probe { kind, arguments, check, files: &[], blocks: &[], fragment: "", darwin: false, parse: parse::probe_registry::elsewhere }
}

/// All sections.
pub(super) static SECTIONS: &[Spec] = &[
    both(spec(
        "hardware.system",
        &[
            "/sys/class/dmi/id/sys_vendor",
            "/sys/class/dmi/id/product_name",
            "/sys/class/dmi/id/product_version",
            "/sys/class/dmi/id/product_serial",
            "/sys/class/dmi/id/product_uuid",
            "/sys/class/dmi/id/chassis_type",
            "/sys/class/dmi/id/bios_vendor",
            "/sys/class/dmi/id/board_vendor",
            "/sys/hypervisor/type",
        ],
        &["cpuinfo", "exists"],
        parse::hardware::system,
    )),
    spec(
        "hardware.bios",
        &["/sys/class/dmi/id/bios_vendor", "/sys/class/dmi/id/bios_version", "/sys/class/dmi/id/bios_date"],
        &[],
        parse::hardware::bios,
    ),
    spec(
        "hardware.board",
        &[
            "/sys/class/dmi/id/board_vendor",
            "/sys/class/dmi/id/board_name",
            "/sys/class/dmi/id/board_version",
            "/sys/class/dmi/id/board_serial",
        ],
        &[],
        parse::hardware::board,
    ),
    both(spec("hardware.cpu", &["/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"], &["cpuinfo"], parse::hardware::cpu)),
    both(spec("hardware.memory", &["/proc/meminfo"], &["cpuinfo", "memory"], parse::hardware::memory)),
    spec(
        "hardware.disks",
        &[
            "/sys/block/[hmnsvxp]*/size",
            "/sys/block/[hmnsvxp]*/removable",
            "/sys/block/[hmnsvxp]*/queue/rotational",
            "/sys/block/[hmnsvxp]*/device/model",
            "/sys/block/[hmnsvxp]*/device/vendor",
            "/sys/block/[hmnsvxp]*/device/serial",
            "/sys/block/[hmnsvxp]*/serial",
        ],
        &["links"],
        parse::hardware::disks,
    ),
    spec("hardware.volumes", &["/proc/mounts"], &["volumes"], parse::mounts::hardware_volumes),
    spec("hardware.mounts", &["/proc/mounts"], &[], parse::mounts::mounts),
    both(spec("hardware.fstab", &["/etc/fstab"], &[], parse::mounts::fstab)),
    spec(
        "hardware.gpus",
        &["/sys/class/drm/card[0-9]/device/vendor", "/sys/class/drm/card[0-9]/device/device"],
        &["links"],
        parse::hardware::gpus,
    ),
    spec("hardware.nics", &["/sys/class/net/*/address", "/sys/class/net/*/speed"], &["links"], parse::hardware::nics),
    spec(
        "hardware.usb",
        &[
            "/sys/bus/usb/devices/*/idVendor",
            "/sys/bus/usb/devices/*/idProduct",
            "/sys/bus/usb/devices/*/manufacturer",
            "/sys/bus/usb/devices/*/product",
            "/sys/bus/usb/devices/*/serial",
        ],
        &[],
        parse::hardware::usb,
    ),
    spec("hardware.monitors", &["/sys/class/drm/*/status"], &[], parse::hardware::monitors),
    spec(
        "hardware.battery",
        &[
            "/sys/class/power_supply/*/type",
            "/sys/class/power_supply/*/scope",
            "/sys/class/power_supply/*/capacity",
            "/sys/class/power_supply/*/cycle_count",
            "/sys/class/power_supply/*/energy_full",
            "/sys/class/power_supply/*/energy_full_design",
            "/sys/class/power_supply/*/charge_full",
            "/sys/class/power_supply/*/charge_full_design",
        ],
        &[],
        parse::hardware::battery,
    ),
    both(spec(
        "software.os",
        &["/etc/os-release", "/usr/lib/os-release", "/etc/hosts", "/etc/timezone", "/etc/machine-id", "/proc/stat", "/proc/1/comm"],
        &["exists", "links"],
        parse::software::os,
    )),
    spec("software.packages", &[], &["packages"], parse::packages::packages),
    both(spec("software.services", &["/run/*.pid", "/run/*/*.pid"], &["services", "procs"], parse::services::services)),
    spec("software.startup", &[], &["exists"], parse::software::startup),
    spec(
        "software.scheduled",
        &["/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/etc/crontabs/*"],
        &["exists"],
        parse::software::scheduled,
    ),
    spec(
        "software.pending_reboot",
        &["/run/reboot-required.pkgs", "/var/run/reboot-required.pkgs", "/proc/stat"],
        &["exists", "renewed"],
        parse::software::pending_reboot,
    ),
    spec(
        "software.automatic_updates",
        &["/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*", "/etc/dnf/automatic.conf"],
        &["exists"],
        parse::software::automatic_updates,
    ),
    spec("software.available_updates", &[], &["packages", "updates"], parse::updates::available),
    spec("software.updates", &["/var/lib/update-notifier/updates-available"], &["packages", "updates"], parse::updates::count),
    of_windows("software.hotfixes"),
    of_windows("software.winget"),
    of_windows("software.features"),
    of_windows("software.environment"),
    of_windows("software.power"),
    spec("security.users", &["/etc/passwd", "/etc/group"], &["shadow"], parse::accounts::users),
    spec("security.groups", &["/etc/group"], &[], parse::accounts::groups),
    spec("security.local_admins", &["/etc/passwd", "/etc/group"], &[], parse::accounts::local_admins),
    both(spec("security.firewall", &["/etc/ufw/ufw.conf"], &["exists", "firewall", "procs", "services"], parse::security::firewall)),
    both(spec("security.sshd", &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/*.conf"], &["sshd"], parse::sshd::sshd)),
    spec(
        "security.password_policy",
        &[
            "/etc/login.defs",
            "/usr/etc/login.defs",
            "/etc/security/pwquality.conf",
            "/etc/security/pwquality.conf.d/*.conf",
            "/etc/security/pwhistory.conf",
            "/etc/pam.d/common-password",
            "/etc/pam.d/system-auth",
            "/etc/pam.d/password-auth",
        ],
        &[],
        parse::accounts::password_policy,
    ),
    spec(
        "security.disk_encryption",
        &["/proc/mounts", "/sys/class/block/dm-*/dm/name", "/sys/class/block/dm-*/dm/uuid"],
        &["exists"],
        parse::security::disk_encryption,
    ),
    spec("security.secure_boot", &[], &["exists", "secureboot"], parse::security::secure_boot),
    spec("security.tpm", &["/sys/class/tpm/tpm0/tpm_version_major"], &["exists"], parse::security::tpm),
    spec("security.kernel_modules", &["/proc/modules"], &[], parse::security::kernel_modules),
    spec(
        "security.mac",
        &["/sys/fs/selinux/enforce", "/sys/module/apparmor/parameters/enabled", "/etc/selinux/config"],
        &[],
        parse::security::mac,
    ),
    spec(
        "security.time_sync",
        &[
            "/etc/chrony/chrony.conf",
            "/etc/chrony.conf",
            "/etc/chrony/conf.d/*.conf",
            "/etc/chrony/sources.d/*.sources",
            "/etc/chrony.d/*.conf",
            "/etc/ntp.conf",
            "/etc/ntpsec/ntp.conf",
            "/etc/openntpd/ntpd.conf",
            "/etc/systemd/timesyncd.conf",
            "/etc/systemd/timesyncd.conf.d/*.conf",
            "/run/*.pid",
            "/run/*/*.pid",
        ],
        &["exists", "procs", "services"],
        parse::security::time_sync,
    ),
    spec("security.audit", &[], &["procs", "services"], parse::security::audit),
    spec("security.antivirus", &[], &["exists", "procs", "services"], parse::security::antivirus),
    of_windows("security.bitlocker"),
    of_windows("security.user_rights"),
    of_windows("security.audit_policy"),
    of_windows("security.certificates"),
    of_windows("security.screen_lock"),
    spec(
        "network.interfaces",
        &["/sys/class/net/*/address", "/sys/class/net/*/mtu", "/sys/class/net/*/operstate"],
        &["addresses"],
        parse::network::interfaces,
    ),
    spec("network.routes", &["/proc/net/route", "/proc/net/ipv6_route"], &[], parse::network::routes),
    both(spec("network.dns", &["/etc/resolv.conf"], &[], parse::network::dns)),
    spec("network.listeners", &[], &["listeners"], parse::network::listeners),
    spec("network.connections", &[], &["connections"], parse::network::connections),
    spec("network.shares", &["/etc/samba/smb.conf", "/etc/exports", "/etc/exports.d/*.exports"], &[], parse::network::shares),
    both(spec("network.firewall_rules", &[], &["firewall"], parse::security::firewall_rules)),
    spec(
        "performance.cpu",
        &[
            "/proc/loadavg",
            "/proc/stat",
            "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq",
            "/sys/class/thermal/thermal_zone*/type",
            "/sys/class/thermal/thermal_zone*/temp",
        ],
        &[],
        parse::performance::cpu,
    ),
    spec("performance.memory", &["/proc/meminfo"], &[], parse::performance::memory),
    spec("performance.volumes", &["/proc/mounts"], &["volumes"], parse::performance::volumes),
    spec("performance.disks", &["/proc/diskstats"], &[], parse::performance::disks),
    spec("performance.network", &["/proc/net/dev"], &[], parse::performance::network),
    spec(
        "performance.gpus",
        &[
            "/sys/class/drm/card[0-9]/device/gpu_busy_percent",
            "/sys/class/drm/card[0-9]/device/mem_info_vram_used",
            "/sys/class/drm/card[0-9]/device/mem_info_vram_total",
            "/sys/class/drm/card[0-9]/device/hwmon/hwmon*/temp1_input",
        ],
        &["gpus"],
        parse::performance::gpus,
    ),
    spec("performance.uptime", &["/proc/uptime"], &[], parse::performance::uptime),
];

/// All probes.
pub(super) static PROBES: &[Probe] = &[
    Probe {
        kind: "authorized_keys",
        arguments: 1,
        check: parse::probe_keys::check,
        files: &[],
        blocks: &[],
        fragment: "probe-authorized-keys",
        darwin: false,
        parse: parse::probe_keys::authorized_keys,
    },
    Probe {
        kind: "files",
        arguments: 1,
        check: parse::probe_files::check,
        files: &[],
        blocks: &[],
        fragment: "probe-files",
        darwin: true,
        parse: parse::probe_files::files,
    },
    Probe {
        kind: "lines",
        arguments: 3,
        check: parse::probe_files::check,
        files: &[],
        blocks: &[],
        fragment: "probe-lines",
        darwin: true,
        parse: parse::probe_lines::lines,
    },
    Probe {
        kind: "modules",
        arguments: 1,
        check: parse::probe_system::check_module,
        files: &[
            "/proc/modules",
            "/etc/modprobe.d/*.conf",
            "/run/modprobe.d/*.conf",
            "/usr/lib/modprobe.d/*.conf",
            "/lib/modprobe.d/*.conf",
        ],
        blocks: &[],
        fragment: "probe-modules",
        darwin: false,
        parse: parse::probe_system::modules,
    },
    of_windows_probe("cim", 3, parse::probe_registry::check_namespace),
    of_windows_probe("defender", 1, parse::probe_registry::check_name),
    of_windows_probe("process_mitigations", 1, parse::probe_registry::check_name),
    of_windows_probe("registry", 2, parse::probe_registry::check),
    of_windows_probe("registry_key", 1, parse::probe_registry::check),
    of_windows_probe("registry_users", 2, parse::probe_registry::check_user),
    Probe {
        kind: "sysctl",
        arguments: 1,
        check: parse::probe_system::check_sysctl,
        files: &[
            "/etc/sysctl.conf",
            "/etc/sysctl.d/*.conf",
            "/run/sysctl.d/*.conf",
            "/usr/local/lib/sysctl.d/*.conf",
            "/usr/lib/sysctl.d/*.conf",
            "/lib/sysctl.d/*.conf",
        ],
        blocks: &[],
        fragment: "probe-sysctl",
        darwin: false,
        parse: parse::probe_system::sysctl,
    },
];
