//! The restart that a step waits for: asked for where the device needs one and the guards allow it, awaited, and looked at.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::work::{Worked, busy, refused};
use crate::apply::survey::Ask as Freshness;
use crate::apply::{Allowed, Ask, End, Listener, Part, Parts, act};
use crate::model::job::{JobPhase, WaitsFor};
use crate::model::selector::Match;
use crate::model::{ActionCall, Category, Facts, Job, JobState, Selector};
use crate::plan::Scope;
use crate::store::{JobChange, StoreError};

/// How long a device may take to come back.
const MOST: TimeDelta = TimeDelta::minutes(30);
/// How soon it is looked for after the restart was asked for, and how often after that.
const FIRST: TimeDelta = TimeDelta::seconds(5);
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// Minutes that people have to save their work.
const WARNING: u64 = 1;

/// Looks whether the device asks for a restart, and restarts it.
pub(super) async fn ask(parts: &Parts, job: &Job, cancel: &CancellationToken) -> Result<Worked, StoreError> {
    let Some(facts) = look(parts, &job.device, cancel).await? else { return Ok(away(parts, job)) };
    if !pending(&facts) {
        return Ok(JobChange { reason: Some("no restart was needed".into()), ..JobChange::to(&job.id, JobState::Succeeded) }.into());
    }
    let reboot = ActionCall {
        action: "Reboot".into(),
        with: [
            ("delay".to_owned(), Value::from(WARNING)),
            ("message".to_owned(), Value::from("Restart for maintenance; please save your work")),
        ]
        .into(),
        on: Vec::new(),
    };
    let key = format!("{}.{}.restart", job.id, job.attempt);
    let asked = Ask {
        device: &job.device,
        call: &reboot,
        because: &job.id,
        allowed: Allowed::Workflow,
        once: Some(&key),
        timeout: None,
        part: Part::Run,
        leased: true,
        on: Listener::default(),
    };
    let acted = act(parts, &asked, cancel).await?;
    let now = parts.clock.now();
    Ok(match acted.end {
        End::Done => JobChange {
            waits_for: Some(WaitsFor::Restart),
            phase: Some(JobPhase::Return),
            wake_at: Some(now + FIRST),
            memo: Some(json!({ "bootTime": boot_time(&facts), "since": now })),
            reason: Some("restarts".into()),
            ..JobChange::to(&job.id, JobState::Waiting)
        }
        .into(),
        End::Refused => refused(parts, job, &acted),
        End::Unreachable => away(parts, job),
        End::Busy => busy(parts, job, &acted.message),
        _ => JobChange { reason: Some(format!("its restart: {}", acted.message)), ..JobChange::to(&job.id, JobState::Failed) }.into(),
    })
}

/// Looks whether the device is back.
pub(super) async fn await_return(parts: &Parts, job: &Job, cancel: &CancellationToken) -> Result<Worked, StoreError> {
    let now = parts.clock.now();
    let since: Option<DateTime<Utc>> = serde_json::from_value(job.memo["since"].clone()).ok();
    if let Some(facts) = look(parts, &job.device, cancel).await?
        && boot_time(&facts) != job.memo["bootTime"]
    {
        let (state, reason) = if pending(&facts) {
            (JobState::Failed, "it was restarted, and still asks for a restart")
        } else {
            (JobState::Succeeded, "restarted")
        };
        return Ok(JobChange { reason: Some(reason.into()), ..JobChange::to(&job.id, state) }.into());
    }
    if since.is_none_or(|since| now - since > MOST) {
        let reason = format!("it did not come back within {} minutes of its restart", MOST.num_minutes());
        return Ok(JobChange { reason: Some(reason), ..JobChange::to(&job.id, JobState::Failed) }.into());
    }
    Ok(wait(job, WaitsFor::Restart, now + AGAIN, "restarts"))
}

fn wait(job: &Job, what: WaitsFor, until: DateTime<Utc>, reason: &str) -> Worked {
    let change = JobChange::to(&job.id, JobState::Waiting);
    JobChange { waits_for: Some(what), wake_at: Some(until), reason: Some(reason.into()), ..change }.into()
}

fn away(parts: &Parts, job: &Job) -> Worked {
    wait(job, WaitsFor::Device, parts.clock.now() + TimeDelta::minutes(1), "the device cannot be reached")
}

/// What the device says of itself just now; nothing where it does not answer.
async fn look(parts: &Parts, device: &str, cancel: &CancellationToken) -> Result<Option<Facts>, StoreError> {
    let scope =
        Scope { selectors: vec![Selector::Match(Match { device: Some(device.to_owned()), ..Match::default() })], ..Scope::default() };
    let seen = parts.survey().inventory(&scope, &[Category::Software], Freshness::Everything, Some(1), cancel, &|_| {}).await?;
    if seen.observed == 0 {
        return Ok(None);
    }
    parts.store.facts(device, None).map(Some)
}

fn pending(facts: &Facts) -> bool {
    facts.value("software.pending_reboot.required").and_then(Value::as_bool).unwrap_or(false)
}

fn boot_time(facts: &Facts) -> Value {
    facts.value("software.os.boot_time").cloned().unwrap_or_default()
}
