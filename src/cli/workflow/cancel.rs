//! `rmm workflow cancel`: ends a run. What is in flight finishes; where nobody drives it, it is driven here to its end.

use clap::Args;

use super::live::{self, How};
use super::problem::Problem;
use super::seen::Driven;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::model::action::Role;
use crate::model::{JobState, WorkflowState};
use crate::store::{JobFilter, Store};

/// Arguments of `rmm workflow cancel`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rmm workflow cancel last --reason 'the wrong group'")]
pub(super) struct CancelArgs {
    /// A run: its id, the end of it, or `last`
    pub(super) run: String,
    /// Why; kept with the run and in the audit
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &CancelArgs) -> Result<Exit, Failure> {
    let run = super::find::run(store, &args.run)?;
    context.may(store, Role::Operator, "cancel a run", Some(&run.id))?;
    let open = JobFilter { run: Some(run.id.clone()), states: super::queue::OPEN.to_vec(), limit: 1, ..JobFilter::default() };
    if run.state.is_final() && store.jobs(&open)?.is_empty() {
        let why = format!("it has ended already: {}", run.state);
        return Err(Problem::NotCancellable { what: format!("run {}", run.id), why, advice: None }.into());
    }
    let reason = args.reason.clone().filter(|text| !text.trim().is_empty());
    let reason = reason
        .map_or_else(|| format!("cancelled by {}", context.actor.user), |text| format!("cancelled by {}: {text}", context.actor.user));
    if run.state == WorkflowState::Undoing {
        let why = "it has failed, and what it did is undone just now".to_owned();
        let advice = Some(format!("look at it: rmm workflow status {} --watch", run.id));
        return Err(Problem::NotCancellable { what: format!("run {}", run.id), why, advice }.into());
    }
    store.ask_to_cancel(&run.id, &reason, &context.actor)?;
    let driven = Driven::of(&run.id, &store.leases()?);
    let how = if driven == Driven::Nobody { live::usual(store)? } else { How::Watch };
    let exit = live::follow(global, &context.parts(store), &run.id, how)?;
    let ended = store.workflow_run(&run.id)?.is_some_and(|run| run.state.is_final());
    let left = store.jobs(&JobFilter { states: vec![JobState::Pending, JobState::Waiting], ..open })?;
    // It did what was asked: that is not an interruption.
    Ok(if ended && left.is_empty() { Exit::Done } else { exit })
}
