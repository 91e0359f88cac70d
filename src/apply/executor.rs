//! The executor: devices in parallel within limits, stages one after the other, stopped by failures or by a person.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::events::Event;
use super::heart::Heart;
use super::limits::Refused;
use super::stages::Stage;
use crate::access::{Redactor, SecretStore};
use crate::diagnose::{Category, Diagnose};
use crate::model::config::Amount;
use crate::model::device::TransportKind;
use crate::model::run::{Actor, ChangeState, Run, RunChange, RunState};
use crate::repo::PolicySet;
use crate::store::{Owner, Step, Store, StoreError};
use crate::time::Clock;
use crate::transport::{Places, Sessions, Waiting};

/// How long a lease holds without a sign of life. The process's end frees it at once on the same machine.
pub(super) const LEASE: chrono::TimeDelta = chrono::TimeDelta::minutes(2);

/// How a run is carried out. Kept with the run, so that a resumed one goes on in the same way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplyOptions {
    /// Devices changed at once.
    pub concurrency: u32,
    /// Devices changed at once at one site.
    pub per_site: Option<u32>,
    /// Failed devices after which no further one is begun.
    #[serde(with = "amount_text")]
    pub max_failures: Amount,
    /// Groups that go first, in this order.
    pub stages: Vec<String>,
}

mod amount_text {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::config::Amount;

