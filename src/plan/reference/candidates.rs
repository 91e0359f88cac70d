//! Values that a setting could have so that what was observed meets it, the most telling first. Whether it does is the planner's word.

use serde_json::{Map, Value, json};

use super::Wanted;
use crate::catalog::{Compare, SettingDef};

/// Members that are a person's or a device's own.
const OWN: [&str; 6] = ["uid", "gid", "comment", "members", "content", "template"];
/// Options of the SSH server that name people, keys or addresses.
const SSH_OWN: [&str; 9] = [
    "allowusers",
    "denyusers",
    "allowgroups",
    "denygroups",
    "listenaddress",
    "hostkey",
    "hostkeyagent",
    "trustedusercakeys",
    "authorizedprincipalsfile",
];
/// Options that a mount has for a reason of safety.
const MOUNT: [&str; 4] = ["nodev", "nosuid", "noexec", "ro"];

/// Settings that no observation can give.
pub(super) fn refused(name: &str) -> Option<&'static str> {
    match name {
        "AuthorizedKeys" => Some("a key belongs to a person"),
        "Hostname" => Some("it is the name of one device"),
        "CronJobs" => Some("a job is only observed by its hash"),
        "LineInFile" | "Limits" => Some("which line is meant cannot be observed"),
        _ => None,
    }
}

/// Why a value must not be taken over unless it is asked for by name.
pub(super) fn not_for_others(def: &SettingDef, wanted: &Wanted, key: Option<&str>, observed: Option<&Value>) -> Option<&'static str> {
    match (&*def.name, observed) {
        // The account `root` is nobody in particular.
        ("RootAccounts", Some(users)) if !wanted.asked && roots(users) != ["root"] => Some("it names users; --include RootAccounts"),
        ("SshdConfig", _) if key.is_some_and(|key| SSH_OWN.contains(&key.to_lowercase().as_str())) => {
            Some("it names people, keys or addresses")
        }
        // What others start has nothing to be kept; of all services those matter that start by themselves, or must not.
        ("Services", Some(service)) if wanted.key.is_none() && !starts_by_itself(service) => Some("it does not start by itself"),
        ("Files", Some(file)) if file.get("type").and_then(Value::as_str) == Some("absent") && model_is_object(wanted) => {
            Some("the file does not exist")
        }
        _ => None,
    }
}

fn starts_by_itself(service: &Value) -> bool {
    matches!(service.get("startup").and_then(Value::as_str), Some("enabled" | "disabled" | "masked"))
}

fn model_is_object(wanted: &Wanted) -> bool {
    wanted.model.as_deref().is_none_or(Value::is_object)
}

/// Candidates. What the baseline asks for is among them.
pub(super) fn of(def: &SettingDef, wanted: &Wanted, observed: Option<&Value>) -> Vec<Value> {
    let model = wanted.model.as_deref();
    let mut all = match (&*def.name, observed) {
        ("RootAccounts", Some(users)) => vec![json!(roots(users))],
        ("ListeningPorts", Some(listeners)) => vec![json!(ports(listeners))],
        ("ForbiddenPackages", Some(Value::Object(installed))) => {
            let names = model.and_then(Value::as_array).into_iter().flatten();
            let gone: Vec<&Value> = names.filter(|name| name.as_str().is_some_and(|name| !installed.contains_key(name))).collect();
            vec![json!(gone)]
        }
        ("MountOptions", Some(mount)) => mounted(mount, model).into_iter().collect(),
        // How many wait today is no rule.
        ("SecurityUpdates", _) => Vec::new(),
        (_, Some(observed)) => by_operator(def, observed, model, wanted.asked),
        // That something is not there is observed too, for a key that was named.
        (_, None) if wanted.asked && wanted.key.is_some() && model.is_none() => choices(&def.value),
        (_, None) => Vec::new(),
    };
    all.extend(model.cloned());
    let mut seen: Vec<Value> = Vec::new();
    all.retain(|value| {
        let new = !seen.contains(value);
        seen.push(value.clone());
        new
    });
    all
}

fn by_operator(def: &SettingDef, observed: &Value, model: Option<&Value>, asked: bool) -> Vec<Value> {
    let text = || observed.as_str().map_or_else(|| observed.to_string(), str::to_owned);
    match def.compare {
        Compare::OneOf => vec![json!([observed])],
        Compare::Matches => vec![json!(regex_lite::escape(&text()))],
        Compare::Version => vec![json!(format!(">={}", text()))],
        Compare::Excludes => Vec::new(),
        Compare::Equals | Compare::AtLeast | Compare::AtMost | Compare::Contains | Compare::SameSet | Compare::Subset | Compare::Script => {
            derive(&def.value, observed, model, asked)
        }
    }
}

