//! What comes next in a run. Pure: rows and a moment in, transitions out. Whoever drives carries them out and asks again,
//! until nothing comes next before `wake`.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use crate::model::config::Amount;
use crate::model::workflow::{OnFailure, Outcome, Work};
use crate::model::workflow_run::JobCounts;
use crate::model::{Step, StepRun, StepState, WorkflowRun, WorkflowState};
use crate::script::StepCondition;
use crate::store::StepChange;

/// What is known of a run.
pub(super) struct View<'a> {
    /// The run with its definition.
    pub(super) run: &'a WorkflowRun,
    /// Its steps as they stand.
    pub(super) steps: &'a [StepRun],
    /// Jobs by step.
    pub(super) jobs: &'a BTreeMap<u32, JobCounts>,
    /// Rollbacks by step.
    pub(super) undone: &'a BTreeMap<u32, JobCounts>,
    /// How many jobs of a step could be undone; asked for only where a run is undone.
    pub(super) undoable: &'a dyn Fn(u32) -> usize,
    /// How the run that a step waits for stands.
    pub(super) child: &'a dyn Fn(u32) -> Option<(WorkflowState, Option<String>)>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// A transition of a step.
    Step(StepChange),
    /// A step begins: its devices are resolved, or the workflow that it runs is started.
    Begin(u32),
    /// Nothing further of a step begins.
    CancelJobs {
        /// Step; all of them where absent.
        step: Option<u32>,
        /// Why.
        reason: String,
    },
    /// What is under way in a step is ended.
    Abort(u32),
    /// The run that a step waits for is no longer wanted.
    CancelChild(u32),
    /// Somebody is told that a step failed.
    Tell(u32),
    /// Another workflow is started because a step failed.
    Start {
        /// Step that failed.
        step: u32,
        /// Workflow.
        workflow: std::sync::Arc<str>,
    },
    /// Rollbacks of a step are put into the queue.
    Undo(u32),
    /// A transition of the run.
    Run(WorkflowState, Option<String>),
}

/// What comes next, and when to look again where nothing does before.
pub(super) fn next(view: &View<'_>, now: DateTime<Utc>) -> (Vec<Next>, Option<DateTime<Utc>>) {
    let mut wake = None;
    let next = match view.run.state {
        WorkflowState::Running if view.run.cancel.is_some() => cancel(view),
        WorkflowState::Running => forward(view, now, &mut wake),
        WorkflowState::Undoing => undo(view),
        WorkflowState::Queued if view.run.cancel.is_some() => {
            let rest = rest(view, "the run was cancelled");
            if rest.is_empty() { vec![Next::Run(WorkflowState::Cancelled, view.run.cancel.clone())] } else { rest }
        }
        // What is left in the queue of a run that has ended is no longer wanted where somebody says so.
        _ if view.run.cancel.is_some() && view.jobs.values().chain(view.undone.values()).any(|c| c.pending + c.waiting + c.offline > 0) => {
            vec![Next::CancelJobs { step: None, reason: view.run.cancel.clone().unwrap_or_default() }]
        }
        _ => Vec::new(),
    };
    (next, wake)
}

fn change(view: &View<'_>, step: u32, state: StepState, reason: Option<String>) -> StepChange {
    StepChange { run: view.run.id.clone(), step, state, wake_at: None, result: None, reason }
}

/// Steps whose turn never came.
fn rest(view: &View<'_>, reason: &str) -> Vec<Next> {
    let open = view.steps.iter().filter(|step| matches!(step.state, StepState::Pending | StepState::Waiting));
    open.map(|step| Next::Step(change(view, step.step, StepState::Cancelled, Some(reason.to_owned())))).collect()
}

fn counts(of: &BTreeMap<u32, JobCounts>, step: u32) -> JobCounts {
    of.get(&step).copied().unwrap_or_default()
}