    #[allow(clippy::trivially_copy_pass_by_ref)] // the signature that serde asks for
    pub(super) fn serialize<S: Serializer>(amount: &Amount, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(amount)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Amount, D::Error> {
        Amount::deserialize(d)
    }
}

/// Why a run did not begin, or had to be given up.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Not allowed; nothing was done.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The database cannot be used any more: everything was stopped.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for ApplyError {
    fn code(&self) -> &'static str {
        match self {
            Self::Refused(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }
    fn category(&self) -> Category {
        match self {
            Self::Refused(error) => error.category(),
            Self::Store(error) => error.category(),
        }
    }
    fn advice(&self) -> Option<String> {
        match self {
            Self::Refused(error) => error.advice(),
            Self::Store(error) => error.advice(),
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finished {
    /// Changes by state.
    pub states: BTreeMap<ChangeState, usize>,
    /// Devices on which something failed.
    pub failed: Vec<String>,
    /// Devices that could not be reached; their changes wait.
    pub unreachable: Vec<String>,
    /// Whether a person stopped it.
    pub interrupted: bool,
    /// Why it stopped before its end, where it did.
    pub stopped: Option<String>,
}

/// Everything that carrying out a run needs. Shared by the tasks of its devices.
pub struct Executor {
    /// The repository.
    pub set: Arc<PolicySet>,
    /// The database.
    pub store: Store,
    /// Sessions.
    pub sessions: Arc<Sessions>,
    /// Where secrets come from.
    pub secrets: Arc<SecretStore>,
    /// Takes known secrets out of errors.
    pub redactor: Redactor,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Who asks.
    pub actor: Actor,
    /// Run.
    pub run: String,
    /// How it is carried out.
    pub options: ApplyOptions,
    /// No further change is begun once this is cancelled; what is in flight ends.
    pub stop: CancellationToken,
    /// What is in flight is ended too.
    pub abort: CancellationToken,
    /// The caller holds the leases of the devices.
    pub leased: bool,
    /// Set where the run's process died: then nobody has kept what it saw last.
    pub crashed: AtomicBool,
    /// Takes events.
    pub on: Box<dyn Fn(Event) + Send + Sync>,
}

/// What is carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// A new run. It comes into the database once its devices are leased: one that is refused leaves nothing behind.
    Begin(Box<Run>, Vec<RunChange>),
    /// These changes of a run that was stopped, or whose process died.
    Resume(Vec<RunChange>),
}

impl Task {
    /// The changes that it is about.
    pub fn changes(&self) -> &[RunChange] {
        match self {
            Self::Begin(_, changes) | Self::Resume(changes) => changes,
        }
    }
}

/// What came of one device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DeviceOutcome {
    pub(super) failed: bool,
    pub(super) unreachable: bool,
}

impl Executor {
    /// Carries out the changes of a task that are not final yet; `stages` name their devices in order. Ends with the
    /// run's final state written.
    pub async fn carry_out(self: Arc<Self>, task: Task, stages: Vec<Stage>) -> Result<Finished, ApplyError> {
        let owner = Owner::this_process();
        let (this, of) = (Arc::clone(&self), owner.clone());
        let (held, task) = blocking(move || this.lease(&of, task.changes()).map(|held| (held, task))).await?;
        let heart = Heart::start(Arc::clone(&self), owner.clone(), held);
        let this = Arc::clone(&self);
        let worked = match blocking(move || this.begin(task)).await {
            Ok(devices) => Arc::clone(&self).stages(devices, stages).await,
            Err(error) => Err(error.into()),
        };
        heart.stop().await;
        blocking(move || {
            let finished = worked.and_then(|finished| self.finish(finished));
            // Where the database is gone the leases end with the process.
            let _ = self.store.release_all(&owner);
            finished
        })
        .await
    }

    /// All devices, or none: a run that would meet another one does not begin.
    fn lease(&self, owner: &Owner, changes: &[RunChange]) -> Result<usize, ApplyError> {
        let devices: BTreeSet<&str> = changes.iter().map(|c| &*c.device).collect();
        let leased = |result: Result<(), StoreError>, device: &str| match result {
            Err(StoreError::Leased { run, .. }) => Err(ApplyError::Refused(Refused::Leased { device: device.to_owned(), run })),
            other => other.map_err(ApplyError::from),
        };
        let mut taken = leased(self.store.lease_run(&self.run, owner, LEASE), &format!("run {}", self.run));
        let own = devices.iter().filter(|_| !self.leased);
        for device in own.clone() {
            if taken.is_err() {
                break;
            }
            taken = leased(self.store.lease_device(device, &self.run, owner, LEASE), device);
        }
        if taken.is_err() {
            self.store.release_all(owner)?;
        }
        taken.map(|()| own.count() + 1)
    }

    /// Puts a new run into the database, or takes up an old one: under its lease, so that what the journal says holds.
    /// Returns the devices that have something to be done, each with all of its changes in this run.
    fn begin(&self, task: Task) -> Result<BTreeMap<String, Vec<RunChange>>, StoreError> {
        let mut devices: BTreeMap<String, Vec<RunChange>> = BTreeMap::new();
        match task {
            Task::Begin(run, changes) => {
                self.store.create_run(&run, &changes)?;
                for change in changes {
                    devices.entry(change.device.clone()).or_default().push(change);
                }
            }
            Task::Resume(wanted) => {
                let wanted: BTreeSet<i64> = wanted.iter().map(|c| c.seq).collect();
                let missing = || StoreError::Missing { what: "run", name: self.run.clone() };
                let run = self.store.run(&self.run)?.ok_or_else(missing)?;
                if self.store.resume_run(&self.run, &self.actor)? == RunState::Running {
                    self.crashed.store(true, Ordering::SeqCst);
                }
                let expired = self.clock.now() >= run.expires_at;
                for change in self.store.run_changes(&self.run)? {
                    if expired && change.state == ChangeState::Queued {
                        let error = format!("given up: the device did not return before {}", run.expires_at.format("%F %H:%M UTC"));
                        self.step_now(&change, ChangeState::Failed, &Step { error: Some(error), ..Step::default() })?;
                    } else if change.state.is_final() || wanted.contains(&change.seq) {
                        devices.entry(change.device.clone()).or_default().push(change);
                    }
                }
            }
        }
        devices.retain(|_, changes| changes.iter().any(|c| !c.state.is_final()));
        Ok(devices)
    }

    async fn stages(self: Arc<Self>, mut devices: BTreeMap<String, Vec<RunChange>>, stages: Vec<Stage>) -> Result<Finished, ApplyError> {
        let mut finished = Finished::default();
        let allowed = self.options.max_failures.of(devices.len()).max(1);
        let many = stages.len() > 1;
        let mut failures = 0;
        for stage in stages {
            let work: Vec<(String, Vec<RunChange>)> =
                stage.devices.iter().filter_map(|name| devices.remove(name).map(|changes| (name.clone(), changes))).collect();
            if work.is_empty() {
                continue;
            }
            if many && !self.stop.is_cancelled() {
                (self.on)(Event::Stage { name: stage.name.clone(), devices: work.len() });
            }
            let outcomes = Arc::clone(&self).stage(work, failures, allowed, &mut finished).await?;
            failures += outcomes.values().filter(|o| o.failed).count();
            let unwell = outcomes.values().filter(|o| o.failed || o.unreachable).count();
            finished.failed.extend(outcomes.iter().filter(|(_, o)| o.failed).map(|(d, _)| d.clone()));
            finished.unreachable.extend(outcomes.iter().filter(|(_, o)| o.unreachable && !o.failed).map(|(d, _)| d.clone()));
            // The health gate: a stage whose devices did not come through well holds back the next one.
            if many && unwell >= self.options.max_failures.of(outcomes.len()).max(1) && !devices.is_empty() && finished.stopped.is_none() {
                self.give_up(
                    &mut finished,
                    format!("{unwell} of {} devices of stage '{}' did not come through", outcomes.len(), stage.name),
                );
            }
        }
        // What no stage named has been left out by the plan; nothing may be lost in silence.
        for (_, changes) in devices {
            self.cancel_rest(&changes, "not part of any stage").await?;
        }
        Ok(finished)
    }

    fn give_up(&self, finished: &mut Finished, reason: String) {
        (self.on)(Event::Stopped { reason: reason.clone() });
        finished.stopped = Some(reason);
        self.stop.cancel();
    }

    async fn stage(
        self: Arc<Self>,
        work: Vec<(String, Vec<RunChange>)>,
        failures_before: usize,
        allowed: usize,
        finished: &mut Finished,
    ) -> Result<BTreeMap<String, DeviceOutcome>, ApplyError> {
        // As many once more behind shares: what is switched off there holds up nobody who is reached directly, and a change that
        // does harm still meets few devices before that shows. The same goes for the limit of a site.
        let most = self.options.concurrency as usize;
        let places = Places::new(most, most);
        let mut sites: HashMap<(String, bool), Arc<Semaphore>> = HashMap::new();
        let failures = Arc::new(AtomicUsize::new(failures_before));
        let outcomes = Arc::new(Mutex::new(BTreeMap::new()));
        let tripped = Arc::new(AtomicBool::new(false));
        let mut tasks: JoinSet<Result<(), StoreError>> = JoinSet::new();
        let mut fatal = None;
        let transport = |name: &str| self.set.devices.get(name).map(|device| self.set.transport(device)).unwrap_or_default();
        let mut waiting: Waiting<_> = work.into_iter().map(|(device, changes)| (transport(&device), (device, changes))).collect();
        while let Some((place, (device, changes))) = places.next(&mut waiting).await {
            while let Some(done) = tasks.try_join_next() {
                fatal = fatal.or(done.ok().and_then(Result::err));
            }
            if fatal.is_some() {
                self.abort.cancel();
                break;
            }
            if failures.load(Ordering::SeqCst) >= allowed && finished.stopped.is_none() && !self.stop.is_cancelled() {
                let n = failures.load(Ordering::SeqCst);
                self.give_up(finished, format!("{n} devices failed (max_failures {})", self.options.max_failures));
            }
            let site = (self.site(&device), transport(&device) == TransportKind::Share);
            let at_site = self
                .options
                .per_site
                .map(|most| Arc::clone(sites.entry(site).or_insert_with(|| Arc::new(Semaphore::new(most.max(1) as usize)))));
            let (this, failures, outcomes, tripped) =
                (Arc::clone(&self), Arc::clone(&failures), Arc::clone(&outcomes), Arc::clone(&tripped));
            tasks.spawn(async move {
                let _place = place;
                let _at_site = match &at_site {
                    Some(semaphore) => semaphore.acquire().await.ok(),
                    None => None,
                };
                // Devices may have failed while this one waited for its turn at the site.
                if failures.load(Ordering::SeqCst) >= allowed && !this.stop.is_cancelled() {
                    tripped.store(true, Ordering::SeqCst);
                    this.stop.cancel();
                }
                let outcome = match this.device(&device, changes).await {
                    // A step that the journal does not take is a fault of ours on this device; the others go on.
                    Err(error @ StoreError::Transition { .. }) => {
                        tracing::error!(device = device.as_str(), run = this.run.as_str(), error = %error, "the journal refused a step");
                        DeviceOutcome { failed: true, unreachable: false }
                    }
                    other => other?,
                };
                if outcome.failed {
                    failures.fetch_add(1, Ordering::SeqCst);
                }
                outcomes.lock().unwrap_or_else(PoisonError::into_inner).insert(device, outcome);
                Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    // The journal cannot be written: end what is in flight, keep the first cause.
                    self.stop.cancel();
                    self.abort.cancel();
                    fatal = fatal.or(Some(error));
                }
                // A task of ours has panicked; its device's lease and intent stay, and a resumed run looks at it again.
                Err(error) => tracing::error!(%error, "a device's task ended early"),
            }
        }
        if let Some(error) = fatal {
            return Err(error.into());
        }
        if tripped.load(Ordering::SeqCst) && finished.stopped.is_none() {
            let n = failures.load(Ordering::SeqCst);
            self.give_up(finished, format!("{n} devices failed (max_failures {})", self.options.max_failures));
        }
        let outcomes = outcomes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(outcomes)
    }

    fn site(&self, device: &str) -> String {
        let declared = self.set.devices.get(device).and_then(|d| d.site.clone());
        declared.unwrap_or_else(|| self.set.config.general.default_site.clone())
    }

    /// Marks changes that will not have their turn.
    pub(super) async fn cancel_rest(self: &Arc<Self>, changes: &[RunChange], why: &str) -> Result<(), StoreError> {
        for change in changes.iter().filter(|c| matches!(c.state, ChangeState::Pending | ChangeState::Queued)) {
            self.step(change, ChangeState::Cancelled, Step { error: Some(why.to_owned()), ..Step::default() }).await?;
        }
        Ok(())
    }

    /// One step in the journal, and its event.
    pub(super) async fn step(self: &Arc<Self>, change: &RunChange, next: ChangeState, mut step: Step) -> Result<RunChange, StoreError> {
        for value in [&mut step.before, &mut step.after].into_iter().flatten() {
            super::hidden::hide_in_value(self.secrets.redactor(), value);
        }
        let (this, change) = (Arc::clone(self), change.clone());
        blocking(move || this.step_now(&change, next, &step)).await
    }

    /// The same, blocking.
    fn step_now(&self, change: &RunChange, next: ChangeState, step: &Step) -> Result<RunChange, StoreError> {
        let error = step.error.clone();
        let (device, label) = (change.device.as_str(), change.change.label());
        if let (Some(error), ChangeState::Failed | ChangeState::RolledBack | ChangeState::Interrupted) = (&error, next) {
            tracing::warn!(device, run = self.run.as_str(), setting = label, error = error.as_str(), "change {next}");
        } else {
            tracing::info!(device, run = self.run.as_str(), setting = label, "change {next}");
        }
        let now = self.store.transition(&self.run, change.seq, next, step, &self.actor)?;
        (self.on)(Event::Change { device: change.device.clone(), setting: change.change.label(), state: next, error });
        Ok(now)
    }

    /// Counts what the journal says and writes the run's final state.
    fn finish(&self, mut finished: Finished) -> Result<Finished, ApplyError> {
        for change in self.store.run_changes(&self.run)? {
            *finished.states.entry(change.state).or_default() += 1;
        }
        let has = |state: ChangeState| finished.states.get(&state).is_some_and(|n| *n > 0);
        let open = [ChangeState::Pending, ChangeState::Started, ChangeState::Queued, ChangeState::Cancelled, ChangeState::Interrupted];
        let state = if open.into_iter().any(has) {
            RunState::Interrupted
        } else if has(ChangeState::Failed) || has(ChangeState::RolledBack) {
            RunState::Failed
        } else {
            RunState::Done
        };
        finished.interrupted = self.stop.is_cancelled() && finished.stopped.is_none();
        self.store.set_run_state(&self.run, state, &self.actor)?;
        Ok(finished)
    }
}
