//! The alert engine: findings and the clock go in, rows come out. It reads nothing and sends nothing.
//!
//! Everything that decides is in the alerts themselves, in the policy set, in the silences and in the clock, so that an engine made
//! from the rows goes on exactly where another one stopped. `Desk` keeps it together with the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Remediation;
use super::entry::{Entry, millis};
use super::fleet::Fleet;
use super::kind::OFFLINE;
use super::outbox::Outbox;
use super::records::Recent;
use super::silences::{self, Ready};
use crate::model::alert::{Silence, Subject};
use crate::model::duty::AlertOptions;
use crate::model::{Alert, AlertKey, AlertState, Delivery, Signal};
use crate::repo::PolicySet;

/// How long what is over stays in memory: it may come back, and its remedies count for a day.
pub(super) const KEPT: TimeDelta = TimeDelta::hours(24);
/// How often what is over for long is looked for.
const HOUSEKEEPING: TimeDelta = TimeDelta::hours(1);

/// See the module.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) fleet: Fleet,
    pub(super) silences: Vec<Ready>,
    /// What is open, or was until lately.
    pub(super) alerts: BTreeMap<String, Entry>,
    /// The latest of each key.
    pub(super) latest: BTreeMap<AlertKey, String>,
    /// Those in memory by whom they are about.
    by_subject: BTreeMap<Subject, BTreeSet<String>>,
    /// Devices that are offline, by site.
    offline: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// When which alert wants to be looked at.
    wakes: BTreeSet<(DateTime<Utc>, String)>,
    wake_of: BTreeMap<String, DateTime<Utc>>,
    /// When something begins or ends that may be about any alert.
    edge: Option<DateTime<Utc>>,
    housekeeping: DateTime<Utc>,
    last_now: DateTime<Utc>,
    /// To be looked at before the call ends.
    pub(super) touched: BTreeSet<String>,
    pub(super) touched_devices: BTreeSet<Arc<str>>,
    pub(super) touched_sites: BTreeSet<Arc<str>>,
    /// To be written.
    pub(super) changed: BTreeSet<String>,
    pub(super) outbox: Outbox,
    pub(super) remediations: Vec<Remediation>,
    /// What the logs of devices said lately.
    pub(super) recent: Recent,
}

/// What a call has to write.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub alerts: Vec<Alert>,
    pub deliveries: Vec<Delivery>,
    pub cancel: Vec<String>,
}

impl Engine {
    /// An engine over these rows: all that are open, and those that were until lately.
    pub(super) fn new(fleet: Fleet, silences: Vec<Silence>, rows: Vec<Alert>, now: DateTime<Utc>) -> Self {
        let now = millis(now);
        let mut this = Self {
            fleet,
            silences: Vec::new(),
            alerts: BTreeMap::new(),
            latest: BTreeMap::new(),
            by_subject: BTreeMap::new(),
            offline: BTreeMap::new(),
            wakes: BTreeSet::new(),
            wake_of: BTreeMap::new(),
            edge: Some(now),
            housekeeping: now + HOUSEKEEPING,
            last_now: now,
            touched: BTreeSet::new(),
            touched_devices: BTreeSet::new(),
            touched_sites: BTreeSet::new(),
            changed: BTreeSet::new(),
            outbox: Outbox::default(),
            remediations: Vec::new(),
            recent: Recent::default(),
        };
        this.silences = silences::read(silences, &mut this.fleet);
        for row in rows {
            let entry = Entry::read(row);
            if entry.is_open() || this.is_kept(&entry, now) {
                this.put(entry);
            }
        }
        this
    }

    pub(super) fn set(&self) -> &Arc<PolicySet> {
        self.fleet.set()
    }

    pub(super) fn options(&self) -> AlertOptions {
        self.set().alerts
    }

    // What is known.

    fn is_kept(&self, entry: &Entry, now: DateTime<Utc>) -> bool {
        let recent = entry.alert.resolved_at.is_none_or(|at| now - at <= KEPT.max(self.options().flapping_within.delta()));
        entry.alert.state != AlertState::Archived
            && (recent || entry.progress.told.iter().any(|told| told.open) || !entry.progress.held.is_empty())
    }

    /// Puts an alert into memory and into the indexes.
    pub(super) fn put(&mut self, entry: Entry) {
        let id = entry.alert.id.clone();
        self.by_subject.entry(entry.alert.key.subject.clone()).or_default().insert(id.clone());
        let older = self.latest.get(&entry.alert.key).and_then(|id| self.alerts.get(id));
        if older.is_none_or(|older| (older.is_open(), &older.alert.id) <= (entry.is_open(), &id)) {
            self.latest.insert(entry.alert.key.clone(), id.clone());
        }
        let key = entry.alert.key.clone();
        self.alerts.insert(id, entry);
        self.index(&key);
    }

