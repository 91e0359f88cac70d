//! `rmm run ... --at`: the action is put into the queue for a moment that comes, on exactly the devices that were confirmed. The
//! daemon carries it out then.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::run::RunArgs;
use super::style::{Tone, ago, clean, count, paint};
use super::table::{Output, document};
use crate::apply::Parts;
use crate::model::workflow::Concurrency;
use crate::model::{ActionCall, StepState};
use crate::store::{JobFilter, StoreError};
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

/// Puts the action into the queue and leaves it there.
pub(super) fn schedule(global: &Global, parts: &Parts, call: ActionCall, options: &Options, at: DateTime<Utc>) -> Result<Exit, Failure> {
    let (store, now) = (&parts.store, parts.clock.now());
    let action = Arc::clone(&call.action);
    let run = by_hand(&parts.set, call, options, &parts.actor, now, rand::random());
    start(store, &run, Concurrency::Parallel)?;
    // The devices are resolved and stand in the queue before anybody is told that they do.
    let stop = CancellationToken::new();
    let (queued, of) = (stop.clone(), parts.clone());
    let driver = Arc::new(Driver {
        parts: Box::new(move || of.clone()),
        which: Which::One(run.id.clone()),
        stop,
        abort: CancellationToken::new(),
        on: Box::new(move |event| {
            if let Event::Step { state, .. } = event
                && state != StepState::Pending
            {
                queued.cancel();
            }
        }),
    });
    super::signals::block_on_changes(async |_| match driver.run().await {
        // The daemon was faster.
        Err(StoreError::Leased { .. }) => taken_up(parts, &run.id).await,
        ended => ended.map(drop),
    })?;
    let jobs = store.jobs(&JobFilter { run: Some(run.id.clone()), ..JobFilter::default() })?;
    let expires = jobs.iter().map(|job| job.expires_at).max();
    if global.output == Output::Table {
        super::print(&format!(
            "{} on {}: {}   {}\n",
            paint(Tone::Strong, clean(&action)),
            count(jobs.len(), "device", "devices"),
            words(at, now),
            run.id
        ))?;
    } else {
        let devices: Vec<_> = jobs.iter().map(|job| &job.device).filter(|name| !name.is_empty()).collect();
        let value =
            json!({ "schema": "rmm.scheduled/1", "run": run.id, "action": action, "at": at, "expiresAt": expires, "devices": devices });
        super::print(&document(&value, global.output)?)?;
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
