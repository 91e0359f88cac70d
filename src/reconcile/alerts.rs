//! The task that owns the alert desk: what is said to it is decided at once and written in one transaction, the sender of
//! notifications is woken, and actions that thresholds ask for are carried out.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::desk::Said;
use super::error::ReconcileError;
use super::health::Marks;
use super::vitals::Vitals;
use crate::alert::{Counts, Desk, Outcome, Remediation};
use crate::apply::{Ask, Parts};
use crate::notify::Worker;
use crate::store::StoreError;

/// Most of what is said that is decided together.
const TOGETHER: usize = 64;
/// The desk is asked at least so often: the wall clock may have been set.
const LONGEST: Duration = Duration::from_secs(5);
/// Actions at the same time. Where there are more, they wait.
const MOST_ACTIONS: usize = 16;
/// Actions that wait; what is more is refused, and said so on the alert.
const MOST_WAITING: usize = 500;

/// What the task works with.
pub(super) struct Alerts {
    pub(super) parts: Parts,
    pub(super) worker: Arc<Worker>,
    pub(super) wake: Arc<Notify>,
    pub(super) vitals: Arc<Vitals>,
    /// Whose health may have changed.
    pub(super) marks: Marks,
    /// No further action is begun.
    pub(super) stop: CancellationToken,
    /// Everything has been said.
    pub(super) until: CancellationToken,
}

/// What one round has brought.
struct Round {
    desk: Desk,
    outcome: Result<Outcome, StoreError>,
    remediations: Vec<Remediation>,
    counts: Counts,
    next: Option<DateTime<Utc>>,
}

impl Alerts {
    /// Works until everything has been said.
    pub(super) async fn run(mut self, mut told: mpsc::Receiver<Said>) -> Result<(), ReconcileError> {
        let (set, store, now) = (Arc::clone(&self.parts.set), self.parts.store.clone(), self.parts.clock.now());
        let mut desk = blocking(move || Desk::new(set, store, now)).await?;
        let mut actions: JoinSet<Said> = JoinSet::new();
        let mut waiting: Vec<Remediation> = Vec::new();
        let mut next = desk.next_wakeup();
        self.wake.notify_one();
        let mut ending = false;
        let mut counted: Option<Instant> = None;
        while !ending {
            let now = self.parts.clock.now();
            let wait = next.map_or(LONGEST, |at| (at - now).to_std().unwrap_or_default().min(LONGEST));
            let mut said = Vec::new();
            tokio::select! {
                biased;
                first = told.recv() => match first {
                    None => ending = true,
                    Some(first) => {
                        said.push(first);
                        while said.len() < TOGETHER && let Ok(more) = told.try_recv() {
                            said.push(more);
                        }
                    }
                },
                () = self.until.cancelled(), if actions.is_empty() => ending = true,
                Some(done) = actions.join_next() => said.extend(done.ok()),
                () = tokio::time::sleep(wait) => {}
            }
            for set in said.iter().filter_map(|said| if let Said::Set(set) = said { Some(set) } else { None }) {
                self.parts.take(Arc::clone(set));
                let (worker, set) = (Arc::clone(&self.worker), Arc::clone(set));
                blocking(move || worker.configure(&set.config)).await;
            }
            let now = self.parts.clock.now();
            for one in &said {
                if let Said::Facts(devices) = one {
                    self.marks.put(devices.iter().map(|device| Arc::from(device.as_str())));
                }
            }
            let mut waiters = Vec::new();
            for one in std::mem::take(&mut said) {
                match one {
                    Said::Settled(done) => waiters.push(done),
                    other => said.push(other),
                }
            }
            let round = blocking(move || decide(desk, said, now)).await;
            desk = round.desk;
            self.marks.put(desk.take_written());
            next = round.next;
            for done in waiters {
                // Whoever does not wait any more has ended.
                let _ = done.send(());
            }
            match round.outcome {
                Ok(outcome) if outcome.deliveries > 0 => self.wake.notify_one(),
                Ok(_) => {}
                // The desk keeps what it was told, and writes it next time.
                Err(error) => {
                    tracing::error!(%error, "alerts cannot be written");
                    next = Some(now + chrono::TimeDelta::seconds(1));
                }
            }
            self.vitals.figures.labelled.alerts(&round.counts);
            if counted.is_none_or(|at| at.elapsed() >= LONGEST) {
                counted = Some(Instant::now());
                let (store, vitals) = (self.parts.store.clone(), Arc::clone(&self.vitals));
                if let Err(error) = blocking(move || vitals.figures.labelled.queues(&store)).await {
                    tracing::warn!(%error, "waiting notifications cannot be counted");
                }
            }
            self.vitals.figures.labelled.channels(&self.worker);
            waiting.extend(round.remediations);
            while actions.len() < MOST_ACTIONS && !waiting.is_empty() && !self.stop.is_cancelled() {
                let remediation = waiting.remove(0);
                let (parts, stop) = (self.parts.clone(), self.stop.clone());
                actions.spawn(async move { carry_out(parts, remediation, stop).await });
            }
            if waiting.len() > MOST_WAITING {
                let refused = waiting.split_off(MOST_WAITING);
                tracing::warn!(actions = refused.len(), "too many actions wait: the latest are not carried out");
            }
        }
        Ok(())
    }
}

async fn carry_out(parts: Parts, wanted: Remediation, stop: CancellationToken) -> Said {
    let because = format!("threshold {}", wanted.threshold);
    let ask = Ask::unattended(&wanted.device, &wanted.call, &because);
    let done = crate::apply::act(&parts, &ask, &stop).await.map(|acted| acted.message);
    let outcome = done.unwrap_or_else(|error| format!("{} was not begun: {error}", wanted.call.action));
    Said::Remediated { alert: wanted.alert, outcome }
}

fn decide(mut desk: Desk, said: Vec<Said>, now: DateTime<Utc>) -> Round {
    let mut total = Outcome::default();
    let mut failed = None;
    let mut take = |outcome: Result<Outcome, StoreError>| match outcome {
        Ok(outcome) => {
            total.alerts += outcome.alerts;
            total.deliveries += outcome.deliveries;
        }
        Err(error) => failed = Some(error),
    };
    for one in said {
        take(match one {
            Said::Samples(samples) => desk.samples(&samples, now),
            Said::Records(records) => desk.records(&records, now),
            Said::Signals(signals) => desk.signals(signals, now),
            Said::Facts(devices) => desk.facts_changed(devices.iter().map(String::as_str), now),
            Said::Set(set) => desk.reload(set, now),
            // Nothing to be decided.
            Said::Settled(_) => Ok(Outcome::default()),
            Said::External => desk.external(now),
            Said::Remediated { alert, outcome } => desk.remediated(&alert, &outcome, now),
        });
    }
    if desk.next_wakeup().is_some_and(|at| at <= now) {
        take(desk.tick(now));
    }
    let (remediations, counts, next) = (desk.take_remediations(), desk.counts(), desk.next_wakeup());
    Round { desk, outcome: failed.map_or(Ok(total), Err), remediations, counts, next }
}
