//! Enforcing a part of the policies on one device: the repository as if it held nothing else, but for what forbids.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::invoke_inventory::scope_of;
use super::{Errand, cancelled, done, failed, of_transport};
use crate::apply::survey::{Observed, Refresh};
use crate::apply::{Acted, Allowed, ApplyError, End, Parts, Refused};
use crate::diagnose::Category;
use crate::model::plan::{DevicePlan, Plan, State};
use crate::model::run::ChangeState;
use crate::model::{Device, Policy};
use crate::plan::{PlanOptions, Planner, Scope, Unattended};
use crate::repo::PolicySet;
use crate::store::StoreError;
use crate::transport::TransportError;

/// The set with these policies in place of its own, for one device. Of the others only the guards stay.
pub(super) fn narrowed(set: &PolicySet, device: &Arc<Device>, wanted: Vec<Policy>) -> PolicySet {
    let guarding = set.policies.iter().filter(|policy| !policy.guards.is_empty());
    let guarding = guarding.map(|policy| Policy { settings: Vec::new(), ..(**policy).clone() });
    // One that is enforced itself keeps its guards there.
    let names: Vec<Arc<str>> = wanted.iter().map(|policy| Arc::clone(&policy.name)).collect();
    let mut policies: Vec<Arc<Policy>> = wanted.into_iter().chain(guarding.filter(|p| !names.contains(&p.name))).map(Arc::new).collect();
    policies.sort_by(|a, b| a.name.cmp(&b.name));
    PolicySet { devices: [(device.name.clone(), Arc::clone(device))].into(), policies, ..set.clone() }
}

fn options(errand: &Errand<'_>) -> PlanOptions {
    let daemon = &errand.parts.set.config.daemon;
    let confirmed = errand.allowed == Allowed::Confirmed;
    let unattended = Unattended { destructive: daemon.allow_destructive, reboots: daemon.allow_reboots, ..Unattended::default() };
    PlanOptions { approve: confirmed, commands: true, unattended: (!confirmed).then_some(unattended), ..PlanOptions::default() }
}

/// Plans the device from what is known of it. Verdicts on a part are not kept: they are not those on the whole.
fn plan(parts: &Parts, device: &Device, options: &PlanOptions) -> Result<Plan, StoreError> {
    use crate::access::Secrets as _;
    let now = parts.clock.now();
    let lookup = |name: &str| parts.secrets.resolve(name).ok();
    let planner = Planner::new(&parts.set, &lookup);
    let options = PlanOptions { suspended: crate::apply::suspended(&parts.set, &parts.store)?, ..options.clone() };
    let facts = Arc::new(parts.store.facts(&device.name, None)?);
    let mut plan = planner.decide(device, planner.evaluate(device, &facts, &options, now), &options, now);
    planner.show_commands(&mut plan, &facts);
    Ok(planner.assemble(vec![plan], &Scope::default(), now))
}

/// What would be changed, from what is known now.
pub(super) fn preview(errand: &Errand<'_>, device: &Arc<Device>, wanted: Vec<Policy>) -> Vec<String> {
    let parts = Parts { set: Arc::new(narrowed(&errand.parts.set, device, wanted)), ..errand.parts.clone() };
    let line = |change: &crate::model::plan::Change| match (&change.held, change.state) {
        (Some(held), _) => Some(format!("{}: {} -> {} (held: {})", change.label(), change.from, change.to, held.reason)),
        (None, State::Unknown) => Some(format!("{}: is observed first", change.label())),
        (None, State::Change) => Some(format!("{}: {} -> {}", change.label(), change.from, change.to)),
        _ => None,
    };
    match plan(&parts, device, &options(errand)) {
        Ok(plan) => plan.devices.iter().flat_map(|d| &d.changes).filter_map(line).collect(),
        Err(error) => vec![format!("cannot be shown: {error}")],
    }
}

/// Observes, plans and carries out these policies on the device.
pub(super) async fn enforce(
    errand: &Errand<'_>,
    device: &Arc<Device>,
    wanted: Vec<Policy>,
    cancel: &CancellationToken,
) -> Result<Acted, StoreError> {
    let parts = Parts { set: Arc::new(narrowed(&errand.parts.set, device, wanted)), ..errand.parts.clone() };
    let error: Mutex<Option<TransportError>> = Mutex::default();
    let note = |observed: Observed| {
        if let Some(reason) = observed.error {
            *error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        }
    };
    let outcome = parts.survey().refresh(&scope_of([device]), Refresh::Always, None, cancel, &note).await?;
    if let Some(error) = error.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Ok(of_transport(&parts, &error));
    }
    if outcome.cancelled {
        return Ok(cancelled());
    }
    let (of, options) = (parts.clone(), options(errand));
    let name = Arc::clone(device);
    let planned = tokio::task::spawn_blocking(move || plan(&of, &name, &options)).await;
    let Ok(planned) = planned else { return Ok(failed("planning ended early")) };
    let plan = planned?;
    let count = |state| plan.summary.count(state);
    let (changes, held) = (count(State::Change), count(State::Held));
    let open = count(State::Unknown) + count(State::Conflict);
    let value = |done: usize| json!({ "done": done, "held": held, "unknown": open });
    if changes == 0 {
        if let Some(held) = first_held(&plan.devices) {
            return Ok(Acted {
                held: Some(held.clone()),
                ..Acted::new(End::Refused, Category::Configuration, format!("held: {}", held.reason))
            });
        }
        if open > 0 {
            return Ok(Acted {
                value: value(0),
                ..failed(format!("{open} settings are unknown or in conflict; rmm plan {} says why", device.name))
            });
        }
        return Ok(done("everything is as it should be", value(0)));
    }
    let (run, task) = parts.begin(&plan, json!({ "apply": parts.options(), "because": errand.because }));
    let changes = task.changes().to_vec();
    let stages = match crate::apply::stages_of(&parts.set, &parts.store, &[], &changes) {
        Ok(stages) => stages,
        Err(error) => return Err(error),
    };
    let stops = (cancel.child_token(), CancellationToken::new());
    let finished = parts.executor_of(&run, parts.options(), stops, Box::new(|_| {}), errand.leased).carry_out(task, stages).await;
    let finished = match finished {
        Ok(finished) => finished,
        Err(ApplyError::Store(error)) => return Err(error),
        Err(ApplyError::Refused(refused @ Refused::Leased { .. })) => {
            return Ok(Acted::new(End::Busy, Category::Transient, refused.to_string()));
        }
        Err(ApplyError::Refused(refused)) => return Ok(Acted::new(End::Refused, Category::Configuration, refused.to_string())),
    };
    let of = |state: ChangeState| finished.states.get(&state).copied().unwrap_or_default();
    let right = of(ChangeState::Done) + of(ChangeState::Skipped);
    let told = format!("{right} of {} changes carried out, run {run}", changes.len());
    Ok(if finished.interrupted || cancel.is_cancelled() {
        Acted { value: value(right), ..cancelled() }
    } else if !finished.failed.is_empty() || of(ChangeState::Interrupted) > 0 {
        Acted { value: value(right), ..failed(format!("{told}; rmm status {run} says what failed")) }
    } else if !finished.unreachable.is_empty() {
        Acted { value: value(right), ..Acted::new(End::Unreachable, Category::Device, told) }
    } else if right < changes.len() {
        Acted { value: value(right), ..failed(told) }
    } else {
        done(told, value(right))
    })
}

fn first_held(devices: &[DevicePlan]) -> Option<&crate::model::plan::Held> {
    devices.iter().flat_map(|device| &device.changes).filter(|change| change.state == State::Held).find_map(|change| change.held.as_ref())
}
