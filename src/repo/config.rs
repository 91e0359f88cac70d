//! `rmm.toml`, its overlay and the environment, laid over one another; each value remembers where it came from.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::decode::{self, CONFIG};
use super::tree::{Entry, Node, Spot, Tree};
use super::{channels, toml};
use crate::diagnose::Diagnostic;
use crate::model::Config;

/// The configuration and, by dotted key, where each value came from.
pub(super) fn build(
    layers: &[(Arc<str>, Node)],
    environment: &[(String, String)],
    problems: &mut Vec<Diagnostic>,
) -> (Config, BTreeMap<String, String>) {
    let mut origins = BTreeMap::new();
    let mut merged = serde_json::to_value(Config::default()).unwrap_or_default();
    note(&merged, "", &|| "default".to_owned(), &mut origins);
    let before = problems.len();
    for (file, node) in layers {
        let node = &respelt(node);
        if decode::decode::<Config>(&CONFIG, file, node, problems).is_some() {
            overlay(&mut merged, node, "", &|spot| format!("{file}:{}", spot.line), &mut origins);
        }
    }
    for (variable, text) in overrides(environment) {
        match read(variable, text, &merged) {
            Ok(node) => overlay(&mut merged, &node, "", &|_| format!("environment {variable}"), &mut origins),
            Err(problem) => problems.push(*problem),
        }
    }
    let config = Config::deserialize(merged).unwrap_or_default();
    if problems.len() == before {
        untyped(&config, layers, problems);
        channels::check(&config, layers, problems);
    }
    (config, origins)
}

/// Channels that no layer gives a type. An overlay need not repeat it, so this shows only in the end.
fn untyped(config: &Config, layers: &[(Arc<str>, Node)], problems: &mut Vec<Diagnostic>) {
    for (name, _) in config.notifications.channels.iter().filter(|(_, channel)| channel.kind.is_none()) {
        let declared = |node: &Node| node.get("notifications")?.get("channels")?.entry(name).map(|entry| entry.spot);
        let place = layers.iter().find_map(|(file, node)| Some(declared(node)?.of(file)));
        let place = place.unwrap_or_else(|| crate::model::Place::file("environment"));
        let problem = Diagnostic::error("RMM0113", format!("the channel '{}' has no type", name.escape_debug())).at(&place);
        problems.push(problem.advice(
            "say what it is: type = \"email\", \"teams\", \"slack\", \"pagerduty\", \"sms\", \"webhook\", \"eventlog\" or \"syslog\"",
        ));
    }
}

/// `failOn` and `maxPercent` of `[review]` may be written as in the other files of the repository.
fn respelt(node: &Node) -> Node {
    let mut node = node.clone();
    if let Tree::Map(sections) = &mut node.value
        && let Some(review) = sections.iter_mut().find(|section| section.key == "review")
        && let Tree::Map(entries) = &mut review.node.value
    {
        for (written, known) in [("failOn", "fail_on"), ("maxPercent", "max_percent")] {
            if entries.iter().all(|entry| entry.key != known) {
                entries.iter_mut().filter(|entry| entry.key == written).for_each(|entry| known.clone_into(&mut entry.key));
            }
        }
    }
    node
}

/// The variables that override a key: `RMM_SECTION__KEY`. Those without `__` are options of the command line.
pub(super) fn overrides(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = environment
        .iter()
        .filter(|(name, _)| name.strip_prefix("RMM_").is_some_and(|rest| rest.contains("__")))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    found.sort_unstable();
    found
}

/// One variable as a tree of its sections. The value is never shown: it may be a secret.
fn read(variable: &str, text: &str, merged: &Value) -> Result<Node, Box<Diagnostic>> {
    let mut path = Vec::new();
    let mut level = Some(merged);
    for step in variable.trim_start_matches("RMM_").split("__") {
        // Names of channels keep their own spelling; a variable can only spell them in capitals.
        let known =
            level.and_then(Value::as_object).and_then(|map| map.keys().find(|key| key.replace('-', "_").eq_ignore_ascii_case(step)));
        let name = known.cloned().unwrap_or_else(|| step.to_ascii_lowercase());
        level = level.and_then(|value| value.get(&name));
        path.push(name);
    }
    // Whoever starts the program sets its variables: nobody gives a role to himself.
    if path.starts_with(&["security".to_owned(), "roles".to_owned()]) {
        let problem =
            Diagnostic::error("RMM0117", format!("the environment variable {variable} cannot be used: roles stand in rmm.toml alone"));
        return Err(Box::new(problem.advice("take it away; rmm.toml has them at [security] roles")));
    }
    let nest = |value: Tree| {
        path.iter().rev().fold(Node::new(Spot::default(), value), |node, key| {
            Node::new(Spot::default(), Tree::Map(vec![Entry { key: key.clone(), spot: Spot::default(), node }]))
        })
    };
    let file: Arc<str> = "environment".into();
    let mut problems = Vec::new();
    let plain = nest(Tree::Text(text.to_owned()));
    let candidates = toml::value(text).map(&nest).into_iter().chain([plain]);
    for node in candidates {
        let mut found = Vec::new();
        if decode::decode::<Config>(&CONFIG, &file, &node, &mut found).is_some() {
            return Ok(node);
        }
        if problems.is_empty() {
            problems = found;
        }
    }
    let first = problems.into_iter().next();
    let (why, advice) = first.map_or((String::new(), None), |p| (p.message, p.advice));
    let why = if why.starts_with("expected") { why.split(", found").next().unwrap_or_default().to_owned() } else { why };
    let why = if why.starts_with("expected") || why.starts_with("unknown key") { why } else { "the value does not fit".to_owned() };
    let mut problem = Diagnostic::error("RMM0117", format!("the environment variable {variable} cannot be used: {why}"));
    problem.advice = advice.or_else(|| Some("the form is RMM_SECTION__KEY, such as RMM_CONNECTIONS__MAX_CONCURRENT=50".into()));
    Err(Box::new(problem))
}

/// Lays a tree over a value: maps are merged, everything else is replaced.
fn overlay(base: &mut Value, node: &Node, path: &str, origin: &dyn Fn(Spot) -> String, origins: &mut BTreeMap<String, String>) {
    // An empty table is one too.
    if !base.is_object() {
        *base = Value::Object(Map::new());
    }
    for entry in node.entries() {
        let dotted = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        let Some(map) = base.as_object_mut() else { return };
        let slot = map.entry(entry.key.clone()).or_insert(Value::Null);
        if matches!(entry.node.value, Tree::Map(_)) {
            overlay(slot, &entry.node, &dotted, origin, origins);
        } else {
            *slot = entry.node.to_json();
            origins.insert(dotted, origin(entry.spot));
        }
    }
}

fn note(value: &Value, path: &str, origin: &dyn Fn() -> String, origins: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                note(value, &if path.is_empty() { key.clone() } else { format!("{path}.{key}") }, origin, origins);
            }
        }
        _ => {
            origins.insert(path.to_owned(), origin());
        }
    }
}
