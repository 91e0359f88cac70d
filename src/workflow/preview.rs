//! What a workflow would do as things stand now: devices of each step, and the commands that each of them would get. Nothing is
//! written, and no device is asked. What only shows once it runs is said to be unknown.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;

use super::targets::{devices_of, together};
use crate::apply::{Parts, suspended};
use crate::catalog::ActionDef;
use crate::model::action::By;
use crate::model::operation::{Operation, Reply, ShownCommand};
use crate::model::workflow::Work;
use crate::model::{ActionCall, Device, Facts, Step};
use crate::plan::{Deed, Planner, Suspended, placeholders};
use crate::script::{Host, HostError, ScriptError, SharedHost, StepCondition, shown};
use crate::store::StoreError;

/// Workflows within workflows that are followed. `rmm validate` refuses circles; this is for what was not validated.
const DEEPEST: usize = 8;

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
    let none = |_: &str| None;
    let looking = Looking {
        parts,
        planner: Planner::new(&parts.set, &none),
        suspended: suspended(&parts.set, &parts.store)?,
        started_by,
        known: RefCell::default(),
    };
    looking.steps(steps, trigger, 0)
}

struct Looking<'a> {
    parts: &'a Parts,
    planner: Planner<'a>,
    suspended: Arc<Suspended>,
    started_by: Option<&'a str>,
    known: RefCell<HashMap<String, Certain>>,
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
        for device in &devices {
            let what = self.on(def, call, device)?;
            let text = serde_json::to_string(&what).unwrap_or_default();
            groups.entry(text).or_insert_with(|| Alike { devices: Vec::new(), what }).devices.push(device.name.clone());
        }
        preview.groups = groups.into_values().collect();
        preview.groups.sort_by(|a, b| b.devices.len().cmp(&a.devices.len()).then_with(|| a.devices.cmp(&b.devices)));
        Ok(())
    }

    /// What an action would do on one device, by what is known of it.
    fn on(&self, def: &ActionDef, call: &ActionCall, device: &Device) -> Result<What, StoreError> {
        let facts = Arc::new(self.parts.store.facts(&device.name, None)?);
        let platform = facts.platform().or(device.os);
        if let Some(platform) = platform
            && !def.platforms.is_empty()
            && !def.platforms.contains(&platform)
        {
            return Ok(What::refused(format!("{} does not exist on {platform}", def.name)));
        }
        let held = self.planner.hold(device, &facts, &self.suspended, Deed::of_action(def), self.parts.clock.now());
        let held = held.map(|held| format!("waits now: {}", if held.by == "suspended" { "suspended" } else { &held.reason }));
        if def.by == By::Engine {
            return Ok(What::note(held.unwrap_or_else(|| "done by rmm itself".into())));
        }
        let given = Value::Object(call.with.iter().map(|(name, value)| (name.clone(), value.clone())).collect());
        let given = match self.planner.fill(device, &facts, &given) {
            Ok(given) => given,
            Err(why) => return Ok(What::refused(why)),
        };
        if let Some((pointer, why)) = def.check(&given).into_iter().next() {
            return Ok(What::refused(format!("{} {why}", pointer.trim_start_matches('/'))));
        }
        let mut what = record(def, &device.name, &facts, &placeholders(&given), &mut self.known.borrow_mut());
        if platform.is_none() && what.note.is_none() {
            what.note = Some("the device was never observed: its commands may differ".into());
        }
        if let Some(held) = held {
            what.note = Some(what.note.map_or_else(|| held.clone(), |note| format!("{held}; {note}")));
        }
        Ok(what)
    }
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

/// Commands of one device that are tried with a failure; where a script has more, the rest is not looked at.
const MOST_TRIED: usize = 16;

