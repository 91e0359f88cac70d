//! The tables of Windows: the parts of the script with their time limits, and which sections are read from which parts.

use serde_json::{Map, Value};

use super::answers::Answers;
use super::{accounts, firewall, hardware, network, performance, policy, probes, protection, services, software, updates};
use crate::collect::raw::Parsed;

/// A part of the script: `catalog/collectors/windows/NAME.ps1`.
pub(super) struct Part {
    /// Its name.
    pub(super) name: &'static str,
    /// Seconds after which it is left behind.
    pub(super) seconds: u32,
}

/// A section that Windows has.
pub(super) struct Spec {
    /// `hardware.memory`.
    pub(super) name: &'static str,
    /// The parts that it is read from.
    pub(super) parts: &'static [&'static str],
    /// Reads it.
    pub(super) parse: fn(&Answers) -> Parsed,
}

/// A probe that Windows has.
pub(super) struct Probe {
    /// `registry`.
    pub(super) kind: &'static str,
    /// The part that answers it.
    pub(super) part: &'static str,
    /// What the part is asked for, from one list of arguments.
    pub(super) ask: fn(&[String]) -> Value,
    /// Reads the answer to one list of arguments.
    pub(super) parse: fn(&Value) -> Map<String, Value>,
}

const fn part(name: &'static str, seconds: u32) -> Part {
    Part { name, seconds }
}

/// All parts. The slow ones first: they go on while the others begin and end beside them.
pub(super) static PARTS: &[Part] = &[
    part("updates", 90),
    part("capabilities", 90),
    part("features", 60),
    part("winget", 60),
    part("accounts", 60),
    part("scheduled", 40),
    part("hotfixes", 40),
    part("security-policy", 40),
    part("services", 30),
    part("packages", 30),
    part("sockets", 30),
    part("firewall", 30),
    part("bitlocker", 30),
    part("disks", 30),
    part("usb", 30),
    part("audit-policy", 20),
    part("firewall-rules", 20),
    part("antivirus", 20),
    part("tpm", 20),
    part("certificates", 20),
    part("time-sync", 20),
    part("machine", 20),
    part("processors", 20),
    part("memory", 20),
    part("volumes", 20),
    part("gpus", 20),
    part("nics", 20),
    part("monitors", 20),
    part("battery", 20),
    part("os", 20),
    part("startup", 20),
    part("pending-reboot", 20),
    part("automatic-updates", 20),
    part("links", 20),
    part("routes", 20),
    part("shares", 20),
    part("processor-times", 20),
    part("memory-use", 20),
    part("disk-counters", 20),
    part("gpu-use", 20),
    part("uptime", 20),
    part("environment", 10),
    part("power", 10),
    part("secure-boot", 10),
    part("screen-lock", 10),
];

