//! One catalogued action on one device, with nobody at hand to be asked: what a threshold or a monitor wants done.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::host::LiveHost;
use super::limits::needs_permission;
use crate::model::ActionCall;
use crate::plan::{Planner, holds_secret, resolved};
use crate::script::SharedHost;
use crate::store::{AuditEvent, Owner, StoreError};

/// How long the device is held at most without a sign of life.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::minutes(15);
/// Most characters of a result.
const MOST: usize = 500;

/// Carries an action out. Says in a few words what came of it: done, refused, or failed, and why. Everything that was tried
/// is in the audit.
pub async fn act(parts: &Parts, device: &str, call: &ActionCall, because: &str, cancel: &CancellationToken) -> Result<String, StoreError> {
    let outcome = attempt(parts, device, call, cancel).await?;
    let (success, text) = match &outcome {
        Ok(text) => (true, text.clone()),
        Err(text) => (false, text.clone()),
    };
    let text: String = parts.redactor.redact(&text).chars().filter(|c| !c.is_control()).take(MOST).collect();
    let names: Vec<&String> = call.with.keys().collect();
    parts.store.audit(&AuditEvent {
        at: parts.clock.now(),
        user: Some(parts.actor.user.clone()),
        action: "action.run".into(),
        target: Some(device.to_owned()),
        details: json!({ "action": call.action, "parameters": names, "because": because, "result": text }),
        ip: Some(parts.actor.from.clone()),
        success,
    })?;
    if success {
        tracing::info!(device, action = &*call.action, because, "action done: {text}");
    } else {
        tracing::warn!(device, action = &*call.action, because, "action: {text}");
    }
    Ok(text)
}

async fn attempt(parts: &Parts, name: &str, call: &ActionCall, cancel: &CancellationToken) -> Result<Result<String, String>, StoreError> {
    let refused = |why: &str| Ok(Err(format!("{} was refused: {why}", call.action)));
    let Some(device) = parts.set.devices.get(name) else { return refused("the device is not declared") };
    let Some(def) = parts.set.catalog.actions.get(&call.action) else { return refused("there is no such action") };
    let daemon = &parts.set.config.daemon;
    let permitted = !needs_permission(def.risk, def.reboot)
        || (def.risk != crate::model::Risk::Destructive || daemon.allow_destructive)
            && (def.reboot != crate::model::Reboot::Always || daemon.allow_reboots);
    if def.confirm || !permitted {
        return refused("it interrupts people, destroys data or restarts the device, and nobody was asked");
    }
    // Read before the device is leased: an error leaves nothing behind.
    let facts = Arc::new(parts.store.facts(name, None)?);
    let suspended = super::suspended(&parts.set, &parts.store)?;
    if !suspended.all().is_empty() {
        let none = |_: &str| None;
        let groups: Vec<String> = Planner::new(&parts.set, &none).membership(device, &facts).groups.into_iter().collect();
        if suspended.of_device(name, &groups).is_some() {
            return refused("the device is suspended");
        }
    }
    let given = Value::Object(call.with.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    let parameters = if holds_secret(&given) {
        let lookup = |name: &str| {
            use crate::access::Secrets as _;
            parts.secrets.resolve(name).ok().map(|s| secrecy::ExposeSecret::expose_secret(&s).to_owned())
        };
        match resolved(&given, &lookup) {
            Ok(value) => value,
            Err(_) => return refused("a secret that it needs is not known"),
        }
    } else {
        given
    };
    let owner = Owner::this_process();
    let run = format!("action {}", call.action);
    match parts.store.lease_device(name, &run, &owner, LEASE) {
        Ok(()) => {}
        Err(StoreError::Leased { run, .. }) => return refused(&format!("run {run} is at work on the device")),
        Err(error) => return Err(error),
    }
    let target = super::survey::target(&parts.set, device);
    let worked = match parts.sessions.open(&target, cancel).await {
        Err(error) => Err(format!("{} was not begun: {error}", call.action)),
        Ok(session) => {
            let host = LiveHost::new(name.to_owned(), session, facts, cancel.clone(), parts.redactor.clone());
            let host: SharedHost = Arc::new(Mutex::new(host));
            let program = def.program.clone();
            let done = tokio::task::spawn_blocking(move || program.run(&host, &parameters)).await;
            match done {
                Ok(Ok(Value::Null)) => Ok(format!("{} was carried out", call.action)),
                Ok(Ok(value)) => Ok(format!("{} was carried out: {value}", call.action)),
                Ok(Err(error)) => Err(format!("{} failed: {error}", call.action)),
                Err(_) => Err(format!("{} ended early", call.action)),
            }
        }
    };
    parts.store.release_all(&owner)?;
    Ok(worked)
}
