//! One run of the daemon's own: planned afresh, looked at by the circuit breaker, carried out, and what came of it counted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::breaker::Breaker;
use crate::apply::{ApplyError, ApplyOptions, Finished, Parts, Refused, Task, Waiting};
use crate::model::Severity;
use crate::model::alert::{AlertKey, Finding, Signal, Subject};
use crate::model::plan::{Plan, State};
use crate::plan::{PlanOptions, Planner, Scope};
use crate::store::StoreError;

/// Another run holds a device: tried again after this.
const LEASED: Duration = Duration::from_secs(30);
/// Type of the alert about a limit.
const LIMIT: &str = "Limit";

/// What came of one run.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// Devices that it was about.
    pub(super) devices: BTreeSet<String>,
    /// Devices on which something failed.
    pub(super) failed: Vec<String>,
    /// Devices that could not be reached: what was to be done there waits in the run for their return.
    pub(super) unreachable: Vec<String>,
    /// What people should hear.
    pub(super) signals: Vec<Signal>,
    /// It did not begin; when it may be tried again.
    pub(super) again: Option<Duration>,
    /// The database cannot be used.
    pub(super) fatal: Option<StoreError>,
}

/// Stop, and abort.
type Stops = (CancellationToken, CancellationToken);
type Shared = Arc<Mutex<Breaker>>;

/// Plans these devices once more, and carries out what is still to be changed.
pub(super) async fn begin(parts: Parts, devices: BTreeSet<String>, options: PlanOptions, stops: Stops, breaker: Shared) -> Attempt {
    let mut attempt = Attempt { devices: devices.clone(), ..Attempt::default() };
    let (of, shared) = (parts.clone(), Arc::clone(&breaker));
    let planned = blocking(move || {
        let mut signals = Vec::new();
        let mut plan = plan(&of, &devices, &options)?;
        // Once more where something turns out not to last.
        let tripped = shared.lock().unwrap_or_else(PoisonError::into_inner).before(&of, &plan)?;
        if !tripped.is_empty() {
            signals = tripped;
            plan = self::plan(&of, &devices, &options)?;
        }
        Ok::<_, StoreError>((plan, signals))
    });
    let plan = match planned.await {
        Ok((plan, signals)) => {
            attempt.signals = signals;
            plan
        }
        Err(error) => {
            attempt.fatal = Some(error);
            return attempt;
        }
    };
    if plan.summary.count(State::Change) == 0 {
        return attempt;
    }
    let apply = parts.options();
    let (run, task) = parts.begin(&plan, json!({ "apply": apply, "unattended": true }));
    tracing::info!(run, devices = plan.summary.devices_changing, changes = plan.summary.count(State::Change), "begins");
    carry_out(parts, run, task, apply, stops, breaker, attempt).await
}

/// Goes on with what waited.
pub(super) async fn resume(parts: Parts, waiting: Waiting, stops: Stops, breaker: Shared) -> Attempt {
    let devices = waiting.changes.iter().map(|change| change.device.clone()).collect();
    let attempt = Attempt { devices, ..Attempt::default() };
    carry_out(parts, waiting.run.id, Task::Resume(waiting.changes), waiting.options, stops, breaker, attempt).await
}

fn plan(parts: &Parts, devices: &BTreeSet<String>, options: &PlanOptions) -> Result<Plan, StoreError> {
    let found: Vec<_> = devices.iter().filter_map(|name| parts.set.devices.get(name).cloned()).collect();
    let mut plans = parts.survey().plan_devices(&found, options)?;
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    for plan in plans.iter_mut().filter(|plan| plan.changes.iter().any(|change| change.state == State::Change)) {
        let facts = Arc::new(parts.store.facts(&plan.device, None)?);
        planner.show_commands(plan, &facts);
    }
    Ok(planner.assemble(plans, &Scope::default(), parts.clock.now()))
}

async fn carry_out(
    parts: Parts,
    run: String,
    task: Task,
    options: ApplyOptions,
    stops: Stops,
    breaker: Shared,
    mut attempt: Attempt,
) -> Attempt {
    let carried = Breaker::carried(&task);
    let finished = work(&parts, &run, task, options, stops).await;
    match finished {
        Ok(finished) => {
            tracing::info!(run, failed = finished.failed.len(), unreachable = finished.unreachable.len(), "ended");
            attempt.failed = finished.failed;
            attempt.unreachable = finished.unreachable;
        }
        Err(ApplyError::Refused(Refused::Leased { device, run: other })) => {
            tracing::info!(run, device, other, "put off: another run is at work there");
            attempt.again = Some(LEASED);
            return attempt;
        }
        Err(ApplyError::Refused(refused)) => {
            tracing::warn!(run, "not begun: {refused}");
            attempt.again = Some(LEASED * 10);
            return attempt;
        }
        Err(ApplyError::Store(error)) => {
            attempt.fatal = Some(error);
            return attempt;
        }
    }
    let counted = blocking(move || breaker.lock().unwrap_or_else(PoisonError::into_inner).after(&parts, &run, &carried)).await;
    match counted {
        Ok(signals) => attempt.signals.extend(signals),
        Err(error) => attempt.fatal = Some(error),
    }
    attempt
}

async fn work(parts: &Parts, run: &str, task: Task, options: ApplyOptions, stops: Stops) -> Result<Finished, ApplyError> {
    let (of, names) = (parts.clone(), options.stages.clone());
    let (stages, task) =
        blocking(move || crate::apply::stages_of(&of.set, &of.store, &names, task.changes()).map(|stages| (stages, task))).await?;
    let stop = stops.0.child_token();
    parts.executor(run, options, (stop, stops.1.child_token()), Box::new(|_| {})).carry_out(task, stages).await
}

fn key() -> AlertKey {
    AlertKey { subject: Subject::System, kind: LIMIT.into(), instance: "".into() }
}

/// A limit stands in the way of everything.
pub(super) fn refused(why: &str, devices: usize, at: DateTime<Utc>) -> Signal {
    Signal::Raised(Finding {
        key: key(),
        severity: Severity::High,
        title: format!("Changes on {devices} devices are held by a limit"),
        message: format!("{why}. Look at them with rmm plan; carry them out in stages with rmm apply --stage, or raise the limit."),
        source: "reconcile".into(),
        value: None,
        unit: None,
        at,
    })
}

/// No limit stands in the way any more.
pub(super) fn permitted(at: DateTime<Utc>) -> Signal {
    Signal::Cleared { key: key(), at, reason: "within the limits again".into() }
}