fn cancel(view: &View<'_>) -> Vec<Next> {
    let reason = view.run.cancel.clone().unwrap_or_default();
    let mut next = rest(view, "the run was cancelled");
    if view.jobs.values().any(|c| c.pending + c.waiting + c.offline > 0) {
        next.push(Next::CancelJobs { step: None, reason: reason.clone() });
    }
    if !next.is_empty() {
        return next;
    }
    for step in view.steps.iter().filter(|step| step.state == StepState::Running) {
        let child_ended = (view.child)(step.step).is_none_or(|(state, _)| state.is_final());
        if !child_ended {
            next.push(Next::CancelChild(step.step));
        }
        if counts(view.jobs, step.step).running == 0 && child_ended {
            next.push(Next::Step(change(view, step.step, StepState::Cancelled, Some("the run was cancelled".into()))));
        }
    }
    if view.steps.iter().all(|step| step.state.is_final()) {
        next.push(Next::Run(WorkflowState::Cancelled, Some(reason)));
    }
    next
}

/// Steps that begin together: `parallel` ones that stand together, else each alone.
fn groups(steps: &[Step]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        let begin = from;
        let first = steps.get(begin)?;
        from += 1;
        while first.parallel && steps.get(from).is_some_and(|step| step.parallel) {
            from += 1;
        }
        Some(begin..from)
    })
}

fn forward(view: &View<'_>, now: DateTime<Utc>, wake: &mut Option<DateTime<Utc>>) -> Vec<Next> {
    for group in groups(&view.run.steps) {
        let mut next = Vec::new();
        for i in group.clone() {
            next.extend(step(view, i, now, wake));
        }
        if !next.is_empty() {
            return next;
        }
        if group.clone().any(|i| !view.steps[i].state.is_final()) {
            return Vec::new();
        }
        if let Some(i) = group.clone().find(|i| fails(view, *i)) {
            return fail(view, i);
        }
        for i in group {
            if let (Work::End(outcome), StepState::Succeeded) = (&view.run.steps[i].work, view.steps[i].state) {
                let mut next = rest(view, "the run ended before it");
                if next.is_empty() {
                    next.push(match outcome {
                        Outcome::Succeeded => Next::Run(WorkflowState::Succeeded, None),
                        Outcome::Failed => Next::Run(WorkflowState::Failed, Some(format!("ended by the step '{}'", view.steps[i].name))),
                    });
                }
                return next;
            }
        }
    }
    vec![Next::Run(WorkflowState::Succeeded, None)]
}

/// Whether a step has failed, and the run with it.
fn fails(view: &View<'_>, i: usize) -> bool {
    let failed = matches!(view.steps[i].state, StepState::Failed | StepState::Cancelled);
    failed && view.run.steps[i].on_failure != OnFailure::Continue
}

/// A step has failed: what is left does not begin, whoever has to know is told, and what was done is undone where asked.
fn fail(view: &View<'_>, i: usize) -> Vec<Next> {
    let step = view.steps[i].step;
    let mut next = rest(view, "the run ended before it");
    if view.jobs.values().any(|c| c.pending + c.waiting + c.offline > 0) {
        next.push(Next::CancelJobs { step: None, reason: format!("the step '{}' failed", view.steps[i].name) });
    }
    if !next.is_empty() {
        return next;
    }
    let why = view.steps[i].reason.as_deref().unwrap_or("it failed");
    let error = Some(format!("{}: {why}", view.steps[i].name));
    match &view.run.steps[i].on_failure {
        OnFailure::Stop | OnFailure::Continue => vec![Next::Run(WorkflowState::Failed, error)],
        OnFailure::NotifyAdmin => vec![Next::Tell(step), Next::Run(WorkflowState::Failed, error)],
        OnFailure::Rollback => vec![Next::Run(WorkflowState::Undoing, error)],
        OnFailure::RollbackAndNotify => vec![Next::Tell(step), Next::Run(WorkflowState::Undoing, error)],
        OnFailure::Run(workflow) => {
            vec![Next::Start { step, workflow: workflow.clone() }, Next::Run(WorkflowState::Failed, error)]
        }
    }
}

