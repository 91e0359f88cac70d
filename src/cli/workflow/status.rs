//! `rmm workflow status`: runs that go on and were; one run with its steps, devices and failures; a picture that follows it.

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::live;
use super::seen::Seen;
use super::{text, words};
use crate::cli::args::Global;
use crate::cli::confirm::first_few;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, ago, clean, count, paint};
use crate::cli::table::{Output, Table};
use crate::model::job::{JobOutput, JobPart};
use crate::model::workflow::Work;
use crate::model::{Job, JobState, StepState};
use crate::store::{JobFilter, RunFilter, Store, StoreError};

/// Kinds of failures that are told with what was printed.
const MOST_TOLD: usize = 5;
/// Failures that are read for that.
const MOST_READ: usize = 200;
/// Lines of what was printed.
const LINES: usize = 5;

/// Arguments of `rmm workflow status`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow status\n  rmm workflow status last\n  rmm workflow status 4f2a --watch\n  rmm workflow status last -v --output json"
)]
pub(super) struct StatusArgs {
    /// A run: its id, the end of it, or `last`; all unfinished and the latest without one
    pub(super) run: Option<String>,
    /// Follow it to its end
    #[arg(long, short = 'w')]
    pub(super) watch: bool,
    /// Only runs of this workflow
    #[arg(long, value_name = "NAME", conflicts_with = "run")]
    pub(super) workflow: Option<String>,
    /// At most so many that have ended, the newest
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) limit: usize,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &StatusArgs) -> Result<Exit, Failure> {
    let Some(wanted) = &args.run else {
        if args.watch {
            return Err(Failure::usage("there is nothing to watch", "name a run: rmm workflow status last --watch"));
        }
        return list(global, context, store, args);
    };
    let run = super::find::run(store, wanted)?;
    if args.watch {
        return live::follow(global, &context.parts(store), &run.id, live::How::Watch);
    }
    let Some(seen) = Seen::read(store, &run.id)? else { return Ok(Exit::Error) };
    match global.output {
        Output::Table => crate::cli::print(&page(store, &seen, context.clock.now(), global.verbose > 0)?)?,
        form => crate::cli::print(&document(store, &seen, form)?)?,
    }
    Ok(Exit::Done)
}

fn list(global: &Global, context: &Context, store: &Store, args: &StatusArgs) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let mut runs = store.workflow_runs(&RunFilter { workflow: args.workflow.clone(), open_only: true, limit: 0 })?;
    let newest = store.workflow_runs(&RunFilter {
        workflow: args.workflow.clone(),
        open_only: false,
        limit: args.limit.saturating_add(runs.len()),
    })?;
    for run in newest {
        if !runs.iter().any(|known| known.id == run.id) {
            runs.push(run);
        }
    }
    let open = runs.iter().filter(|run| !run.state.is_final()).count();
    runs.sort_by_key(|run| run.state.is_final());
    runs.truncate(open + args.limit);
    let people = global.output == Output::Table;
    let columns: &[&str] = if people {
        &["RUN", "WORKFLOW", "STATE", "SINCE", "STARTED", "WHERE"]
    } else {
        &[
            "RUN",
            "WORKFLOW",
            "STATE",
            "CREATED AT",
            "STARTED AT",
            "FINISHED AT",
            "CAUSE",
            "DEVICE",
            "USER",
            "PARENT",
            "STEPS",
            "STEPS DONE",
            "ERROR",
        ]
    };
    let mut table = Table::new("rmm.workflow-runs/1", columns);
    for run in &runs {
        let Some(seen) = Seen::read(store, &run.id)? else { continue };
        let (done, all) = seen.progress();
        table.push(if people {
            vec![
                json!(run.id),
                json!(run.workflow),
                json!(paint(text::of_run(run.state), run.state)),
                json!(ago((now - run.finished_at.unwrap_or(run.created_at)).num_seconds())),
                json!(words::cause(&run.cause, &run.actor.user)),
                json!(seen.summary(now)),
            ]
        } else {
            vec![
                json!(run.id),
                json!(run.workflow),
                json!(run.state),
                json!(run.created_at),
                json!(run.started_at),
                json!(run.finished_at),
                json!(run.cause.kind),
                json!(run.cause.device),
                json!(run.actor.user),
                json!(run.parent.as_ref().map(|(run, _)| run)),
                json!(all),
                json!(done),
                json!(run.error),
            ]
        });
    }
    crate::cli::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

