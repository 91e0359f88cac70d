//! Takes what was seen: tells the alert desk of measured values and states as they arrive, before anything is written; writes
//! facts, values and states in batches; looks at what monitors want looked at; tells the loop what has changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::desk::DeskWay;
use super::health::Marks;
use super::hot::Hot;
use super::noticed::Noticed;
use super::visits::Visited;
use super::vitals::Vitals;
use super::watched::Watched;
use crate::apply::sampler::Sampler;
use crate::apply::{Ask, Parts, hide_in_record, hide_in_sections};
use crate::collect::events::Part;
use crate::collect::measure::Measure;
use crate::collect::reach::Reach;
use crate::collect::watch::{CheckRow, Due, Outcome, Probed, Restart, Watch, assign};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::{Device, Facts};
use crate::plan::{Planner, Scope};
use crate::repo::PolicySet;
use crate::store::{CheckState, DeviceSamples, Merge, Observation, Status, StoreError};
use crate::transport::TransportError;

/// Most results that are written together.
const BATCH: usize = 256;
/// How long a batch that is not full waits for more.
const MOMENT: Duration = Duration::from_millis(500);
/// Looks of monitors under way. Where there are more, they are put off.
const MOST_LOOKS: usize = 1000;
/// Looks at the same time.
const LOOKS: usize = 200;
/// Monitors are assigned anew at most so often because facts have changed.
const ASSIGN: Duration = Duration::from_mins(1);
/// Services that are started again at the same time.
const MOST_RESTARTS: usize = 16;

/// What the loop hears of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) device: Arc<str>,
    /// Its facts have changed.
    pub(super) changed: bool,
    /// It was away before.
    pub(super) returned: bool,
    /// It should be asked again sooner than planned.
    pub(super) again: Option<DateTime<Utc>>,
}

/// What waits to be written.
#[derive(Default)]
struct Batch {
    observations: Vec<Observation>,
    samples: Vec<DeviceSamples>,
    statuses: Vec<(String, Status, Option<String>)>,
    checks: Vec<CheckRow>,
    /// Device, new records of one of its logs, how far that has been read.
    records: Vec<(String, Part)>,
    seen: Vec<Seen>,
    since: Option<Instant>,
}

/// The keeper.
pub(super) struct Keeper {
    pub(super) parts: Parts,
    pub(super) hot: Hot,
    pub(super) vitals: Arc<Vitals>,
    pub(super) desk: DeskWay,
    pub(super) watched: Watched,
    /// Whose health may have changed.
    pub(super) marks: Marks,
    pub(super) noticed: Noticed,
    pub(super) stop: CancellationToken,
    sampler: Sampler,
    watch: Watch,
    batch: Batch,
    assigned: Instant,
    stale: bool,
}

impl Keeper {
    /// With what is known of the devices.
    pub(super) fn new(
        parts: Parts,
        hot: Hot,
        vitals: Arc<Vitals>,
        (desk, watched, noticed): (DeskWay, Watched, Noticed),
        marks: Marks,
        stop: CancellationToken,
    ) -> Self {
        Self {
            watched,
            noticed,
            parts,
            hot,
            vitals,
            desk,
            marks,
            stop,
            sampler: Sampler::default(),
            watch: Watch::default(),
            batch: Batch::default(),
            assigned: Instant::now(),
            stale: false,
        }
    }

