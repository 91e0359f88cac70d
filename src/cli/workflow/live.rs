//! Follows a run to its end: drives it here, or watches what another process makes of it. On a terminal one calm picture, elsewhere
//! plain lines, or events as JSON. For workflows and for actions that are asked for by hand.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::known::Known;
use super::seen::{self, Driven, Seen};
use super::text;
use crate::apply::Parts;
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::signals::Signals;
use crate::cli::style::{Tone, clean, paint};
use crate::cli::table::Output;
use crate::cli::transfers::{Transfers, transferred};
use crate::model::job::JobPart;
use crate::model::{JobState, WorkflowState};
use crate::store::{JobFilter, Store, StoreError};
use crate::workflow::{Driver, Event, Which};

/// Form of the events.
pub(super) const EVENTS_SCHEMA: &str = "rmm.workflow-events/1";
/// How often the picture is drawn anew, and how often the database is asked for what others write.
const LOOK: Duration = Duration::from_millis(500);
/// How long a daemon may take to take a run up before it is driven here.
const PATIENCE: Duration = Duration::from_secs(5);
/// Devices whose failure is told as it happens; the others are counted.
const MOST_TOLD: usize = 50;

/// Who drives the run that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum How {
    /// This process, unless somebody else does already.
    Drive,
    /// The daemon; this process where the daemon does not take it up.
    Daemon,
    /// Whoever does.
    Watch,
}

/// Drives where no daemon runs.
pub(in crate::cli) fn usual(store: &Store) -> Result<How, StoreError> {
    Ok(if store.daemon()?.is_some() { How::Daemon } else { How::Drive })
}

/// Follows a run to its end or to an interrupt, tells what happens and how it ended.
pub(in crate::cli) fn follow(global: &Global, parts: &Parts, run: &str, how: How) -> Result<Exit, Failure> {
    let told = Arc::new(Told::new(global, run));
    told.begin(&parts.store, run)?;
    let interrupted = crate::cli::signals::block_on_own_words(async |signals| {
        let mut how = how;
        loop {
            how = match how {
                How::Drive => match drive(parts, run, &told, signals).await {
                    Ok(()) => break,
                    // Somebody else was faster.
                    Err(StoreError::Leased { .. }) => How::Watch,
                    Err(error) => return Err(error),
                },
                How::Daemon => match watch(parts, run, &told, signals, Some(PATIENCE)).await? {
                    Watched::Over => break,
                    Watched::Alone => How::Drive,
                },
                How::Watch => {
                    watch(parts, run, &told, signals, None).await?;
                    break;
                }
            };
        }
        Ok(signals.stop.is_cancelled())
    });
    told.finish();
    let interrupted = interrupted?;
    let Some(seen) = Seen::read(&parts.store, run)? else { return Ok(Exit::Error) };
    conclude(global, parts, &seen, interrupted)
}

/// Drives a run here.
async fn drive(parts: &Parts, run: &str, told: &Arc<Told>, signals: &Signals) -> Result<(), StoreError> {
    let (own, events) = (parts.clone(), Arc::clone(told));
    let driver = Arc::new(Driver {
        parts: Box::new(move || own.clone()),
        which: Which::One(run.to_owned()),
        stop: signals.stop.clone(),
        abort: signals.abort.clone(),
        on: Box::new(move |event| events.event(&event)),
    });
    let drawing = async {
        loop {
            told.stopping(signals);
            if let Ok(Some(seen)) = read(parts, run).await {
                told.draw(&seen, parts.clock.now());
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = signals.stop.cancelled(), if !told.knows_of_stop() => {}
            }
        }
    };
    tokio::select! {
        ended = driver.run() => ended.map(|_| ()),
        () = drawing => Ok(()),
    }
}

async fn read(parts: &Parts, run: &str) -> Result<Option<Seen>, StoreError> {
    let (store, run) = (parts.store.clone(), run.to_owned());
    let read = tokio::task::spawn_blocking(move || Seen::read(&store, &run)).await;
    read.unwrap_or(Ok(None))
}

enum Watched {
    /// It has ended, or nobody wants to see more.
    Over,
    /// Nobody drives it.
    Alone,
}

/// Watches what another process makes of a run.
async fn watch(parts: &Parts, run: &str, told: &Arc<Told>, signals: &Signals, patience: Option<Duration>) -> Result<Watched, StoreError> {
    let mut known = Known::default();
    let mut alone = Instant::now();
    let mut version = None;
    loop {
        let Some(seen) = read(parts, run).await? else { return Ok(Watched::Over) };
        let now = parts.store.data_version()?;
        let begun = Instant::now();
        if version != Some(now) {
            version = Some(now);
            // What was so before is in the picture.
            known.tell(&parts.store, &seen, told.wants_all(), &|event| told.event(&event))?;
        }
        told.draw(&seen, parts.clock.now());
        if seen.is_over() || signals.stop.is_cancelled() {
            return Ok(Watched::Over);
        }
        if seen.driven != Driven::Nobody {
            alone = Instant::now();
        }
        if patience.is_some_and(|patience| alone.elapsed() >= patience) {
            return Ok(Watched::Alone);
        }
        // Looking takes a tenth of the time at most.
        tokio::select! {
            () = tokio::time::sleep(LOOK.max(begun.elapsed() * 10)) => {}
            () = signals.stop.cancelled() => {}
        }
    }
}

