//! What an action would do on devices as things stand now: the commands that each of them would get. Nothing is written, and no device
//! is asked. What only shows once it runs is said to be unknown. Called for `rmm run --dry-run` and for previews of workflows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::Parts;
use super::approved::filled;
use super::asked::{Allowed, Ask};
use super::engine_actions::{Errand, engine_action};
use super::permit::{Looked, Ready, look};
use crate::catalog::ActionDef;
use crate::model::action::By;
use crate::model::operation::{Operation, Reply, ShownCommand};
use crate::model::plan::Held;
use crate::model::{ActionCall, Device, Facts};
use crate::plan::{Planner, placeholders};
use crate::script::{Host, HostError, ScriptError, SharedHost, shown};
use crate::store::StoreError;

/// What an action would do on a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// The commands, as far as they can be told without carrying one out.
    pub commands: Vec<ShownCommand>,
    /// What cannot be known before.
    pub note: Option<String>,
    /// Why it would not be carried out.
    pub refused: Option<String>,
    /// What stands in the way now.
    pub held: Option<Held>,
}

/// What an action would do on each of these devices, in their order.
pub fn previews(parts: &Parts, devices: &[Arc<Device>], call: &ActionCall, allowed: Allowed) -> Result<Vec<Preview>, StoreError> {
    let none = |_: &str| None;
    // As a step that begins now has it decided.
    let filled = filled(parts, devices, call)?;
    let suspended = super::suspended(&parts.set, &parts.store)?;
    let ready = Ready { planner: &Planner::new(&parts.set, &none), suspended, decided: filled.is_some() };
    let mut known = HashMap::new();
    let mut all = Vec::with_capacity(devices.len());
    for device in devices {
        let mut call = call.clone();
        let refused = match filled.as_ref().map(|filled| filled.of(&device.name)) {
            None => None,
            Some((parameter, Ok(value))) => {
                call.with.insert(parameter.to_owned(), value);
                None
            }
            Some((_, Err(why))) => Some(why),
        };
        let ask = Ask { allowed, ..Ask::unattended(&device.name, &call, "a preview") };
        all.push(match refused {
            Some(why) => Preview { refused: Some(why), ..Preview::default() },
            None => preview(parts, &ask, &ready, &mut known)?,
        });
    }
    Ok(all)
}

fn preview(parts: &Parts, ask: &Ask<'_>, ready: &Ready<'_>, known: &mut HashMap<String, Certain>) -> Result<Preview, StoreError> {
    let Looked { device, def, facts, given, held, .. } = match look(parts, Some(ready), ask.device, ask.call, ask.allowed, true)? {
        Ok(looked) => looked,
        Err(why) => return Ok(Preview { refused: Some(why), ..Preview::default() }),
    };
    if let Some(action) = engine_action(&def.name).filter(|_| def.by == By::Engine) {
        let (devices, params) = ([device], placeholders(&given));
        let lines = action.preview(&Errand::of(parts, ask, &devices, &params)).into_iter();
        let commands = lines.map(|line| ShownCommand { line, input_bytes: None }).collect();
        return Ok(Preview { commands, held, ..Preview::default() });
    }
    // Secrets stand in the values as `(secret NAME)`.
    let mut seen = record(&def, &device.name, &facts.with_platform(device.os), &placeholders(&given), known);
    if facts.platform().or(device.os).is_none() && seen.note.is_none() {
        seen.note = Some("the device was never observed: its commands may differ".into());
    }
    Ok(Preview { held, ..seen })
}

/// Commands of one device that are tried with a failure; where a script has more, the rest is not looked at.
const MOST_TRIED: usize = 16;

/// Writes down what a script asks for. It is run again with other answers: up to where that makes a difference its commands are
/// certain.
fn record(def: &ActionDef, device: &str, facts: &Arc<Facts>, parameters: &Value, known: &mut HashMap<String, Certain>) -> Preview {
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
            Preview { commands, note, ..Preview::default() }
        }
        // Whatever the device answers, it comes to this.
        (Certain::All, Err(error)) => Preview { commands, refused: Some(error.to_string()), ..Preview::default() },
        (Certain::First(n), _) => {
            let note = if n == 0 { "depends on what the device answers" } else { "what follows depends on what the device answers" };
            Preview { commands: commands.into_iter().take(n).collect(), note: Some(note.into()), ..Preview::default() }
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
