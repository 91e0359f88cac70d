//! Whether an action may be carried out on a device: looked at before anything is begun. The device is not asked, the database is. Called
//! by `act`, and for previews.

use std::sync::Arc;

use serde_json::Value;

use super::Parts;
use super::asked::Allowed;
use super::limits::needs_permission;
use crate::catalog::ActionDef;
use crate::model::action::{ActsOn, By};
use crate::model::plan::Held;
use crate::model::{ActionCall, Device, Facts, Reboot, Risk};
use crate::plan::{Deed, Planner, Suspended};
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
    /// What was taken out of the parameters: results name it as left out.
    pub(super) left: Vec<Value>,
}

/// What looking needs, made ready once for many devices.
pub(super) struct Ready<'a> {
    pub(super) planner: &'a Planner<'a>,
    pub(super) suspended: Arc<Suspended>,
    /// What the product fills in was decided just now.
    pub(super) decided: bool,
}

/// Everything that can be known before the device is asked; the reason where the action must not be carried out. Where it is to
/// be `done` rather than undone, parameters that the product fills in are.
pub(super) fn look(
    parts: &Parts,
    ready: Option<&Ready<'_>>,
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
    let suspended = match ready {
        Some(ready) => Arc::clone(&ready.suspended),
        None => super::suspended(&parts.set, &parts.store)?,
    };
    let guards = parts.set.policies.iter().any(|policy| policy.guards.iter().any(|guard| !guard.allow));
    let given = Value::Object(call.with.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    let none = |_: &str| None;
    let own = (ready.is_none() && (guards || !suspended.all().is_empty() || templated(&given))).then(|| Planner::new(&parts.set, &none));
    let planner = ready.map(|ready| ready.planner).or(own.as_ref());
    let deed = Deed::of_action(def);
    let held = planner.and_then(|planner| planner.hold(device, &facts, &suspended, deed, parts.clock.now()));
    let filled = match planner {
        Some(planner) => planner.fill(device, &facts, &given),
        None => Ok(given),
    };
    let mut given = match filled {
        Ok(given) => given,
        Err(why) => return refused(&why),
    };
    let mut left = Vec::new();
    if done && held.is_none() && !ready.is_some_and(|ready| ready.decided) {
        match super::approved::fill(parts, device, &facts, def, &mut given)? {
            Ok(out) => left = out,
            Err(why) => return refused(&why),
        }
    }
    if let Some((pointer, why)) = def.check(&given).into_iter().next() {
        return refused(format!("{} {why}", pointer.trim_start_matches('/')).trim());
    }
    Ok(Ok(Looked { device: Arc::clone(device), def: Arc::clone(def), facts, given, held, left }))
}

/// Whether a text in it is a template.
pub(super) fn templated(value: &Value) -> bool {
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