/// What was done is undone, the last step first.
fn undo(view: &View<'_>) -> Vec<Next> {
    for step in view.steps.iter().rev() {
        let rollbacks = counts(view.undone, step.step);
        if rollbacks.open() > 0 {
            return Vec::new();
        }
        if rollbacks.total() == 0 && (view.undoable)(step.step) > 0 {
            return vec![Next::Undo(step.step)];
        }
    }
    let failed: usize = view.undone.values().map(|c| c.failed).sum();
    let away: usize = view.undone.values().map(|c| c.offline).sum();
    let mut left = Vec::new();
    if failed > 0 {
        left.push(format!("{failed} could not be undone"));
    }
    if away > 0 {
        left.push(format!("{away} will be undone when their devices return"));
    }
    let undone: usize = view.undone.values().map(|c| c.succeeded).sum();
    let done = if undone == 0 && left.is_empty() { "nothing had to be undone".into() } else { format!("{undone} undone") };
    left.insert(0, done);
    let why = view.run.error.as_deref().unwrap_or("a step failed");
    vec![Next::Run(WorkflowState::Failed, Some(format!("{why}; {}", left.join(", "))))]
}

fn earliest(wake: &mut Option<DateTime<Utc>>, at: DateTime<Utc>) {
    *wake = Some(wake.map_or(at, |known| known.min(at)));
}

fn step(view: &View<'_>, i: usize, now: DateTime<Utc>, wake: &mut Option<DateTime<Utc>>) -> Option<Next> {
    let (declared, row) = (&view.run.steps[i], &view.steps[i]);
    match row.state {
        StepState::Pending => {
            match holds(view, declared) {
                Ok(true) => {}
                Ok(false) => {
                    let reason = format!("its condition does not hold: {}", declared.when.as_deref().unwrap_or_default());
                    return Some(Next::Step(change(view, row.step, StepState::Skipped, Some(reason))));
                }
                Err(error) => {
                    let reason = format!("its condition cannot be decided: {error}");
                    return Some(Next::Step(change(view, row.step, StepState::Failed, Some(reason))));
                }
            }
            match declared.delay {
                Some(delay) if delay.as_seconds() > 0 => {
                    let mut waits = change(view, row.step, StepState::Waiting, Some(format!("waits for {delay}")));
                    waits.wake_at = Some(now + delay.delta());
                    Some(Next::Step(waits))
                }
                _ => Some(enter(view, i, now)),
            }
        }
        StepState::Waiting => {
            let due = row.wake_at.is_some_and(|at| at <= now);
            if due && approval_is_open(row) {
                let reason = "nobody approved it in time".to_owned();
                return Some(Next::Step(change(view, row.step, StepState::Failed, Some(reason))));
            }
            if due {
                return Some(enter(view, i, now));
            }
            if let Some(at) = row.wake_at {
                earliest(wake, at);
            }
            None
        }
        StepState::Running => running(view, i, now, wake),
        _ => None,
    }
}

/// Whether a waiting step waits for a person.
pub fn approval_is_open(row: &StepRun) -> bool {
    row.state == StepState::Waiting && row.result["waitsFor"] == "approval"
}

fn enter(view: &View<'_>, i: usize, now: DateTime<Utc>) -> Next {
    let step = view.steps[i].step;
    match &view.run.steps[i].work {
        Work::Action(_) | Work::Workflow { .. } => Next::Begin(step),
        Work::Approval { role, within } => {
            let mut waits = change(view, step, StepState::Waiting, Some(format!("waits for approval by an {role}")));
            waits.wake_at = within.map(|within| now + within.delta());
            waits.result = Some(json!({ "waitsFor": "approval", "role": role.to_string() }));
            Next::Step(waits)
        }
        Work::End(outcome) => {
            let mut ends = change(view, step, StepState::Succeeded, None);
            ends.result = Some(json!({ "ends": outcome }));
            Next::Step(ends)
        }
    }
}

