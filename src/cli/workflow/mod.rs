//! `rmm workflow`: what workflows there are, their runs, and the queue of actions. One file per subcommand.

mod approve;
mod cancel;
mod dry_run;
mod find;
mod known;
mod list;
pub(super) mod live;
mod mermaid;
mod output;
mod problem;
mod queue;
mod resume;
mod run;
mod seen;
mod show;
mod status;
mod text;
mod words;

use clap::{Args, Subcommand};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Arguments of `rmm workflow`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow list\n  rmm workflow run PatchTuesday --dry-run\n  rmm workflow run PatchTuesday\n  rmm workflow status last --watch\n\nA run is kept in the database with every step: it survives a crash and a restart. The daemon drives runs; without one the command that\nstarted a run does. A run is named by its id, by the end of it, or as `last`."
)]
pub(super) struct WorkflowArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the workflows: what starts each, when next, and how it ended last
    #[command(after_help = "Example:\n  rmm workflow list")]
    List,
    /// Show the steps of a workflow, and on how many devices they act now
    Show(show::ShowArgs),
    /// Start a workflow and follow it to its end; with --dry-run only show what it would do
    Run(run::RunArgs),
    /// Show runs; one run with its steps, devices and failures
    Status(status::StatusArgs),
    /// Approve a step that waits for it, or reject it
    Approve(approve::ApproveArgs),
    /// End a run: what is in flight finishes, nothing else begins
    Cancel(cancel::CancelArgs),
    /// Go on with a run that failed, was cancelled, or lost its process
    Resume(resume::ResumeArgs),
    /// Show what the commands of a run printed
    Output(output::OutputArgs),
    /// Show the actions that wait for their turn, their device or their window; cancel one
    Queue(queue::QueueArgs),
}

pub(super) fn run(global: &Global, args: WorkflowArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    match args.action {
        Action::List => list::run(global, &context, &store),
        Action::Show(args) => show::run(global, &context, &store, &args),
        Action::Run(args) => run::run(global, &context, &store, &args),
        Action::Status(args) => status::run(global, &context, &store, &args),
        Action::Approve(args) => approve::run(global, &context, &store, &args),
        Action::Cancel(args) => cancel::run(global, &context, &store, &args),
        Action::Resume(args) => resume::run(global, &context, &store, &args),
        Action::Output(args) => output::run(global, &context, &store, &args),
        Action::Queue(args) => queue::run(global, &context, &store, args),
    }
}
