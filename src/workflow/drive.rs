//! Drives runs: looks at those that something has happened to, begins what is due within all limits, and writes down what came
//! of it. One transaction for many devices; a process that ends anywhere leaves rows from which the next one goes on.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::led::{Aside, Led};
use super::moving::{Moved, Moving};
use super::work::{Doing, work};
use crate::apply::Parts;
use crate::model::device::TransportKind;
use crate::model::job::{JobPart, JobProgress};
use crate::model::{Job, StepState, WorkflowRun, WorkflowState};
use crate::store::{JobChange, Owner, Store, StoreError};

/// How long a run is held without a sign of life, and how often one is given.
const LEASE: TimeDelta = TimeDelta::minutes(5);
const BEAT: Duration = Duration::from_secs(30);
/// How soon what others have written is seen.
const LOOK: Duration = Duration::from_millis(250);
/// The same where there is nothing to drive.
const REST: Duration = Duration::from_secs(1);
/// Results written in one transaction.
const BATCH: usize = 256;
/// Results on their way. Where it is full, devices wait for the disk.
const WAITING: usize = 1024;

/// Which runs are driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every run that nobody else drives, until it is stopped.
    All,
    /// The same, until nothing more can be done now: what waits for a moment, a person or a device is left to who comes next.
    Due,
    /// This one, and those that it starts and waits for, until it ends.
    One(String),
}

/// What happens in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run has moved on.
    Run {
        /// Run.
        run: String,
        /// Where it stands now.
        state: WorkflowState,
        /// Why.
        error: Option<String>,
    },
    /// A step has moved on.
    Step {
        /// Run.
        run: String,
        /// Position, from 0.
        step: u32,
        /// Its name.
        name: Arc<str>,
        /// Where it stands now.
        state: StepState,
        /// Until when it waits.
        until: Option<DateTime<Utc>>,
        /// Why.
        reason: Option<String>,
    },
    /// A job has moved on.
    Job(Box<Job>),
    /// A job that copies a file has got so far. Told every few seconds at most.
    Progress {
        /// Run.
        run: String,
        /// Job.
        job: String,
        /// Device by name.
        device: Arc<str>,
        /// How far.
        progress: JobProgress,
    },
}

/// Takes events.
pub type OnEvent = Box<dyn Fn(Event) + Send + Sync>;

/// Drives runs.
pub struct Driver {
    /// What carrying out needs, of the policy set that is in force now.
    pub parts: Box<dyn Fn() -> Parts + Send + Sync>,
    /// Which runs.
    pub which: Which,
    /// Nothing further is begun once this is cancelled; what is in flight ends.
    pub stop: CancellationToken,
    /// What is in flight is ended too, and taken up again by whoever drives next.
    pub abort: CancellationToken,
    /// Takes events.
    pub on: OnEvent,
}

pub(super) struct Flight {
    pub(super) run: String,
    pub(super) step: u32,
    pub(super) part: JobPart,
    pub(super) site: String,
    pub(super) behind_share: bool,
    pub(super) cancel: CancellationToken,
}

pub(super) struct State {
    pub(super) owner: Owner,
    pub(super) led: BTreeMap<String, Led>,
    pub(super) flights: HashMap<String, Flight>,
    pub(super) revision: Option<i64>,
    pub(super) beaten: tokio::time::Instant,
    pub(super) wake: Option<DateTime<Utc>>,
    /// Jobs that begin now.
    pub(super) begun: Vec<Job>,
    /// Places that were given so far.
    pub(super) served: u64,
    /// How far files have got.
    pub(super) moving: Arc<Moving>,
    /// Nobody has written anything since the runs were looked at.
    pub(super) read: bool,
    pub(super) over: bool,
}

impl State {
    /// Nothing is under way, and nothing can be begun before some later moment.
    fn rests(&self, now: DateTime<Utc>) -> bool {
        let led = || self.led.values();
        self.read && self.flights.is_empty() && led().all(|led| !led.dirty && led.orphans.is_empty()) && self.wake.is_none_or(|at| at > now)
    }
}

type Done = (String, Result<Option<JobChange>, StoreError>);

