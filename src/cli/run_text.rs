//! How `rmm run` shows what would happen, what happens, and what came of it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::run::{brief, waits_long};
use super::style::{Tone, clean, count, paint};
use super::table::{Output, Table, document};
use crate::apply::{Allowed, Parts, Preview};
use crate::model::job::{JobOutput, WaitsFor};
use crate::model::{ActionCall, Job, JobState};
use crate::store::Store;

/// Lines of output that are shown of a device where nobody asks for all.
const LAST: usize = 5;

/// What would run on each device.
pub(super) fn preview(global: &Global, parts: &Parts, call: &ActionCall, devices: &[String]) -> Result<Exit, Failure> {
    let mut out = String::new();
    let mut all = Vec::with_capacity(devices.len());
    let (mut would, mut stopped) = (0, 0);
    let meant: Vec<_> = devices.iter().filter_map(|name| parts.set.devices.get(name)).cloned().collect();
    for (device, seen) in devices.iter().zip(crate::apply::previews(parts, &meant, call, Allowed::Confirmed)?) {
        let Preview { commands, note, refused, held } = seen;
        if refused.is_some() || held.is_some() {
            stopped += 1;
        } else {
            would += 1;
        }
        let _ = writeln!(out, "{}", paint(Tone::Strong, clean(device)));
        if let Some(held) = &held {
            let _ = writeln!(out, "  {}", paint(Tone::Held, format!("held: {}", clean(&held.reason))));
        }
        if let Some(why) = &refused {
            let _ = writeln!(out, "  {}", paint(Tone::Bad, format!("refused: {}", clean(why))));
        }
        for command in &commands {
            for (i, text) in command.line.lines().enumerate() {
                let _ = writeln!(out, "  {}{}", paint(Tone::Dim, if i == 0 { "$ " } else { "  " }), clean(text));
            }
            if let Some(bytes) = command.input_bytes {
                let _ = writeln!(out, "    {}", paint(Tone::Dim, format!("< {} on its standard input", count(bytes, "byte", "bytes"))));
            }
        }
        if let Some(note) = &note {
            let _ = writeln!(out, "  {}", paint(Tone::Dim, clean(note)));
        } else if commands.is_empty() && refused.is_none() {
            let _ = writeln!(out, "  {}", paint(Tone::Dim, "nothing would run"));
        }
        all.push(json!({ "device": device, "commands": commands, "note": note, "refused": refused, "held": held }));
    }
    if global.output == Output::Table {
        if devices.is_empty() {
            out = format!("{} acts on no device: there is no command to show.\n", call.action);
        }
        let rest = if stopped > 0 { format!(", not on {stopped}") } else { String::new() };
        let _ = writeln!(out, "\nNothing was done. {} would run on {}{rest}.", call.action, count(would, "device", "devices"));
        super::print(&out)?;
    } else {
        super::print(&document(
            &json!({ "schema": "rmm.preview/1", "action": call.action, "with": call.with, "items": all }),
            global.output,
        )?)?;
    }
    Ok(Exit::Done)
}

/// One line for what a person wants to see go by.
pub(super) fn line(job: &Job) -> String {
    let tone = tone(job.state);
    let why = job.reason.as_deref().map(|why| format!("  {}", clean(why))).unwrap_or_default();
    let place = if job.device.is_empty() { "-".to_owned() } else { clean(&job.device) };
    format!("  {}  {place}{why}", paint(tone, format!("{:11}", job.state.to_string())))
}

fn tone(state: JobState) -> Tone {
    match state {
        JobState::Succeeded => Tone::Good,
        JobState::Failed | JobState::Interrupted | JobState::Expired => Tone::Bad,
        JobState::Waiting | JobState::Pending | JobState::Cancelled => Tone::Held,
        JobState::Skipped | JobState::Running => Tone::Dim,
    }
}

/// A run as it stands when nobody waits for it any more.
pub(super) struct Ended<'a> {
    pub(super) run: &'a str,
    pub(super) jobs: &'a [Job],
    pub(super) interrupted: bool,
}

