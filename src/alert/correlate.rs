//! Larger problems: several findings that are one. A device that is short of everything; a site of which nothing answers.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::engine::Engine;
use super::entry::Entry;
use super::kind::{OFFLINE, RESOURCE_EXHAUSTION, SITE_UNREACHABLE};
use super::silences;
use crate::model::alert::Subject;
use crate::model::{AlertKey, Finding, Severity};

/// Short of these together with disk space is exhaustion.
const PERFORMANCE: [&str; 6] = ["CPU", "Memory", "Swap", "Load", "DiskLatency", "DiskQueue"];

/// The key of the larger problem of a device.
pub(super) fn exhaustion_of(device: &Arc<str>) -> AlertKey {
    AlertKey { subject: Subject::Device(Arc::clone(device)), kind: RESOURCE_EXHAUSTION.into(), instance: "".into() }
}

/// The key of the larger problem of a site.
pub(super) fn outage_of(site: &Arc<str>) -> AlertKey {
    AlertKey { subject: Subject::Site(Arc::clone(site)), kind: SITE_UNREACHABLE.into(), instance: "".into() }
}

/// The key of a device that cannot be reached.
pub(super) fn offline_of(device: &Arc<str>) -> AlertKey {
    AlertKey { subject: Subject::Device(Arc::clone(device)), kind: OFFLINE.into(), instance: "".into() }
}

impl Engine {
    /// Looks at devices and sites about which something has changed.
    pub(super) fn correlate(&mut self, now: DateTime<Utc>) {
        for device in std::mem::take(&mut self.touched_devices) {
            self.exhaustion(&device, now);
        }
        for site in std::mem::take(&mut self.touched_sites) {
            self.outage(&site, now);
        }
    }

    /// Whether an alert can be a part of exhaustion: of disk space, of something else, or not at all.
    pub(super) fn resource(&self, entry: &Entry) -> Option<bool> {
        let metric = self.set().thresholds.get(&*entry.alert.key.kind)?.metric;
        if metric == "DiskSpace" { Some(true) } else { PERFORMANCE.contains(&metric).then_some(false) }
    }

    fn exhaustion(&mut self, device: &Arc<str>, now: DateTime<Utc>) {
        let key = exhaustion_of(device);
        let mut parts: Vec<(bool, String, Severity)> = Vec::new();
        for entry in self.about(&key.subject).filter(|entry| entry.is_present()) {
            // What somebody has silenced does not come back as a part of something.
            let counts = || silences::covering(&entry.alert, &self.fleet, &self.silences, now).is_none();
            if let Some(disk) = self.resource(entry).filter(|_| counts()) {
                let kind = &entry.alert.key.kind;
                let instance = &entry.alert.key.instance;
                let name = if instance.is_empty() { kind.to_string() } else { format!("{kind} of {instance}") };
                parts.push((disk, name, entry.alert.severity));
            }
        }
        let both = parts.iter().any(|(disk, ..)| *disk) && parts.iter().any(|(disk, ..)| !*disk);
        let known = self.open(&key).filter(|entry| entry.progress.present);
        if !both {
            if known.is_some() {
                self.clear(&key, "no longer short of several things at once", now, now);
            }
            return;
        }
        let severity = parts.iter().map(|(_, _, severity)| *severity).max().unwrap_or_default();
        let names: Vec<String> = parts.into_iter().map(|(_, name, _)| name).collect();
        let title = super::entry::clip(&format!("Resource Exhaustion: {}", names.join(", ")), super::entry::MOST_TITLE);
        if known.is_some_and(|entry| entry.alert.title == title && entry.alert.severity == severity) {
            return;
        }
        self.raise(correlated(key, severity, title, now), false, now);
    }

    fn outage(&mut self, site: &Arc<str>, now: DateTime<Utc>) {
        let key = outage_of(site);
        let options = self.options();
        let (offline, all) = (self.offline_at(site), self.fleet.devices_at(site).len());
        let unreachable = offline >= options.site_devices as usize && offline * 100 >= options.site_percent as usize * all;
        let known = self.open(&key).filter(|entry| entry.progress.present);
        match (unreachable, known) {
            (true, None) => {
                let which = if offline == all {
                    format!("all {all} devices are offline")
                } else {
                    format!("{offline} of {all} devices are offline")
                };
                self.raise(correlated(key, Severity::Critical, format!("Site unreachable: {site} ({which})"), now), false, now);
            }
            (false, Some(_)) => self.clear(&key, &format!("{} of {all} devices answer again", all - offline.min(all)), now, now),
            _ => {}
        }
    }
}

fn correlated(key: AlertKey, severity: Severity, title: String, now: DateTime<Utc>) -> Finding {
    Finding { key, severity, title, message: String::new(), source: "correlation".into(), value: None, unit: None, at: now }
}