impl Driver {
    /// Drives until the run has ended, or until it is stopped. Returns the run as it is then, of one that was named.
    pub async fn run(self: Arc<Self>) -> Result<Option<WorkflowRun>, StoreError> {
        let (sender, mut receiver) = mpsc::channel::<Done>(WAITING);
        let mut tasks = JoinSet::new();
        let mut state = State {
            owner: Owner::this_process(),
            led: BTreeMap::new(),
            flights: HashMap::new(),
            revision: None,
            beaten: tokio::time::Instant::now(),
            wake: None,
            begun: Vec::new(),
            served: 0,
            moving: Arc::default(),
            read: false,
            over: false,
        };
        let owner = state.owner.clone();
        let mut done = Vec::with_capacity(BATCH);
        let ended = loop {
            let results = std::mem::take(&mut done);
            let this = Arc::clone(&self);
            let turned = tokio::task::spawn_blocking(move || {
                let turned = this.turn(&mut state, results);
                (state, turned)
            });
            let Ok((back, turned)) = turned.await else { break Ok(()) };
            state = back;
            if let Err(error) = turned {
                self.abort.cancel();
                break Err(error);
            }
            for job in std::mem::take(&mut state.begun) {
                self.begin(&mut state, job, &sender, &mut tasks);
            }
            while tasks.try_join_next().is_some() {}
            if state.over || self.stop.is_cancelled() && state.flights.is_empty() {
                break Ok(());
            }
            let now = (self.parts)().clock.now();
            if self.which == Which::Due && state.rests(now) {
                break Ok(());
            }
            let look = if state.led.is_empty() { REST } else { LOOK };
            let until = state.wake.map_or(look, |at| (at - now).to_std().unwrap_or_default().min(look));
            tokio::select! {
                n = receiver.recv_many(&mut done, BATCH) => if n == 0 { break Ok(()) },
                () = tokio::time::sleep(until.max(Duration::from_millis(1))) => {}
            }
        };
        // Owned children: none outlives its driver.
        while tasks.join_next().await.is_some() {}
        let store = (self.parts)().store;
        let released = store.release_all(&owner);
        ended?;
        released?;
        match &self.which {
            Which::One(id) => store.workflow_run(id),
            Which::All | Which::Due => Ok(None),
        }
    }

    fn begin(self: &Arc<Self>, state: &mut State, job: Job, sender: &mpsc::Sender<Done>, tasks: &mut JoinSet<()>) {
        let Some(led) = state.led.get(&job.run) else { return };
        // Steps may name thousands of devices: one copy of them serves all jobs.
        let n = job.step as usize;
        if led.run.steps.get(n).is_none() {
            return;
        }
        let parts = (self.parts)();
        let device = parts.set.devices.get(&*job.device);
        let flight = Flight {
            run: job.run.clone(),
            step: job.step,
            part: job.part,
            site: device.and_then(|device| device.site.clone()).unwrap_or_default(),
            behind_share: device.is_some_and(|device| parts.set.transport(device) == TransportKind::Share),
            cancel: self.abort.child_token(),
        };
        let cancel = flight.cancel.clone();
        state.flights.insert(job.id.clone(), flight);
        let (run, about, sender, abort) = (Arc::clone(&led.run), about(led), sender.clone(), self.abort.clone());
        let moving = Arc::clone(&state.moving);
        tasks.spawn(async move {
            let moving = &*moving;
            let Some(step) = run.steps.get(n) else { return };
            let doing = Doing { parts: &parts, run: &run, step, job: &job, about: &about, cancel: &cancel, abort: &abort, moving };
            let worked = work(&doing).await;
            // Nobody listens any more only where everything ends.
            let _ = sender.send((job.id.clone(), worked)).await;
        });
    }

    /// Writes down what came in, takes up runs, does what follows, and chooses what begins. Blocks.
    fn turn(&self, state: &mut State, results: Vec<Done>) -> Result<(), StoreError> {
        let parts = (self.parts)();
        let store = &parts.store;
        // While those that have just ended are still known. Where it cannot be written, only that is missing.
        self.tell_progress(store, state);
        self.keep(&parts, state, results)?;
        if state.beaten.elapsed() >= BEAT {
            state.beaten = tokio::time::Instant::now();
            store.heartbeat(&state.owner, LEASE)?;
            let leases = store.leases()?;
            let mine = leases.iter().filter(|lease| lease.owner == state.owner);
            let held: BTreeSet<&str> = mine.filter_map(|lease| lease.name.strip_prefix("run ")).collect();
            if state.led.keys().any(|id| !held.contains(&**id)) {
                tracing::error!("a lease on a run was lost: another process has taken it over");
                self.stop.cancel();
                self.abort.cancel();
            }
        }
        let revision = store.workflow_revision()?;
        if state.revision != Some(revision) {
            state.revision = Some(revision);
            store.dequeue_runs(&parts.actor)?;
            self.take_up(&parts, state)?;
            for led in state.led.values_mut() {
                led.dirty = true;
            }
        }
        let now = parts.clock.now();
        let mut again = true;
        while again {
            again = false;
            let mut ended = Vec::new();
            for led in state.led.values_mut().filter(|led| led.dirty || led.wake.is_some_and(|at| at <= now)) {
                led.dirty = true;
                let mut aside = Aside::default();
                led.advance(&parts, &*self.on, &mut aside)?;
                for flight in state.flights.values().filter(|flight| flight.run == led.run.id && aside.abort.contains(&flight.step)) {
                    flight.cancel.cancel();
                }
                ended.append(&mut aside.ended);
            }
            for parent in ended {
                if let Some(led) = state.led.get_mut(&parent) {
                    led.dirty = true;
                    again = true;
                }
            }
        }
        if !self.stop.is_cancelled() {
            self.choose(&parts, state, now)?;
        }
        self.let_go(store, state)?;
        state.wake = state.led.values().filter_map(|led| led.wake).min();
        state.read = self.which != Which::Due || state.revision == Some(store.workflow_revision()?);
        Ok(())
    }

