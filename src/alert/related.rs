//! Whether a record of a log is about what an alert is about: the same unit, the same disk or adapter, the same topic.
//! Words that people write; a table of them and no cleverness.

use super::kind::{OFFLINE, RESOURCE_EXHAUSTION};
use crate::model::Alert;

/// What belongs together.
struct Topic {
    /// Metrics of thresholds that are about it.
    metrics: &'static [&'static str],
    /// Words in the type or the title of an alert that is about it.
    alerts: &'static [&'static str],
    /// Who writes about nothing else.
    origins: &'static [&'static str],
    /// Words in a record that is about it.
    records: &'static [&'static str],
}

const TOPICS: [Topic; 6] = [
    Topic {
        metrics: &["DiskSpace", "DiskLatency", "DiskQueue"],
        alerts: &["disk", "disks", "diskspace", "storage", "volume", "raid", "smart"],
        origins: &["smartd", "mdadm", "multipathd", "disk", "ntfs", "microsoft-windows-ntfs", "volsnap", "storahci", "stornvme", "srv"],
        records: &[
            "no space left on device",
            "disk full",
            "disk is full",
            "at or near capacity",
            "i/o error",
            "medium error",
            "bad block",
            "bad sector",
            "blk_update_request",
            "ext4-fs error",
            "xfs",
            "btrfs",
            "read-only file system",
            "filesystem read-only",
            "nvme",
            "ata bus error",
        ],
    },
    Topic {
        metrics: &["Memory", "Swap"],
        alerts: &["memory", "swap", "oom"],
        origins: &["systemd-oomd", "earlyoom", "resource-exhaustion-detector", "microsoft-windows-resource-exhaustion-detector"],
        records: &[
            "out of memory",
            "oom-kill",
            "oom-killer",
            "oom_reaper",
            "killed process",
            "cannot allocate memory",
            "page allocation failure",
            "low virtual memory",
        ],
    },
    Topic {
        metrics: &["CPU", "Load", "Temperature"],
        alerts: &["cpu", "processor", "load", "temperature"],
        origins: &["thermald", "mcelog", "rasdaemon", "microsoft-windows-kernel-processor-power", "microsoft-windows-whea-logger"],
        records: &["soft lockup", "hard lockup", "blocked for more than", "rcu", "throttled", "temperature", "thermal", "machine check"],
    },
    Topic {
        metrics: &["NetworkErrors", "NetworkDrops", "Latency", "PacketLoss"],
        alerts: &["network", "ping", "latency", "packet", "packets", "unreachable", "offline"],
        origins: &["networkmanager", "systemd-networkd", "wpa_supplicant", "dhclient", "tcpip", "microsoft-windows-dhcp-client", "ndis"],
        records: &[
            "link is down",
            "link down",
            "lost carrier",
            "netdev watchdog",
            "network is unreachable",
            "no route to host",
            "transmit queue",
            "dhcp",
        ],
    },
    Topic {
        metrics: &[],
        alerts: &["login", "logins", "logon", "authentication", "auth", "password", "passwords", "sudo", "sshd"],
        origins: &["sshd", "ssh", "sudo", "su", "login", "systemd-logind", "microsoft-windows-security-auditing"],
        records: &[
            "authentication failure",
            "authentication failures",
            "failed password",
            "invalid user",
            "failed to log on",
            "account locked",
            "locked out",
            "pam_unix",
        ],
    },
    Topic {
        metrics: &["Battery", "Uptime"],
        alerts: &["battery", "power", "reboot", "restart", "uptime", "offline"],
        origins: &["upsd", "upsmon", "apcupsd", "systemd-shutdown", "microsoft-windows-kernel-power", "user32"],
        records: &["powering off", "rebooting", "shutting down", "on battery", "power loss", "kernel panic", "previous system shutdown"],
    },
];

/// From here on a record is about everything on its device: critical and worse.
const ABOUT_ALL: u8 = 2;
/// The same where the device itself is gone: errors and worse.
const ABOUT_GONE: u8 = 3;

/// What an alert is about, looked up once.
pub(super) struct Topics {
    topics: Vec<&'static Topic>,
    words: String,
    instance: String,
    least: u8,
}

impl Topics {
    /// Of an alert; `metric` is that of the threshold which says so.
    pub(super) fn of(alert: &Alert, metric: Option<&str>) -> Self {
        let words = format!("{} {}", alert.key.kind, alert.title).to_lowercase();
        let exhausted = &*alert.key.kind == RESOURCE_EXHAUSTION;
        let is_about = |n: &usize| {
            let topic = &TOPICS[*n];
            (exhausted && *n < 3)
                || metric.is_some_and(|metric| topic.metrics.contains(&metric))
                || metric.is_none() && topic.alerts.iter().any(|word| mentions(&words, word))
        };
        let topics = (0..TOPICS.len()).filter(is_about).map(|n| &TOPICS[n]).collect();
        let least = if &*alert.key.kind == OFFLINE { ABOUT_GONE } else { ABOUT_ALL };
        Self { topics, words, instance: unit(&alert.key.instance.to_lowercase()).to_owned(), least }
    }
}

/// Whether a record is about what an alert of the same device is about.
pub(super) fn relates(alert: &Alert, topics: &Topics, origin: &str, priority: u8, message: &str) -> bool {
    let origin = origin.to_lowercase();
    let origin = unit(&origin);
    let message = message.to_lowercase();
    let by_name = |name: &str| name.chars().filter(|c| c.is_alphanumeric()).nth(1).is_some();
    priority <= topics.least
        || by_name(&topics.instance) && (origin == topics.instance || mentions(&message, &topics.instance))
        // A monitor that is named after the unit, or quotes it.
        || by_name(origin) && alert.source.starts_with("monitor ") && mentions(&topics.words, origin)
        || topics.topics.iter().any(|topic| topic.origins.contains(&origin) || topic.records.iter().any(|word| mentions(&message, word)))
}

/// The name of a unit, in either spelling.
fn unit(name: &str) -> &str {
    name.trim_end_matches(".service")
}

/// Whether a text has a word, or several, and not as a part of another one. Both in small letters.
fn mentions(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric();
    text.match_indices(word).any(|(at, found)| {
        let before = text[..at].chars().next_back().is_some_and(is_part) && word.starts_with(is_part);
        let after = text[at + found.len()..].chars().next().is_some_and(is_part) && word.ends_with(is_part);
        !before && !after
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_as_a_word_and_not_within_another() {
        assert!(mentions("xfs (sda1): error", "sda1") && mentions("disk /dev/sda: i/o error", "sda"));
        assert!(!mentions("sda1: error", "sda") && !mentions("workload", "load") && !mentions("", "x"));
        assert!(mentions("files of /var/log are gone", "/var") && !mentions("files of /variant", "/var"));
    }
}