    /// Brings what is known of offline devices up to date for a key.
    pub(super) fn index(&mut self, key: &AlertKey) {
        if &*key.kind != OFFLINE {
            return;
        }
        let Subject::Device(device) = &key.subject else { return };
        let Some(site) = self.fleet.site_of(&key.subject) else { return };
        let down = self.open(key).is_some_and(Entry::is_present);
        let devices = self.offline.entry(Arc::clone(&site)).or_default();
        let moved = if down { devices.insert(Arc::clone(device)) } else { devices.remove(device) };
        if moved {
            self.touched_sites.insert(site);
            // The device itself and what hangs on it.
            self.touch_subject(&key.subject);
            for below in self.fleet.below(device).to_vec() {
                self.touch_subject(&Subject::Device(below));
            }
        }
    }

    pub(super) fn offline_at(&self, site: &str) -> usize {
        self.offline.get(site).map_or(0, BTreeSet::len)
    }

    /// The latest alert of a key.
    pub(super) fn latest(&self, key: &AlertKey) -> Option<&Entry> {
        self.latest.get(key).and_then(|id| self.alerts.get(id))
    }

    /// The alert of a key, where it is open.
    pub(super) fn open(&self, key: &AlertKey) -> Option<&Entry> {
        self.latest(key).filter(|entry| entry.is_open())
    }

    /// Alerts in memory about somebody or something, oldest first.
    pub(super) fn about(&self, subject: &Subject) -> impl Iterator<Item = &Entry> {
        self.by_subject.get(subject).into_iter().flatten().filter_map(|id| self.alerts.get(id))
    }

    /// Those that are open are looked at before the call ends.
    pub(super) fn touch_subject(&mut self, subject: &Subject) {
        let open: Vec<String> = self.about(subject).filter(|entry| entry.is_open()).map(|entry| entry.alert.id.clone()).collect();
        self.touched.extend(open);
    }

    /// Changes an alert. It is taken out meanwhile, so that others can be looked at.
    pub(super) fn change<T>(&mut self, id: &str, work: impl FnOnce(&mut Self, &mut Entry) -> T) -> Option<T> {
        let mut entry = self.alerts.remove(id)?;
        let before = entry.clone();
        let value = work(self, &mut entry);
        if entry != before {
            self.changed.insert(id.to_owned());
        }
        self.alerts.insert(id.to_owned(), entry);
        Some(value)
    }

    /// When an alert wants to be looked at next, by the clock alone.
    pub(super) fn wake(&mut self, id: &str, at: Option<DateTime<Utc>>) {
        if let Some(known) = self.wake_of.remove(id) {
            self.wakes.remove(&(known, id.to_owned()));
        }
        if let Some(at) = at {
            self.wakes.insert((at, id.to_owned()));
            self.wake_of.insert(id.to_owned(), at);
        }
    }

    /// When the clock alone makes a difference next.
    pub(super) fn next_wakeup(&self) -> DateTime<Utc> {
        let wake = self.wakes.first().map(|(at, _)| *at);
        wake.into_iter().chain(self.edge).chain([self.housekeeping]).min().unwrap_or(self.housekeeping)
    }

    // What comes in.

    pub(super) fn signals(&mut self, signals: Vec<Signal>, now: DateTime<Utc>) {
        let now = millis(now);
        for signal in signals {
            match signal {
                Signal::Raised(finding) => self.raise(finding, false, now),
                Signal::Occurred(finding) => self.raise(finding, true, now),
                Signal::Cleared { key, at, reason } => self.clear(&key, &reason, millis(at).min(now), now),
            }
        }
        self.finish(now);
    }

    pub(super) fn tick(&mut self, now: DateTime<Utc>) {
        self.finish(millis(now));
    }

    /// Other silences hold.
    pub(super) fn set_silences(&mut self, silences: Vec<Silence>, now: DateTime<Utc>) {
        self.silences = silences::read(silences, &mut self.fleet);
        self.edge = Some(millis(now));
    }

    /// Rows that others have written.
    pub(super) fn absorb(&mut self, rows: Vec<Alert>, now: DateTime<Utc>) {
        let now = millis(now);
        for row in rows {
            let entry = Entry::read(row);
            let id = entry.alert.id.clone();
            match self.alerts.get(&id) {
                Some(known) if known.alert == entry.alert && known.progress == entry.progress => continue,
                None if !entry.is_open() && !self.is_kept(&entry, now) => continue,
                _ => {}
            }
            let key = entry.alert.key.clone();
            self.put(entry);
            self.touched.insert(id);
            self.ripple(&key);
        }
    }

