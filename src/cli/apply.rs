//! `rmm apply`: carry out a plan, saved or made now; or go on with a run that was stopped.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::plan_text::{Show, render};
use super::progress::Progress;
use super::style::{Tone, clean, count, paint};
use super::table::Output;
use crate::apply::survey::{Outcome, Refresh, Survey};
use crate::apply::{ApplyError, ApplyOptions, EVENTS_SCHEMA, Event, Finished, Parts, Refused, Task, limits};
use crate::diagnose::Diagnostic;
use crate::model::action::Role;
use crate::model::config::Amount;
use crate::model::plan::{PLAN_SCHEMA, Plan, State};
use crate::model::run::{ChangeState, RunChange, RunState};
use crate::plan::{PlanOptions, Scope};
use crate::repo::PolicySet;
use crate::store::Store;

/// Arguments of `rmm apply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm apply\n  rmm apply friday.plan --auto-approve\n  rmm apply 'Pilot Servers' --max-devices 5\n  rmm apply --stage Pilot --stage Production --max-failures 5%\n  rmm apply --resume last"
)]
pub(super) struct ApplyArgs {
    /// A saved plan, or devices, groups or key=value selectors; all devices without one
    pub(super) plan_or_selectors: Vec<String>,
    /// Only this setting, or this key of it; may be repeated
    #[arg(long, value_name = "SETTING")]
    pub(super) target: Vec<String>,
    /// Whether devices are observed first
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) refresh: Refresh,
    /// Do not ask; the limits hold all the same
    #[arg(long, visible_alias = "yes")]
    pub(super) auto_approve: bool,
    /// Take changes of policies with `remediate: approve` as approved
    #[arg(long)]
    pub(super) approve: bool,
    /// Most devices that may be changed
    #[arg(long, value_name = "N")]
    pub(super) max_devices: Option<u32>,
    /// Most devices that may be changed, in per cent of the fleet
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) max_percent: Option<u32>,
    /// Failed devices after which no further one is begun: 3, or 5%
    #[arg(long, value_name = "N|P%")]
    pub(super) max_failures: Option<Amount>,
    /// A group that goes first; may be repeated, the rest of the fleet comes last
    #[arg(long, value_name = "GROUP")]
    pub(super) stage: Vec<String>,
    /// Allow changes that destroy data or restart devices
    #[arg(long)]
    pub(super) allow_destructive: bool,
    /// Go on with a run that was stopped: its id, or `last`
    #[arg(long, value_name = "RUN", conflicts_with_all = ["target", "stage", "plan_or_selectors"])]
    pub(super) resume: Option<String>,
    /// Devices changed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) concurrency: Option<u32>,
    /// Show the exact commands of every change
    #[arg(long)]
    pub(super) commands: bool,
}

pub(super) fn run(global: &Global, args: ApplyArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    if let Some(run) = &args.resume {
        context.may(&store, Role::Operator, "resume a run", Some(run))?;
        return resume(global, &args, &context, &store, run);
    }
    let mut away = 0;
    let plan = if let Some(file) = saved(&context.set, &args.plan_or_selectors) {
        read(Path::new(file), &args, &context, &store)?
    } else {
        let (plan, outcome) = make(global, &args, &context, &store)?;
        away = outcome.unreachable;
        plan
    };
    if global.output == Output::Table {
        super::print(&render(
            &plan,
            Show { commands: args.commands, verbose: global.verbose > 0, width: super::style::width() },
            context.clock.now(),
        ))?;
    }
    mention_unfinished(global, &store)?;
    let nothing_failed = if away > 0 { Exit::SomeUnreachable } else { Exit::Done };
    if plan.summary.count(State::Change) == 0 {
        return Ok(nothing_failed);
    }
    context.may(&store, Role::Operator, "apply a plan", None)?;
    permit(&args, &context, &plan)?;
    let parts = context.parts(&store);
    let usual = parts.options();
    let options = ApplyOptions {
        concurrency: args.concurrency.unwrap_or(usual.concurrency),
        max_failures: args.max_failures.unwrap_or(usual.max_failures),
        stages: args.stage.clone(),
        ..usual
    };
    let recorded = serde_json::json!({ "apply": options, "maxDevices": args.max_devices, "maxPercent": args.max_percent, "allowDestructive": args.allow_destructive });
    let (id, task) = parts.begin(&plan, recorded);
    let exit = carry_out(global, &parts, &id, options, task)?;
    Ok(if exit == Exit::Done { nothing_failed } else { exit })
}

