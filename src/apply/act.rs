//! One catalogued action on one device: permitted, not held back, the device leased; then its script. Everything that was tried
//! is in the audit. Called for workflows and the queue of jobs, by `rmm run`, and for what thresholds and monitors want done.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::asked::{Acted, Allowed, Ask, End, Part};
use super::blocking::{self, blocking};
use super::engine_actions::{EngineAction, Errand, Leasing, engine_action};
use super::host::{Doing, LiveHost};
use super::once::Receipts;
use super::permit::{Looked, look};
use super::revealed::{Revealed, revealed};
use crate::catalog::ActionDef;
use crate::diagnose::{Category, Diagnose as _};
use crate::model::action::By;
use crate::model::{ActionCall, Device, Facts, Wiped};
use crate::plan::{holds_secret, placeholders};
use crate::script::{HostError, Program, ScriptError, SharedHost};
use crate::store::{AuditEvent, Owner, StoreError};
use crate::transport::{Session, TransportError};

/// How long the device is held at most without a sign of life, and how often one is given.
const LEASE: chrono::TimeDelta = chrono::TimeDelta::minutes(15);
const BEAT: Duration = Duration::from_mins(5);
/// Most characters of a message.
const MOST: usize = 500;

/// Carries an action out.
pub async fn act(parts: &Parts, ask: &Ask<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
    let acted = attempt(parts, ask, cancel).await?;
    recorded(parts, ask, acted).await
}

/// What came of it without secrets, told in the log and remembered in the audit.
pub(super) async fn recorded(parts: &Parts, ask: &Ask<'_>, mut acted: Acted) -> Result<Acted, StoreError> {
    acted.message = parts.redactor.redact(&acted.message).chars().filter(|c| !c.is_control()).take(MOST).collect();
    acted.value = redacted(parts, acted.value);
    let (device, action, text, end) = (ask.device, &ask.call.action, &acted.message, acted.end);
    let given = Value::Object(ask.call.with.iter().map(|(name, value)| (name.clone(), placeholders(value))).collect());
    let mut details = json!({
        "action": action, "parameters": redacted(parts, given), "because": ask.because, "result": text, "end": end,
        "commands": acted.ran.len(),
    });
    if let Part::Rollback { .. } = ask.part {
        details["rollback"] = true.into();
    }
    let event = AuditEvent {
        at: parts.clock.now(),
        user: Some(parts.actor.user.clone()),
        action: "action.run".into(),
        target: Some(device.to_owned()).filter(|device| !device.is_empty()),
        details,
        ip: Some(parts.actor.from.clone()),
        success: end == End::Done,
    };
    let store = parts.store.clone();
    blocking(move || store.audit(&event)).await?;
    let because = ask.because;
    if end == End::Done {
        tracing::info!(device, action = &**action, because, "action done: {text}");
    } else {
        tracing::warn!(device, action = &**action, because, %end, "action: {text}");
    }
    Ok(acted)
}

/// Every text of a value without the secrets that are known.
fn redacted(parts: &Parts, value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(parts.redactor.redact(&text).into_owned()),
        Value::Array(list) => list.into_iter().map(|v| redacted(parts, v)).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (parts.redactor.redact(&k).into_owned(), redacted(parts, v))).collect(),
        other => other,
    }
}

/// What carrying out needs.
struct Ready {
    device: Arc<Device>,
    def: Arc<ActionDef>,
    facts: Arc<Facts>,
    parameters: Wiped,
    /// The values of the secrets among the parameters.
    secrets: Vec<SecretString>,
    /// What was taken out of the parameters.
    left: Vec<Value>,
}

