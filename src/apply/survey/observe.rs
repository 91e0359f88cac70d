//! Observing devices: asked side by side, what they answer written in batches as it comes.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::due::{Ask, Asked, Refresh};
use super::{Survey, target};
use crate::apply::sampler::Sampler;
use crate::collect::{self, Collected, Round};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::Device;
use crate::plan::Scope;
use crate::store::{Merge, Observation, Status, StoreError};
use crate::transport::{BEHIND_SHARES, TransportError};

/// Results that wait to be written together: one transaction for many devices.
const BATCH: usize = 16;
/// How long a batch that is not full waits for more. Nobody sees so short a delay.
const MOMENT: Duration = Duration::from_millis(50);
/// Results on their way to the writer. Where it is full, collecting waits for the disk.
const WAITING: usize = 4;

/// One device has been observed, or could not be.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Device by name.
    pub device: String,
    /// Position, from 1.
    pub done: usize,
    /// How many are observed in all.
    pub total: usize,
    /// How long it took.
    pub took: Duration,
    /// Why it could not be observed.
    pub error: Option<TransportError>,
    /// Sections that are new or differ from what was known.
    pub changed: usize,
    /// What could not be understood.
    pub problems: Vec<String>,
}

/// How a round of observing ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Devices that answered.
    pub observed: usize,
    /// Devices that could not be reached.
    pub unreachable: usize,
    /// Devices that answered, but not as they should.
    pub failed: usize,
    /// Sections that are new or differ.
    pub changed: usize,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
}