const fn spec(name: &'static str, parts: &'static [&'static str], parse: fn(&Answers) -> Parsed) -> Spec {
    Spec { name, parts, parse }
}

/// All sections. What stands in the table of `sections` and not here does not exist on Windows.
pub(super) static SECTIONS: &[Spec] = &[
    spec("hardware.system", &["machine"], hardware::system),
    spec("hardware.bios", &["machine"], hardware::bios),
    spec("hardware.board", &["machine"], hardware::board),
    spec("hardware.cpu", &["processors"], hardware::cpu),
    spec("hardware.memory", &["memory"], hardware::memory),
    spec("hardware.disks", &["disks"], hardware::disks),
    spec("hardware.volumes", &["volumes"], hardware::volumes),
    spec("hardware.gpus", &["gpus"], hardware::gpus),
    spec("hardware.nics", &["nics"], hardware::nics),
    spec("hardware.usb", &["usb"], hardware::usb),
    spec("hardware.monitors", &["monitors"], hardware::monitors),
    spec("hardware.battery", &["battery"], hardware::battery),
    spec("software.os", &["os"], software::os),
    spec("software.hotfixes", &["hotfixes"], updates::hotfixes),
    spec("software.packages", &["packages"], software::packages),
    spec("software.winget", &["winget"], software::winget),
    spec("software.services", &["services"], services::services),
    spec("software.startup", &["startup"], services::startup),
    spec("software.scheduled", &["scheduled"], services::scheduled),
    spec("software.pending_reboot", &["pending-reboot"], updates::pending_reboot),
    spec("software.automatic_updates", &["automatic-updates"], updates::automatic),
    spec("software.available_updates", &["updates"], updates::available),
    spec("software.updates", &["updates"], updates::counted),
    spec("software.features", &["features", "capabilities"], software::features),
    spec("software.environment", &["environment"], software::environment),
    spec("software.power", &["power"], software::power),
    spec("security.users", &["accounts"], accounts::users),
    spec("security.groups", &["accounts"], accounts::groups),
    spec("security.local_admins", &["accounts"], accounts::local_admins),
    spec("security.password_policy", &["security-policy"], policy::passwords),
    spec("security.user_rights", &["security-policy"], policy::rights),
    spec("security.audit_policy", &["audit-policy"], policy::audit),
    spec("security.firewall", &["firewall"], firewall::profiles),
    spec("security.antivirus", &["antivirus"], protection::antivirus),
    spec("security.bitlocker", &["bitlocker"], protection::bitlocker),
    spec("security.disk_encryption", &["bitlocker"], protection::disk_encryption),
    spec("security.tpm", &["tpm"], protection::tpm),
    spec("security.secure_boot", &["secure-boot"], protection::secure_boot),
    spec("security.certificates", &["certificates"], protection::certificates),
    spec("security.time_sync", &["time-sync"], protection::time_sync),
    spec("security.screen_lock", &["screen-lock"], protection::screen_lock),
    spec("network.interfaces", &["links"], network::interfaces),
    spec("network.dns", &["links"], network::dns),
    spec("network.routes", &["routes"], network::routes),
    spec("network.listeners", &["sockets"], network::listeners),
    spec("network.connections", &["sockets"], network::connections),
    spec("network.shares", &["shares"], network::shares),
    spec("network.firewall_rules", &["firewall-rules"], firewall::rules),
    spec("performance.cpu", &["processor-times"], performance::cpu),
    spec("performance.memory", &["memory-use"], performance::memory),
    spec("performance.volumes", &["volumes"], performance::volumes),
    spec("performance.disks", &["disk-counters"], performance::disks),
    spec("performance.network", &["links"], performance::network),
    spec("performance.gpus", &["gpu-use"], performance::gpus),
    spec("performance.uptime", &["uptime"], performance::uptime),
];

/// All probes.
pub(super) static PROBES: &[Probe] = &[
    Probe { kind: "cim", part: "probe-cim", ask: probes::ask_class, parse: probes::class },
    Probe { kind: "defender", part: "probe-defender", ask: probes::ask_name, parse: probes::preference },
    Probe { kind: "files", part: "probe-files", ask: probes::ask_file, parse: probes::file },
    Probe { kind: "process_mitigations", part: "probe-process-mitigations", ask: probes::ask_name, parse: probes::mitigations },
    Probe { kind: "registry", part: "probe-registry", ask: probes::ask_value, parse: probes::value },
    Probe { kind: "registry_key", part: "probe-registry-key", ask: probes::ask_value, parse: probes::key },
    Probe { kind: "registry_users", part: "probe-registry-users", ask: probes::ask_value, parse: probes::users },
];

/// Seconds for the part of a probe.
pub(super) const PROBE_SECONDS: u32 = 60;

/// The section of a name.
pub(super) fn section(name: &str) -> Option<&'static Spec> {
    SECTIONS.iter().find(|spec| spec.name == name)
}

/// The probe of a kind.
pub(super) fn probe(kind: &str) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.kind == kind)
}