async fn attempt(parts: &Parts, ask: &Ask<'_>, cancel: &CancellationToken) -> Result<Acted, StoreError> {
    // Read before the device is leased: an error leaves nothing behind.
    let (of, device, call, allowed) = (parts.clone(), ask.device.to_owned(), ask.call.clone(), ask.allowed);
    let done = ask.part == Part::Run;
    let ready = match blocking(move || ready(&of, &device, &call, (allowed, done))).await? {
        Ok(ready) => ready,
        Err(refused) => return Ok(*refused),
    };
    let engine = engine_action(&ready.def.name).filter(|_| ready.def.by == By::Engine);
    if engine.is_some() && ask.part != Part::Run {
        return Ok(Acted::refused(&ask.call.action, "it cannot be undone"));
    }
    if let Some(action) = engine
        && (ask.leased || action.leasing() != Leasing::Wanted)
    {
        return by_engine(parts, ask, action, &ready, cancel).await;
    }
    if ask.leased {
        return carry_out(parts, ask, ready, cancel).await;
    }
    let owner = Owner::this_process();
    let run = format!("action {}", ask.call.action);
    let (store, device, of) = (parts.store.clone(), ask.device.to_owned(), owner.clone());
    match blocking(move || store.lease_device(&device, &run, &of, LEASE)).await {
        Ok(()) => {}
        Err(StoreError::Leased { run, .. }) => {
            let refused = Acted::refused(&ask.call.action, &format!("run {run} is at work on the device"));
            return Ok(Acted { end: End::Busy, category: Category::Transient, ..refused });
        }
        Err(error) => return Err(error),
    }
    let work = async {
        match engine {
            Some(action) => by_engine(parts, ask, action, &ready, cancel).await,
            None => carry_out(parts, ask, ready, cancel).await,
        }
    };
    tokio::pin!(work);
    let acted = loop {
        tokio::select! {
            acted = &mut work => break acted,
            () = tokio::time::sleep(BEAT) => {
                let (store, of) = (parts.store.clone(), owner.clone());
                blocking(move || store.heartbeat(&of, LEASE)).await?;
            }
        }
    };
    let store = parts.store.clone();
    blocking(move || store.release_all(&owner)).await?;
    acted
}

/// What the product carries out itself.
async fn by_engine(
    parts: &Parts,
    ask: &Ask<'_>,
    action: &dyn EngineAction,
    ready: &Ready,
    cancel: &CancellationToken,
) -> Result<Acted, StoreError> {
    let devices = [Arc::clone(&ready.device)];
    let errand = Errand::of(parts, ask, &devices, &ready.parameters);
    errand.within(action, ready.def.timeout, ask, cancel).await
}

/// Everything that is looked at before the device is.
fn ready(parts: &Parts, name: &str, call: &ActionCall, (allowed, done): (Allowed, bool)) -> Result<Result<Ready, Box<Acted>>, StoreError> {
    let action = &*call.action;
    let refused = |why: &str| Ok(Err(Box::new(Acted::refused(action, why))));
    let Looked { device, def, facts, given, held, left } = match look(parts, None, name, call, allowed, done)? {
        Ok(looked) => looked,
        Err(why) => return refused(&why),
    };
    if let Some(held) = held {
        let why = if held.by == "suspended" { "the device is suspended" } else { &format!("held: {}", held.reason) };
        let refused = Acted::refused(action, why);
        return Ok(Err(Box::new(Acted { held: Some(held), category: Category::Transient, ..refused })));
    }
    let (parameters, secrets) = match parameters(parts, &def, given) {
        Ok(known) => known,
        Err(why) => return refused(&why),
    };
    Ok(Ok(Ready { device, def, facts, parameters, secrets, left }))
}

/// Parameters with their secrets resolved, and the values of those.
pub(super) fn parameters(parts: &Parts, def: &ActionDef, given: Value) -> Result<Revealed, String> {
    if !holds_secret(&given) {
        return Ok((Wiped::new(given), Vec::new()));
    }
    match revealed(&parts.secrets, &given) {
        // The words of the check could quote the secret.
        Ok((value, _)) if !def.check(&value).is_empty() => Err("a secret holds a value that it does not take".into()),
        Ok(known) => Ok(known),
        Err(_) => Err("a secret that it needs is not known".into()),
    }
}

async fn carry_out(parts: &Parts, ask: &Ask<'_>, ready: Ready, cancel: &CancellationToken) -> Result<Acted, StoreError> {
    let target = super::survey::target(&parts.set, &ready.device);
    match parts.sessions.open(&target, cancel).await {
        Err(error) => Ok(unopened(ask, &error)),
        Ok(session) => {
            let def = Arc::clone(&ready.def);
            let facts = super::refreshed::looked(parts, ask.device, ready.facts, session.as_ref(), cancel).await?;
            let ready = Ready { facts, ..ready };
            let acted = perform(parts, ask, ready, Arc::clone(&session), cancel).await;
            super::refreshed::refresh(parts, ask, &def, session.as_ref(), &acted, cancel).await?;
            Ok(acted)
        }
    }
}

fn unopened(ask: &Ask<'_>, error: &TransportError) -> Acted {
    let end = match error.category() {
        _ if *error == TransportError::Cancelled => End::Cancelled,
        Category::Device | Category::Transient => End::Unreachable,
        _ => End::Failed,
    };
    Acted::new(end, error.category(), format!("{} was not begun: {error}", ask.call.action))
}

