//! `rmm workflow run`: starts a workflow by hand and follows it; or shows what it would do.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::{Map, Value, json};

use super::dry_run;
use super::live;
use super::problem::Problem;
use crate::apply::Parts;
use crate::catalog::ActionDef;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{clean, count};
use crate::cli::table::{Output, document};
use crate::diagnose::did_you_mean;
use crate::model::action::ActsOn;
use crate::model::action::Role;
use crate::model::workflow::{OnFailure, Work};
use crate::model::workflow_run::Cause;
use crate::model::{Reboot, Risk, Step, WorkflowState};
use crate::repo::PolicySet;
use crate::store::{Started, Store, StoreError};
use crate::workflow::{DEEPEST, StepPreview, devices_of};

/// Arguments of `rmm workflow run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm workflow run PatchTuesday --dry-run\n  rmm workflow run PatchTuesday\n  rmm workflow run OnboardNewDevice --device ws-017 --detach\n  rmm workflow run Deploy -p version=24.1 --yes --output jsonl"
)]
pub(super) struct RunArgs {
    /// Its name
    pub(super) workflow: String,
    /// The device that the run is about: steps without devices act on it
    #[arg(long, value_name = "NAME")]
    pub(super) device: Option<String>,
    /// What conditions see as trigger.NAME; numbers, true and false are what they are, everything else is text; may be repeated
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    pub(super) params: Vec<String>,
    /// Show what each step would do, on which devices, with which commands, and do nothing
    #[arg(long, conflicts_with_all = ["detach", "yes"])]
    pub(super) dry_run: bool,
    /// Start it and leave it to the daemon
    #[arg(long)]
    pub(super) detach: bool,
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Which work of a device goes first: 1 before 9
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(super) priority: Option<u8>,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &RunArgs) -> Result<Exit, Failure> {
    let workflow = super::find::workflow(&context.set, &args.workflow)?;
    if let Some(device) = &args.device
        && !context.set.devices.contains_key(device)
    {
        let near = did_you_mean(device, context.set.devices.keys().map(String::as_str)).map(str::to_owned);
        return Err(Problem::Unknown { what: "device", name: clean(device), near }.into());
    }
    if args.device.is_none()
        && let Some(step) = without_device(&context.set, &workflow.steps, 0)
    {
        return Err(Problem::NoDevice { workflow: workflow.name.to_string(), step }.into());
    }
    let data = parameters(&args.params)?;
    let parts = context.parts(store);
    let cause = Cause { kind: "manual".into(), key: None, device: args.device.as_deref().map(Into::into), group: None, data };
    if args.dry_run {
        return dry_run::show(global, &parts, &workflow, &cause);
    }
    let needs = role(&context.set, &workflow.steps);
    context.may(store, needs, &format!("run {}", clean(&workflow.name)), None)?;
    if !args.yes {
        confirm(&parts, &workflow.name, &workflow.steps, args.device.as_deref(), "")?;
    }
    let mut run = crate::workflow::new_run(&context.set, &workflow, cause, &context.actor, context.clock.now(), rand::random());
    run.priority = args.priority.unwrap_or(run.priority);
    let state = match crate::workflow::start(store, &run, crate::workflow::rule(&workflow, &run.cause))? {
        Started::Begun(state) => state,
        Started::Known(other) | Started::Skipped(other) => {
            return Err(Problem::LeftOut { workflow: workflow.name.to_string(), run: other }.into());
        }
    };
    if args.detach {
        return detached(global, store, &run.id, state);
    }
    live::follow(global, &parts, &run.id, live::usual(store)?)
}

/// The role that steps take together: what their actions take, also those of workflows within them, and of workflows that are
/// started where a step fails. Each is looked at once, however deep it stands.
pub(super) fn role(set: &PolicySet, steps: &[Step]) -> Role {
    let mut needs: Option<Role> = None;
    let mut seen = BTreeSet::new();
    let mut open: Vec<&[Step]> = vec![steps];
    while let Some(steps) = open.pop() {
        for step in steps {
            let within = match &step.work {
                Work::Action(call) => {
                    needs = needs.max(Some(set.catalog.actions.get(&call.action).map_or(Role::Operator, |def| def.role)));
                    None
                }
                Work::Workflow { name, .. } => Some(&**name),
                Work::Approval { .. } | Work::End(_) => {
                    needs = needs.max(Some(Role::Operator));
                    None
                }
            };
            let after = if let OnFailure::Run(name) = &step.on_failure { Some(&**name) } else { None };
            for name in within.into_iter().chain(after) {
                if let Some(workflow) = set.workflows.get(name).filter(|_| seen.insert(name)) {
                    open.push(&workflow.steps);
                }
            }
        }
    }
    needs.unwrap_or(Role::Operator)
}