    /// Works until nothing comes any more. A database that cannot be written ends it, and with it the daemon.
    pub(super) async fn run(
        mut self,
        mut results: mpsc::Receiver<Visited>,
        mut sets: watch::Receiver<Arc<PolicySet>>,
        told: mpsc::Sender<Vec<Seen>>,
    ) -> Result<(), StoreError> {
        self.restore().await?;
        self.assign().await?;
        let mut reach = Arc::new(Reach::new(LOOKS, Arc::clone(&self.parts.sessions)));
        let mut looks: JoinSet<(Due, Option<Probed>)> = JoinSet::new();
        let mut restarts: JoinSet<Result<String, StoreError>> = JoinSet::new();
        loop {
            let wait = self.wait(looks.len());
            tokio::select! {
                visited = results.recv() => match visited {
                    Some(visited) => {
                        let outcome = self.take(visited).await;
                        self.follow(outcome, &mut restarts).await;
                    }
                    None => break,
                },
                Some(looked) = looks.join_next() => {
                    if let Ok((due, Some(probed))) = looked {
                        let outcome = self.watch.probed(&due, &probed, self.parts.clock.now());
                        self.follow(outcome, &mut restarts).await;
                    }
                }
                Some(done) = restarts.join_next() => {
                    if let Ok(Err(error)) = done {
                        return Err(error);
                    }
                }
                changed = sets.changed(), if !self.stop.is_cancelled() => {
                    if changed.is_ok() {
                        let set = Arc::clone(&sets.borrow_and_update());
                        self.parts.take(set);
                        reach = Arc::new(Reach::new(LOOKS, Arc::clone(&self.parts.sessions)));
                        let set = Arc::clone(&self.parts.set);
                        self.hot.retain(|name| set.devices.contains_key(name));
                        self.sampler.retain(|name| set.devices.contains_key(name));
                        self.watch.retain(|name| set.devices.contains_key(name));
                        self.assign().await?;
                    }
                }
                () = tokio::time::sleep(wait) => {}
            }
            if !self.stop.is_cancelled() {
                let room = MOST_LOOKS.saturating_sub(looks.len());
                for due in self.watch.due(self.parts.clock.now(), room) {
                    let (reach, stop, now) = (Arc::clone(&reach), self.stop.clone(), self.parts.clock.now());
                    looks.spawn(async move {
                        let probed = reach.run(&due, now, &stop).await;
                        (due, probed)
                    });
                }
                if self.stale && self.assigned.elapsed() >= ASSIGN {
                    self.assign().await?;
                }
            }
            let old = self.batch.since.is_some_and(|since| since.elapsed() >= MOMENT);
            if old || self.batch.seen.len() >= BATCH {
                let seen = self.write().await?;
                if !seen.is_empty() && told.send(seen).await.is_err() {
                    break;
                }
            }
        }
        self.write().await.map(drop)?;
        while restarts.join_next().await.is_some() {}
        Ok(())
    }

    /// How long there is nothing to be done.
    fn wait(&self, looks: usize) -> Duration {
        let batch = self.batch.since.map(|since| MOMENT.saturating_sub(since.elapsed()));
        let look = self.watch.next_at().filter(|_| looks < MOST_LOOKS).map(|at| (at - self.parts.clock.now()).max(TimeDelta::zero()));
        let look = look.and_then(|wait| wait.to_std().ok());
        let wait = [batch, look, Some(Duration::from_secs(5))].into_iter().flatten().min().unwrap_or(MOMENT);
        wait.max(Duration::from_millis(5))
    }

    /// How checks stood when the process before this one ended.
    async fn restore(&mut self) -> Result<(), StoreError> {
        let store = self.parts.store.clone();
        for (device, check, state) in blocking(move || store.checks_all()).await? {
            self.watch.restore(&device, &check, state.up, state.since);
        }
        let store = self.parts.store.clone();
        for alert in blocking(move || store.open_alerts()).await? {
            let ours = &*alert.source == "availability" || alert.source.starts_with("monitor ");
            if let Some(device) = alert.key.subject.device().filter(|_| ours) {
                self.watch.raised(device, &alert.key.kind, &alert.key.instance, alert.created_at);
            }
        }
        let set = Arc::clone(&self.parts.set);
        self.watch.retain(|name| set.devices.contains_key(name));
        Ok(())
    }

