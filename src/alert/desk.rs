//! The engine with the database: each call reads what others have written, decides, and writes all that follows in one transaction.
//!
//! Where a write fails nothing is lost: signals wait for the next call, and what was decided is decided again from the rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::Remediation;
use super::engine::Engine;
use super::entry::{Entry, clip, millis};
use super::fleet::Fleet;
use super::records::{KEPT, MOST_IN_ALL};
use super::thresholds::{Reading, Thresholds};
use crate::model::alert::{Silence, Subject};
use crate::model::{Alert, AlertState, EventRecord, Facts, Signal};
use crate::repo::PolicySet;
use crate::store::{AlertBatch, AlertFilter, DeviceSamples, EventFilter, Store, StoreError};

/// How far back alerts that are over are read at the start.
const LOOK_BACK: TimeDelta = TimeDelta::days(8);
/// Most of them.
const MOST_READ: usize = 20_000;
/// Most values of one series that are read to find out how long it has been beyond a limit.
const MOST_HISTORY: usize = 2000;
/// How often another process may get in between before it is an error.
const TRIES: u32 = 5;
/// How often what is over for long moves to the archive, and how many at most.
const ARCHIVING: TimeDelta = TimeDelta::hours(6);
const MOST_ARCHIVED: usize = 5000;
/// Most signals that wait for a database that cannot be written. The oldest are let go: what lasts is raised again.
const MOST_WAITING: usize = 100_000;

/// Rows that a call has written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Alerts.
    pub alerts: usize,
    /// Deliveries; where there are any, the worker that sends them wants to be woken.
    pub deliveries: usize,
}

/// How many there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// That last.
    pub open: usize,
    /// Of which somebody is told.
    pub active: usize,
    /// Of which nobody is told.
    pub suppressed: usize,
    /// That somebody looks after.
    pub acknowledged: usize,
    /// Values that are or were beyond a limit.
    pub watches: usize,
    /// That last, by severity, the mildest first.
    pub by_severity: [usize; 5],
}

/// See the module.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    set: Arc<PolicySet>,
    engine: Engine,
    thresholds: Thresholds,
    /// Up to here other processes' rows have been read.
    revision: i64,
    silences_revision: i64,
    /// The engine is ahead of the database: it is made anew from the rows.
    stale: bool,
    waiting: Vec<Signal>,
    remediations: Vec<Remediation>,
    /// Whose alerts were written.
    written: BTreeSet<Arc<str>>,
    archive_at: DateTime<Utc>,
}

impl Desk {
    /// Reads the alerts and silences, takes in what commands did while nobody was here, and writes what follows.
    pub fn new(set: Arc<PolicySet>, store: Store, now: DateTime<Utc>) -> Result<Self, StoreError> {
        let mut fleet = Fleet::new(Arc::clone(&set));
        fleet.put_facts(facts(&store, &fleet, None)?);
        let (mut engine, revision, silences_revision) = engine(&store, fleet, now)?;
        // What logs said shortly before the start belongs to what is found after it.
        let mut said = store.events(&EventFilter { from: Some(now - KEPT), limit: MOST_IN_ALL, ..EventFilter::default() })?;
        said.reverse();
        engine.recent.put(&said, now);
        let mut thresholds = Thresholds::new(&engine.fleet);
        for entry in engine.alerts.values().filter(|entry| entry.is_open() && entry.alert.source.starts_with("threshold ")) {
            thresholds.said(&entry.alert.key, entry.alert.severity, entry.alert.last_at);
        }
        let mut this = Self {
            store,
            set,
            engine,
            thresholds,
            revision,
            silences_revision,
            stale: false,
            waiting: Vec::new(),
            remediations: Vec::new(),
            written: BTreeSet::new(),
            archive_at: now,
        };
        this.run(now, Engine::resume)?;
        Ok(this)
    }

    /// Another policy set is in force. What it no longer declares or watches is over.
    pub fn reload(&mut self, set: Arc<PolicySet>, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        self.set = set;
        self.stale = true;
        self.restore(now)?;
        self.stale = false;
        let mut signals = Vec::new();
        self.thresholds.reload(&self.engine.fleet, now, &mut signals);
        self.wait(signals);
        self.run(now, Engine::resume)
    }

