//! Drives the runs of workflows: all of them that nobody else has leased, with the policy set in force, to their ends. What starts
//! them is in `triggers`; what comes next in each is decided in `workflow/`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::error::ReconcileError;
use super::noticed::Noticed;
use super::vitals::Vitals;
use crate::apply::Parts;
use crate::model::WorkflowState;
use crate::repo::PolicySet;
use crate::store::StoreError;
use crate::workflow::{Driver, Event, Which};

/// A driver that has lost a lease begins again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// How often runs and jobs are counted, where anything has moved.
const COUNT: Duration = Duration::from_secs(5);
/// While what is in flight ends, the loop gives a sign of life so often.
const BEAT: Duration = Duration::from_secs(1);

/// What drives.
pub(super) struct Runs {
    pub(super) parts: Parts,
    pub(super) noticed: Noticed,
    pub(super) vitals: Arc<Vitals>,
    /// Whoever sends notifications: a run may have left some.
    pub(super) wake: Arc<Notify>,
    /// Nothing further is begun.
    pub(super) stop: CancellationToken,
    /// What is in flight is ended too.
    pub(super) abort: CancellationToken,
}

impl Runs {
    /// Works until `stop`, then lets what is in flight end, for `daemon.drain`.
    pub(super) async fn run(self, sets: watch::Receiver<Arc<PolicySet>>) -> Result<(), ReconcileError> {
        let abort = self.abort.child_token();
        let (parts, moved) = (Arc::new(Mutex::new(self.parts.clone())), Arc::new(AtomicBool::new(true)));
        tokio::select! {
            ended = self.drive(&parts, &moved, &abort) => Ok(ended?),
            failed = self.follow(&parts, &moved, sets) => Ok(failed?),
            () = self.drain(&parts, &abort) => Ok(()),
        }
    }

    async fn drive(&self, parts: &Arc<Mutex<Parts>>, moved: &Arc<AtomicBool>, abort: &CancellationToken) -> Result<(), StoreError> {
        while !self.stop.is_cancelled() {
            let (of, news, wake) = (Arc::clone(parts), Arc::clone(moved), Arc::clone(&self.wake));
            let driver = Driver {
                parts: Box::new(move || of.lock().unwrap_or_else(PoisonError::into_inner).clone()),
                which: Which::All,
                // Of its own: where it has lost a lease it ends, and the daemon does not.
                stop: self.stop.child_token(),
                abort: abort.child_token(),
                on: Box::new(move |event| {
                    news.store(true, Ordering::Relaxed);
                    if !matches!(event, Event::Job(_) | Event::Progress { .. }) {
                        wake.notify_one();
                    }
                    say(&event);
                }),
            };
            Arc::new(driver).run().await?;
            if !self.stop.is_cancelled() {
                tracing::warn!("runs of workflows are taken up anew");
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
        Ok(())
    }

    /// Policy sets that come into force, devices that return, figures.
    async fn follow(&self, parts: &Mutex<Parts>, moved: &AtomicBool, mut sets: watch::Receiver<Arc<PolicySet>>) -> Result<(), StoreError> {
        loop {
            tokio::select! {
                changed = sets.changed() => {
                    if changed.is_err() {
                        return std::future::pending().await;
                    }
                    let set = Arc::clone(&sets.borrow_and_update());
                    parts.lock().unwrap_or_else(PoisonError::into_inner).take(set);
                }
                returned = self.noticed.returned() => {
                    let store = self.parts.store.clone();
                    let jobs = blocking(move || returned.iter().try_fold(0, |jobs, device| Ok::<_, StoreError>(jobs + store.wake_jobs(device)?)));
                    let jobs = jobs.await?;
                    if jobs > 0 {
                        tracing::info!(jobs, "devices are back: what waits for them goes on");
                    }
                }
                () = tokio::time::sleep(COUNT) => {
                    if moved.swap(false, Ordering::Relaxed) {
                        let store = self.parts.store.clone();
                        self.vitals.count(&blocking(move || store.workflow_figures()).await?);
                    }
                }
            }
        }
    }

    async fn drain(&self, parts: &Mutex<Parts>, abort: &CancellationToken) {
        self.stop.cancelled().await;
        let drain = parts.lock().unwrap_or_else(PoisonError::into_inner).set.config.daemon.drain.duration();
        let until = Instant::now() + drain;
        loop {
            self.vitals.beat();
            tokio::time::sleep(BEAT).await;
            if Instant::now() >= until && !abort.is_cancelled() {
                tracing::warn!("actions are still at work after daemon.drain: ended, and taken up at the next start");
                abort.cancel();
            }
        }
    }
}

/// What whoever reads the log wants to know.
fn say(event: &Event) {
    match event {
        Event::Run { run, state: WorkflowState::Failed, error: Some(error) } => {
            tracing::warn!(run, state = %WorkflowState::Failed, "workflow: {error}");
        }
        Event::Run { run, state, .. } => tracing::info!(run, state = %state, "workflow"),
        Event::Step { run, name, state, reason, .. } => {
            tracing::info!(run, step = &**name, state = %state, reason = reason.as_deref().unwrap_or("-"), "workflow");
        }
        Event::Progress { .. } => {}
        Event::Job(job) => {
            tracing::debug!(run = job.run, device = &*job.device, action = &*job.action, state = %job.state, "job");
        }
    }
}

/// Drives what is due, until nothing more can be done now. Returns how many runs have failed meanwhile.
pub async fn drive_due(parts: Parts, (stop, abort): (CancellationToken, CancellationToken)) -> Result<usize, StoreError> {
    let failed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&failed);
    let driver = Driver {
        parts: Box::new(move || parts.clone()),
        which: Which::Due,
        stop,
        abort,
        on: Box::new(move |event| {
            if matches!(event, Event::Run { state: WorkflowState::Failed, .. }) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            say(&event);
        }),
    };
    Arc::new(driver).run().await?;
    Ok(failed.load(Ordering::Relaxed))
}