/// Writes down what a script asks for. It is run again with other answers: up to where that makes a difference its commands are
/// certain.
fn record(def: &ActionDef, device: &str, facts: &Arc<Facts>, parameters: &Value, known: &mut HashMap<String, Certain>) -> What {
    let script = Script { def, device, facts, parameters };
    let (quiet, ended) = script.run(&|_| Reply::default());
    let commands: Vec<ShownCommand> = quiet.iter().map(|operation| shown(operation, &str::to_owned)).collect();
    // Alike for most of a fleet: what was found out of one is so for all that would run the same.
    let key = format!("{} {} {:?}", def.name, serde_json::to_string(&commands).unwrap_or_default(), ended.is_ok());
    let certain = *known.entry(key).or_insert_with(|| script.certain(&quiet, ended.is_ok()));
    match (certain, ended) {
        (Certain::All, Ok(())) => {
            let note = goes_by_answers(def.program.text()) && commands.len() > 1;
            let note = note.then(|| "the commands after the first may differ: the script goes by what the device answers".to_owned());
            What { commands, note, refused: false }
        }
        // Whatever the device answers, it comes to this.
        (Certain::All, Err(error)) => What { commands, note: Some(error.to_string()), refused: true },
        (Certain::First(n), _) => {
            let note = if n == 0 { "depends on what the device answers" } else { "what follows depends on what the device answers" };
            What { commands: commands.into_iter().take(n).collect(), note: Some(note.into()), refused: false }
        }
    }
}

/// Whether a script does something with what a command answers: calls that are more than a statement of their own.
fn goes_by_answers(text: &str) -> bool {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    [".run(", ".try_run(", ".run_input("].iter().any(|call| {
        code.match_indices(call).any(|(at, _)| {
            let before = code[..at].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_').trim_end();
            !before.is_empty() && !before.ends_with([';', '{', '}'])
        })
    })
}

/// How many commands are known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Certain {
    All,
    First(usize),
}

struct Script<'a> {
    def: &'a ActionDef,
    device: &'a str,
    facts: &'a Arc<Facts>,
    parameters: &'a Value,
}

impl Script<'_> {
    /// What it asks for where the n-th command is answered so.
    fn run(&self, answer: &dyn Fn(usize) -> Reply) -> (Vec<Operation>, Result<(), ScriptError>) {
        let replies = (0..=MOST_TRIED).map(answer).collect();
        let asking = Asking { name: self.device.to_owned(), facts: Arc::clone(self.facts), replies, operations: Vec::new() };
        let asked = Arc::new(Mutex::new(asking));
        let host: SharedHost = asked.clone();
        let program = &self.def.program;
        let ended = program.before(&host, self.parameters).and_then(|()| {
            let value = program.run(&host, self.parameters)?;
            program.after(&host, self.parameters, &Ok(value))
        });
        let operations = std::mem::take(&mut asked.lock().unwrap_or_else(PoisonError::into_inner).operations);
        (operations, ended)
    }

    fn certain(&self, quiet: &[Operation], ended_well: bool) -> Certain {
        let talking = Reply { stdout: "?\n".into(), stderr: "?\n".into(), ..Reply::default() };
        let (other, ended) = self.run(&|_| talking.clone());
        let same = quiet.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let mut certain = if same == quiet.len() && same == other.len() && ended.is_ok() == ended_well { None } else { Some(same) };
        for failing in 0..same.min(MOST_TRIED) {
            let failed = Reply { code: 1, ..Reply::default() };
            let (other, ended) = self.run(&|n| if n == failing { failed.clone() } else { Reply::default() });
            let ends = matches!(ended, Err(ScriptError::Host(HostError::Exit { .. }))) && other == quiet[..=failing];
            let goes_on = ended.is_ok() == ended_well && other == quiet;
            if !ends && !goes_on {
                certain = Some(certain.map_or(failing + 1, |n| n.min(failing + 1)));
                break;
            }
        }
        certain.map_or(Certain::All, Certain::First)
    }
}

/// A host that carries out nothing. Past its last reply that one goes on.
struct Asking {
    name: String,
    facts: Arc<Facts>,
    replies: Vec<Reply>,
    operations: Vec<Operation>,
}

impl Host for Asking {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        let reply = self.replies.get(self.operations.len()).or(self.replies.last()).cloned();
        self.operations.push(operation.clone());
        Ok(reply.unwrap_or_default())
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_goes_by_answers_where_a_call_is_more_than_a_statement() {
        for text in
            ["fn run(d, p) {\n    d.run([\"a\"]);\n    if p.x { d.try_run([\"b\"]); } else { d.run([\"c\"]); }\n}", "// x = d.run([])\n"]
        {
            assert!(!goes_by_answers(text), "{text}");
        }
        for text in ["let x = d.run([\"a\"]);", "if d.try_run([\"a\"]).code == 0 { }", "f(d.run_input([\"a\"], \"b\"))"] {
            assert!(goes_by_answers(text), "{text}");
        }
    }
}