    /// The facts of these devices have changed: groups, targets and limits of theirs are looked up again.
    pub fn facts_changed<'a>(&mut self, devices: impl IntoIterator<Item = &'a str>, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        let devices: Vec<&str> = devices.into_iter().filter(|name| self.engine.fleet.device(name).is_some()).collect();
        if devices.is_empty() {
            return Ok(Outcome::default());
        }
        let mut signals = Vec::new();
        for (name, facts) in facts(&self.store, &self.engine.fleet, Some(&devices))? {
            self.engine.fleet.set_facts(&name, facts);
        }
        for name in devices {
            self.thresholds.again(&self.engine.fleet, name, now, &mut signals);
        }
        self.signals(signals, now)
    }

    /// Values that were measured, before they are written. What crosses no limit costs next to nothing.
    pub fn samples(&mut self, samples: &[DeviceSamples], now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        let mut signals = Vec::new();
        let store = &self.store;
        let history = |device: &str, metric: &str, instance: &str, from: DateTime<Utc>, before: DateTime<Utc>| {
            let rows = store.metric_samples(device, metric, instance, from, before, MOST_HISTORY).unwrap_or_default();
            rows.into_iter().map(|row| (row.at, row.value)).filter(|(at, _)| *at < before).collect::<BTreeMap<_, _>>().into_iter().collect()
        };
        for device in samples {
            let readings = device.values.iter();
            let readings = readings.map(|(name, value)| Reading { metric: &name.metric, instance: &name.instance, value: *value });
            let at = millis(device.at).min(now);
            self.thresholds.feed(&self.engine.fleet, &device.device, at, readings, &history, &mut signals);
        }
        if signals.is_empty() && self.waiting.is_empty() {
            return Ok(Outcome::default());
        }
        self.signals(signals, now)
    }

    /// What monitors found.
    pub fn signals(&mut self, signals: Vec<Signal>, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        if signals.is_empty() && self.waiting.is_empty() {
            return Ok(Outcome::default());
        }
        self.wait(signals);
        self.run(now, Engine::tick)
    }

    /// What the logs of devices say. To be told before what else a visit has found: it is named in what is raised from then on,
    /// and in what lasts.
    pub fn records(&mut self, records: &[EventRecord], now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        let (devices, surplus) = self.engine.recent.put(records, now);
        if surplus > 0 {
            tracing::warn!(surplus, "devices say too much: older records of their logs are no longer looked at when an alert is raised");
        }
        let lasts = |device: &Arc<str>| self.engine.about(&Subject::Device(Arc::clone(device))).any(Entry::is_open);
        if !devices.iter().any(lasts) {
            return Ok(Outcome::default());
        }
        self.run(now, move |engine, now| {
            engine.attach_to(&devices);
            engine.tick(now);
        })
    }

    /// The clock has come to [`Desk::next_wakeup`].
    pub fn tick(&mut self, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        if now >= self.archive_at {
            self.archive_at = now + ARCHIVING;
            // What may come back as the same alert is not over for good, whatever is asked for.
            let options = &self.set.alerts;
            let kept = super::engine::KEPT.max(options.deduplicate.delta()).max(options.flapping_within.delta());
            self.store.archive_alerts(now - options.archive_after.delta().max(kept), MOST_ARCHIVED)?;
        }
        self.run(now, Engine::tick)
    }

    /// Another process may have written alerts or silences.
    pub fn external(&mut self, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        self.run(now, Engine::tick)
    }

    /// When [`Desk::tick`] is wanted next. To be asked again after every call.
    pub fn next_wakeup(&self) -> Option<DateTime<Utc>> {
        Some(self.engine.next_wakeup().min(self.archive_at))
    }

    /// What thresholds want done since the last call. It has been counted: ask for it once.
    pub fn take_remediations(&mut self) -> Vec<Remediation> {
        std::mem::take(&mut self.remediations)
    }

    /// Devices about which alerts were written since the last call, by whomever.
    pub fn take_written(&mut self) -> BTreeSet<Arc<str>> {
        std::mem::take(&mut self.written)
    }

    /// What came of a remedy, as a note of its alert.
    pub fn remediated(&mut self, alert: &str, outcome: &str, now: DateTime<Utc>) -> Result<Outcome, StoreError> {
        let text = clip(outcome, 1000);
        self.run(now, move |engine, now| {
            engine.change(alert, |_, entry| entry.note(millis(now), super::entry::ENGINE, text.clone()));
            engine.tick(now);
        })
    }

    /// How many there are, for whoever counts.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { watches: self.thresholds.watches(), ..Counts::default() };
        for entry in self.engine.alerts.values().filter(|entry| entry.is_open()) {
            counts.open += 1;
            counts.by_severity[entry.alert.severity as usize] += 1;
            match entry.alert.state {
                AlertState::Triggered => counts.suppressed += 1,
                AlertState::Acknowledged => counts.acknowledged += 1,
                _ => counts.active += 1,
            }
        }
        counts
    }

    /// How many records of logs are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.engine.recent.len()
    }

    fn wait(&mut self, signals: Vec<Signal>) {
        self.waiting.extend(signals);
        let surplus = self.waiting.len().saturating_sub(MOST_WAITING);
        if surplus > 0 {
            tracing::error!(surplus, "too much waits for the database: the oldest findings are lost");
            self.waiting.drain(..surplus);
        }
    }

    /// Reads, decides, writes. Where another process got in between, that is read and decided again.
    fn run(&mut self, now: DateTime<Utc>, work: impl Fn(&mut Engine, DateTime<Utc>)) -> Result<Outcome, StoreError> {
        let mut tries = 0;
        loop {
            if self.stale {
                self.restore(now)?;
                self.engine.resume(now);
                self.stale = false;
            } else {
                self.take_in(now)?;
            }
            if !self.waiting.is_empty() {
                self.engine.signals(self.waiting.clone(), now);
            }
            work(&mut self.engine, now);
            let rows = self.engine.rows();
            let remediations = std::mem::take(&mut self.engine.remediations);
            if rows.alerts.is_empty() && rows.deliveries.is_empty() && rows.cancel.is_empty() {
                self.waiting.clear();
                return Ok(Outcome::default());
            }
            let outcome = Outcome { alerts: rows.alerts.len(), deliveries: rows.deliveries.len() };
            let (alerts, deliveries, cancel) = (rows.alerts, rows.deliveries, rows.cancel);
            let batch = AlertBatch { alerts, deliveries, cancel, audit: Vec::new(), seen: Some(self.revision) };
            match self.store.commit_alerts(&batch) {
                Ok(revision) => {
                    // Where it grew by our rows alone there is nothing of others to be read.
                    if revision == self.revision + batch.alerts.len() as i64 {
                        self.revision = revision;
                    }
                    self.waiting.clear();
                    let devices = batch.alerts.iter().filter_map(|alert| match &alert.key.subject {
                        Subject::Device(device) => Some(Arc::clone(device)),
                        Subject::Site(_) | Subject::System => None,
                    });
                    self.written.extend(devices);
                    self.remediations.extend(remediations);
                    return Ok(outcome);
                }
                Err(error) => {
                    self.stale = true;
                    tries += 1;
                    if !matches!(error, StoreError::Changed { .. }) || tries >= TRIES {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Takes in what other processes have written.
    fn take_in(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let (revision, rows) = self.store.alerts_after(self.revision)?;
        self.revision = revision;
        for row in &rows {
            if let Subject::Device(device) = &row.key.subject {
                self.written.insert(Arc::clone(device));
            }
        }
        self.engine.absorb(rows, now);
        let silences_revision = self.store.silences_revision()?;
        if silences_revision != self.silences_revision {
            self.engine.set_silences(silences(&self.store, now)?, now);
            self.silences_revision = silences_revision;
        }
        Ok(())
    }

    /// Makes the engine anew from the rows.
    fn restore(&mut self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut fleet = Fleet::new(Arc::clone(&self.set));
        fleet.put_facts(facts(&self.store, &fleet, None)?);
        let (mut engine, revision, silences_revision) = engine(&self.store, fleet, now)?;
        engine.recent = std::mem::take(&mut self.engine.recent);
        (self.engine, self.revision, self.silences_revision) = (engine, revision, silences_revision);
        Ok(())
    }
}

/// An engine over the rows of the database, and the revisions up to which they were read.
fn engine(store: &Store, fleet: Fleet, now: DateTime<Utc>) -> Result<(Engine, i64, i64), StoreError> {
    // First: what is written meanwhile is then read again.
    let (revision, silences_revision) = (store.alerts_revision()?, store.silences_revision()?);
    let over = AlertFilter { states: vec![AlertState::Resolved], since: Some(now - LOOK_BACK), limit: MOST_READ, ..AlertFilter::default() };
    let mut rows: Vec<Alert> = store.alerts(&over)?;
    rows.reverse();
    rows.extend(store.open_alerts()?);
    let engine = Engine::new(fleet, silences(store, now)?, rows, now);
    Ok((engine, revision, silences_revision))
}

fn silences(store: &Store, now: DateTime<Utc>) -> Result<Vec<Silence>, StoreError> {
    let mut silences = store.silences(None)?;
    silences.retain(|silence| silence.ends_at > now);
    Ok(silences)
}

/// The facts that selectors may ask for.
fn facts(store: &Store, fleet: &Fleet, devices: Option<&[&str]>) -> Result<HashMap<String, Facts>, StoreError> {
    let sections = fleet.sections().unwrap_or_default();
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    let mut found = HashMap::new();
    store.facts_fleet(&sections, devices, |name, facts| drop(found.insert(name.to_owned(), facts)))?;
    Ok(found)
}