/// Results per device, a summary, and the exit code.
pub(super) fn conclude(global: &Global, store: &Store, ended: Ended<'_>) -> Result<Exit, Failure> {
    let mut jobs: Vec<&Job> = ended.jobs.iter().collect();
    jobs.sort_by(|a, b| a.device.cmp(&b.device));
    match global.output {
        Output::Table => {
            let mut out = String::new();
            for job in &jobs {
                write_job(&mut out, job, &store.job_outputs(&job.id)?, global.verbose > 0);
            }
            let _ = write!(out, "\n{}\n", paint(Tone::Strong, summary(&ended)));
            super::print(&out)?;
        }
        Output::Jsonl => {
            let states: Vec<Value> = jobs.iter().map(|job| json!({ "device": job.device, "state": job.state })).collect();
            super::print(&format!("{}\n", json!({ "event": "finished", "run": ended.run, "jobs": states })))?;
        }
        _ => {
            let mut table = Table::new("rmm.jobs/1", &["DEVICE", "STATE", "REASON", "RESULT", "JOB", "COMMANDS"]);
            for job in &jobs {
                let commands: Vec<Value> = store
                    .job_outputs(&job.id)?
                    .iter()
                    .map(|o| json!({ "line": o.line, "code": o.code, "stdout": o.stdout, "stderr": o.stderr }))
                    .collect();
                table.push(vec![
                    json!(job.device),
                    json!(job.state),
                    json!(job.reason),
                    job.result.clone(),
                    json!(job.id),
                    json!(commands),
                ]);
            }
            super::print(&table.render(global.output)?)?;
        }
    }
    let half: Vec<String> = jobs.iter().filter(|job| job.state == JobState::Interrupted).map(|job| clean(&job.device)).collect();
    if ended.interrupted && !half.is_empty() && !global.quiet {
        let devices = count(half.len(), "device", "devices");
        super::say(format!("Ended at once: what was under way on {devices} may be half done: {}", super::confirm::first_few(&half)));
    }
    let later = ended.jobs.iter().filter(|job| waits_long(job) || job.state == JobState::Pending).count();
    if later > 0 && !global.quiet && !ended.interrupted {
        super::say(format!(
            "{} later: the daemon (`rmm reconcile`) carries it out when the device returns or the window opens. To take it back: rmm \
             workflow cancel {}",
            count(later, "device has its turn", "devices have their turn"),
            ended.run
        ));
    }
    Ok(exit(&ended))
}

fn write_job(out: &mut String, job: &Job, outputs: &[JobOutput], all: bool) {
    let place = if job.device.is_empty() { job.action.to_string() } else { clean(&job.device) };
    let _ = writeln!(out, "{}  {}", paint(Tone::Strong, place), paint(tone(job.state), job.state));
    // Of what went well the result is enough.
    if let Some(reason) = job.reason.as_deref().filter(|_| job.state != JobState::Succeeded) {
        let _ = writeln!(out, "  {}", clean(reason));
    }
    if !job.result.is_null() {
        let _ = writeln!(out, "  {} {}", paint(Tone::Dim, "result:"), brief(&job.result));
    }
    let mut lines: Vec<(Tone, String)> = Vec::new();
    for output in outputs {
        if all {
            let code = if output.code == 0 { String::new() } else { format!("   exit {}", output.code) };
            lines.push((Tone::Dim, format!("$ {}{code}", output.line.lines().collect::<Vec<_>>().join(" "))));
        }
        let text = |tone: Tone, text: &str| text.lines().map(|line| (tone, line.to_owned())).collect::<Vec<_>>();
        lines.extend(text(Tone::Plain, &output.stdout));
        lines.extend(text(Tone::Dim, &output.stderr));
    }
    let left_out = if all { 0 } else { lines.len().saturating_sub(LAST) };
    if left_out > 0 {
        let _ = writeln!(out, "  {}", paint(Tone::Dim, format!("... {} before (-v shows all)", count(left_out, "line", "lines"))));
    }
    for (tone, text) in lines.iter().skip(left_out) {
        let _ = writeln!(out, "  {}", paint(*tone, clean(text)));
    }
}

fn summary(ended: &Ended<'_>) -> String {
    let mut words = Vec::new();
    for state in JobState::ALL {
        let n = ended.jobs.iter().filter(|job| job.state == state && !waits_long(job)).count();
        if n > 0 {
            words.push(format!("{n} {state}"));
        }
    }
    for (what, phrase) in [(WaitsFor::Device, "waiting for their device"), (WaitsFor::Window, "held")] {
        let n = ended.jobs.iter().filter(|job| job.state == JobState::Waiting && job.waits_for == Some(what)).count();
        if n > 0 {
            words.push(format!("{n} {phrase}"));
        }
    }
    format!("Run: {}.   {}", if words.is_empty() { "nothing to do".to_owned() } else { words.join(", ") }, ended.run)
}

fn exit(ended: &Ended<'_>) -> Exit {
    let any = |wanted: &dyn Fn(&Job) -> bool| ended.jobs.iter().any(wanted);
    let waits = |job: &Job, what: WaitsFor| job.state == JobState::Waiting && job.waits_for == Some(what);
    if ended.interrupted {
        Exit::Interrupted
    } else if any(&|job| matches!(job.state, JobState::Failed | JobState::Interrupted | JobState::Cancelled)) {
        Exit::SomeFailed
    } else if any(&|job| waits(job, WaitsFor::Device) || matches!(job.state, JobState::Pending | JobState::Expired)) {
        Exit::SomeUnreachable
    } else if !ended.jobs.is_empty() && ended.jobs.iter().all(|job| waits(job, WaitsFor::Window) || job.state == JobState::Skipped) {
        Exit::Refused
    } else {
        Exit::Done
    }
}
