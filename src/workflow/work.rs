//! One job, from where it stands to where it can go at once: its action, or what comes after that. Says how the row changes.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::decide::backoff;
use super::moving::Moving;
use super::start::script_hash;
use super::{restart, together};
use crate::apply::{Acted, Allowed, Ask, End, Listener, Part, Parts, act, act_together};
use crate::diagnose::Category;
use crate::model::job::{JobOutput, JobPart, JobPhase, WaitsFor};
use crate::model::{ActionCall, Job, JobState, Step, WorkflowRun};
use crate::store::{JobChange, StoreError};

/// How soon a device is tried again that another run holds.
const BUSY: TimeDelta = TimeDelta::seconds(15);
/// How soon a guard is asked again that does not say until when it holds.
const HELD: TimeDelta = TimeDelta::minutes(5);
/// Breaks of the connection in the middle of an action after which it has failed.
const MOST_BREAKS: u32 = 8;
/// The longest time between two looks for a device that is away.
const AWAY: TimeDelta = TimeDelta::minutes(10);

/// How a job goes on. Nothing where it was stopped with the process: it is taken up again as it stands.
pub(super) type Worked = Option<JobChange>;

/// A job, and what carrying it out needs to know.
pub(super) struct Doing<'a> {
    pub(super) parts: &'a Parts,
    pub(super) run: &'a WorkflowRun,
    pub(super) step: &'a Step,
    pub(super) job: &'a Job,
    /// What the run has come to, for messages.
    pub(super) about: &'a str,
    /// Ends the job.
    pub(super) cancel: &'a CancellationToken,
    /// Ends everything, with the process: the job stays as it is, and is taken up again.
    pub(super) abort: &'a CancellationToken,
    /// Hears how far it has got.
    pub(super) moving: &'a Moving,
}

/// Does the next part of a job.
pub(super) async fn work(doing: &Doing<'_>) -> Result<Worked, StoreError> {
    match doing.job.phase {
        JobPhase::Act => action(doing).await,
        JobPhase::Restart => restart::ask(doing.parts, doing.job, doing.cancel).await,
        JobPhase::Return => restart::await_return(doing.parts, doing.job, doing.cancel).await,
    }
}

fn failed(job: &Job, reason: impl Into<String>) -> Worked {
    JobChange { reason: Some(reason.into()), ..JobChange::to(&job.id, JobState::Failed) }.into()
}

async fn action(doing: &Doing<'_>) -> Result<Worked, StoreError> {
    let &Doing { parts, run, step, job, about, cancel, abort, moving } = doing;
    let Some(def) = parts.set.catalog.actions.get(&job.action).cloned() else {
        return Ok(failed(job, format!("there is no action {} any more", job.action)));
    };
    if run.scripts.get(&*job.action) != script_hash(&parts.set, &job.action).as_ref() {
        let reason = format!("the script of {} has changed since the run began; start a new run", job.action);
        return Ok(failed(job, reason));
    }
    if let (JobPart::Run, Some(why)) = (job.part, job.memo["refused"].as_str()) {
        return Ok(failed(job, format!("{} was refused as the step began: {why}", job.action)));
    }
    let call = ActionCall { action: Arc::clone(&job.action), with: job.with.clone(), on: Vec::new() };
    let allowed = if matches!(run.cause.kind.as_str(), "hand" | "manual") { Allowed::Confirmed } else { Allowed::Workflow };
    let key = format!("{}.{}", job.id, job.attempt.max(1));
    let part = match job.part {
        JobPart::Run => Part::Run,
        JobPart::Rollback => Part::Rollback { result: job.result.clone() },
    };
    let hear = |progress| moving.hear(job, &progress);
    let ask = Ask {
        device: &job.device,
        call: &call,
        because: &job.id,
        allowed,
        once: Some(&key),
        timeout: step.timeout.map(crate::time::Span::duration),
        part,
        leased: true,
        on: Listener(&hear),
    };
    let acted = if together(&def) {
        let devices: Vec<String> = serde_json::from_value(job.memo["devices"].clone()).unwrap_or_default();
        act_together(parts, &ask, &devices, about, cancel).await?
    } else {
        act(parts, &ask, cancel).await?
    };
    Ok(follows(parts, step, job, def.idempotent, abort.is_cancelled(), acted))
}

