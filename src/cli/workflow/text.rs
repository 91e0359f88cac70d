//! A run as people read it: on a terminal while it goes on, and afterwards.

use chrono::{DateTime, Utc};
use unicode_width::UnicodeWidthStr;

use super::seen::{Driven, Seen};
use super::words;
use crate::cli::style::{Tone, ago, clean, count, glyph, paint, thousands};
use crate::cli::table::wrap;
use crate::model::job::{JobPart, WaitsFor};
use crate::model::workflow::Work;
use crate::model::workflow_run::JobCounts;
use crate::model::{Job, JobState, Step, StepRun, StepState, WorkflowState};
use crate::workflow::approval_is_open;

/// Columns of a bar.
const BAR: usize = 20;
/// Names of steps are given at most so many columns.
const WIDEST_NAME: usize = 36;

/// A line of pieces, each with its tone.
#[derive(Debug, Default, Clone)]
pub(super) struct Line(Vec<(Tone, String)>);

impl Line {
    pub(super) fn new(indent: usize) -> Self {
        Self(vec![(Tone::Plain, " ".repeat(indent))])
    }

    pub(super) fn add(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push((tone, clean(&text.into())));
        self
    }

    fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.width()).sum()
    }

    /// Whether something goes on in it.
    pub(super) fn is_active(&self) -> bool {
        self.0.iter().any(|(tone, _)| matches!(tone, Tone::Change | Tone::Strong))
    }

    /// On one line, cut where it is too long.
    pub(super) fn cut(&self, width: usize) -> String {
        let mut room = width;
        let whole = self.width() <= width;
        let mut out = String::new();
        for (tone, text) in &self.0 {
            if whole || text.width() < room {
                out.push_str(&paint(*tone, text));
                room = room.saturating_sub(text.width());
                continue;
            }
            let dots = glyph("\u{2026}", "...");
            let mut kept = String::new();
            for c in text.chars() {
                if kept.width() + unicode_width::UnicodeWidthChar::width(c).unwrap_or(0) + dots.width() > room {
                    break;
                }
                kept.push(c);
            }
            out.push_str(&paint(*tone, kept + dots));
            break;
        }
        out.trim_end().to_owned()
    }

    /// Whole: what does not fit goes on in the next line, indented by `hang`.
    pub(super) fn whole(&self, width: Option<usize>, hang: usize) -> String {
        let Some(width) = width.filter(|width| self.width() > *width && hang + 20 < *width) else {
            let text: String = self.0.iter().map(|(tone, text)| paint(*tone, text)).collect();
            return text.trim_end().to_owned();
        };
        let (mut out, mut used) = (String::new(), 0);
        for (tone, text) in &self.0 {
            if used + text.width() <= width {
                out.push_str(&paint(*tone, text));
                used += text.width();
                continue;
            }
            let rest = text.trim_start_matches([',', ' ']);
            // What begins in a line and ends in the next is broken at a space.
            let first = wrap(text, width.saturating_sub(used).max(1)).into_iter().next().unwrap_or_default();
            let (now, later) = if used > hang && first.len() > text.len() - rest.len() && text.starts_with(&first) {
                (first.clone(), text[first.len()..].trim_start().to_owned())
            } else {
                (String::new(), rest.to_owned())
            };
            out.push_str(&paint(*tone, now));
            for line in wrap(&later, width - hang) {
                out = format!("{}\n{}{}", out.trim_end(), " ".repeat(hang), paint(*tone, &line));
                used = hang + line.width();
            }
        }
        out.trim_end().to_owned()
    }
}

/// The first line: `PatchTuesday  running, 1 of 4 steps   w-20261121-...`.
pub(super) fn head(seen: &Seen) -> Line {
    let (done, all) = seen.progress();
    let state = seen.run.state;
    let mut line = Line::new(0)
        .add(Tone::Strong, seen.run.workflow.as_ref())
        .add(Tone::Plain, "  ")
        .add(of_run(state), word(state))
        .add(Tone::Dim, format!(", {done} of {} done", count(all, "step", "steps")));
    if let Some(reason) = seen.run.cancel.as_ref().filter(|_| !state.is_final()) {
        line = line.add(Tone::Held, format!(", is to end: {reason}"));
    }
    line.add(Tone::Dim, format!("   {}", seen.run.id))
}

/// When, by whom, and who drives it.
pub(super) fn about(seen: &Seen, now: DateTime<Utc>) -> Line {
    let run = &seen.run;
    let dot = format!(" {} ", glyph("\u{b7}", "|"));
    let mut parts = vec![format!("asked for {} {}", words::moment(run.created_at, now), words::cause(&run.cause, &run.actor.user))];
    if let Some((parent, step)) = &run.parent {
        parts.push(format!("step {} of {parent}", step + 1));
    }
    match run.finished_at {
        Some(at) => parts.push(format!("took {}", ago((at - run.started_at.unwrap_or(run.created_at)).num_seconds()))),
        None if seen.driven == Driven::Nobody => parts.push("nobody drives it".into()),
        None => parts.push(seen.driven.to_string()),
    }
    Line::new(2).add(Tone::Dim, parts.join(&dot))
}

