//! `rmm workflow resume`: goes on with a run that failed, was cancelled, or lost its process.

use chrono::{DateTime, Utc};
use clap::Args;

use super::live::{self, How};
use super::problem::Problem;
use super::seen::Driven;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::clean;
use crate::model::job::WaitsFor;
use crate::model::{JobState, StepState, WorkflowState};
use crate::store::{JobFilter, Store};

/// Arguments of `rmm workflow resume`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow resume last\n  rmm workflow resume 4f2a --detach\n\nWhat succeeded stays; what failed or never began is tried anew. A run that nobody drives goes on as it stands."
)]
pub(super) struct ResumeArgs {
    /// A run: its id, the end of it, or `last`
    pub(super) run: String,
    /// Leave it to the daemon
    #[arg(long)]
    pub(super) detach: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &ResumeArgs) -> Result<Exit, Failure> {
    let run = super::find::run(store, &args.run)?;
    let needs = super::run::role(&context.set, &run.steps);
    context.may(store, needs, &format!("resume {}", clean(&run.workflow)), Some(&run.id))?;
    let parts = context.parts(store);
    let refuse = |why: String| Problem::NotResumable { run: run.id.clone(), why };
    // Nobody sits and waits for a moment that comes.
    let mut waits = false;
    match run.state {
        WorkflowState::Failed | WorkflowState::Cancelled => {
            if !store.rollback_counts(&run.id)?.is_empty() {
                return Err(refuse(format!("what it did was undone; start it anew: rmm workflow run '{}'", run.workflow)).into());
            }
            if let Some((parent, step)) = &run.parent {
                return Err(refuse(format!("it is step {} of run {parent}; resume that one", step + 1)).into());
            }
            let steps = store.workflow_steps(&run.id)?;
            let left = run.steps.iter().zip(&steps).filter(|(_, row)| !matches!(row.state, StepState::Succeeded | StepState::Skipped));
            let left: Vec<_> = left.map(|(step, _)| step.clone()).collect();
            let now = context.clock.now();
            let moment = left.iter().find_map(|step| step.not_before);
            let when = moment.map(|at| when(at, now)).unwrap_or_default();
            if !args.yes {
                super::run::confirm(&parts, &run.workflow, &left, run.cause.device.as_deref(), &when)?;
            }
            let again = store.resume_workflow(&run.id, &context.actor)?;
            if !global.quiet && again > 0 {
                crate::cli::say(format!("{} again{when}.", crate::cli::style::count(again, "device is tried", "devices are tried")));
            }
            waits = moment.is_some_and(|at| at > now);
        }
        WorkflowState::Succeeded => {
            let filter = JobFilter { run: Some(run.id.clone()), states: super::queue::OPEN.to_vec(), ..JobFilter::default() };
            if store.jobs(&filter)?.is_empty() {
                return Err(refuse("it has succeeded, and nothing of it is left to do".into()).into());
            }
        }
        WorkflowState::Queued | WorkflowState::Running | WorkflowState::Undoing => {}
    }
    // Devices that were away are asked at once: whoever resumes a run has a reason to.
    let away = JobFilter { run: Some(run.id.clone()), states: vec![JobState::Waiting], ..JobFilter::default() };
    for job in store.jobs(&away)?.iter().filter(|job| job.waits_for == Some(WaitsFor::Device)) {
        store.wake_jobs(&job.device)?;
    }
    if args.detach || waits {
        if !global.quiet {
            crate::cli::say(match store.daemon()? {
                Some(_) => format!("The daemon takes it up. To see it: rmm workflow status {} --watch", run.id),
                None => "No daemon runs: it goes on when one starts (rmm reconcile).".into(),
            });
        }
        return Ok(Exit::Done);
    }
    let driven = Driven::of(&run.id, &store.leases()?);
    if driven != Driven::Nobody && !global.quiet {
        crate::cli::say(format!("The run is {driven} already."));
    }
    let how = if driven == Driven::Nobody { live::usual(store)? } else { How::Watch };
    live::follow(global, &parts, &run.id, how)
}

/// The end of a question: when something begins that was asked for at a moment.
fn when(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at > now {
        format!(" at {}", crate::cli::run_later::words(at, now))
    } else {
        format!(" now (its moment is over: {})", at.format("%F %H:%M UTC"))
    }
}
