//! From a plan to a run: what is to be done, in order, with an id.

use chrono::{DateTime, Utc};

use crate::model::plan::{Plan, State};
use crate::model::run::{Actor, ChangeState, Run, RunChange, RunState};
use crate::repo::PolicySet;

/// A short id that sorts by time: `r-20261121-073012-4f2a`. `random` makes two of the same second differ.
pub(super) fn run_id(now: DateTime<Utc>, random: u16) -> String {
    format!("r-{}-{random:04x}", now.format("%Y%m%d-%H%M%S"))
}

/// A run for a plan.
pub fn new_run(set: &PolicySet, actor: &Actor, now: DateTime<Utc>, random: u16, options: serde_json::Value) -> Run {
    Run {
        id: run_id(now, random),
        actor: actor.clone(),
        policy_set: set.hash.clone(),
        commit: set.commit.clone(),
        started_at: now,
        finished_at: None,
        expires_at: now + set.config.limits.queue_expires.delta(),
        state: RunState::Running,
        options,
    }
}

/// The changes of a plan that would be carried out, device by device in the plan's order.
pub fn from_plan(plan: &Plan, run: &str) -> Vec<RunChange> {
    let changes = plan.devices.iter().flat_map(|d| d.changes.iter().filter(|c| c.state == State::Change).map(move |c| (&d.device, c)));
    changes
        .enumerate()
        .map(|(i, (device, change))| RunChange {
            run: run.to_owned(),
            seq: i64::try_from(i).unwrap_or(i64::MAX) + 1,
            device: device.clone(),
            change: change.clone(),
            state: ChangeState::Pending,
            attempts: 0,
            error: None,
            before: None,
            after: None,
            started_at: None,
            finished_at: None,
        })
        .collect()
}
