//! Whether an action may be carried out on a device, and what it would do there: looked at before anything is begun. The device
//! is not asked, the database is. Called by `act`, and by the faces for a preview.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::Parts;
use super::asked::{Allowed, Ask, Part};
use super::engine_actions::{Errand, engine_action};
use super::limits::needs_permission;
use crate::catalog::ActionDef;
use crate::model::action::{ActsOn, By};
use crate::model::operation::ShownCommand;
use crate::model::plan::Held;
use crate::model::{ActionCall, Device, Facts, Reboot, Risk};
use crate::plan::{Deed, Planner, placeholders};
use crate::script::{Recorder, SharedHost};
use crate::store::StoreError;

/// What was looked at.
pub(super) struct Looked {
    pub(super) device: Arc<Device>,
    pub(super) def: Arc<ActionDef>,
    pub(super) facts: Arc<Facts>,
    /// The parameters, templates filled in, checked; secrets are references.
    pub(super) given: Value,
    /// What stands in the way now.
    pub(super) held: Option<Held>,
}

/// What an action would do on a device.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preview {
    /// The commands, as far as they can be told without carrying one out.
    pub commands: Vec<ShownCommand>,
    /// Why it would not be carried out at all, or why its commands cannot be told.
    pub refused: Option<String>,
    /// What stands in the way now.
    pub held: Option<Held>,
}

/// What an action would do on a device: its script is run with a host that only writes down what it is asked.
pub fn preview(parts: &Parts, ask: &Ask<'_>) -> Result<Preview, StoreError> {
    let Looked { device, def, facts, given, held } = match look(parts, ask.device, ask.call, ask.allowed, ask.part == Part::Run)? {
        Ok(looked) => looked,
        Err(why) => return Ok(Preview { refused: Some(why), ..Preview::default() }),
    };
    if let Some(action) = engine_action(&def.name).filter(|_| def.by == By::Engine) {
        let (devices, params) = ([device], placeholders(&given));
        let lines = action.preview(&Errand::of(parts, ask, &devices, &params)).into_iter();
        let commands = lines.map(|line| ShownCommand { line, input_bytes: None }).collect();
        let refused = (ask.part != Part::Run).then(|| "it cannot be undone".to_owned());
        return Ok(Preview { commands, refused, held });
    }
    let recorder = Arc::new(Mutex::new(Recorder::new(device.name.as_str(), facts)));
    let host: SharedHost = recorder.clone();
    let parameters = placeholders(&given);
    let done = match &ask.part {
        Part::Rollback { result } => def.program.undo(&host, &parameters, result).map(drop),
        Part::Run => super::act::script(&def.program, &host, &parameters, &Part::Run).map(drop),
    };
    let recorder = recorder.lock().unwrap_or_else(PoisonError::into_inner);
    // Secrets stand in the values as `(secret NAME)` already.
    let commands: Vec<ShownCommand> = recorder.operations.iter().map(|operation| crate::script::shown(operation, &str::to_owned)).collect();
    // A script that goes by what its commands answer cannot be followed further than to the first that matters.
    let refused = done.err().filter(|_| commands.is_empty()).map(|error| error.to_string());
    Ok(Preview { commands, refused, held })
}

/// Everything that can be known before the device is asked; the reason where the action must not be carried out. Where it is to
/// be `done` rather than undone, parameters that the product fills in are.
pub(super) fn look(
    parts: &Parts,
    name: &str,
    call: &ActionCall,
    allowed: Allowed,
    done: bool,
) -> Result<Result<Looked, String>, StoreError> {
    let refused = |why: &str| Ok(Err(why.to_owned()));
    let Some(device) = parts.set.devices.get(name) else { return refused("the device is not declared") };
    let Some(def) = parts.set.catalog.actions.get(&call.action) else { return refused("there is no such action") };
    if def.by == By::Engine && def.on == ActsOn::Nothing {
        return refused("it is about no device: a workflow can have it as a step");
    }
    if let Some(why) = forbidden(parts, def, allowed) {
        return refused(why);
    }
    let facts = Arc::new(parts.store.facts(name, None)?);
    if let Some(platform) = facts.platform().or(device.os)
        && !def.platforms.is_empty()
        && !def.platforms.contains(&platform)
    {
        return refused(&format!("it does not exist on {platform}"));
    }
    // Selectors are made ready only where there is something to ask them.
    let suspended = super::suspended(&parts.set, &parts.store)?;
    let guards = parts.set.policies.iter().any(|policy| policy.guards.iter().any(|guard| !guard.allow));
    let given = Value::Object(call.with.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    let none = |_: &str| None;
    let planner = (guards || !suspended.all().is_empty() || templated(&given)).then(|| Planner::new(&parts.set, &none));
    let deed = Deed::of_action(def);
    let held = planner.as_ref().and_then(|planner| planner.hold(device, &facts, &suspended, deed, parts.clock.now()));
    let filled = match &planner {
        Some(planner) => planner.fill(device, &facts, &given),
        None => Ok(given),
    };
    let mut given = match filled {
        Ok(given) => given,
        Err(why) => return refused(&why),
    };
    if done
        && held.is_none()
        && let Err(why) = super::approved::fill(parts, device, &facts, def, &mut given)?
    {
        return refused(&why);
    }
    if let Some((pointer, why)) = def.check(&given).into_iter().next() {
        return refused(format!("{} {why}", pointer.trim_start_matches('/')).trim());
    }
    Ok(Ok(Looked { device: Arc::clone(device), def: Arc::clone(def), facts, given, held }))
}

fn templated(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(list) => list.iter().any(templated),
        Value::Object(map) => map.values().any(templated),
        _ => false,
    }
}

/// Why an action must not be carried out, whatever the device.
pub(super) fn forbidden(parts: &Parts, def: &ActionDef, allowed: Allowed) -> Option<&'static str> {
    let daemon = &parts.set.config.daemon;
    let destroys = def.risk == Risk::Destructive && !daemon.allow_destructive;
    let restarts = def.reboot == Reboot::Always && !daemon.allow_reboots;
    match allowed {
        Allowed::Unattended if def.confirm || needs_permission(def.risk, def.reboot) && (destroys || restarts) => {
            Some("it interrupts people, destroys data or restarts the device, and nobody was asked")
        }
        Allowed::Workflow if destroys => Some("it destroys data, and daemon.allow_destructive does not allow that"),
        _ => None,
    }
}
