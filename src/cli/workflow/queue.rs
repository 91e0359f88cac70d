//! `rmm workflow queue`: the actions of all runs that wait or are under way; one of them is cancelled.

use clap::{Args, Subcommand};
use serde_json::json;

use super::problem::Problem;
use super::{text, words};
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, Table};
use crate::model::action::Role;
use crate::model::job::JobPart;
use crate::model::{Job, JobState};
use crate::store::{JobFilter, Store, StoreError};

/// States of jobs that are in the queue.
pub(super) const OPEN: [JobState; 3] = [JobState::Pending, JobState::Waiting, JobState::Running];

/// Arguments of `rmm workflow queue`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow queue\n  rmm workflow queue --device web-1\n  rmm workflow queue cancel w-20261121-073012-4f2a.0.3",
    args_conflicts_with_subcommands = true
)]
pub(super) struct QueueArgs {
    #[command(subcommand)]
    action: Option<Act>,
    /// Only of this device
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only of this run: its id, the end of it, or `last`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 200)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Cancel an action that has not begun; it never will
    #[command(after_help = "Example:\n  rmm workflow queue cancel w-20261121-073012-4f2a.0.3 -m 'device is gone'")]
    Cancel {
        /// Its id, as the list shows it, or the end of it
        job: String,
        /// Why; kept with it and in the audit
        #[arg(long, short = 'm', value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: QueueArgs) -> Result<Exit, Failure> {
    if let Some(Act::Cancel { job, reason }) = args.action {
        return cancel(global, context, store, &job, reason);
    }
    let run = args.run.as_ref().map(|text| super::find::run(store, text)).transpose()?.map(|run| run.id);
    let filter = JobFilter { run, device: args.device.clone(), states: OPEN.to_vec(), ..JobFilter::default() };
    let mut jobs = store.jobs(&filter)?;
    let all = jobs.len();
    // As they are served: what is under way, then by priority, then as they were asked for.
    jobs.sort_by_key(|job| (job.state != JobState::Running, job.priority));
    jobs.truncate(args.limit.max(1));
    list(global, context, &jobs)?;
    if all > jobs.len() && !global.quiet {
        crate::cli::say(format!("and {} more; --limit shows them", all - jobs.len()));
    }
    Ok(Exit::Done)
}

fn list(global: &Global, context: &Context, jobs: &[Job]) -> Result<(), Failure> {
    let now = context.clock.now();
    let people = global.output == Output::Table;
    let columns: &[&str] = if people {
        &["JOB", "DEVICE", "ACTION", "PRIORITY", "STATE"]
    } else {
        &["JOB", "RUN", "STEP", "DEVICE", "ACTION", "PART", "PRIORITY", "STATE", "WAITS FOR", "UNTIL", "EXPIRES AT", "CREATED AT", "REASON"]
    };
    let mut table = Table::new("rmm.jobs/1", columns);
    for job in jobs {
        let undo = if job.part == JobPart::Rollback { " (undo)" } else { "" };
        table.push(if people {
            let state = match job.state {
                JobState::Running => {
                    let since = job.started_at.map(|at| format!(" since {}", words::moment(at, now))).unwrap_or_default();
                    let far = job.progress().map(|far| format!(", {}", crate::cli::transfers::words(far))).unwrap_or_default();
                    paint(Tone::Change, format!("under way{since}{far}"))
                }
                JobState::Waiting => paint(Tone::Held, text::waits(job, now)),
                _ => match job.wake_at.filter(|at| *at > now) {
                    Some(at) => format!("pending {}", words::until(at, now)),
                    None => "pending".to_owned(),
                },
            };
            vec![json!(job.id), json!(job.device), json!(format!("{}{undo}", job.action)), json!(job.priority), json!(state)]
        } else {
            vec![
                json!(job.id),
                json!(job.run),
                json!(job.step + 1),
                json!(job.device),
                json!(job.action),
                json!(job.part),
                json!(job.priority),
                json!(job.state),
                json!(job.waits_for),
                json!(job.wake_at),
                json!(job.expires_at),
                json!(job.created_at),
                json!(job.reason),
            ]
        });
    }
    crate::cli::print(&table.render(global.output)?)
}

fn cancel(global: &Global, context: &Context, store: &Store, text: &str, reason: Option<String>) -> Result<Exit, Failure> {
    let job = if let Some(job) = store.job(text)? {
        job
    } else {
        let mut found = store.jobs(&JobFilter { states: OPEN.to_vec(), ..JobFilter::default() })?;
        found.retain(|job| text.len() >= 4 && job.id.ends_with(text));
        match found.len() {
            0 => return Err(Problem::Unknown { what: "job", name: clean(text), near: None }.into()),
            1 => found.swap_remove(0),
            n => {
                return Err(Failure::usage(format!("'{}' is the end of {}", clean(text), count(n, "job", "jobs")), "give more of the id"));
            }
        }
    };
    let refuse = |why: &str, advice: Option<String>| {
        Failure::from(Problem::NotCancellable { what: format!("job {}", job.id), why: why.to_owned(), advice })
    };
    context.may(store, Role::Operator, "cancel an action", Some(&job.run))?;
    let reason = reason.filter(|text| !text.trim().is_empty());
    let reason = reason
        .map_or_else(|| format!("cancelled by {}", context.actor.user), |text| format!("cancelled by {}: {text}", context.actor.user));
    match store.cancel_job(&job.id, &reason, &context.actor) {
        Ok(_) => {}
        Err(StoreError::Step { from: "running", .. }) => {
            let advice = format!("it ends within its time limit; what comes after it is cancelled with rmm workflow cancel {}", job.run);
            return Err(refuse("it is under way", Some(advice)));
        }
        Err(StoreError::Step { from, .. }) => return Err(refuse(&format!("it has ended already: {from}"), None)),
        Err(error) => return Err(error.into()),
    }
    if global.output == Output::Table {
        let on = if job.device.is_empty() { String::new() } else { format!(" on {}", clean(&job.device)) };
        crate::cli::print(&format!("{} {}{on}\n", paint(Tone::Held, "cancelled"), clean(&job.action)))?;
        return Ok(Exit::Done);
    }
    let job: Vec<Job> = store.job(&job.id)?.into_iter().collect();
    list(global, context, &job)?;
    Ok(Exit::Done)
}