impl Survey<'_> {
    /// Observes what the plan of these devices looks at and what is not fresh.
    pub async fn refresh(
        &self,
        scope: &Scope,
        refresh: Refresh,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        if refresh == Refresh::Never {
            return Ok(Outcome::default());
        }
        let work = self.due(scope, refresh)?;
        self.observe(work, Merge::Replace, concurrency, cancel, on).await
    }

    /// Takes the inventory: everything of these categories (all where none is named), and what policies name one by one.
    /// `ask` says what is fresh enough.
    pub async fn inventory(
        &self,
        scope: &Scope,
        categories: &[crate::model::Category],
        ask: Ask,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        let work = self.inventory_due(scope, categories, ask)?;
        self.observe(work, Merge::Replace, concurrency, cancel, on).await
    }

    /// Observes everything that is due, in one visit per device: what policies watch, and the inventory.
    pub async fn everything_due(
        &self,
        scope: &Scope,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        self.observe(self.all_due(scope)?, Merge::Replace, concurrency, cancel, on).await
    }

    /// Observes everything that devices are judged by, in one visit each: what policies look at, and these sections.
    pub async fn afresh(
        &self,
        scope: &Scope,
        sections: &[String],
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        self.observe(self.judged_by(scope, sections)?, Merge::Replace, None, cancel, on).await
    }

    /// Observes devices and keeps what is seen. One attempt each; results are written in batches.
    pub async fn observe(
        &self,
        work: Vec<Asked>,
        merge: Merge,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        let total = work.len();
        self.learn_secrets();
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let sessions = Arc::clone(&self.sessions);
        let (set, of) = (Arc::clone(self.set), Arc::clone(self.set));
        let token = cancel.clone();
        let transport = move |device: &Arc<Device>| of.transport(device);
        let open = move |device: &Arc<Device>| {
            let (sessions, target, token) = (Arc::clone(&sessions), target(&set, device), token.clone());
            async move { sessions.open(&target, &token).await }
        };
        let connections = &self.set.config.connections;
        let round = Round {
            concurrency: concurrency.unwrap_or(connections.max_concurrent) as usize,
            behind_shares: BEHIND_SHARES,
            limits: collect::Limits { timeout: connections.command_timeout.duration(), max_output: connections.max_output_bytes },
            visit: self.visit.clone(),
            name: |device: &Arc<Device>| &device.name,
        };
        let collecting =
            tokio::spawn(collect::collect_fleet(work, (open, transport), Arc::clone(self.clock), round, cancel.clone(), sender));
        let mut outcome = Outcome::default();
        let mut done = 0;
        let mut batch: Vec<Collected<Arc<Device>>> = Vec::with_capacity(BATCH);
        while gather(&mut receiver, &mut batch).await {
            self.keep(&mut batch, merge, (&mut done, total), &mut outcome, on)?;
        }
        // The task owns its children and has ended with its channel; a panic in it has been reported by then.
        let _ = collecting.await;
        outcome.cancelled = cancel.is_cancelled();
        Ok(outcome)
    }

    /// Writes one batch: values, facts, then whether the devices answer.
    fn keep(
        &self,
        batch: &mut Vec<Collected<Arc<Device>>>,
        merge: Merge,
        (done, total): (&mut usize, usize),
        outcome: &mut Outcome,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut observations = Vec::new();
        let mut reports = Vec::new();
        let mut samples = Vec::new();
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        self.recall(&mut sampler, batch)?;
        for collected in batch.drain(..) {
            let device = collected.device.name.clone();
            *done += 1;
            let mut report = Observed {
                device: device.clone(),
                done: *done,
                total,
                took: collected.took,
                error: None,
                changed: 0,
                problems: Vec::new(),
            };
            match collected.result {
                Ok(mut observation) => {
                    outcome.observed += 1;
                    crate::apply::hide_in_sections(self.secrets.redactor(), &mut observation.sections);
                    report.problems = observation.problems;
                    samples.extend(sampler.observed(&device.as_str().into(), &observation.sections, self.clock.now()));
                    observations.push(Observation { device, sections: observation.sections, merge });
                }
                Err(mut error) => {
                    error.hide(&|text| self.secrets.redactor().redact(text).into_owned());
                    match (&error, error.category()) {
                        (TransportError::Cancelled, _) => {}
                        (_, Category::Device | Category::Transient) => outcome.unreachable += 1,
                        _ => outcome.failed += 1,
                    }
                    report.error = Some(error);
                }
            }
            reports.push(report);
        }
        drop(sampler);
        let now = self.clock.now();
        self.store.put_samples(&samples)?;
        outcome.changed += self.store.put_observations(&observations)?.changed;
        let statuses: Vec<_> = reports
            .iter()
            .filter_map(|report| {
                let (status, reason) = match &report.error {
                    None => (Status::Online, None),
                    Some(TransportError::Cancelled) => return None,
                    Some(error) if matches!(error.category(), Category::Device | Category::Transient) => {
                        (Status::Offline, Some(error.to_string()))
                    }
                    Some(error) => (Status::Error, Some(error.to_string())),
                };
                Some((&*report.device, status, reason))
            })
            .collect();
        for (device, _, reason) in &statuses {
            if let Some(reason) = reason {
                tracing::warn!(device, reason = reason.as_str(), "not observed");
            } else {
                tracing::debug!(device, "observed");
            }
        }
        self.store.set_statuses(&statuses, now)?;
        reports.into_iter().for_each(on);
        Ok(())
    }

    /// Counters become rates with the reading before: of devices that this process has not seen yet, the one that the database has.
    fn recall(&self, sampler: &mut Sampler, batch: &[Collected<Arc<Device>>]) -> Result<(), StoreError> {
        let measured = |collected: &&Collected<Arc<Device>>| {
            collected.result.as_ref().is_ok_and(|seen| seen.sections.keys().any(|name| name.starts_with("performance.")))
        };
        let unknown: Vec<&str> = batch.iter().filter(measured).map(|c| &*c.device.name).filter(|name| !sampler.remembers(name)).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        self.store.facts_fleet(&["performance"], Some(&unknown), |name, facts| sampler.recall(name, &facts.sections))
    }
}

/// Fills the batch with what comes within a moment: each transaction waits for the disk, and a fleet answers in a stream.
/// Whether there is anything.
async fn gather<T>(receiver: &mut mpsc::Receiver<T>, batch: &mut Vec<T>) -> bool {
    if receiver.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let until = tokio::time::Instant::now() + MOMENT;
    while batch.len() < BATCH
        && let Ok(Some(next)) = tokio::time::timeout_at(until, receiver.recv()).await
    {
        batch.push(next);
    }
    true
}