    /// Goes on with rows that another engine, or another policy set, has left. What is no longer declared is over.
    pub(super) fn resume(&mut self, now: DateTime<Utc>) {
        let now = millis(now);
        let open = self.alerts.values().filter(|entry| entry.is_open());
        let keys: Vec<(AlertKey, Arc<str>)> = open.map(|entry| (entry.alert.key.clone(), Arc::clone(&entry.alert.source))).collect();
        for (key, source) in keys {
            let gone = match &key.subject {
                Subject::Device(name) => self.fleet.device(name).is_none().then_some("the device is no longer declared"),
                Subject::Site(name) => self.fleet.devices_at(name).is_empty().then_some("the site has no devices any more"),
                Subject::System => None,
            };
            let threshold = source.strip_prefix("threshold ");
            let unwatched = threshold.is_some_and(|name| !self.set().thresholds.contains_key(name));
            if let Some(reason) = gone.or(unwatched.then_some("the threshold is no longer declared")) {
                self.over(&key, reason, now, now);
            }
            self.touch_subject_for_correlation(&key.subject);
        }
        // What is over may not have been told yet.
        self.touched.extend(self.alerts.keys().cloned());
        self.edge = Some(now);
        self.finish(now);
    }

    pub(super) fn touch_subject_for_correlation(&mut self, subject: &Subject) {
        match subject {
            Subject::Device(device) => {
                self.touched_devices.insert(Arc::clone(device));
            }
            Subject::Site(site) => {
                self.touched_sites.insert(Arc::clone(site));
            }
            Subject::System => {}
        }
    }

    // What follows.

    /// Looks at everything that the call, or the clock, may have changed, until nothing changes any more.
    fn finish(&mut self, now: DateTime<Utc>) {
        // A clock that was set back may have crossed an edge the wrong way.
        let edge = self.edge.is_some_and(|edge| edge <= now) || now < self.last_now;
        self.last_now = now;
        if edge {
            self.edge = silences::next_edge(&self.fleet, &self.silences, now);
            let open = self.alerts.values().filter(|entry| entry.is_open() || !entry.progress.held.is_empty());
            let (ids, subjects): (Vec<String>, BTreeSet<Subject>) = open.map(|e| (e.alert.id.clone(), e.alert.key.subject.clone())).unzip();
            self.touched.extend(ids);
            for subject in subjects {
                self.touch_subject_for_correlation(&subject);
            }
        }
        while let Some((at, id)) = self.wakes.first().filter(|(at, _)| *at <= now).cloned() {
            self.wakes.remove(&(at, id.clone()));
            self.wake_of.remove(&id);
            self.touched.insert(id);
        }
        loop {
            self.correlate(now);
            let touched = std::mem::take(&mut self.touched);
            if touched.is_empty() && self.touched_devices.is_empty() && self.touched_sites.is_empty() {
                break;
            }
            for id in touched {
                self.settle(&id, now);
            }
        }
        let set = Arc::clone(self.set());
        self.outbox.sum_up(&set, now);
        if now >= self.housekeeping {
            self.housekeeping = now + HOUSEKEEPING;
            self.forget(now);
        }
    }

    /// Lets go of what is over for long.
    fn forget(&mut self, now: DateTime<Utc>) {
        let gone: Vec<String> = self
            .alerts
            .values()
            .filter(|e| !e.is_open() && !self.is_kept(e, now) && !self.changed.contains(&e.alert.id))
            .map(|e| e.alert.id.clone())
            .collect();
        for id in gone {
            let Some(entry) = self.alerts.remove(&id) else { continue };
            self.wake(&id, None);
            if self.latest.get(&entry.alert.key) == Some(&id) {
                self.latest.remove(&entry.alert.key);
            }
            if let Some(ids) = self.by_subject.get_mut(&entry.alert.key.subject) {
                ids.remove(&id);
                if ids.is_empty() {
                    self.by_subject.remove(&entry.alert.key.subject);
                }
            }
        }
    }

    /// What has to be written. What comes next is counted from here.
    pub(super) fn rows(&mut self) -> Rows {
        let mut rows = Rows::default();
        for id in std::mem::take(&mut self.changed) {
            let Some(entry) = self.alerts.get_mut(&id) else { continue };
            let row = entry.row();
            // Two steps within one call: the database wants to see both.
            if entry.stored.is_some_and(|stored| stored != row.state && !stored.may_become(row.state)) {
                rows.alerts.push(Alert { state: AlertState::Resolved, ..row.clone() });
            }
            entry.stored = Some(row.state);
            rows.alerts.push(row);
        }
        rows.deliveries = std::mem::take(&mut self.outbox.deliveries);
        rows.cancel = std::mem::take(&mut self.outbox.cancel);
        rows
    }
}
