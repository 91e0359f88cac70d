//! What starts runs of workflows by itself: schedules, alerts, devices that come into groups. Each occasion has a key, and the
//! database starts one run for it however often it is seen: whatever is begun here can be begun again after a crash. Webhooks are
//! in `hooks`.

mod added;
mod alerted;
mod moments;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::error::ReconcileError;
use super::noticed::Noticed;
use super::timers::Timers;
use crate::apply::Parts;
use crate::model::workflow_run::Cause;
use crate::model::{Trigger, Workflow};
use crate::repo::PolicySet;
use crate::store::{Started, StoreError};
use crate::workflow::{new_run, rule};

use added::Groups;

/// How often new alerts are looked for, and the clock on the wall.
const LOOK: Duration = Duration::from_secs(1);
/// Devices whose facts have changed are looked at together, so often.
const GATHER: Duration = Duration::from_secs(30);

/// What starts runs.
pub struct Triggers {
    parts: Parts,
    timers: Timers,
    groups: Groups,
    alerts: bool,
}

impl Triggers {
    /// With the policy set in force. What a process before this one had begun to start is started. Blocking.
    pub fn begin(parts: Parts) -> Result<Self, StoreError> {
        let mut this = Self { parts, timers: Timers::default(), groups: Groups::default(), alerts: false };
        this.settle()?;
        this.make_up()?;
        Ok(this)
    }

    /// Another policy set is in force. Blocking.
    fn take(&mut self, set: Arc<PolicySet>) -> Result<(), StoreError> {
        self.parts.take(set);
        self.settle()
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        let triggers: Vec<&Trigger> = self.parts.set.workflows.values().flat_map(|workflow| &workflow.triggers).collect();
        self.alerts = triggers.iter().any(|trigger| matches!(trigger, Trigger::Alert { .. }));
        self.set_timers()?;
        self.settle_alerts()?;
        self.settle_groups()
    }

    /// Starts what is to be started now. Blocking.
    pub fn look(&mut self) -> Result<(), StoreError> {
        self.fire()?;
        self.look_at_alerts()
    }

    /// The same for all devices too: what has been observed meanwhile may have made them members of groups. Blocking.
    pub fn look_again(&mut self) -> Result<(), StoreError> {
        self.settle_groups()?;
        self.look()
    }

    /// Whether anything is ever started here.
    fn idles(&self) -> bool {
        !self.alerts && self.timers.is_empty() && self.groups.is_empty()
    }

    /// Starts a run, unless this has started one before.
    fn start(&self, workflow: &Workflow, cause: Cause) -> Result<(), StoreError> {
        start(&self.parts, workflow, cause).map(drop)
    }
}

/// Starts a run as the workflow wants that.
pub(super) fn start(parts: &Parts, workflow: &Workflow, cause: Cause) -> Result<(String, Started), StoreError> {
    let run = new_run(&parts.set, workflow, cause, &parts.actor, parts.clock.now(), rand::random());
    let because = run.cause.key.as_deref().unwrap_or_default();
    let started = parts.store.start_workflow(&run, rule(workflow, &run.cause))?;
    match &started {
        Started::Begun(state) => tracing::info!(workflow = &*workflow.name, run = run.id, state = %state, because, "a workflow is started"),
        Started::Known(known) => tracing::debug!(workflow = &*workflow.name, run = known, because, "was started before"),
        Started::Skipped(other) => {
            tracing::info!(workflow = &*workflow.name, because, "left out: run {other} of the workflow is unfinished");
        }
    }
    Ok((run.id, started))
}

/// Starts runs until `stop`.
pub(super) async fn run(
    parts: Parts,
    mut sets: watch::Receiver<Arc<PolicySet>>,
    noticed: Noticed,
    stop: CancellationToken,
) -> Result<(), ReconcileError> {
    let mut triggers = blocking(move || Triggers::begin(parts)).await?;
    let mut gathered = Instant::now();
    loop {
        let idles = triggers.idles();
        let changed = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            changed = sets.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                Some(Arc::clone(&sets.borrow_and_update()))
            }
            () = tokio::time::sleep(triggers.wait()), if !idles => None,
        };
        let seen = if gathered.elapsed() >= GATHER {
            gathered = Instant::now();
            noticed.changed()
        } else {
            BTreeSet::new()
        };
        triggers = blocking(move || {
            if let Some(set) = changed {
                triggers.take(set)?;
            }
            triggers.look_at_devices(&seen)?;
            triggers.look()?;
            Ok::<_, StoreError>(triggers)
        })
        .await?;
    }
}

impl Triggers {
    /// How long there is nothing to be done.
    fn wait(&self) -> Duration {
        let next = self.timers.wait(self.parts.clock.now()).unwrap_or(LOOK);
        next.clamp(Duration::from_millis(20), LOOK)
    }
}