fn running(view: &View<'_>, i: usize, now: DateTime<Utc>, wake: &mut Option<DateTime<Utc>>) -> Option<Next> {
    let (declared, row) = (&view.run.steps[i], &view.steps[i]);
    if let Work::Workflow { name, .. } = &declared.work {
        return match (view.child)(row.step) {
            Some((WorkflowState::Succeeded, _)) => Some(Next::Step(change(view, row.step, StepState::Succeeded, None))),
            Some((WorkflowState::Failed | WorkflowState::Cancelled, error)) => {
                let why = error.map_or_else(String::new, |error| format!(": {error}"));
                Some(Next::Step(change(view, row.step, StepState::Failed, Some(format!("{name} failed{why}")))))
            }
            _ => None,
        };
    }
    let c = counts(view.jobs, row.step);
    let waits = c.pending + c.waiting + c.offline;
    let since = row.started_at.map(|since| declared.not_before.map_or(since, |at| at.max(since)));
    let late = declared.timeout.zip(since).map(|(timeout, since)| since + timeout.delta());
    if let Some(at) = late {
        if at <= now && (c.open() > 0) {
            if waits > 0 {
                let reason = format!("the step took longer than {}", declared.timeout.unwrap_or_default());
                return Some(Next::CancelJobs { step: Some(row.step), reason });
            }
            return Some(Next::Abort(row.step));
        }
        if at > now {
            earliest(wake, at);
        }
    }
    let failed = failure(declared.max_failures, c);
    if failed.is_some() && waits > 0 {
        return Some(Next::CancelJobs { step: Some(row.step), reason: "too many devices failed".into() });
    }
    if c.open() > 0 {
        return None;
    }
    let reason = match failed {
        Some(reason) => Some(reason),
        None if late.is_some_and(|at| at <= now) && c.cancelled > 0 => {
            Some(format!("it took longer than {}", declared.timeout.unwrap_or_default()))
        }
        // What a person asks for waits in the queue until the device returns.
        None if c.succeeded + c.skipped == 0 && c.offline + c.expired > 0 && view.run.cause.kind != "hand" => {
            Some(format!("none of its {} could be reached", devices(c.total())))
        }
        None if c.expired > 0 && c.expired == c.total() => Some(format!("none of its {} began in time", devices(c.total()))),
        None if c.succeeded + c.skipped == 0 && c.cancelled > 0 => Some("everything in it was cancelled".into()),
        None => None,
    };
    let state = if reason.is_some() { StepState::Failed } else { StepState::Succeeded };
    Some(Next::Step(change(view, row.step, state, reason)))
}

fn devices(n: usize) -> String {
    if n == 1 { "1 device".into() } else { format!("{n} devices") }
}

/// Why a step has failed by the number of its devices that did.
fn failure(allowed: Option<Amount>, c: JobCounts) -> Option<String> {
    let most = allowed.map_or(0, |allowed| allowed.of(c.total()));
    if c.failed <= most {
        return None;
    }
    let limit = allowed.map_or_else(String::new, |allowed| format!(", {allowed} may"));
    Some(format!("{} of {} failed{limit}", c.failed, devices(c.total())))
}

fn holds(view: &View<'_>, step: &Step) -> Result<bool, String> {
    let Some(when) = &step.when else { return Ok(true) };
    let condition = StepCondition::compile(when).map_err(|error| error.to_string())?;
    let known: Map<String, Value> = view.steps.iter().map(|step| (step.name.to_string(), seen(step))).collect();
    condition.holds(&Value::Object(known), &trigger(view.run)).map_err(|error| error.to_string())
}

/// What a condition sees of a step: its result, and where it stands.
fn seen(step: &StepRun) -> Value {
    let mut seen = match &step.result {
        Value::Object(result) => result.clone(),
        _ => Map::new(),
    };
    seen.insert("state".into(), step.state.to_string().into());
    seen.insert("ok".into(), (step.state == StepState::Succeeded).into());
    Value::Object(seen)
}

/// What a condition sees as `trigger`.
fn trigger(run: &WorkflowRun) -> Value {
    let mut seen = match &run.cause.data {
        Value::Object(data) => data.clone(),
        _ => Map::new(),
    };
    seen.insert("kind".into(), run.cause.kind.clone().into());
    if let Some(device) = &run.cause.device {
        seen.insert("device".into(), device.as_ref().into());
    }
    Value::Object(seen)
}

/// When a device that failed is tried again: after 10 s, 20 s, 40 s and so on, at most 10 minutes.
pub(super) fn backoff(retries: u32) -> TimeDelta {
    TimeDelta::seconds(10i64.saturating_mul(1 << retries.min(6)).min(600))
}
