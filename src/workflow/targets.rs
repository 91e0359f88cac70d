//! The devices of a step, and the jobs that they become.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::apply::{Parts, filled};
use crate::catalog::ActionDef;
use crate::model::action::{ActsOn, By};
use crate::model::job::{JobPart, JobPhase};
use crate::model::{ActionCall, Device, Job, JobState, Step, WorkflowRun};
use crate::plan::Scope;
use crate::store::StoreError;

/// The devices that a call means, by name: those that it names, else the one that started the run.
pub fn devices_of(parts: &Parts, call: &ActionCall, started_by: Option<&str>) -> Result<Vec<Arc<Device>>, StoreError> {
    if call.on.is_empty() {
        return Ok(started_by.and_then(|name| parts.set.devices.get(name)).cloned().into_iter().collect());
    }
    let scope = Scope { selectors: call.on.clone(), ..Scope::default() };
    parts.survey().devices(&scope)
}

/// Whether an action is carried out once for all devices of its step, and not once on each.
pub fn together(def: &ActionDef) -> bool {
    def.on == ActsOn::Nothing || def.by == By::Engine && def.on == ActsOn::Group
}

/// The jobs of a step that begins now.
pub(super) fn jobs(parts: &Parts, run: &WorkflowRun, n: u32, step: &Step, call: &ActionCall) -> Result<Vec<Job>, StoreError> {
    let now = parts.clock.now();
    let devices = devices_of(parts, call, run.cause.device.as_deref())?;
    let mut call = call.clone();
    // A device that came into a group leaves it again where it is moved on.
    if let (Some(group), "SetDeviceGroup", false) = (&run.cause.group, &*call.action, call.with.contains_key("from")) {
        call.with.insert("from".into(), group.as_ref().into());
    }
    let lifetime = step.expires.unwrap_or(parts.set.config.limits.queue_expires).delta();
    let new = |i: usize, device: Arc<str>, memo: Value, wake_at: Option<DateTime<Utc>>| Job {
        id: format!("{}.{n}.{}", run.id, i + 1),
        run: run.id.clone(),
        step: n,
        device,
        action: Arc::clone(&call.action),
        with: call.with.clone(),
        part: JobPart::Run,
        undoes: None,
        priority: run.priority,
        state: JobState::Pending,
        waits_for: None,
        phase: JobPhase::Act,
        attempt: 0,
        retries: 0,
        wake_at,
        expires_at: wake_at.unwrap_or(now) + lifetime,
        created_at: now,
        started_at: None,
        finished_at: None,
        reason: None,
        result: Value::Null,
        memo,
    };
    if parts.set.catalog.actions.get(&call.action).is_some_and(|def| together(def)) {
        let names: Vec<&str> = devices.iter().map(|device| &*device.name).collect();
        return Ok(vec![new(0, "".into(), json!({ "devices": names }), step.not_before)]);
    }
    let total = i32::try_from(devices.len()).unwrap_or(i32::MAX).max(1);
    let spread = step.stagger.map_or(TimeDelta::zero(), |stagger| stagger.delta() / total);
    let first = step.not_before.unwrap_or(now);
    let later = !spread.is_zero() || step.not_before.is_some();
    let moment = |i: usize| later.then(|| first + spread * i32::try_from(i).unwrap_or(i32::MAX));
    let filled = filled(parts, &devices, &call)?;
    let job = |(i, device): (usize, &Arc<Device>)| {
        let mut job = new(i, device.name.as_str().into(), Value::Null, moment(i));
        match filled.as_ref().map(|filled| filled.of(&device.name)) {
            None => {}
            Some((parameter, Ok(value))) => drop(job.with.insert(parameter.to_owned(), value)),
            Some((_, Err(why))) => job.memo = json!({ "refused": why }),
        }
        // What was asked for by hand may have been told for each device. The data of other causes comes from outside.
        let own = if run.cause.kind == "hand" { run.cause.data["with"][device.name.as_str()].as_object() } else { None };
        job.with.extend(own.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        job
    };
    Ok(devices.iter().enumerate().map(job).collect())
}

/// The rollbacks of jobs that succeeded, the last one first.
pub(super) fn rollbacks(parts: &Parts, run: &WorkflowRun, done: &[Job]) -> Vec<Job> {
    let now = parts.clock.now();
    let lifetime = parts.set.config.limits.queue_expires.delta();
    let undoable = done.iter().rev().filter(|job| can_undo(parts, job));
    undoable
        .map(|job| Job {
            id: format!("{}.undo", job.id),
            part: JobPart::Rollback,
            undoes: Some(job.id.clone()),
            priority: 1.max(run.priority.saturating_sub(1)),
            state: JobState::Pending,
            waits_for: None,
            phase: JobPhase::Act,
            attempt: 0,
            retries: 0,
            wake_at: None,
            expires_at: now + lifetime,
            created_at: now,
            started_at: None,
            finished_at: None,
            reason: None,
            memo: Value::Null,
            ..job.clone()
        })
        .collect()
}

/// Whether what a job has done can be undone.
pub(super) fn can_undo(parts: &Parts, job: &Job) -> bool {
    let known = parts.set.catalog.actions.get(&job.action);
    job.part == JobPart::Run && job.state == JobState::Succeeded && known.is_some_and(|def| def.program.has("rollback"))
}