/// Values of a schema that could be what was observed. What is a choice of few is only chosen otherwise than in the baseline where
/// that was asked for: that a firewall is off is observed, and no rule for others.
fn derive(schema: &Value, observed: &Value, model: Option<&Value>, asked: bool) -> Vec<Value> {
    if let Some(kinds) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        let (objects, others): (Vec<&Value>, Vec<&Value>) = kinds.iter().partition(|kind| is(kind, "object"));
        let objects = if model.is_none_or(Value::is_object) { objects } else { Vec::new() };
        return objects.into_iter().chain(others).flat_map(|kind| derive(kind, observed, model, asked)).collect();
    }
    if schema.get("const").is_some() || schema.get("enum").is_some() {
        return if asked { choices(schema) } else { Vec::new() };
    }
    if is(schema, "object") {
        return object(schema, observed, model).into_iter().collect();
    }
    // Kernel parameters have one value that runs and one that is configured.
    let observed = observed.get("runtime").unwrap_or(observed);
    match observed {
        Value::Array(list) if is(schema, "array") => vec![Value::Array(list.clone())],
        Value::Number(_) | Value::Bool(_) | Value::String(_) => scalar(observed),
        _ => Vec::new(),
    }
}

/// The fixed values of a schema.
fn choices(schema: &Value) -> Vec<Value> {
    let inner = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array).into_iter().flatten().flat_map(choices);
    let fixed = schema.get("enum").and_then(Value::as_array).into_iter().flatten().cloned();
    schema.get("const").cloned().into_iter().chain(fixed).chain(inner).collect()
}

fn is(schema: &Value, kind: &str) -> bool {
    schema.get("type").and_then(Value::as_str) == Some(kind)
}

/// As it was observed; a number that was observed as text as a number first.
fn scalar(observed: &Value) -> Vec<Value> {
    let number = observed.as_str().and_then(|text| text.parse::<i64>().ok().filter(|number| number.to_string() == text));
    number.map(Value::from).into_iter().chain([observed.clone()]).collect()
}

/// The members that the schema and the observation have in common: those of the baseline, or all that are nobody's own.
fn object(schema: &Value, observed: &Value, model: Option<&Value>) -> Option<Value> {
    let (members, seen) = (schema.get("properties")?.as_object()?, observed.as_object()?);
    let mut out = Map::new();
    for (name, schema) in members {
        let wanted = match model {
            Some(model) => model.get(name).is_some(),
            None => !OWN.contains(&name.as_str()),
        };
        let Some(value) = seen.get(name).filter(|value| wanted && !value.is_null()) else { continue };
        let fixed = choices(schema);
        if !fixed.is_empty() {
            if model.is_none() && fixed.contains(value) {
                out.insert(name.clone(), value.clone());
            }
        } else if value.is_array() == is(schema, "array") && !value.is_object() {
            out.insert(name.clone(), value.clone());
        }
    }
    (!out.is_empty()).then_some(Value::Object(out))
}

/// Accounts with the number 0, sorted.
fn roots(users: &Value) -> Vec<&str> {
    let users = users.as_object().into_iter().flatten();
    let mut names: Vec<&str> = users.filter(|(_, user)| user.get("uid") == Some(&json!(0))).map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Ports that are open to the network.
fn ports(listeners: &Value) -> Vec<String> {
    let mut ports: Vec<String> = Vec::new();
    for listener in listeners.as_array().into_iter().flatten() {
        let text = |name: &str| listener.get(name).and_then(Value::as_str).unwrap_or_default();
        let local = text("address").starts_with("127.") || text("address") == "::1" || text("address").starts_with("::ffff:127.");
        let port = format!("{}/{}", text("protocol"), listener.get("port").unwrap_or(&Value::Null));
        if !local && !ports.contains(&port) {
            ports.push(port);
        }
    }
    ports.sort();
    ports
}

/// Of the options of a mount those that the baseline asks for, or that make it safer.
fn mounted(mount: &Value, model: Option<&Value>) -> Option<Value> {
    let seen = mount.get("options")?.as_array()?;
    let wanted: Vec<&str> = match model.and_then(|model| model.get("options")).and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).collect(),
        None => MOUNT.to_vec(),
    };
    let options: Vec<&str> = wanted.into_iter().filter(|option| seen.iter().any(|s| s == option)).collect();
    (!options.is_empty()).then(|| json!({ "options": options }))
}