/// A run whose process died is not forgotten because another one begins.
fn mention_unfinished(global: &Global, store: &Store) -> Result<(), Failure> {
    let active: BTreeSet<String> = store.leases()?.into_iter().map(|l| l.run).collect();
    for run in store.unfinished_runs()?.iter().filter(|r| !active.contains(&r.id)).take(3) {
        if !global.quiet {
            let of = run.started_at.format("%F %H:%M UTC");
            super::say(format!("Run {} of {of} is unfinished; to go on with it: rmm apply --resume {}", run.id, run.id));
        }
    }
    Ok(())
}

/// The one argument that names a file with a plan in it.
///
/// A device or a group of that name is meant before a file is: a file that lies about must not change what a command does.
fn saved<'a>(set: &PolicySet, arguments: &'a [String]) -> Option<&'a String> {
    let [argument] = arguments else { return None };
    let named = set.devices.contains_key(argument) || set.groups.contains_key(argument);
    Some(argument).filter(|a| !named && Path::new(a).is_file())
}

fn read(file: &Path, args: &ApplyArgs, context: &Context, store: &Store) -> Result<Plan, Failure> {
    const MOST: u64 = 1 << 30;
    let refuse = |why: String| {
        let problem = Diagnostic::error("RMM0308", format!("{} is not a saved plan: {why}", file.display()));
        Failure::new(Exit::Error, problem.advice("make one with: rmm plan --out FILE"))
    };
    let size = std::fs::metadata(file).map_err(|e| refuse(e.to_string()))?.len();
    if size > MOST {
        return Err(refuse(format!("it has {size} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|e| refuse(e.to_string()))?;
    let plan: Plan = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    // `rmm.plan/1.2` is read by whoever knows `rmm.plan/1`: minor versions only add.
    if plan.schema != PLAN_SCHEMA && !plan.schema.starts_with(&format!("{PLAN_SCHEMA}.")) {
        return Err(refuse(format!("its form is {}, this rmm reads {PLAN_SCHEMA}", plan.schema)));
    }
    crate::apply::check_fresh(&plan, &context.set, context.clock.now()).map_err(ApplyError::from)?;
    Ok(crate::apply::reassure(plan, &context.set, store, &context.secrets, args.approve, context.clock.now())?)
}

fn make(global: &Global, args: &ApplyArgs, context: &Context, store: &Store) -> Result<(Plan, Outcome), Failure> {
    let scope = Scope::parse(&context.set, &args.plan_or_selectors, &args.target)?;
    let survey = Survey::new(&context.set, store, &context.secrets, &context.clock);
    let progress = Progress::new(global, "observing");
    let outcome = super::signals::block_on(async |signals| {
        survey.refresh(&scope, args.refresh, args.concurrency, &signals.stop, &|event| progress.observed(&event)).await
    })?;
    progress.finish();
    if outcome.cancelled {
        return Err(Failure::silent(Exit::Interrupted));
    }
    Ok((survey.plan(&scope, &PlanOptions { approve: args.approve, commands: args.commands, ..PlanOptions::default() })?, outcome))
}

/// Limits, then permission for what is dangerous, then the confirmation.
fn permit(args: &ApplyArgs, context: &Context, plan: &Plan) -> Result<(), Failure> {
    let mut limits = context.set.config.limits.clone();
    limits.max_devices = args.max_devices.or(limits.max_devices);
    limits.max_percent = args.max_percent.unwrap_or(if args.max_devices.is_some() { 100 } else { limits.max_percent });
    if let Some(stage) = args.stage.iter().find(|s| !context.set.groups.contains_key(*s)) {
        return Err(ApplyError::Refused(Refused::UnknownStage { stage: stage.clone() }).into());
    }
    limits::check(plan, &limits, context.set.devices.len(), args.allow_destructive).map_err(ApplyError::from)?;
    if args.auto_approve {
        return Ok(());
    }
    let devices: Vec<String> =
        plan.devices.iter().filter(|d| d.changes.iter().any(|c| c.state == State::Change)).map(|d| d.device.clone()).collect();
    let changes = count(plan.summary.count(State::Change) as usize, "change", "changes");
    super::confirm::ask(&format!("carry out {changes} on {}", count(devices.len(), "device", "devices")), &devices, "--auto-approve")
}

fn resume(global: &Global, args: &ApplyArgs, context: &Context, store: &Store, wanted: &str) -> Result<Exit, Failure> {
    let not = |run: &str, why: &str| Failure::from(ApplyError::Refused(Refused::NotResumable { run: run.to_owned(), why: why.to_owned() }));
    let found = if wanted == "last" { store.unfinished_runs()?.into_iter().max_by_key(|r| r.started_at) } else { store.run(wanted)? };
    let run =
        found.ok_or_else(|| if wanted == "last" { not("last", "no run is unfinished") } else { not(wanted, "there is no such run") })?;
    if !matches!(run.state, RunState::Running | RunState::Interrupted) {
        return Err(not(&run.id, &format!("it is {}", run.state)));
    }
    if run.policy_set != context.set.hash {
        return Err(not(&run.id, "the policy set has changed since"));
    }
    let mut options: ApplyOptions = serde_json::from_value(run.options.get("apply").cloned().unwrap_or_default())
        .map_err(|_| not(&run.id, "its options cannot be read"))?;
    options.concurrency = args.concurrency.unwrap_or(options.concurrency);
    options.max_failures = args.max_failures.unwrap_or(options.max_failures);
    let changes = store.run_changes(&run.id)?;
    let mut open: Vec<RunChange> = changes.into_iter().filter(|c| !c.state.is_final()).collect();
    let held = crate::apply::held_now(&context.set, store, &context.secrets, context.clock.now(), &open)?;
    if let Some(first) = held.values().next() {
        if held.len() == open.len() {
            return Err(ApplyError::Refused(Refused::Held { run: run.id, reason: first.reason.clone() }).into());
        }
        super::say(format!("{} held: {}", count(held.len(), "change is", "changes are"), clean(&first.reason)));
        open.retain(|c| !held.contains_key(&c.seq));
    }
    let devices: BTreeSet<String> = open.iter().map(|c| c.device.clone()).collect();
    super::say(format!(
        "Run {} of {}: {} left on {}.",
        run.id,
        run.started_at.format("%F %H:%M UTC"),
        count(open.len(), "change", "changes"),
        count(devices.len(), "device", "devices")
    ));
    if !args.auto_approve && !open.is_empty() {
        let what = format!("go on with {} on {}", count(open.len(), "change", "changes"), count(devices.len(), "device", "devices"));
        super::confirm::ask(&what, &devices.into_iter().collect::<Vec<_>>(), "--auto-approve")?;
    }
    carry_out(global, &context.parts(store), &run.id, options, Task::Resume(open))
}

/// Carries out a task, shows what happens, and says how it ended.
pub(super) fn carry_out(global: &Global, parts: &Parts, run: &str, options: ApplyOptions, task: Task) -> Result<Exit, Failure> {
    let total = task.changes().len();
    let progress = Arc::new(Progress::new(global, "applying"));
    progress.at(0, total);
    if global.output == Output::Jsonl {
        super::print(&format!("{}\n", serde_json::json!({ "schema": EVENTS_SCHEMA, "run": run })))?;
    }
    let done = Arc::new(AtomicUsize::new(0));
    let on = {
        let (progress, output, verbose) = (Arc::clone(&progress), global.output, global.verbose);
        move |event: Event| {
            if let Event::Change { state, .. } = &event
                && !matches!(state, ChangeState::Started | ChangeState::Pending)
            {
                progress.at(done.fetch_add(1, Ordering::SeqCst) + 1, total);
            }
            if output == Output::Jsonl {
                // A reader that went away does not stop the work.
                let _ = super::print(&format!("{}\n", serde_json::to_string(&event).unwrap_or_default()));
            } else if let Some(line) = event_line(&event, verbose) {
                progress.line(&line);
            }
        }
    };
    let planned = crate::apply::stages_of(&parts.set, &parts.store, &options.stages, task.changes())?;
    let finished = super::signals::block_on_changes(async |signals| {
        let executor = parts.executor(run, options, (signals.stop.clone(), signals.abort.clone()), Box::new(on));
        executor.carry_out(task, planned).await
    });
    progress.finish();
    let finished = finished?;
    conclude(global, run, &finished)
}

/// One line for what a person wants to see go by.
fn event_line(event: &Event, verbose: u8) -> Option<String> {
    match event {
        Event::Stage { name, devices } => {
            Some(paint(Tone::Strong, format!("Stage {}: {}", clean(name), count(*devices, "device", "devices"))))
        }
        Event::Device { .. } => None,
        Event::Stopped { reason } => Some(paint(Tone::Bad, format!("Stopped: {}", clean(reason)))),
        Event::Change { device, setting, state, error } => {
            let tone = match state {
                ChangeState::Done => Tone::Good,
                ChangeState::Failed | ChangeState::RolledBack | ChangeState::Interrupted => Tone::Bad,
                ChangeState::Queued | ChangeState::Stale | ChangeState::Cancelled => Tone::Held,
                ChangeState::Skipped | ChangeState::Started | ChangeState::Pending => Tone::Dim,
            };
            if matches!(state, ChangeState::Started | ChangeState::Pending) && verbose == 0 {
                return None;
            }
            let why = error.as_ref().map(|e| format!(": {}", clean(e))).unwrap_or_default();
            Some(format!("  {}  {}  {}{why}", paint(tone, format!("{state:11}")), clean(device), clean(setting)))
        }
    }
}

fn conclude(global: &Global, run: &str, finished: &Finished) -> Result<Exit, Failure> {
    let n = |state: ChangeState| finished.states.get(&state).copied().unwrap_or(0);
    let mut parts = Vec::new();
    for (state, word) in [
        (ChangeState::Done, "done"),
        (ChangeState::Skipped, "right already"),
        (ChangeState::Failed, "failed"),
        (ChangeState::RolledBack, "failed and rolled back"),
        (ChangeState::Stale, "stale"),
        (ChangeState::Queued, "waiting for their device"),
        (ChangeState::Cancelled, "not begun"),
        (ChangeState::Interrupted, "interrupted"),
    ] {
        if n(state) > 0 {
            parts.push(format!("{} {word}", n(state)));
        }
    }
    let open = n(ChangeState::Queued)
        + n(ChangeState::Cancelled)
        + n(ChangeState::Interrupted)
        + n(ChangeState::Pending)
        + n(ChangeState::Started);
    let summary = format!("Apply: {}.   Run {run}", if parts.is_empty() { "nothing to do".into() } else { parts.join(", ") });
    match global.output {
        Output::Jsonl => {
            let states: serde_json::Map<String, serde_json::Value> =
                finished.states.iter().map(|(s, n)| (s.to_string(), (*n).into())).collect();
            super::print(&format!(
                "{}\n",
                serde_json::json!({ "event": "finished", "run": run, "states": states, "failed": finished.failed, "unreachable": finished.unreachable })
            ))?;
        }
        Output::Json | Output::Yaml => {
            let states: serde_json::Map<String, serde_json::Value> =
                finished.states.iter().map(|(s, n)| (s.to_string(), (*n).into())).collect();
            let value = serde_json::json!({ "schema": "rmm.run/1", "run": run, "states": states, "failed": finished.failed, "unreachable": finished.unreachable, "stopped": finished.stopped });
            super::print(&super::table::document(&value, global.output)?)?;
        }
        Output::Table | Output::Csv => super::print(&format!("\n{}\n", paint(Tone::Strong, summary)))?,
    }
    if open > 0 && !global.quiet {
        super::say(format!("To go on: rmm apply --resume {run}"));
    }
    Ok(if finished.interrupted {
        Exit::Interrupted
    } else if n(ChangeState::Failed) + n(ChangeState::RolledBack) > 0
        || finished.stopped.is_some()
        || n(ChangeState::Interrupted) + n(ChangeState::Started) > 0
    {
        Exit::SomeFailed
    } else if !finished.unreachable.is_empty() {
        Exit::SomeUnreachable
    } else {
        Exit::Done
    })
}