fn detached(global: &Global, store: &Store, id: &str, state: WorkflowState) -> Result<Exit, Failure> {
    if global.output == Output::Table {
        crate::cli::print(&format!("{id}\n"))?;
    } else {
        crate::cli::print(&document(&json!({ "schema": "rmm.workflow-started/1", "run": id, "state": state }), global.output)?)?;
    }
    if !global.quiet {
        match store.daemon()? {
            Some(_) => crate::cli::say(format!("The daemon takes it up. To see it: rmm workflow status {id} --watch")),
            None => crate::cli::say(format!("No daemon runs: it begins when one starts (rmm reconcile), or with rmm workflow resume {id}")),
        }
    }
    Ok(Exit::Done)
}

/// `-p name=value`: what conditions see as `trigger.name`.
fn parameters(given: &[String]) -> Result<Value, Failure> {
    let mut data = Map::new();
    for text in given {
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Failure::usage(format!("'{}' is not a parameter", clean(text)), "write -p name=value"));
        };
        let value = match value {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            // 1.10 is a version, not 1.1.
            text => text.parse::<i64>().ok().filter(|n| n.to_string() == text).map_or_else(|| text.into(), Value::from),
        };
        data.insert(name.trim().to_owned(), value);
    }
    Ok(Value::Object(data))
}

/// The first step that acts on the device which the run is about.
fn without_device(set: &PolicySet, steps: &[Step], depth: usize) -> Option<String> {
    steps.iter().find_map(|step| match &step.work {
        Work::Action(call) if call.on.is_empty() => {
            let acts = set.catalog.actions.get(&call.action).is_none_or(|def| def.on != ActsOn::Nothing);
            acts.then(|| step.name.to_string())
        }
        Work::Workflow { name, .. } if depth < DEEPEST => {
            let inner = set.workflows.get(&**name)?;
            without_device(set, &inner.steps, depth + 1)
        }
        _ => None,
    })
}

/// Whether an action interrupts somebody or is dangerous.
pub(super) fn risky(def: &ActionDef) -> bool {
    def.confirm || def.risk >= Risk::High || def.reboot == Reboot::Always
}

/// Asks where a step interrupts people, is dangerous, or changes more of the fleet than `limits.max_percent`. `when` ends the question.
pub(super) fn confirm(parts: &Parts, name: &str, steps: &[Step], about: Option<&str>, when: &str) -> Result<(), Failure> {
    let mut touched = Touched::default();
    touched.add(parts, steps, about, 0)?;
    let most = crate::model::config::Amount::Percent(parts.set.config.limits.max_percent).of(parts.set.devices.len());
    let devices = match (touched.risky.is_empty(), touched.changed.len() > most) {
        (false, _) => touched.risky,
        (true, true) => touched.changed,
        (true, false) => return Ok(()),
    };
    let devices: Vec<String> = devices.into_iter().collect();
    let dangers = touched.dangers.into_iter().collect::<Vec<_>>().join(", ");
    let with = if dangers.is_empty() { String::new() } else { format!(" ({dangers})") };
    let what = format!("run {}{with} on {}{when}", clean(name), count(devices.len(), "device", "devices"));
    crate::cli::confirm::ask(&what, &devices, "--yes")
}

/// Devices that a run would touch, as they are meant now.
#[derive(Default)]
struct Touched {
    risky: BTreeSet<String>,
    changed: BTreeSet<String>,
    /// Actions that are dangerous.
    dangers: BTreeSet<String>,
}

impl Touched {
    fn add(&mut self, parts: &Parts, steps: &[Step], about: Option<&str>, depth: usize) -> Result<(), StoreError> {
        for step in steps {
            match &step.work {
                Work::Action(call) => {
                    let Some(def) = parts.set.catalog.actions.get(&call.action) else { continue };
                    if def.risk == Risk::None && !risky(def) && !step.wait_for_reboot {
                        continue;
                    }
                    let devices: Vec<String> = devices_of(parts, call, about)?.iter().map(|device| device.name.clone()).collect();
                    if devices.is_empty() {
                        continue;
                    }
                    if risky(def) || step.wait_for_reboot {
                        self.dangers.insert(def.name.to_string());
                        self.risky.extend(devices.iter().cloned());
                    }
                    self.changed.extend(devices);
                }
                Work::Workflow { name, .. } if depth < DEEPEST => {
                    if let Some(inner) = parts.set.workflows.get(&**name) {
                        self.add(parts, &inner.steps, about, depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The dangers of a previewed step, for a mark behind it.
pub(super) fn mark(set: &PolicySet, preview: &StepPreview) -> Option<&'static str> {
    let Work::Action(call) = &preview.step.work else { return None };
    let def = set.catalog.actions.get(&call.action)?;
    match (def.risk, def.confirm || def.reboot == Reboot::Always) {
        (Risk::Destructive, _) => Some("destroys data"),
        (_, true) => Some("interrupts people"),
        (Risk::High, _) => Some("risk high"),
        _ => None,
    }
}