/// What follows from how an action ended.
fn follows(parts: &Parts, step: &Step, job: &Job, idempotent: bool, stopping: bool, acted: Acted) -> Worked {
    let now = parts.clock.now();
    let outputs = acted.ran.iter().enumerate().map(|(i, ran)| JobOutput {
        job: job.id.clone(),
        attempt: job.attempt.max(1),
        seq: u32::try_from(i).unwrap_or(u32::MAX).saturating_add(1),
        line: ran.line.clone(),
        code: ran.code,
        stdout: ran.stdout.clone(),
        stderr: ran.stderr.clone(),
    });
    let outputs: Vec<JobOutput> = outputs.collect();
    let message = Some(acted.message.clone()).filter(|message| !message.is_empty());
    let mut change = match acted.end {
        End::Done if step.wait_for_reboot && job.part == JobPart::Run && !job.device.is_empty() => JobChange {
            waits_for: Some(WaitsFor::Restart),
            phase: Some(JobPhase::Restart),
            wake_at: Some(now),
            result: Some(acted.value),
            reason: Some("is looked at: does it ask for a restart?".into()),
            ..JobChange::to(&job.id, JobState::Waiting)
        },
        // A rollback keeps what it undoes, so that it can be asked for again.
        End::Done => {
            let result = (job.part == JobPart::Run || !acted.value.is_null()).then_some(acted.value);
            JobChange { result, reason: message, ..JobChange::to(&job.id, JobState::Succeeded) }
        }
        End::Refused => return with(refused(parts, job, &acted), outputs),
        End::Busy => return with(busy(parts, job, &acted.message), outputs),
        End::Unreachable => {
            let tries = job.retries.saturating_add(1);
            let pause = (backoff(tries) * 3).min(AWAY);
            JobChange {
                waits_for: Some(WaitsFor::Device),
                retries: Some(tries),
                wake_at: Some(now + pause),
                reason: message,
                ..JobChange::to(&job.id, JobState::Waiting)
            }
        }
        // The connection broke: asked again with the same key, what has happened does not happen again.
        End::Failed | End::TimedOut if acted.category == Category::Transient && job.retries < MOST_BREAKS => JobChange {
            waits_for: Some(WaitsFor::Retry),
            retries: Some(job.retries + 1),
            wake_at: Some(now + backoff(job.retries)),
            reason: message,
            ..JobChange::to(&job.id, JobState::Waiting)
        },
        End::Failed | End::TimedOut if idempotent && job.attempt.max(1) <= step.retries => JobChange {
            waits_for: Some(WaitsFor::Retry),
            retries: Some(0),
            attempt: Some(job.attempt.max(1) + 1),
            wake_at: Some(now + backoff(job.attempt)),
            reason: message,
            ..JobChange::to(&job.id, JobState::Waiting)
        },
        End::Failed | End::TimedOut => {
            let result = (!acted.value.is_null()).then_some(acted.value);
            JobChange { result, reason: message, ..JobChange::to(&job.id, JobState::Failed) }
        }
        // Whoever drives ends: it stays as it is, and is taken up again. Else its step took too long.
        End::Cancelled if stopping => return None,
        End::Cancelled => JobChange { reason: Some("ended: the step took too long".into()), ..JobChange::to(&job.id, JobState::Failed) },
        End::Interrupted => JobChange { reason: message, ..JobChange::to(&job.id, JobState::Interrupted) },
    };
    change.outputs = outputs;
    Some(change)
}

fn with(worked: Worked, outputs: Vec<JobOutput>) -> Worked {
    worked.map(|change| JobChange { outputs, ..change })
}

/// Not allowed: for now, where a guard or a window stands in the way, else for good.
pub(super) fn refused(parts: &Parts, job: &Job, acted: &Acted) -> Worked {
    let now = parts.clock.now();
    let Some(held) = &acted.held else { return failed(job, acted.message.clone()) };
    let until = held.until.unwrap_or(now + HELD);
    let by = match held.until {
        Some(until) => format!("held by {} until {}", held.by, until.format("%F %H:%M UTC")),
        None => format!("held by {}: {}", held.by, held.reason),
    };
    if until >= job.expires_at || now >= job.expires_at {
        let reason = format!("{by}, and it is not wanted after {}", job.expires_at.format("%F %H:%M UTC"));
        return JobChange { reason: Some(reason), ..JobChange::to(&job.id, JobState::Skipped) }.into();
    }
    JobChange { waits_for: Some(WaitsFor::Window), wake_at: Some(until), reason: Some(by), ..JobChange::to(&job.id, JobState::Waiting) }
        .into()
}

/// Another run is at work on the device.
pub(super) fn busy(parts: &Parts, job: &Job, reason: &str) -> Worked {
    JobChange {
        waits_for: Some(WaitsFor::Busy),
        wake_at: Some(parts.clock.now() + BUSY),
        reason: Some(reason.to_owned()),
        ..JobChange::to(&job.id, JobState::Waiting)
    }
    .into()
}