    /// Puts the monitors in force on the devices that they are for.
    async fn assign(&mut self) -> Result<(), StoreError> {
        (self.assigned, self.stale) = (Instant::now(), false);
        let parts = self.parts.clone();
        let assigned = blocking(move || {
            let mut known: HashMap<String, Arc<Facts>> = HashMap::new();
            if !parts.set.monitors.is_empty() {
                let secrets = |_: &str| None;
                let sections = Planner::new(&parts.set, &secrets).membership_sections(&Scope::default());
                let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
                parts.store.facts_fleet(&sections, None, |name, facts| {
                    known.insert(name.to_owned(), Arc::new(facts));
                })?;
            }
            let none = Arc::new(Facts::default());
            Ok::<_, StoreError>(assign(&parts.set, &mut |device: &Device| Arc::clone(known.get(&device.name).unwrap_or(&none))))
        })
        .await?;
        let outcome = self.watch.reload(assigned, self.parts.clock.now());
        self.watched.set(&self.parts.set, &self.watch);
        self.desk.signals(outcome.signals).await;
        Ok(())
    }

    /// What one visit has brought.
    async fn take(&mut self, visited: Visited) -> Outcome {
        let Visited { device, mut result, mut records, took, at } = visited;
        let redactor = &self.parts.redactor;
        match &mut result {
            Ok(observation) => hide_in_sections(redactor, &mut observation.sections),
            Err(error) => error.hide(&|text| redactor.redact(text).into_owned()),
        }
        for record in records.iter_mut().flat_map(|fetched| &mut fetched.parts).flat_map(|part| &mut part.records) {
            hide_in_record(redactor, record);
        }
        let name: Arc<str> = device.name.as_str().into();
        self.batch.since.get_or_insert_with(Instant::now);
        let mut seen = Seen { device: Arc::clone(&name), changed: false, returned: false, again: None };
        if let Some(fetched) = &records {
            self.desk.records(fetched.records().cloned().collect()).await;
        }
        let mut outcome = match result {
            Ok(observation) => {
                // Values reach the thresholds before anything else is done with them.
                let samples = self.sampler.observed(&name, &observation.sections, at);
                self.values(samples).await;
                let outcome = self.watch.collected(&name, Ok(&observation.sections), at);
                let news = self.hot.answered(&name, observation.sections.iter(), at);
                (seen.changed, seen.returned) = (news.changed, news.returned);
                for problem in &observation.problems {
                    tracing::warn!(device = &*name, problem = problem.as_str(), "observed, not all of it");
                }
                if news.changed {
                    self.vitals.figures.sections_changed.inc();
                    self.stale |= !self.parts.set.monitors.is_empty();
                }
                self.batch.statuses.push((device.name.clone(), Status::Online, None));
                let sections = observation.sections;
                self.batch.observations.push(Observation { device: device.name.clone(), sections, merge: Merge::Replace });
                outcome
            }
            // It was not asked to the end: nothing is known.
            Err(TransportError::Cancelled) => Outcome::default(),
            Err(error) => {
                self.vitals.figures.visits_failed.inc();
                let away = matches!(error.category(), Category::Device | Category::Transient);
                let status = if away { Status::Offline } else { Status::Error };
                tracing::info!(device = &*name, took = took.as_millis() as u64, error = %error, "not observed");
                self.hot.silent(&name, status);
                self.batch.statuses.push((device.name.clone(), status, Some(error.to_string())));
                self.watch.collected(&name, Err(&error), at)
            }
        };
        if let Some(fetched) = records {
            if let Some(problem) = &fetched.problem {
                tracing::warn!(device = &*name, problem = problem.as_str(), "its log");
            }
            if fetched.more {
                seen.again = Some(at);
            }
            for part in fetched.parts {
                outcome.merge(self.watch.records(&name, &part.records, at));
                self.batch.records.push((device.name.clone(), part));
            }
        }
        let sooner = outcome.again.iter().find(|(device, _)| *device == name).map(|(_, at)| *at);
        seen.again = seen.again.or(sooner);
        self.batch.seen.push(seen);
        outcome
    }

    /// Measured values: to the desk at once, to the database with the batch.
    async fn values(&mut self, samples: Option<DeviceSamples>) {
        let Some(samples) = samples else { return };
        self.vitals.figures.samples.inc();
        self.desk.samples(vec![samples.clone()]).await;
        self.batch.since.get_or_insert_with(Instant::now);
        self.batch.samples.push(samples);
    }