/// Where what happens is shown.
struct Told {
    run: String,
    output: Output,
    quiet: bool,
    verbose: bool,
    /// The picture on a terminal.
    picture: Option<ProgressBar>,
    drawn: Mutex<String>,
    transfers: Transfers,
    failures: AtomicUsize,
    stops: AtomicUsize,
}

impl Told {
    fn new(global: &Global, run: &str) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::env::var_os("RMM_IN_AUTOMATION").is_none();
        let drawn = terminal && !global.quiet && global.output != Output::Jsonl;
        let picture = drawn.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self {
            run: run.to_owned(),
            output: global.output,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            picture,
            drawn: Mutex::default(),
            transfers: Transfers::default(),
            failures: AtomicUsize::new(0),
            stops: AtomicUsize::new(0),
        }
    }

    fn begin(&self, store: &Store, run: &str) -> Result<(), Failure> {
        if self.output == Output::Jsonl {
            let workflow = store.workflow_run(run)?.map(|run| run.workflow);
            crate::cli::print(&format!("{}\n", json!({ "schema": EVENTS_SCHEMA, "run": run, "workflow": workflow })))?;
        }
        Ok(())
    }

    /// Programs are told from the beginning.
    fn wants_all(&self) -> bool {
        self.output == Output::Jsonl
    }

    fn line(&self, text: &str) {
        match &self.picture {
            Some(picture) => picture.println(text),
            None if !self.quiet => crate::cli::say(text),
            None => {}
        }
    }

    fn event(&self, event: &Event) {
        if self.output == Output::Jsonl {
            // A reader that went away does not stop the work.
            let _ = crate::cli::print(&format!("{}\n", value(event)));
            return;
        }
        if let Event::Job(job) = event
            && matches!(job.state, JobState::Failed | JobState::Interrupted | JobState::Expired)
        {
            match self.failures.fetch_add(1, Ordering::SeqCst) {
                n if n > MOST_TOLD => return,
                MOST_TOLD => {
                    self.line(&format!("    more devices failed: rmm workflow status {}", self.run));
                    return;
                }
                _ => {}
            }
        }
        match event {
            Event::Progress { job, device, progress, .. } => {
                let line = self.transfers.note(job, device, *progress);
                if self.picture.is_none() && self.transfers.is_time() {
                    self.line(&format!("    {line}"));
                }
            }
            Event::Job(job) => drop(self.transfers.ended(job)),
            Event::Run { .. } | Event::Step { .. } => {}
        }
        if let Some(line) = self.words(event) {
            self.line(&line);
        }
    }

    /// A line for what a person wants to see go by. The picture shows it all by itself.
    fn words(&self, event: &Event) -> Option<String> {
        let because = |reason: &Option<String>| reason.as_ref().map(|text| format!(": {}", clean(text))).unwrap_or_default();
        match event {
            _ if self.picture.is_some() => None,
            Event::Progress { .. } => None,
            Event::Run { run, .. } if *run == self.run => None,
            Event::Run { run, state, error } => {
                let line = paint(text::of_run(*state), format!("{state:11}"));
                Some(format!("  {line}  {run}{}", because(error)))
            }
            Event::Step { name, state, until, reason, .. } => {
                let until = until.map(|at| format!(", until {}", at.format("%F %H:%M:%S UTC"))).unwrap_or_default();
                let line = paint(text::of_step(*state).0, format!("{state:11}"));
                Some(format!("  {line}  {}{}{until}", clean(name), because(reason)))
            }
            Event::Job(job) => {
                let ended = job.state.is_final() || job.state == JobState::Waiting;
                if !(ended || self.verbose) {
                    return None;
                }
                let name = if job.device.is_empty() { &job.action } else { &job.device };
                let undone = job.part == JobPart::Rollback && job.state == JobState::Succeeded;
                let word = if undone { "undone".to_owned() } else { job.state.to_string() };
                let reason = if job.state == JobState::Succeeded && !self.verbose { String::new() } else { because(&job.reason) };
                Some(format!("    {}  {}{reason}", paint(text::of_job(job.state), format!("{word:11}")), clean(name)))
            }
        }
    }

    /// Draws the picture, where it has changed.
    fn draw(&self, seen: &Seen, now: DateTime<Utc>) {
        let Some(picture) = &self.picture else { return };
        let (width, height) = terminal_size::terminal_size_of(std::io::stderr())
            .map_or((80, 24), |(w, h)| (usize::from(w.0).saturating_sub(1).max(20), usize::from(h.0).max(6)));
        let mut lines = vec![String::new(), text::head(seen).cut(width)];
        let steps = text::steps(seen, now);
        // What goes on stays in sight where there are more steps than lines.
        let room = height.saturating_sub(4);
        let active = steps.iter().position(|(line, _)| line.is_active()).unwrap_or(0);
        let from = active.saturating_sub(room / 2).min(steps.len().saturating_sub(room));
        lines.extend(steps.iter().skip(from).take(room).map(|(line, _)| line.cut(width)));
        if self.knows_of_stop() {
            lines.push(paint(Tone::Held, "stopping: what is in flight is finished first; Ctrl-C again stops at once"));
        }
        let message = lines.join("\n");
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if *drawn != message {
            picture.set_message(message.clone());
            picture.tick();
            *drawn = message;
        }
    }

    fn knows_of_stop(&self) -> bool {
        self.stops.load(Ordering::SeqCst) > 0
    }

    /// Says that it is stopping, once.
    fn stopping(&self, signals: &Signals) {
        if signals.stop.is_cancelled() && self.stops.fetch_add(1, Ordering::SeqCst) == 0 && self.picture.is_none() {
            self.line("Stopping: what is in flight is finished first. Press Ctrl-C again to stop at once.");
        }
    }

    fn finish(&self) {
        if let Some(picture) = &self.picture {
            picture.finish_and_clear();
        }
    }
}

