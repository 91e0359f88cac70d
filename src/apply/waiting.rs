//! Changes that wait for their devices: what can go on once a device has returned, and what has waited in vain.

use std::collections::BTreeSet;

use super::{ApplyOptions, Parts};
use crate::model::run::{ChangeState, Run, RunChange, RunState};
use crate::store::{Step, StoreError};

/// What the journal says of a change whose run was asked to end.
pub(super) const STOPPED: &str = "the run was stopped";

/// The changes of one run that can go on.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// The run.
    pub run: Run,
    /// How it is carried out.
    pub options: ApplyOptions,
    /// What waited.
    pub changes: Vec<RunChange>,
}

/// Of all runs that nobody carries out, what waits for these devices (for any where there are none), and what a run of the
/// daemon's own had not come to when its process died. What was asked for by another policy set is given up as stale: it is
/// planned afresh. So is what has expired.
pub fn waiting(parts: &Parts, devices: Option<&BTreeSet<String>>) -> Result<Vec<Waiting>, StoreError> {
    let now = parts.clock.now();
    let unfinished = parts.store.unfinished_runs()?;
    // Asked for afterwards: a run is leased before it is begun, and ended before its lease is given back.
    let leased: BTreeSet<String> = parts.store.leases()?.into_iter().map(|lease| lease.run).collect();
    let mut found = Vec::new();
    for run in unfinished.into_iter().filter(|run| !leased.contains(&run.id)) {
        let Some(run) = parts.store.run(&run.id)?.filter(|run| matches!(run.state, RunState::Running | RunState::Interrupted)) else {
            continue;
        };
        let own = run.options.get("unattended").and_then(serde_json::Value::as_bool) == Some(true);
        let changes = parts.store.run_changes(&run.id)?;
        let back = |change: &RunChange| devices.is_none_or(|devices| devices.contains(&change.device));
        // What a limit or a window has stopped waits for another plan, or a person.
        let stopped = |change: &RunChange| change.state == ChangeState::Cancelled && change.error.as_deref() == Some(STOPPED);
        let lost = |change: &RunChange| own && (matches!(change.state, ChangeState::Pending | ChangeState::Started) || stopped(change));
        let open = |change: &&RunChange| change.state == ChangeState::Queued || lost(change);
        let options = run.options.get("apply").cloned().and_then(|options| serde_json::from_value(options).ok());
        let Some(options) = options.filter(|_| run.policy_set == parts.set.hash && now < run.expires_at) else {
            give_up(parts, &run, &changes, own)?;
            continue;
        };
        if own && changes.iter().all(|change| change.state.is_final()) {
            // Its process died after the last change and before it could say so.
            parts.store.resume_run(&run.id, &parts.actor)?;
            end(parts, &run, changes.iter().map(|change| change.state))?;
            continue;
        }
        let changes: Vec<RunChange> = changes.iter().filter(open).filter(|change| back(change)).cloned().collect();
        if !changes.is_empty() {
            found.push(Waiting { run, options, changes });
        }
    }
    Ok(found)
}

/// Ends what waits in a run whose policy set is no longer in force, or whose time is over. What a person's run has left for
/// a person stays.
fn give_up(parts: &Parts, run: &Run, changes: &[RunChange], own: bool) -> Result<(), StoreError> {
    let expired = parts.clock.now() >= run.expires_at;
    let (next, why) = if expired {
        (ChangeState::Failed, format!("given up: the device did not return before {}", run.expires_at.format("%F %H:%M UTC")))
    } else {
        (ChangeState::Stale, "the policy set has changed since; it is planned afresh".to_owned())
    };
    // What a process was at when it died is not known to be done or not: it is looked at and planned afresh like all else.
    let given_up = |change: &RunChange| change.state == ChangeState::Queued || own && !change.state.is_final();
    let all_over = own && changes.iter().all(|change| change.state.is_final());
    if !(all_over || changes.iter().any(given_up)) {
        return Ok(());
    }
    parts.store.resume_run(&run.id, &parts.actor)?;
    let mut states = Vec::with_capacity(changes.len());
    for change in changes {
        let mut state = change.state;
        if given_up(change) {
            let step = Step { error: Some(why.clone()), ..Step::default() };
            for next in steps(state, next) {
                state = parts.store.transition(&run.id, change.seq, *next, &step, &parts.actor)?.state;
            }
        }
        states.push(state);
    }
    end(parts, run, states.into_iter())
}

/// The way of a change to where it ends: what was begun is interrupted first.
fn steps(from: ChangeState, to: ChangeState) -> &'static [ChangeState] {
    use ChangeState::{Cancelled, Failed, Interrupted, Stale, Started};
    match (from, to) {
        (_, Failed) => &[Failed],
        (Started, _) => &[Interrupted, Cancelled, Stale],
        (Interrupted, _) => &[Cancelled, Stale],
        _ => &[Stale],
    }
}

/// Ends a run as its changes have ended.
fn end(parts: &Parts, run: &Run, mut states: impl Iterator<Item = ChangeState> + Clone) -> Result<(), StoreError> {
    let state = if states.clone().any(|state| !state.is_final()) {
        RunState::Interrupted
    } else if states.any(|state| matches!(state, ChangeState::Failed | ChangeState::RolledBack)) {
        RunState::Failed
    } else {
        RunState::Done
    };
    parts.store.set_run_state(&run.id, state, &parts.actor)
}
