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

const fn spec(
    name: &'static str,
    files: &'static [&'static str],
    blocks: &'static [&'static str],
    parse: fn(&Raw<'_>) -> Parsed,
) -> Spec {
    Spec { name, files, blocks, darwin: false, parse }
}

/// All sections, by name within their category.
pub(super) static SECTIONS: &[Spec] = &[
    spec("performance.cpu", &["/proc/loadavg", "/proc/stat", "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq", "/sys/class/thermal/thermal_zone*/type", "/sys/class/thermal/thermal_zone*/temp"], &[], parse::performance::cpu),
    spec("performance.memory", &["/proc/meminfo"], &[], parse::performance::memory),
    spec("performance.disks", &["/proc/diskstats"], &[], parse::performance::disks),
    spec("performance.network", &["/proc/net/dev"], &[], parse::performance::network),
    spec("performance.uptime", &["/proc/uptime"], &[], parse::performance::uptime),
    spec("performance.volumes", &["/proc/mounts"], &["volumes"], parse::performance::volumes),
];

/// All probes.
pub(super) static PROBES: &[Probe] = &[
];
