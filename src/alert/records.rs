//! What the logs of devices said lately, and which of it belongs to which alert. Pure; bounded in count and in age.
//!
//! An alert names records of the same device that were written shortly before it came and shortly after, where they are about
//! the same thing: `related` says which are. What has been named stays named, however often the alert is raised again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::entry::{Entry, MOST_MESSAGE, clip, millis};
use super::related::{Topics, relates};
use crate::model::Alert;
use crate::model::event::EventRecord;

/// So long before and after an alert came its records may have been written.
const NEAR: TimeDelta = TimeDelta::minutes(15);
/// How long records are remembered: what is near to an alert that has lasted for its hold time is among them.
pub(super) const KEPT: TimeDelta = TimeDelta::minutes(30);
/// Most records of one device that are remembered, and of all devices together: some 10 MB.
const MOST_OF_DEVICE: usize = 100;
pub(super) const MOST_IN_ALL: usize = 20_000;
/// Most records that an alert names at once, and in all.
const MOST_AT_ONCE: usize = 5;
const MOST_NAMED: usize = 10;
/// So much of the first line of a record, and of the name of who wrote it.
const LONGEST: usize = 200;
const LONGEST_ORIGIN: usize = 60;

/// A record as an alert names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    pub at: DateTime<Utc>,
    pub source: Arc<str>,
    pub origin: Arc<str>,
    pub priority: u8,
    pub message: String,
}

impl Record {
    fn of(record: &EventRecord) -> Self {
        let line = record.message.lines().next().unwrap_or_default();
        let plain = |text: &str, most: usize| clip(&text.chars().filter(|c| !c.is_control()).collect::<String>(), most);
        Self {
            at: millis(record.at),
            source: Arc::clone(&record.source),
            origin: plain(&record.origin, LONGEST_ORIGIN).into(),
            priority: record.priority,
            message: plain(line, LONGEST),
        }
    }

    fn line(&self) -> String {
        let word = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];
        let word = word.get(usize::from(self.priority)).unwrap_or(&"info");
        format!("{} {} ({word}): {}", self.at.format("%H:%M:%S"), self.origin, self.message)
    }
}

/// What was said lately, by device, in the order in which it was read.
#[derive(Debug, Default)]
pub(super) struct Recent {
    by_device: HashMap<Arc<str>, VecDeque<Record>>,
    total: usize,
}

impl Recent {
    /// Takes new records in. Says of which devices there are any, and how many of all were let go for want of room.
    pub(super) fn put(&mut self, records: &[EventRecord], now: DateTime<Utc>) -> (BTreeSet<Arc<str>>, usize) {
        let mut devices = BTreeSet::new();
        for record in records.iter().filter(|record| (now - record.at).abs() <= KEPT) {
            let of_device = self.by_device.entry(Arc::clone(&record.device)).or_default();
            let record_ = Record::of(record);
            if of_device.contains(&record_) {
                continue;
            }
            of_device.push_back(record_);
            self.total += 1;
            if of_device.len() > MOST_OF_DEVICE {
                of_device.pop_front();
                self.total -= 1;
            }
            devices.insert(Arc::clone(&record.device));
        }
        let surplus = if self.total > MOST_IN_ALL { self.make_room(now) } else { 0 };
        (devices, surplus)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_device.values().map(VecDeque::len).sum()
    }

    /// Lets go of what is too old, and of the older half where that is not enough. Says how many were not too old.
    fn make_room(&mut self, now: DateTime<Utc>) -> usize {
        self.retain(|record| (now - record.at).abs() <= KEPT);
        let before = self.total;
        if before > MOST_IN_ALL / 2 {
            let mut times: Vec<DateTime<Utc>> = self.by_device.values().flatten().map(|record| record.at).collect();
            times.sort_unstable();
            let middle = times[times.len() / 2];
            self.retain(|record| record.at > middle);
        }
        before - self.total
    }

    fn retain(&mut self, keep: impl Fn(&Record) -> bool) {
        for records in self.by_device.values_mut() {
            records.retain(&keep);
        }
        self.by_device.retain(|_, records| !records.is_empty());
        self.total = self.by_device.values().map(VecDeque::len).sum();
    }

    /// What belongs to an alert and is not named in it: the worst, and of those the latest; in the order of time.
    fn about(&self, entry: &Entry, topics: &Topics) -> Vec<Record> {
        let alert = &entry.alert;
        let Some(records) = alert.key.subject.device().and_then(|device| self.by_device.get(device)) else { return Vec::new() };
        let progress = &entry.progress;
        let came = progress.changed_at.filter(|_| progress.present).unwrap_or(alert.created_at);
        let room = MOST_NAMED.saturating_sub(progress.records.len()).min(MOST_AT_ONCE);
        let own = progress.detail.as_deref().unwrap_or(&alert.message);
        let mut found: Vec<&Record> = records
            .iter()
            .filter(|record| (record.at - came).abs() <= NEAR && !record.message.is_empty())
            // What the finding quotes itself is not said twice.
            .filter(|record| !progress.records.contains(record) && !own.contains(&record.message))
            .filter(|record| relates(alert, topics, &record.origin, record.priority, &record.message))
            .collect();
        found.sort_by_key(|record| (record.priority, std::cmp::Reverse(record.at)));
        found.truncate(room);
        found.into_iter().cloned().collect()
    }
}

impl Engine {
    /// Names in an open alert what belongs to it of what was said lately.
    pub(super) fn attach(&mut self, id: &str) {
        let Some(entry) = self.alerts.get(id).filter(|entry| entry.is_open()) else { return };
        let metric = self.set().thresholds.get(&*entry.alert.key.kind).map(|threshold| threshold.metric);
        let found = self.recent.about(entry, &Topics::of(&entry.alert, metric));
        if !found.is_empty() {
            self.change(id, |_, entry| entry.name(found));
        }
    }

    /// The same for all open alerts about these devices.
    pub(super) fn attach_to(&mut self, devices: &BTreeSet<Arc<str>>) {
        for device in devices {
            let subject = crate::model::alert::Subject::Device(Arc::clone(device));
            let open: Vec<String> = self.about(&subject).filter(|entry| entry.is_open()).map(|entry| entry.alert.id.clone()).collect();
            for id in open {
                self.attach(&id);
            }
        }
    }
}

impl Entry {
    fn name(&mut self, found: Vec<Record>) {
        let detail = self.progress.detail.take().unwrap_or_else(|| self.alert.message.clone());
        self.progress.records.extend(found);
        self.progress.records.sort_by_key(|record| record.at);
        self.say(detail);
    }

    /// What is known beyond the title now. Records that have been named stay.
    pub(super) fn say(&mut self, detail: String) {
        if self.progress.records.is_empty() {
            self.alert.message = clip(&detail, MOST_MESSAGE);
            return;
        }
        write(&mut self.alert, &detail, &self.progress.records);
        self.progress.detail = Some(clip(&detail, MOST_MESSAGE));
    }
}

fn write(alert: &mut Alert, detail: &str, records: &[Record]) {
    let mut said = String::from("From its log:");
    for record in records {
        said.push('\n');
        said.push_str(&record.line());
    }
    let room = MOST_MESSAGE.saturating_sub(said.chars().count() + 2);
    let detail = clip(detail.trim_end(), room);
    alert.message = if detail.is_empty() { said } else { format!("{detail}\n\n{said}") };
}