pub(super) fn of_run(state: WorkflowState) -> Tone {
    match state {
        WorkflowState::Succeeded => Tone::Good,
        WorkflowState::Failed | WorkflowState::Undoing => Tone::Bad,
        WorkflowState::Running => Tone::Change,
        WorkflowState::Queued | WorkflowState::Cancelled => Tone::Held,
    }
}

const fn word(state: WorkflowState) -> &'static str {
    match state {
        WorkflowState::Queued => "waits for an earlier run",
        WorkflowState::Running => "running",
        WorkflowState::Undoing => "failed, and what was done is undone",
        WorkflowState::Succeeded => "succeeded",
        WorkflowState::Failed => "failed",
        WorkflowState::Cancelled => "cancelled",
    }
}

pub(super) fn of_step(state: StepState) -> (Tone, &'static str) {
    match state {
        StepState::Succeeded => (Tone::Good, glyph("\u{2713}", "+")),
        StepState::Failed => (Tone::Bad, glyph("\u{2717}", "x")),
        StepState::Running => (Tone::Change, glyph("\u{25b8}", ">")),
        StepState::Waiting => (Tone::Held, glyph("\u{2016}", "|")),
        StepState::Pending => (Tone::Dim, glyph("\u{b7}", ".")),
        StepState::Skipped | StepState::Cancelled => (Tone::Dim, "-"),
    }
}

pub(super) fn of_job(state: JobState) -> Tone {
    match state {
        JobState::Succeeded => Tone::Good,
        JobState::Failed | JobState::Interrupted | JobState::Expired => Tone::Bad,
        JobState::Waiting | JobState::Cancelled => Tone::Held,
        JobState::Running | JobState::Pending | JobState::Skipped => Tone::Dim,
    }
}

/// The steps, each with what goes on in it; runs within the run below their step.
pub(super) fn steps(seen: &Seen, now: DateTime<Utc>) -> Vec<(Line, usize)> {
    let mut lines = Vec::new();
    steps_at(seen, now, 2, &mut lines);
    lines
}

fn steps_at(seen: &Seen, now: DateTime<Utc>, indent: usize, out: &mut Vec<(Line, usize)>) {
    let names = seen.steps.iter().map(|step| clean(&step.name).width()).max().unwrap_or(0).min(WIDEST_NAME);
    let hang = indent + 2 + names + 2;
    for (row, declared) in seen.steps.iter().zip(&seen.run.steps) {
        let (tone, sign) = of_step(row.state);
        let name = clean(&row.name);
        let padded = format!("{name}{}", " ".repeat(names.saturating_sub(name.width())));
        let counts = seen.jobs.get(&row.step).copied().unwrap_or_default();
        let undone = seen.undone.get(&row.step).copied().unwrap_or_default();
        let strong = if matches!(row.state, StepState::Running | StepState::Waiting) { Tone::Strong } else { Tone::Plain };
        let mut line = Line::new(indent).add(tone, sign).add(Tone::Plain, " ").add(strong, padded).add(Tone::Plain, "  ");
        for (tone, text) in state_of(row, declared, counts, now) {
            line = line.add(tone, text);
        }
        for (tone, text) in undone_of(undone) {
            line = line.add(tone, text);
        }
        out.push((line, hang));
        if approval_is_open(row) {
            let command = format!("rmm workflow approve {}", seen.run.id);
            out.push((Line::new(indent + 4).add(Tone::Plain, command), indent + 6));
        }
        for job in seen.busy.get(&row.step).into_iter().flatten() {
            out.push((busy(job, indent + 4, now), indent + 6));
        }
        if let Some(child) = seen.children.get(&row.step) {
            steps_at(child, now, indent + 4, out);
        }
    }
}

