//! `rmm workflow show`: the steps of a workflow, and on how many devices they act now.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::text::Line;
use super::words;
use crate::apply::Parts;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, document};
use crate::model::action::ActsOn;
use crate::model::workflow::{OnFailure, Work};
use crate::model::{Step, Workflow};
use crate::store::{Store, StoreError};
use crate::workflow::devices_of;

/// Arguments of `rmm workflow show`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm workflow show PatchTuesday\n  rmm workflow show PatchTuesday --format mermaid > patch.mmd")]
pub(super) struct ShowArgs {
    /// Its name
    pub(super) workflow: String,
    /// Form: for people, a graph for Mermaid, or JSON
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub(super) format: Form,
}

/// Forms of a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    /// Steps, one below the other
    #[default]
    Text,
    /// A graph, as Markdown on many servers shows it
    Mermaid,
    /// As it was read, with its devices
    Json,
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &ShowArgs) -> Result<Exit, Failure> {
    let workflow = super::find::workflow(&context.set, &args.workflow)?;
    let parts = context.parts(store);
    let text = match (args.format, global.output) {
        (Form::Mermaid, _) => super::mermaid::graph(&workflow),
        (Form::Text, Output::Table) => page(&parts, &workflow)?,
        (Form::Json, Output::Table) => document(&value(&parts, &workflow)?, Output::Json)?,
        (_, form) => document(&value(&parts, &workflow)?, form)?,
    };
    crate::cli::print(&text)?;
    Ok(Exit::Done)
}

/// Where a step acts: selectors, and the devices that they mean now.
fn targets(parts: &Parts, step: &Step) -> Result<Option<(String, Vec<String>)>, StoreError> {
    let Work::Action(call) = &step.work else { return Ok(None) };
    let def = parts.set.catalog.actions.get(&call.action);
    if def.is_some_and(|def| def.on == ActsOn::Nothing) {
        return Ok(None);
    }
    if call.on.is_empty() {
        return Ok(Some(("the device that started the run".into(), Vec::new())));
    }
    let on: Vec<String> = call.on.iter().map(words::selector).collect();
    let devices = devices_of(parts, call, None)?.iter().map(|device| device.name.clone()).collect();
    Ok(Some((on.join(" or "), devices)))
}

/// What undoing the steps before one would leave as it is.
fn cannot_be_undone(parts: &Parts, steps: &[Step]) -> Vec<String> {
    let acts = steps.iter().filter_map(|step| match &step.work {
        Work::Action(call) => parts.set.catalog.actions.get(&call.action).map(|def| (step, def)),
        _ => None,
    });
    let stays = acts.filter(|(_, def)| def.risk != crate::model::Risk::None && !def.program.has("rollback"));
    stays.map(|(step, _)| step.name.to_string()).collect()
}

fn page(parts: &Parts, workflow: &Workflow) -> Result<String, Failure> {
    let width = crate::cli::style::width();
    let now = parts.clock.now();
    let place = workflow.place.to_string();
    let head = Line::new(0).add(Tone::Strong, workflow.name.as_ref()).add(Tone::Dim, format!("   {place}"));
    let mut out = format!("{}\n", head.whole(width, 2));
    if let Some(text) = &workflow.description {
        out += &format!("{}\n", Line::new(2).add(Tone::Plain, text.as_str()).whole(width, 2));
    }
    out += &format!("{}\n", Line::new(2).add(Tone::Dim, format!("started by: {}", words::triggers(workflow))).whole(width, 4));
    if let Some(at) = words::next(workflow, now) {
        out += &format!("{}\n", Line::new(2).add(Tone::Dim, format!("next: {}", words::moment(at, now))).whole(width, 4));
    }
    for (i, step) in workflow.steps.iter().enumerate() {
        let head = Line::new(0)
            .add(Tone::Dim, format!("{}. ", i + 1))
            .add(Tone::Strong, step.name.as_ref())
            .add(Tone::Plain, format!("   {}", words::work(step)));
        out += &format!("\n{}\n", head.whole(width, 5));
        if let Some((on, devices)) = targets(parts, step)? {
            let mut line = Line::new(3).add(Tone::Plain, format!("on {on}"));
            let named = matches!(&step.work, Work::Action(call) if !call.on.is_empty());
            if named {
                line = line.add(
                    if devices.is_empty() { Tone::Held } else { Tone::Dim },
                    format!(": {} now", count(devices.len(), "device", "devices")),
                );
            }
            out += &format!("{}\n", line.whole(width, 5));
        }
        for detail in words::details(step) {
            out += &format!("{}\n", Line::new(3).add(Tone::Dim, detail).whole(width, 5));
        }
        if matches!(step.on_failure, OnFailure::Rollback | OnFailure::RollbackAndNotify) {
            let stays = cannot_be_undone(parts, &workflow.steps[..=i]);
            if !stays.is_empty() {
                let names: Vec<String> = stays.iter().map(|name| clean(name)).collect();
                let line = Line::new(3).add(Tone::Held, format!("cannot be undone: {}", names.join(", ")));
                out += &format!("{}\n", line.whole(width, 5));
            }
        }
    }
    out += &format!("\n{}\n", paint(Tone::Dim, format!("To see what it would do: rmm workflow run {} --dry-run", clean(&workflow.name))));
    Ok(out)
}

fn value(parts: &Parts, workflow: &Workflow) -> Result<Value, Failure> {
    let mut value = serde_json::to_value(workflow).unwrap_or_default();
    for (i, step) in workflow.steps.iter().enumerate() {
        if let Some((_, devices)) = targets(parts, step)? {
            value["steps"][i]["devices"] = json!(devices);
        }
    }
    value["next"] = json!(words::next(workflow, parts.clock.now()));
    value["place"] = json!(workflow.place.to_string());
    let mut whole = json!({ "schema": "rmm.workflow/1" });
    if let (Some(members), Value::Object(own)) = (whole.as_object_mut(), value) {
        members.extend(own);
    }
    Ok(whole)
}
