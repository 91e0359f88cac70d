//! `rmm workflow output`: what the commands of runs printed.

use clap::Args;
use serde_json::json;

use super::problem::Problem;
use super::status::printed;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, Table};
use crate::model::job::JobOutput;
use crate::store::{JobFilter, Store};

/// Arguments of `rmm workflow output`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow output last web-1\n  rmm workflow output last --grep 'No space left'\n  rmm workflow output --grep 'segfault' --output csv"
)]
pub(super) struct OutputArgs {
    /// A run: its id, the end of it, or `last`; all runs without one, with --grep only
    #[arg(required_unless_present = "grep")]
    pub(super) run: Option<String>,
    /// Only this device
    pub(super) device: Option<String>,
    /// Only devices whose commands printed this text, and only those lines
    #[arg(long, value_name = "TEXT")]
    pub(super) grep: Option<String>,
    /// At most so many devices, the latest
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(super) limit: usize,
}

pub(super) fn run(global: &Global, _context: &Context, store: &Store, args: &OutputArgs) -> Result<Exit, Failure> {
    let run = args.run.as_ref().map(|text| super::find::run(store, text)).transpose()?;
    let wanted = |run: Option<String>| JobFilter {
        run,
        device: args.device.clone(),
        printed: args.grep.clone().filter(|text| !text.is_empty()),
        newest_first: true,
        limit: args.limit.max(1),
        ..JobFilter::default()
    };
    let mut jobs = match &run {
        None => store.jobs(&wanted(None))?,
        Some(run) => {
            let mut jobs = Vec::new();
            for id in family(store, &run.id)? {
                jobs.extend(store.jobs(&wanted(Some(id)))?);
            }
            jobs
        }
    };
    if let (Some(device), true) = (&args.device, jobs.is_empty() && args.grep.is_none()) {
        return Err(Problem::Unknown { what: "device of this run", name: clean(device), near: None }.into());
    }
    jobs.reverse();
    let people = global.output == Output::Table;
    let mut table = Table::new(
        "rmm.job-outputs/1",
        &["RUN", "JOB", "DEVICE", "ACTION", "PART", "STATE", "ATTEMPT", "SEQ", "COMMAND", "EXIT", "STDOUT", "STDERR"],
    );
    let (mut out, mut found) = (String::new(), 0);
    for job in &jobs {
        let outputs: Vec<JobOutput> =
            store.job_outputs(&job.id)?.into_iter().filter_map(|output| narrowed(output, args.grep.as_deref())).collect();
        if people && (!outputs.is_empty() || args.device.is_some()) {
            let name = if job.device.is_empty() { &job.action } else { &job.device };
            let of = if run.is_some() { String::new() } else { format!("  {}", job.run) };
            let state = paint(super::text::of_job(job.state), job.state);
            out += &format!("{}  {}  {state}{}\n", paint(Tone::Strong, clean(name)), clean(&job.action), paint(Tone::Dim, of));
            if outputs.is_empty() {
                out += &format!("  {}\n", paint(Tone::Dim, "no command was run"));
            }
        }
        for output in outputs {
            found += 1;
            if people {
                printed(&output, usize::MAX, 2, &mut out);
                continue;
            }
            table.push(vec![
                json!(job.run),
                json!(job.id),
                json!(job.device),
                json!(job.action),
                json!(job.part),
                json!(job.state),
                json!(output.attempt),
                json!(output.seq),
                json!(output.line),
                json!(output.code),
                json!(output.stdout),
                json!(output.stderr),
            ]);
        }
    }
    crate::cli::print(&if people { out } else { table.render(global.output)? })?;
    if !global.quiet && people {
        if jobs.len() == args.limit.max(1) {
            crate::cli::say(format!("These are the latest {}; --limit shows more", count(jobs.len(), "device", "devices")));
        } else if found == 0 {
            crate::cli::say("nothing was printed that fits");
        }
    }
    Ok(Exit::Done)
}

/// A run and those that its steps started.
fn family(store: &Store, id: &str) -> Result<Vec<String>, Failure> {
    let mut all = vec![id.to_owned()];
    let mut at = 0;
    while let Some(run) = all.get(at).cloned() {
        at += 1;
        for step in store.workflow_steps(&run)? {
            all.extend(store.child_run(&run, step.step)?.map(|child| child.id));
        }
    }
    Ok(all)
}

/// Of what was printed only the lines that hold a text.
fn narrowed(mut output: JobOutput, text: Option<&str>) -> Option<JobOutput> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Some(output) };
    let keep = |stream: &str| -> String { stream.lines().filter(|line| line.contains(text)).map(|line| format!("{line}\n")).collect() };
    let whole = text.contains('\n') && (output.stdout.contains(text) || output.stderr.contains(text));
    if !whole {
        output.stdout = keep(&output.stdout);
        output.stderr = keep(&output.stderr);
    }
    Some(output).filter(|output| !(output.stdout.is_empty() && output.stderr.is_empty()))
}