/// An event for programs.
fn value(event: &Event) -> Value {
    match event {
        Event::Run { run, state, error } => json!({ "event": "run", "run": run, "state": state, "error": error }),
        Event::Step { run, step, name, state, until, reason } => {
            json!({ "event": "step", "run": run, "step": step + 1, "name": name, "state": state, "until": until, "reason": reason })
        }
        Event::Progress { job, device, progress, .. } => transferred(job, device, *progress),
        Event::Job(job) => {
            let mut value = seen::job(job);
            if let Some(members) = value.as_object_mut() {
                members.shift_insert(0, "event".into(), "job".into());
            }
            value
        }
    }
}

/// How it ended, and what can be done next.
fn conclude(global: &Global, parts: &Parts, seen: &Seen, interrupted: bool) -> Result<Exit, Failure> {
    let run = &seen.run;
    let totals = seen.totals();
    let exit = exit_of(seen, interrupted);
    match global.output {
        Output::Jsonl => {
            let ended = json!({ "event": "finished", "run": run.id, "state": run.state, "error": run.error, "devices": totals });
            crate::cli::print(&format!("{ended}\n"))?;
        }
        Output::Table | Output::Csv => {
            let text = super::status::page(&parts.store, seen, parts.clock.now(), global.verbose > 0)?;
            crate::cli::print(&format!("\n{text}"))?;
        }
        Output::Json | Output::Yaml => crate::cli::print(&super::status::document(&parts.store, seen, global.output)?)?,
    }
    if global.quiet {
        return Ok(exit);
    }
    if run.state.is_final() {
        if totals.offline > 0 {
            let what = crate::cli::style::count(totals.offline, "device waits", "devices wait");
            crate::cli::say(format!("{what} in the queue until they return: the daemon goes on then, or rmm workflow resume {}", run.id));
        } else if matches!(run.state, WorkflowState::Failed | WorkflowState::Cancelled) && seen.undone.is_empty() {
            crate::cli::say(format!("To go on where it stopped: rmm workflow resume {}", run.id));
        }
    } else if seen.driven == Driven::Nobody {
        let half = under_way(&parts.store, seen)?;
        if !half.is_empty() {
            let devices = crate::cli::style::count(half.len(), "device", "devices");
            let named = super::status::named(&half, global.verbose > 0);
            crate::cli::say(format!("Ended at once: what was under way on {devices} may be half done until somebody goes on: {named}"));
        }
        crate::cli::say(format!("To go on: rmm workflow resume {}   (a running daemon does so by itself)", run.id));
    } else {
        crate::cli::say(format!(
            "It goes on without you. To see it: rmm workflow status {0} --watch   To end it: rmm workflow cancel {0}",
            run.id
        ));
    }
    Ok(exit)
}

/// Devices on which something was under way, in the run and those within it.
fn under_way(store: &Store, seen: &Seen) -> Result<Vec<String>, StoreError> {
    let running = JobFilter { run: Some(seen.run.id.clone()), states: vec![JobState::Running], ..JobFilter::default() };
    let mut names: Vec<String> = store.jobs(&running)?.iter().map(|job| job.device.to_string()).collect();
    for child in seen.children.values() {
        names.extend(under_way(store, child)?);
    }
    Ok(names)
}

/// The exit code that goes with how a run stands.
pub(super) fn exit_of(seen: &Seen, interrupted: bool) -> Exit {
    let totals = seen.totals();
    match seen.run.state {
        state if !state.is_final() => {
            if interrupted {
                Exit::Interrupted
            } else {
                Exit::Error
            }
        }
        WorkflowState::Cancelled => Exit::Interrupted,
        _ if seen.only_unreachable() => Exit::SomeUnreachable,
        WorkflowState::Succeeded if totals.failed == 0 => Exit::Done,
        _ => Exit::SomeFailed,
    }
}
