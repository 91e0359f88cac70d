//! What a workflow would do as things stand now: devices of each step, and the commands that each of them would get. Nothing is
//! written, and no device is asked. What only shows once it runs is said to be unknown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::targets::{devices_of, together};
use crate::apply::{Allowed, Parts, Preview, previews};
use crate::catalog::ActionDef;
use crate::model::action::By;
use crate::model::operation::ShownCommand;
use crate::model::workflow::Work;
use crate::model::{ActionCall, Step};
use crate::script::StepCondition;
use crate::store::StoreError;

/// Workflows within workflows that are followed. `rmm validate` refuses circles; this is for what was not validated.
pub const DEEPEST: usize = 8;

/// What a step would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepPreview {
    /// Its name.
    pub name: Arc<str>,
    /// The step itself.
    #[serde(skip)]
    pub step: Step,
    /// Whether it begins, where that is known before.
    pub begins: Option<bool>,
    /// Devices as they are meant now, by name.
    pub devices: Vec<String>,
    /// Whether it is carried out once for all of them.
    pub together: bool,
    /// Devices to which the same happens, the largest group first.
    pub groups: Vec<Alike>,
    /// Steps of the workflow that it runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepPreview>,
}

/// Devices to which the same happens.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alike {
    /// By name; none where it happens on no device.
    pub devices: Vec<String>,
    /// What happens.
    #[serde(flatten)]
    pub what: What,
}

/// What would happen on a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct What {
    /// Commands, in their order.
    pub commands: Vec<ShownCommand>,
    /// Why there are none, or what cannot be known before.
    pub note: Option<String>,
    /// It would not be carried out.
    pub refused: bool,
}

impl What {
    fn note(text: impl Into<String>) -> Self {
        Self { commands: Vec::new(), note: Some(text.into()), refused: false }
    }

    fn refused(text: impl Into<String>) -> Self {
        Self { refused: true, ..Self::note(text) }
    }
}

/// Previews the steps of a workflow. `started_by` is the device that the run is about, `trigger` what conditions see as such.
pub fn preview(parts: &Parts, steps: &[Step], started_by: Option<&str>, trigger: &Value) -> Result<Vec<StepPreview>, StoreError> {
    Looking { parts, started_by }.steps(steps, trigger, 0)
}

struct Looking<'a> {
    parts: &'a Parts,
    started_by: Option<&'a str>,
}

impl Looking<'_> {
    fn steps(&self, steps: &[Step], trigger: &Value, depth: usize) -> Result<Vec<StepPreview>, StoreError> {
        steps.iter().map(|step| self.step(step, trigger, depth)).collect()
    }

    fn step(&self, step: &Step, trigger: &Value, depth: usize) -> Result<StepPreview, StoreError> {
        let mut preview = StepPreview {
            name: Arc::clone(&step.name),
            step: step.clone(),
            begins: begins(step, trigger),
            devices: Vec::new(),
            together: false,
            groups: Vec::new(),
            steps: Vec::new(),
        };
        match &step.work {
            Work::Action(call) => self.action(call, &mut preview)?,
            Work::Workflow { name, with } if depth < DEEPEST => {
                if let Some(workflow) = self.parts.set.workflows.get(&**name) {
                    let given = Value::Object(with.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
                    preview.steps = self.steps(&workflow.steps, &given, depth + 1)?;
                }
            }
            Work::Workflow { .. } | Work::Approval { .. } | Work::End(_) => {}
        }
        Ok(preview)
    }

    fn action(&self, call: &ActionCall, preview: &mut StepPreview) -> Result<(), StoreError> {
        let devices = devices_of(self.parts, call, self.started_by)?;
        preview.devices = devices.iter().map(|device| device.name.clone()).collect();
        let Some(def) = self.parts.set.catalog.actions.get(&call.action) else {
            preview.groups = vec![Alike { devices: Vec::new(), what: What::refused(format!("there is no action {}", call.action)) }];
            return Ok(());
        };
        preview.together = together(def);
        if preview.together {
            preview.groups = vec![Alike { devices: preview.devices.clone(), what: What::note("done by rmm itself, once") }];
            return Ok(());
        }
        // By what is shown: the same for most of a fleet.
        let mut groups: BTreeMap<String, Alike> = BTreeMap::new();
        // A person asks; what only a schedule may not do shows when it does.
        for (device, seen) in devices.iter().zip(previews(self.parts, &devices, call, Allowed::Confirmed)?) {
            let what = what(def, seen);
            let text = serde_json::to_string(&what).unwrap_or_default();
            groups.entry(text).or_insert_with(|| Alike { devices: Vec::new(), what }).devices.push(device.name.clone());
        }
        preview.groups = groups.into_values().collect();
        preview.groups.sort_by(|a, b| b.devices.len().cmp(&a.devices.len()).then_with(|| a.devices.cmp(&b.devices)));
        Ok(())
    }
}

/// In the words of a step. What the product does itself names each device: that is not told again for each.
fn what(def: &ActionDef, seen: Preview) -> What {
    if let Some(why) = seen.refused {
        return What { commands: seen.commands, ..What::refused(why) };
    }
    let held = seen.held.map(|held| format!("waits now: {}", if held.by == "suspended" { "suspended" } else { &held.reason }));
    let (commands, note) = match def.by {
        By::Engine => (Vec::new(), held.is_none().then(|| "done by rmm itself".to_owned())),
        By::Script => (seen.commands, seen.note),
    };
    let note: Vec<String> = held.into_iter().chain(note).collect();
    What { commands, note: (!note.is_empty()).then(|| note.join("; ")), refused: false }
}

/// Whether a step begins, where its condition speaks of nothing but what is known before.
fn begins(step: &Step, trigger: &Value) -> Option<bool> {
    let Some(when) = &step.when else { return Some(true) };
    let condition = StepCondition::compile(when).ok()?;
    if condition.constant.is_some() {
        return condition.constant;
    }
    let whole = condition.steps.is_empty() && !when.contains("steps");
    whole.then(|| condition.holds(&Value::Null, trigger).ok()).flatten()
}
