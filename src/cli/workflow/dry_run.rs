//! `rmm workflow run --dry-run`: every step, its devices, and its commands, the same ones told once. Nothing is done or written.

use std::sync::Arc;

use serde_json::json;

use super::run::mark;
use super::text::Line;
use super::words;
use crate::apply::Parts;
use crate::cli::args::Global;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{Tone, clean, count, paint};
use crate::cli::table::{Output, document};
use crate::model::Workflow;
use crate::model::workflow::Work;
use crate::model::workflow_run::Cause;
use crate::repo::PolicySet;
use crate::workflow::{Alike, StepPreview, preview};

/// Groups of devices that are told for a step, the largest first.
const MOST_GROUPS: usize = 5;

pub(super) fn show(global: &Global, parts: &Parts, workflow: &Arc<Workflow>, cause: &Cause) -> Result<Exit, Failure> {
    let mut trigger = cause.data.clone();
    if let Some(members) = trigger.as_object_mut() {
        members.insert("kind".into(), cause.kind.clone().into());
        if let Some(device) = &cause.device {
            members.insert("device".into(), device.as_ref().into());
        }
    }
    let steps = preview(parts, &workflow.steps, cause.device.as_deref(), &trigger)?;
    if global.output != Output::Table {
        let value = json!({
            "schema": "rmm.workflow-preview/1", "workflow": workflow.name, "at": parts.clock.now(), "policySet": parts.set.hash,
            "commit": parts.set.commit, "steps": steps,
        });
        crate::cli::print(&document(&value, global.output)?)?;
        return Ok(Exit::Done);
    }
    let mut page = Page { set: &parts.set, width: crate::cli::style::width(), verbose: global.verbose > 0, out: String::new() };
    page.out += &format!("{}  {}\n", paint(Tone::Strong, clean(&workflow.name)), paint(Tone::Dim, "as things stand now; nothing is done"));
    page.steps(&steps, "", 0);
    let mut devices = std::collections::BTreeSet::new();
    touched(&steps, &mut devices);
    let summary = format!("{} on {}. Nothing was done.", count(steps.len(), "step", "steps"), count(devices.len(), "device", "devices"));
    page.out += &format!("\n{}\n", paint(Tone::Strong, summary));
    crate::cli::print(&page.out)?;
    Ok(Exit::Done)
}

fn touched<'a>(steps: &'a [StepPreview], devices: &mut std::collections::BTreeSet<&'a str>) {
    for step in steps {
        devices.extend(step.devices.iter().map(String::as_str));
        touched(&step.steps, devices);
    }
}

struct Page<'a> {
    set: &'a PolicySet,
    width: Option<usize>,
    verbose: bool,
    out: String,
}

impl Page<'_> {
    fn line(&mut self, line: &Line, hang: usize) {
        self.out += &format!("{}\n", line.whole(self.width, hang));
    }

    fn steps(&mut self, steps: &[StepPreview], before: &str, indent: usize) {
        for (i, step) in steps.iter().enumerate() {
            let number = format!("{before}{}", i + 1);
            self.out.push('\n');
            let danger = mark(self.set, step).map(|mark| format!("   {mark}")).unwrap_or_default();
            let head = Line::new(indent)
                .add(Tone::Dim, format!("{number}. "))
                .add(Tone::Strong, step.name.as_ref())
                .add(Tone::Plain, format!("   {}", words::work(&step.step)))
                .add(Tone::Bad, danger);
            self.line(&head, indent + 5);
            for detail in words::details(&step.step) {
                self.line(&Line::new(indent + 3).add(Tone::Dim, detail), indent + 5);
            }
            self.step(step, indent + 3);
            if !step.steps.is_empty() {
                self.steps(&step.steps, &format!("{number}."), indent + 3);
            }
        }
    }

    fn step(&mut self, step: &StepPreview, indent: usize) {
        if step.begins == Some(false) {
            self.line(&Line::new(indent).add(Tone::Held, "is left out: its condition does not hold"), indent + 2);
            return;
        }
        if step.begins.is_none() {
            self.line(&Line::new(indent).add(Tone::Held, "whether it begins shows when its turn comes"), indent + 2);
        }
        if !matches!(step.step.work, Work::Action(_)) {
            return;
        }
        let together = step.together && step.devices.is_empty();
        if !together {
            let names = super::status::named(&step.devices, self.verbose);
            let text = if step.devices.is_empty() {
                "on no device: it is left out".into()
            } else {
                format!("on {}: {names}", count(step.devices.len(), "device", "devices"))
            };
            self.line(&Line::new(indent).add(Tone::Plain, text), indent + 2);
        }
        let most = if self.verbose { step.groups.len() } else { step.groups.len().min(MOST_GROUPS) };
        for alike in &step.groups[..most] {
            self.alike(alike, step, indent);
        }
        if step.groups.len() > most {
            let rest: usize = step.groups[most..].iter().map(|alike| alike.devices.len()).sum();
            let more = format!("{} with other commands: -v shows them", count(rest, "more device", "more devices"));
            self.line(&Line::new(indent + 2).add(Tone::Dim, more), indent + 4);
        }
    }

    fn alike(&mut self, alike: &Alike, step: &StepPreview, indent: usize) {
        let mut indent = indent + 2;
        if step.groups.len() > 1 {
            let names = super::status::named(&alike.devices, self.verbose);
            let head = format!("{}: {names}", count(alike.devices.len(), "device", "devices"));
            self.line(&Line::new(indent).add(Tone::Dim, head), indent + 2);
            indent += 2;
        }
        let pad = " ".repeat(indent);
        for command in &alike.what.commands {
            for (i, text) in crate::cli::plan_text::broken(&command.line).iter().enumerate() {
                let sign = if i == 0 { "$ " } else { "  " };
                self.out += &format!("{pad}{}{}\n", paint(Tone::Dim, sign), clean(text));
            }
            if let Some(bytes) = command.input_bytes {
                let text = format!("  < {} on its standard input", count(bytes, "byte", "bytes"));
                self.out += &format!("{pad}{}\n", paint(Tone::Dim, text));
            }
        }
        if let Some(note) = &alike.what.note {
            let (tone, text) = if alike.what.refused { (Tone::Bad, format!("fails: {note}")) } else { (Tone::Held, note.clone()) };
            self.line(&Line::new(indent).add(tone, text), indent + 2);
        }
    }
}
