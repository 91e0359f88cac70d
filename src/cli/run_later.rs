//! `rmm run ... --at`: the action is put into the queue for a moment that comes, on exactly the devices that were confirmed. The
//! daemon carries it out then.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::run::{RunArgs, call_off, wind_up};
use super::style::{Tone, ago, clean, count, paint};
use super::table::{Output, document};
use crate::apply::Parts;
use crate::model::workflow::Concurrency;
use crate::model::{ActionCall, Job, JobState, StepState, WorkflowState};
use crate::store::{JobFilter, Store, StoreError};
use crate::workflow::{Driver, Event, Options, Which, by_hand, start};

/// The farthest moment: what is asked for later than in a year is a mistake.
const FARTHEST: chrono::TimeDelta = chrono::TimeDelta::days(366);

/// How often it is looked whether the daemon has taken something up, and how many times at most.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
const MOST_LOOKS: u32 = 50;

/// The moment that `--at` or `--in` names.
pub(super) fn moment(context: &Context, args: &RunArgs) -> Result<Option<DateTime<Utc>>, Failure> {
    let now = context.clock.now();
    let at = match (&args.at, args.r#in) {
        (None, None) => return Ok(None),
        (Some(text), _) => {
            let zone = context.set.config.monitoring.schedules.timezone.0;
            crate::time::moment(text, now, zone).map_err(|error| {
                Failure::usage(clean(&error.to_string()), format!("times are in {}, unless a zone follows", zone.name()))
            })?
        }
        (None, Some(span)) => now + span.delta(),
    };
    if at - now > FARTHEST {
        return Err(Failure::usage(format!("{} is more than a year away", at.format("%F %H:%M UTC")), "name an earlier moment"));
    }
    Ok(Some(at))
}

/// `2026-11-28 22:00 UTC (in 6 d)`
pub(super) fn words(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} (in {})", at.format("%F %H:%M UTC"), ago((at - now).num_seconds()))
}

/// Puts the action into the queue and leaves it there. `confirmed` are its devices by name.
pub(super) fn schedule(
    global: &Global,
    parts: &Parts,
    call: ActionCall,
    options: &Options,
    at: DateTime<Utc>,
    confirmed: &[String],
) -> Result<Exit, Failure> {
    let (store, now) = (&parts.store, parts.clock.now());
    let action = Arc::clone(&call.action);
    let run = by_hand(&parts.set, call, options, &parts.actor, now, rand::random());
    start(store, &run, Concurrency::Parallel)?;
    if hand_over(parts, &run.id)? {
        super::say(taken_back(store, &run.id)?);
        return Ok(Exit::Interrupted);
    }
    let jobs = store.jobs(&JobFilter { run: Some(run.id.clone()), ..JobFilter::default() })?;
    let expires = jobs.iter().map(|job| job.expires_at).max();
    let queued = !jobs.is_empty();
    let devices: Vec<&str> = if queued { devices(&jobs) } else { confirmed.iter().map(String::as_str).collect() };
    if global.output == Output::Table {
        let on = if confirmed.is_empty() { String::new() } else { format!(" on {}", count(devices.len(), "device", "devices")) };
        super::print(&format!("{}{on}: {}   {}\n", paint(Tone::Strong, clean(&action)), words(at, now), run.id))?;
    } else {
        let value = json!({
            "schema": "rmm.scheduled/1", "run": run.id, "action": action, "at": at, "expiresAt": expires, "devices": devices, "queued": queued,
        });
        super::print(&document(&value, global.output)?)?;
    }
    if !queued {
        super::say(format!(
            "Nothing of it stands in the queue yet: the daemon has not come to it. To see it: rmm workflow status {}",
            run.id
        ));
    }
    if !global.quiet {
        let who = match store.daemon()? {
            Some(_) => "The daemon carries it out then.",
            None => "No daemon runs now: it is carried out where one does then (rmm reconcile).",
        };
        let until = expires.map(|at| format!(" What has not begun by {} is given up.", at.format("%F %H:%M UTC"))).unwrap_or_default();
        super::say(format!("{who}{until}\nTo see it: rmm workflow queue   To take it back: rmm workflow cancel {}", run.id));
    }
    Ok(Exit::Done)
}

/// Waits until the devices are resolved and stand in the queue: before that nobody is told that they do. True where somebody has
/// stopped it, and it is cancelled.
pub(super) fn hand_over(parts: &Parts, run: &str) -> Result<bool, Failure> {
    super::signals::block_on_own_words(async |signals| {
        let over = CancellationToken::new();
        let (queued, of) = (over.clone(), parts.clone());
        let driver = Arc::new(Driver {
            parts: Box::new(move || of.clone()),
            which: Which::One(run.to_owned()),
            stop: over.clone(),
            abort: signals.abort.clone(),
            on: Box::new(move |event| {
                // It stops before anything is chosen that is due now.
                if let Event::Step { state, .. } = event
                    && state != StepState::Pending
                {
                    queued.cancel();
                }
            }),
        });
        let queueing = async {
            match driver.run().await {
                // The daemon was faster.
                Err(StoreError::Leased { .. }) => tokio::select! {
                    seen = taken_up(parts, run) => seen,
                    () = signals.stop.cancelled() => Ok(()),
                },
                ended => ended.map(drop),
            }
        };
        let stopped = async {
            signals.stop.cancelled().await;
            over.cancel();
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = queueing => ended,
            () = stopped => Ok(()),
        };
        if !signals.stop.is_cancelled() {
            ended?;
            return Ok::<bool, StoreError>(false);
        }
        super::say("\nStopping: it is taken back.");
        call_off(parts, run).await?;
        wind_up(parts, run).await?;
        Ok(true)
    })
}

/// What stands of a run that was stopped before it was handed over.
pub(super) fn taken_back(store: &Store, run: &str) -> Result<String, StoreError> {
    let state = store.workflow_run(run)?.map(|run| run.state).unwrap_or_default();
    let jobs = store.jobs(&JobFilter { run: Some(run.to_owned()), ..JobFilter::default() })?;
    let untouched = jobs.iter().all(|job| job.state == JobState::Cancelled);
    let what = match state {
        WorkflowState::Cancelled if untouched => return Ok(format!("Taken back: nothing of it is carried out. Its run was {run}.")),
        state if state.is_final() => format!("It had begun: run {run} is {state}."),
        _ => format!("Run {run} is asked to end: whoever has taken it up ends it."),
    };
    Ok(format!("{what}\nTo see it: rmm workflow status {run}"))
}

/// The devices of jobs. What is carried out once for several has one job, which remembers them.
fn devices(jobs: &[Job]) -> Vec<&str> {
    let mut devices = Vec::with_capacity(jobs.len());
    for job in jobs {
        match job.memo["devices"].as_array().filter(|_| job.device.is_empty()) {
            Some(names) => devices.extend(names.iter().filter_map(Value::as_str)),
            None => devices.push(&*job.device),
        }
    }
    devices.retain(|name| !name.is_empty());
    devices
}

/// Waits until the daemon has put the devices into the queue; not for long: it is there, and does.
async fn taken_up(parts: &Parts, run: &str) -> Result<(), StoreError> {
    for _ in 0..MOST_LOOKS {
        if parts.store.workflow_steps(run)?.iter().all(|step| step.state != StepState::Pending) {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
