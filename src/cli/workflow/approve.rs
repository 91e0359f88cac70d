//! `rmm workflow approve`: a person decides on a step that waits for it.

use clap::Args;
use serde_json::json;

use super::problem::Problem;
use super::seen::Driven;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, paint};
use crate::cli::table::{Output, document};
use crate::model::StepRun;
use crate::model::action::Role;
use crate::model::workflow::Work;
use crate::store::Store;
use crate::workflow::approval_is_open;

/// Arguments of `rmm workflow approve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow approve last\n  rmm workflow approve 4f2a Sign-off --reason 'pilot looks good'\n  rmm workflow approve 4f2a --reject --reason 'two pilots do not boot'"
)]
pub(super) struct ApproveArgs {
    /// A run: its id, the end of it, or `last`
    pub(super) run: String,
    /// The step, by name or number; needed where several wait
    pub(super) step: Option<String>,
    /// The step has failed, and the run goes on as its onFailure says
    #[arg(long)]
    pub(super) reject: bool,
    /// Why; kept with the step and in the audit
    #[arg(long, short = 'm', value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &ApproveArgs) -> Result<Exit, Failure> {
    let run = super::find::run(store, &args.run)?;
    let steps = store.workflow_steps(&run.id)?;
    let named = |step: &&StepRun| args.step.as_ref().is_none_or(|text| *step.name == **text || (step.step + 1).to_string() == *text);
    let nothing = |why: String, advice: Option<String>| Problem::NothingToDecide { run: run.id.clone(), why, advice };
    if let Some(text) = &args.step
        && !steps.iter().any(|step| named(&step))
    {
        let near = crate::diagnose::did_you_mean(text, steps.iter().map(|step| &*step.name)).map(str::to_owned);
        return Err(Problem::Unknown { what: "step", name: clean(text), near }.into());
    }
    let open: Vec<&StepRun> = steps.iter().filter(|step| approval_is_open(step)).filter(named).collect();
    let step = match open.as_slice() {
        [step] if !run.state.is_final() => *step,
        [] | [_] => {
            let inner = waiting_within(store, &run.id, &steps)?;
            let advice = inner.map(|inner| format!("a run that it waits for does: rmm workflow approve {inner}"));
            return Err(nothing(format!("no step waits for approval; the run is {}", run.state), advice).into());
        }
        several => {
            let names: Vec<&str> = several.iter().map(|step| &*step.name).collect();
            let advice = format!("name one: {}", names.join(", "));
            return Err(nothing(format!("{} steps wait for approval", several.len()), Some(advice)).into());
        }
    };
    // Who may reject is who may approve. Where the run does not tell, an Admin.
    let needs = match run.steps.get(step.step as usize).map(|step| &step.work) {
        Some(Work::Approval { role, .. }) => *role,
        _ => Role::Admin,
    };
    let what = format!("{} the step '{}'", if args.reject { "reject" } else { "approve" }, step.name);
    context.may(store, needs, &clean(&what), Some(&run.id))?;
    let word = if args.reject { "rejected" } else { "approved" };
    let reason = args.reason.clone().filter(|text| !text.trim().is_empty());
    let kept = match &reason {
        Some(text) => format!("{word} by {}: {text}", context.actor.user),
        None => format!("{word} by {}", context.actor.user),
    };
    store.decide_step(&run.id, step.step, !args.reject, &kept, &context.actor)?;
    if global.output != Output::Table {
        let value = json!({
            "schema": "rmm.workflow-decision/1", "run": run.id, "step": step.name, "approved": !args.reject, "by": context.actor.user, "reason": reason,
        });
        crate::cli::print(&document(&value, global.output)?)?;
        return Ok(Exit::Done);
    }
    let tone = if args.reject { Tone::Bad } else { Tone::Good };
    crate::cli::print(&format!("{} {} of {}\n", paint(tone, word), clean(&step.name), clean(&run.workflow)))?;
    if !global.quiet && Driven::of(&run.id, &store.leases()?) == Driven::Nobody && store.daemon()?.is_none() {
        crate::cli::say(format!("Nobody drives the run: rmm workflow resume {}", run.id));
    }
    Ok(Exit::Done)
}

/// A run that a step waits for, and that waits for approval.
fn waiting_within(store: &Store, run: &str, steps: &[StepRun]) -> Result<Option<String>, Failure> {
    for step in steps.iter().filter(|step| !step.state.is_final()) {
        if let Some(child) = store.child_run(run, step.step)?
            && store.workflow_steps(&child.id)?.iter().any(approval_is_open)
        {
            return Ok(Some(child.id));
        }
    }
    Ok(None)
}