    /// Leases runs that nobody drives.
    fn take_up(&self, parts: &Parts, state: &mut State) -> Result<(), StoreError> {
        let store = &parts.store;
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let mut wanted: Vec<String> = match &self.which {
            Which::All | Which::Due => store.runs_to_drive()?,
            Which::One(id) => {
                let mut wanted = vec![id.clone()];
                for other in store.runs_to_drive()? {
                    let parent = store.workflow_run(&other)?.and_then(|run| run.parent);
                    if parent.is_some_and(|(parent, _)| wanted.contains(&parent)) {
                        wanted.push(other);
                    }
                }
                wanted
            }
        };
        wanted.retain(|id| !state.led.contains_key(id));
        for id in wanted {
            match store.lease_run(&id, &state.owner, LEASE) {
                Ok(()) => {}
                Err(StoreError::Leased { .. }) if self.which != Which::One(id.clone()) => continue,
                Err(error) => return Err(error),
            }
            if let Some(led) = Led::read(store, &id)? {
                state.led.insert(id, led);
            }
        }
        Ok(())
    }

    /// Results into the database, in the order in which they came; an error among them is told once the others are there.
    pub(super) fn keep(&self, parts: &Parts, state: &mut State, results: Vec<Done>) -> Result<(), StoreError> {
        let mut changes = Vec::with_capacity(results.len());
        let mut failed = None;
        for (id, worked) in results {
            let Some(flight) = state.flights.remove(&id) else { continue };
            state.moving.forget(&id);
            if let Some(led) = state.led.get_mut(&flight.run) {
                led.dirty = true;
            }
            match worked {
                Ok(change) => changes.extend(change),
                Err(error) => failed = Some(error),
            }
        }
        let batch = parts.store.move_jobs(&changes, &state.owner, &parts.actor)?;
        for job in batch.changed {
            (self.on)(Event::Job(Box::new(job)));
        }
        for job in batch.refused {
            tracing::warn!(job = job.id.as_str(), state = %job.state, "what came of a job was not kept: it stands elsewhere by now");
        }
        failed.map_or(Ok(()), Err)
    }

    /// Tells and writes down how far files have got, every few seconds. No work ends because this cannot be written.
    fn tell_progress(&self, store: &Store, state: &State) {
        let moved = state.moving.due();
        let rows: Vec<_> = moved.iter().map(|moved| (&*moved.job, moved.progress)).collect();
        if let Err(error) = store.note_progress(&rows) {
            tracing::warn!(%error, "how far files have got cannot be written down");
        }
        for Moved { run, job, device, progress } in moved {
            (self.on)(Event::Progress { run, job, device, progress });
        }
    }

    /// Gives back runs that have ended and have nothing in the queue.
    fn let_go(&self, store: &Store, state: &mut State) -> Result<(), StoreError> {
        let flying = |id: &str| state.flights.values().any(|flight| flight.run == id) || state.begun.iter().any(|job| job.run == id);
        let over: Vec<String> = state
            .led
            .values()
            .filter(|led| led.run.state.is_final() && !led.dirty && (!led.has_work() || led.run.state.is_final() && self.is(&led.run.id)))
            .filter(|led| led.running() == 0 && !flying(&led.run.id))
            .map(|led| led.run.id.clone())
            .collect();
        for id in over {
            state.led.remove(&id);
            store.release_run(&id, &state.owner)?;
            if self.is(&id) {
                state.over = true;
            }
        }
        if let Which::One(id) = &self.which
            && !state.led.contains_key(id)
        {
            state.over = true;
        }
        Ok(())
    }

    fn is(&self, id: &str) -> bool {
        matches!(&self.which, Which::One(one) if one == id)
    }
}

/// What a run has come to so far, in a line for each step.
fn about(led: &Led) -> String {
    let mut lines = vec![format!("{} ({})", led.run.workflow, led.run.id)];
    for step in led.steps.iter().filter(|step| step.state.is_final()) {
        let reason = step.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        lines.push(format!("{}: {}{reason}", step.name, step.state));
    }
    lines.join("\n")
}