    /// What follows from the result of a check.
    async fn follow(&mut self, outcome: Outcome, restarts: &mut JoinSet<Result<String, StoreError>>) {
        let now = self.parts.clock.now();
        self.desk.signals(outcome.signals).await;
        let mut by_device: HashMap<Arc<str>, Vec<Measure>> = HashMap::new();
        for (device, measure) in outcome.measures {
            by_device.entry(device).or_default().push(measure);
        }
        for (device, measures) in by_device {
            let samples = self.sampler.samples(&device, measures, now);
            self.values(samples).await;
        }
        if !outcome.checks.is_empty() {
            self.batch.since.get_or_insert_with(Instant::now);
            self.batch.checks.extend(outcome.checks);
        }
        for Restart { device, service, monitor, call } in outcome.restarts {
            if restarts.len() >= MOST_RESTARTS || self.stop.is_cancelled() {
                tracing::warn!(device = &*device, service = &*service, "not started again: too many others are");
                continue;
            }
            let (parts, stop) = (self.parts.clone(), self.stop.clone());
            restarts.spawn(async move {
                let because = format!("monitor {monitor}");
                let acted = crate::apply::act(&parts, &Ask::unattended(&device, &call, &because), &stop).await;
                acted.map(|acted| acted.message)
            });
        }
    }

    async fn write(&mut self) -> Result<Vec<Seen>, StoreError> {
        let batch = std::mem::take(&mut self.batch);
        self.vitals.figures.online.set(self.hot.count(Status::Online) as i64);
        self.vitals.figures.offline.set(self.hot.count(Status::Offline) as i64);
        let changed: Vec<Arc<str>> = batch.checks.iter().filter(|row| row.changed).map(|row| Arc::clone(&row.device)).collect();
        let (store, now, moments) = (self.parts.store.clone(), self.parts.clock.now(), batch.samples.len() as u64);
        if batch.since.is_some() {
            // What follows from it is written first: were this process killed in between, whatever is told only once (a value
            // that is normal again by then, a record of a log, a check that has changed) would be kept and never told.
            self.desk.settled().await;
        }
        let written = blocking(move || {
            // Values before the observation that they come from: what counts as observed has its values.
            if !batch.samples.is_empty() {
                store.put_samples(&batch.samples)?;
            }
            if !batch.observations.is_empty() {
                store.put_observations(&batch.observations)?;
            }
            for (device, Part { source, records, cursor }) in &batch.records {
                store.put_events(device, source, records, cursor.as_deref())?;
            }
            if !batch.statuses.is_empty() {
                let statuses: Vec<_> = batch.statuses.iter().map(|(device, status, reason)| (&**device, *status, reason.clone())).collect();
                store.set_statuses(&statuses, now)?;
            }
            let states: Vec<(&CheckRow, CheckState)> = latest(&batch.checks).into_iter().map(|row| (row, state(row))).collect();
            let checks: Vec<(&str, &str, &CheckState)> = states.iter().map(|(row, state)| (&*row.device, &*row.check, state)).collect();
            if !checks.is_empty() {
                store.put_checks(&checks)?;
            }
            Ok(batch.seen)
        })
        .await?;
        self.vitals.figures.samples_kept.inc_by(moments);
        let news = written.iter().filter(|seen| seen.changed || seen.returned).map(|seen| Arc::clone(&seen.device));
        self.marks.put(news.chain(changed));
        for seen in &written {
            self.noticed.note(&seen.device, seen.changed, seen.returned);
        }
        Ok(written)
    }
}

/// Of rows that say the same of a check, the last one; where it changed in between, all of them.
fn latest(checks: &[CheckRow]) -> Vec<&CheckRow> {
    let mut known = BTreeSet::new();
    let mut kept: Vec<&CheckRow> =
        checks.iter().rev().filter(|row| known.insert((&row.device, &row.check, row.up)) || row.changed).collect();
    kept.reverse();
    kept
}

fn state(row: &CheckRow) -> CheckState {
    CheckState {
        up: row.up,
        since: row.since,
        at: row.at,
        latency_ms: row.latency_ms,
        loss_percent: row.loss_percent,
        reason: Some(row.reason.clone()).filter(|reason| !reason.is_empty()),
    }
}