/// A run for programs.
pub(super) fn document(store: &Store, seen: &Seen, output: Output) -> Result<String, Failure> {
    let jobs = store.jobs(&JobFilter { run: Some(seen.run.id.clone()), ..JobFilter::default() })?;
    let mut whole = json!({ "schema": "rmm.workflow-run/1" });
    if let (Some(members), Value::Object(run)) = (whole.as_object_mut(), seen.value(&jobs)) {
        members.extend(run);
    }
    crate::cli::table::document(&whole, output)
}

/// A run for people.
pub(super) fn page(store: &Store, seen: &Seen, now: DateTime<Utc>, verbose: bool) -> Result<String, StoreError> {
    let width = crate::cli::style::width();
    let mut out = format!("{}\n{}\n", text::head(seen).whole(width, 2), text::about(seen, now).whole(width, 4));
    // What a step says already is not said twice.
    let said =
        |error: &String| seen.steps.iter().any(|step| step.reason.as_ref().is_some_and(|why| *error == format!("{}: {why}", step.name)));
    if let Some(error) = seen.run.error.as_ref().filter(|error| seen.run.state.is_final() && !said(error)) {
        out += &format!("{}\n", text::Line::new(2).add(Tone::Bad, error).whole(width, 4));
    }
    out.push('\n');
    for (line, hang) in text::steps(seen, now) {
        out += &format!("{}\n", line.whole(width, hang));
    }
    if !seen.undone.is_empty() {
        for step in left(seen) {
            let line = text::Line::new(2).add(Tone::Held, format!("{step}: its action cannot be undone, what it did stays"));
            out += &format!("{}\n", line.whole(width, 4));
        }
    }
    if verbose {
        devices(store, seen, width, &mut out)?;
    }
    failures(store, seen, width, verbose, &mut out)?;
    Ok(out)
}

/// Steps of a run that was undone whose effects stay.
fn left(seen: &Seen) -> Vec<String> {
    let rows = seen.steps.iter().zip(&seen.run.steps);
    let stays = rows.filter(|(row, step)| {
        matches!(step.work, Work::Action(_))
            && seen.jobs.get(&row.step).is_some_and(|c| c.succeeded > 0)
            && !seen.undone.contains_key(&row.step)
            && row.state != StepState::Skipped
            && row.step <= seen.undone.keys().max().copied().unwrap_or(0)
    });
    stays.map(|(row, _)| row.name.to_string()).collect()
}

/// The devices of each step by where they stand.
fn devices(store: &Store, seen: &Seen, width: Option<usize>, out: &mut String) -> Result<(), StoreError> {
    for row in &seen.steps {
        let jobs = store.jobs(&JobFilter { run: Some(seen.run.id.clone()), step: Some(row.step), ..JobFilter::default() })?;
        let groups = JobState::ALL.into_iter().flat_map(|state| [(state, JobPart::Run), (state, JobPart::Rollback)]);
        let mut headed = false;
        for (state, part) in groups {
            let here = jobs.iter().filter(|job| job.state == state && job.part == part && !job.device.is_empty());
            let names: Vec<String> = here.map(|job| job.device.to_string()).collect();
            if names.is_empty() {
                continue;
            }
            if !std::mem::replace(&mut headed, true) {
                *out += &format!("\n{}\n", paint(Tone::Strong, clean(&row.name)));
            }
            let what = if part == JobPart::Rollback { format!("undoing {state}") } else { state.to_string() };
            let line = text::Line::new(2).add(text::of_job(state), format!("{what:12}")).add(Tone::Plain, names.join(", "));
            *out += &format!("{}\n", line.whole(width, 14));
        }
    }
    Ok(())
}