/// Where a step stands.
fn state_of(row: &StepRun, declared: &Step, c: JobCounts, now: DateTime<Utc>) -> Vec<(Tone, String)> {
    let mut parts: Vec<(Tone, String)> = Vec::new();
    let reason = row.reason.clone().unwrap_or_default();
    match row.state {
        StepState::Pending => {
            if let Some(delay) = declared.delay.filter(|delay| delay.as_seconds() > 0) {
                parts.push((Tone::Dim, format!("{delay} later")));
            }
        }
        StepState::Waiting => {
            let until = row.wake_at.map(|at| format!(" {}", words::until(at, now))).unwrap_or_default();
            parts.push((Tone::Held, format!("{reason}{until}")));
        }
        StepState::Running if matches!(declared.work, Work::Workflow { .. }) => {
            parts.push((Tone::Change, "waits for the end of its run".into()));
        }
        StepState::Running if declared.not_before.is_some_and(|at| at > now) => {
            let devices = count(c.total(), "device", "devices");
            let until = declared.not_before.map(|at| words::until(at, now)).unwrap_or_default();
            parts.push((Tone::Held, format!("on {devices}, waits {until}")));
        }
        StepState::Running => {
            if c.total() > 1 {
                parts.push((Tone::Change, bar(c)));
                parts.push((Tone::Plain, format!(" {}/{}", thousands(done(c)), thousands(c.total()))));
            } else {
                parts.push((Tone::Change, if c.running > 0 { "under way" } else { "waits" }.into()));
            }
            if let Some(since) = row.started_at {
                parts.push((Tone::Dim, format!("  {}", ago((now - since).num_seconds()))));
            }
            parts.extend(others(c));
        }
        StepState::Succeeded | StepState::Failed => {
            if c.total() > 0 {
                let all = count(c.total(), "device", "devices");
                let text = match c.succeeded {
                    // One job: it stands for one device, or for all of them together.
                    1 if c.total() == 1 => String::new(),
                    n if n == c.total() => all,
                    n => format!("{} of {all}", thousands(n)),
                };
                parts.push((Tone::Plain, text));
                parts.extend(others(c));
            }
            if let (Some(since), Some(at)) = (row.started_at, row.finished_at)
                && (at - since).num_seconds() > 0
            {
                parts.push((Tone::Dim, format!("{}took {}", gap(&parts), ago((at - since).num_seconds()))));
            }
            if !reason.is_empty() {
                let tone = if row.state == StepState::Failed { Tone::Bad } else { Tone::Dim };
                let by = row.result["by"].as_str().filter(|by| !reason.contains(by)).map(|by| format!(" ({by})")).unwrap_or_default();
                parts.push((tone, format!("{}{reason}{by}", gap(&parts))));
            }
        }
        StepState::Skipped | StepState::Cancelled => parts.push((Tone::Dim, format!("{}: {reason}", row.state))),
    }
    parts
}

/// What stands between what was said and what follows.
fn gap(parts: &[(Tone, String)]) -> &'static str {
    if parts.iter().all(|(_, text)| text.is_empty()) { "" } else { "  " }
}

fn done(c: JobCounts) -> usize {
    c.succeeded + c.skipped + c.failed + c.cancelled + c.expired
}

/// `[=========>          ]`
fn bar(c: JobCounts) -> String {
    let filled = BAR * done(c) / c.total().max(1);
    let tip = if filled < BAR { ">" } else { "" };
    format!("[{}{tip}{}]", "=".repeat(filled), " ".repeat(BAR - filled - tip.len()))
}

/// Devices that are neither done nor simply at work.
fn others(c: JobCounts) -> Vec<(Tone, String)> {
    let parts = [
        (c.failed, Tone::Bad, "failed"),
        (c.skipped, Tone::Dim, "left out"),
        (c.waiting, Tone::Held, "wait"),
        (c.offline, Tone::Held, "cannot be reached"),
        (c.expired, Tone::Bad, "did not return in time"),
        (c.cancelled, Tone::Dim, "cancelled"),
    ];
    parts.into_iter().filter(|(n, ..)| *n > 0).map(|(n, tone, word)| (tone, format!(", {} {word}", thousands(n)))).collect()
}

fn undone_of(c: JobCounts) -> Vec<(Tone, String)> {
    if c.total() == 0 {
        return Vec::new();
    }
    let mut parts = vec![(Tone::Change, format!("  undone on {} of {}", thousands(c.succeeded), count(c.total(), "device", "devices")))];
    parts.extend(others(c));
    parts
}

/// `web-1  is tried again until 17:40:05 UTC, in 20 s: exit code 1`.
pub(super) fn busy(job: &Job, indent: usize, now: DateTime<Utc>) -> Line {
    let name = if job.device.is_empty() { &job.action } else { &job.device };
    let undo = if job.part == JobPart::Rollback { "is undone, " } else { "" };
    let line = Line::new(indent).add(Tone::Plain, name.as_ref()).add(Tone::Plain, "  ");
    if job.state == JobState::Running {
        if let Some(progress) = job.progress() {
            return line.add(Tone::Dim, format!("{undo}{}", crate::cli::transfers::words(progress)));
        }
        let since = job.started_at.map(|at| format!("for {}", ago((now - at).num_seconds()))).unwrap_or_default();
        return line.add(Tone::Dim, format!("{undo}under way {since}"));
    }
    if job.state.is_final() {
        let reason = job.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        return line.add(of_job(job.state), format!("{undo}{}{reason}", job.state));
    }
    line.add(Tone::Held, format!("{undo}{}", waits(job, now)))
}

/// What a job waits for, and until when.
pub(super) fn waits(job: &Job, now: DateTime<Utc>) -> String {
    let what = match job.waits_for {
        Some(WaitsFor::Retry) => "is tried again",
        Some(WaitsFor::Device) => "cannot be reached",
        Some(WaitsFor::Window) => "waits for its window",
        Some(WaitsFor::Busy) => "waits for another run",
        Some(WaitsFor::Restart) => "restarts",
        None => "waits",
    };
    // What the reason says again is left out.
    let reason = job.reason.as_ref().filter(|reason| !reason.is_empty() && *reason != what);
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    let until = match job.waits_for {
        Some(WaitsFor::Device) => format!(", is kept {}", words::until(job.expires_at, now)),
        Some(WaitsFor::Restart) => String::new(),
        _ => job.wake_at.map(|at| format!(" {}", words::until(at, now))).unwrap_or_default(),
    };
    format!("{what}{until}{reason}")
}