async fn perform(parts: &Parts, ask: &Ask<'_>, ready: Ready, session: Arc<dyn Session>, cancel: &CancellationToken) -> Acted {
    let Ready { device, def, facts, parameters, secrets, left } = ready;
    let limit = ask.timeout.or(def.timeout.map(crate::time::Span::duration));
    let receipts = ask.once.filter(|_| !def.idempotent).map(|key| {
        Receipts::new(&match ask.part {
            Part::Run => key.to_owned(),
            Part::Rollback { .. } => format!("{key}.rollback"),
        })
    });
    let lasting = receipts.is_some();
    let doing = Doing {
        deadline: limit.and_then(|limit| Instant::now().checked_add(limit)),
        each: parts.set.config.connections.command_timeout.duration(),
        receipts,
        ran: Vec::new(),
    };
    let facts = facts.with_platform(device.os);
    let host = LiveHost::new(device.name.clone(), session, facts, cancel.clone(), parts.redactor.clone());
    let host = host.with_secrets(secrets).with_doing(doing);
    let live = Arc::new(Mutex::new(host));
    let host: SharedHost = live.clone();
    let (program, part) = (def.program.clone(), ask.part.clone());
    let done = blocking::script(move || script(&program, &host, &parameters, &part)).await;
    let ran = live.lock().unwrap_or_else(PoisonError::into_inner).take_ran();
    let acted = match done {
        Some(Ok(value)) => {
            let value = with_left(value, left);
            // Redacted before it is written as JSON: a secret that holds a quote looks different afterwards.
            let shown = if value.is_null() { String::new() } else { format!(": {}", redacted(parts, value.clone())) };
            let what = if ask.part == Part::Run { "was carried out" } else { "was undone" };
            Acted { value, ..Acted::new(End::Done, Category::Transient, format!("{} {what}{shown}", ask.call.action)) }
        }
        Some(Err(error)) => failed(ask, &def, lasting, ran.len(), &error),
        None => Acted::new(End::Failed, Category::Configuration, format!("{} ended early", ask.call.action)),
    };
    Acted { ran, ..acted }
}

/// A result that names what was left out before the script began too.
fn with_left(mut value: Value, left: Vec<Value>) -> Value {
    if left.is_empty() {
        return value;
    }
    if value.is_null() {
        value = json!({});
    }
    if let Some(members) = value.as_object_mut() {
        match members.get_mut("left").and_then(Value::as_array_mut) {
            Some(list) => list.extend(left),
            None => drop(members.insert("left".to_owned(), left.into())),
        }
    }
    value
}

/// How it ended where the script did not come to its end. `ran` commands were asked for, the last one without success.
fn failed(ask: &Ask<'_>, def: &ActionDef, lasting: bool, ran: usize, error: &ScriptError) -> Acted {
    // Without receipts nobody can go on where it was.
    let lost = !lasting && !def.idempotent;
    let end = match error {
        ScriptError::Host(HostError::Transport { code, .. }) => match *code {
            "RMM0405" => End::TimedOut,
            "RMM0409" => End::Cancelled,
            "RMM0720" => End::Interrupted,
            // Nobody can tell whether a command that was sent has run.
            "RMM0408" if ran > 0 && lost => End::Interrupted,
            // Behind a share it shows only here that a device is away. This command has certainly not begun, but those before it have.
            "RMM0401" | "RMM0440" | "RMM0441" if ran > 1 && lost => End::Interrupted,
            "RMM0401" | "RMM0408" | "RMM0440" | "RMM0441" => End::Unreachable,
            _ => End::Failed,
        },
        _ => End::Failed,
    };
    Acted::new(end, error.category(), format!("{} failed: {error}", ask.call.action))
}

/// The functions of the script, one after another.
pub(super) fn script(program: &Program, host: &SharedHost, parameters: &Value, part: &Part) -> Result<Value, ScriptError> {
    if let Part::Rollback { result } = part {
        return program.undo(host, parameters, result);
    }
    program.before(host, parameters)?;
    let result = program.run(host, parameters);
    // Where the device is out of reach, or the time is over, nothing further can be asked of it.
    if !matches!(result, Err(ScriptError::Host(HostError::Transport { .. }))) {
        let told = result.clone().map_err(|error| error.to_string());
        let after = program.after(host, parameters, &told);
        // What went wrong first is what is told.
        return result.and_then(|value| after.map(|()| value));
    }
    result
}