/// What failed, with the last lines of what was printed. What failed on several devices alike is told once.
fn failures(store: &Store, seen: &Seen, width: Option<usize>, verbose: bool, out: &mut String) -> Result<(), StoreError> {
    let most = if verbose { 0 } else { MOST_READ };
    let states = vec![JobState::Failed, JobState::Interrupted, JobState::Expired];
    let failed = store.jobs(&JobFilter { run: Some(seen.run.id.clone()), states, limit: most, ..JobFilter::default() })?;
    let mut groups: Vec<(String, Vec<String>, &Job)> = Vec::new();
    for job in &failed {
        let mut said = String::new();
        if let Some(last) = last_output(store, job)? {
            printed(&last, LINES, 2, &mut said);
        }
        let name = if job.device.is_empty() { job.action.to_string() } else { job.device.to_string() };
        let alike = |other: &Job| (other.step, other.part, other.state, &other.reason) == (job.step, job.part, job.state, &job.reason);
        match groups.iter_mut().find(|(text, _, first)| *text == said && alike(first)) {
            Some((_, names, _)) => names.push(name),
            None => groups.push((said, vec![name], job)),
        }
    }
    let shown = if verbose { groups.len() } else { groups.len().min(MOST_TOLD) };
    for (said, names, job) in &groups[..shown] {
        let step = seen.steps.get(job.step as usize).map(|step| step.name.to_string()).unwrap_or_default();
        let undo = if job.part == JobPart::Rollback { "undoing " } else { "" };
        let reason = job.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let mut head = text::Line::new(0);
        head = match names.as_slice() {
            [one] => head.add(Tone::Strong, one.as_str()),
            several => {
                head.add(Tone::Strong, count(several.len(), "device", "devices")).add(Tone::Dim, format!(": {}", named(several, verbose)))
            }
        };
        head = head.add(Tone::Dim, format!("  {undo}{step}: ")).add(Tone::Bad, format!("{}{reason}", job.state));
        *out += &format!("\n{}\n{said}", head.whole(width, 2));
    }
    let told: usize = groups[..shown].iter().map(|(_, names, _)| names.len()).sum();
    let all: usize = seen.jobs.values().chain(seen.undone.values()).map(|c| c.failed + c.expired).sum();
    if all > told {
        let more = count(all - told, "more device", "more devices");
        *out += &format!("\n{more} failed: rmm workflow status {} -v\n", seen.run.id);
    }
    for child in seen.children.values() {
        failures(store, child, width, verbose, out)?;
    }
    Ok(())
}

/// The command of a job that says why: the last one that failed, else the last one.
fn last_output(store: &Store, job: &Job) -> Result<Option<JobOutput>, StoreError> {
    let mut outputs = store.job_outputs(&job.id)?;
    let attempt = outputs.last().map(|output| output.attempt);
    outputs.retain(|output| Some(output.attempt) == attempt);
    let at = outputs.iter().rposition(|output| output.code != 0).or(outputs.len().checked_sub(1));
    Ok(at.map(|at| outputs.swap_remove(at)))
}

/// A command with the last lines of what it printed.
pub(super) fn printed(output: &JobOutput, most: usize, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let exit = if output.code == 0 { String::new() } else { format!("   exit {}", output.code) };
    let lines = crate::cli::plan_text::broken(&output.line);
    for (i, line) in lines.iter().enumerate() {
        let sign = if i == 0 { "$" } else { " " };
        let exit = if i + 1 == lines.len() { exit.as_str() } else { "" };
        *out += &format!("{pad}{} {}{}\n", paint(Tone::Dim, sign), clean(line), paint(Tone::Bad, exit));
    }
    for (stream, tone) in [(&output.stdout, Tone::Plain), (&output.stderr, Tone::Change)] {
        let lines: Vec<&str> = stream.lines().collect();
        let from = lines.len().saturating_sub(most);
        if from > 0 {
            *out += &format!("{pad}  {}\n", paint(Tone::Dim, format!("({} before)", count(from, "line", "lines"))));
        }
        for line in &lines[from..] {
            *out += &format!("{pad}  {}\n", paint(tone, clean(line)));
        }
    }
}

/// The first few devices.
pub(super) fn named(devices: &[String], verbose: bool) -> String {
    let devices: Vec<String> = devices.iter().map(|name| clean(name)).collect();
    if verbose { devices.join(", ") } else { first_few(&devices) }
}
