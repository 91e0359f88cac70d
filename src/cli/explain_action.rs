//! The page of an action, and the list of all.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::explain::indent;
use super::style::{Tone, paint};
use super::table::Table;
use crate::catalog::{ActionDef, Catalog};
use crate::model::action::{ActsOn, By};

/// All actions.
pub(super) fn list(catalog: &Catalog) -> Table {
    let mut table = Table::new("rmm.actions/1", &["ACTION", "PLATFORMS", "BY", "RISK", "SUMMARY"]);
    for action in catalog.actions.values() {
        let platforms: Vec<String> = action.platforms.iter().map(ToString::to_string).collect();
        table.push(vec![json!(action.name), json!(platforms), json!(action.by), json!(action.risk), json!(action.summary)]);
    }
    table
}

/// An action for programs.
pub(super) fn value(action: &ActionDef) -> Value {
    json!({
        "schema": "rmm.action/1", "action": action.name, "cmdlet": action.cmdlet(), "summary": action.summary,
        "description": action.description, "platforms": action.platforms, "parameters": action.parameters, "risk": action.risk,
        "reboot": action.reboot, "confirm": action.confirm, "idempotent": action.idempotent, "timeout": action.timeout, "guard": action.guard,
        "role": action.role, "by": action.by, "before": action.program.has("before"), "after": action.program.has("after"),
        "rollback": action.program.has("rollback"),
        "on": action.on, "examples": action.examples, "file": action.file.to_string(),
    })
}

/// An action for people.
pub(super) fn page(action: &ActionDef) -> String {
    let mut out = format!("{}\n{}\n", paint(Tone::Strong, &action.name), action.summary);
    if let Some(description) = &action.description {
        let _ = write!(out, "\n{}\n", description.trim_end());
    }
    let mut row = |name: &str, value: String| {
        let _ = write!(out, "\n  {} {value}", paint(Tone::Dim, format!("{name:10}")));
    };
    let platforms: Vec<String> = action.platforms.iter().map(ToString::to_string).collect();
    row("platforms", if platforms.is_empty() { "all".into() } else { platforms.join(", ") });
    row(
        "acts on",
        match action.on {
            ActsOn::Device => "devices, each by itself".into(),
            ActsOn::Group => "devices, all of them together".into(),
            ActsOn::Nothing => "nothing: it takes no target".into(),
        },
    );
    row("done by", if action.by == By::Engine { "rmm itself".into() } else { "its script, on the device".into() });
    row("risk", format!("{}, reboot {}", action.risk, action.reboot));
    row("confirm", if action.confirm { "asks first: it interrupts somebody".into() } else { "no".into() });
    row(
        "twice",
        if action.idempotent { "as good as once" } else { "not the same as once: receipts on the device see to it that it happens once" }
            .into(),
    );
    if action.by == By::Script {
        row(
            "time",
            action.timeout.map_or_else(|| "connections.command_timeout for each command".into(), |time| format!("{time} for all of it")),
        );
        row("guards", guards(action));
        let hooks: Vec<&str> = ["before", "after"].into_iter().filter(|name| action.program.has(name)).collect();
        if !hooks.is_empty() {
            row("hooks", hooks.join(", "));
        }
        row("undo", if action.program.has("rollback") { "yes: it has a rollback".into() } else { "cannot be undone".into() });
    }
    row("needs", format!("the role {}", action.role));
    row("defined in", action.file.to_string());
    let required = action.parameters["required"].as_array().cloned().unwrap_or_default();
    let parameters: Vec<(&str, String)> =
        action.properties().map(|(name, schema)| (name, words(schema, required.contains(&json!(name))))).collect();
    if parameters.is_empty() {
        out.push_str("\n\nIt takes no parameters.\n");
    } else {
        out.push_str("\n\nParameters:\n");
        let width = parameters.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, words) in parameters {
            let _ = writeln!(out, "  {name:width$}  {words}");
        }
    }
    out.push_str("\nExamples, as steps of a workflow:\n");
    for example in &action.examples {
        let mut step = serde_json::Map::new();
        step.insert("action".into(), action.name.to_string().into());
        if action.on != ActsOn::Nothing {
            step.insert("on".into(), "Pilot".into());
        }
        if example.as_object().is_some_and(|map| !map.is_empty()) {
            step.insert("with".into(), example.clone());
        }
        indent(&mut out, &serde_yaml::to_string(&json!([step])).unwrap_or_default());
    }
    let target = if action.on == ActsOn::Nothing { "" } else { " -Group Pilot" };
    let line: String =
        action.examples.last().and_then(Value::as_object).into_iter().flatten().map(|(name, value)| argument(name, value)).collect();
    let _ = writeln!(out, "\nThe same in the cmdlet spelling:\n  - action: {}{line}{target}", action.cmdlet());
    if let (ActsOn::Device | ActsOn::Group, Some(example)) = (action.on, action.examples.last().and_then(Value::as_object)) {
        let shown: String = example
            .iter()
            .map(|(name, value)| {
                let word = format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
                format!(" -p {}", crate::script::quote(&word))
            })
            .collect();
        let _ = writeln!(out, "\nBy hand:\n  rmm run {} --on Pilot{shown}", action.name);
    }
    out
}

/// The guards that it stands under, by what it does.
fn guards(action: &ActionDef) -> String {
    let deed = crate::plan::Deed::of_action(action);
    let names: Vec<&str> = [(deed.changes, "AllowChanges"), (deed.updates, "AllowUpdates"), (deed.reboots, "AllowReboots")]
        .into_iter()
        .filter_map(|(stands, name)| stands.then_some(name))
        .collect();
    if names.is_empty() { "none: it changes nothing".into() } else { names.join(", ") }
}

/// `-Days 3`, `-Full`, `-Message 'two words'`.
fn argument(name: &str, value: &Value) -> String {
    let mut letters = name.chars();
    let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
    match value {
        Value::Bool(true) => format!(" -{name}"),
        Value::String(text) if text.contains(char::is_whitespace) => format!(" -{name} '{}'", text.replace('\'', "''")),
        Value::String(text) => format!(" -{name} {text}"),
        other => format!(" -{name} {other}"),
    }
}

/// What a parameter takes, in words.
fn words(schema: &Value, required: bool) -> String {
    let mut words = match (&schema["enum"], schema["type"].as_str()) {
        (Value::Array(options), _) => options.iter().map(|option| option.as_str().unwrap_or_default()).collect::<Vec<_>>().join(", "),
        (_, Some("integer")) => "whole number".to_owned(),
        (_, Some("boolean")) => "true or false".to_owned(),
        (_, kind) => kind.map_or("value", |kind| if kind == "string" { "text" } else { kind }).to_owned(),
    };
    if let Some(description) = schema["description"].as_str() {
        let _ = write!(words, ": {description}");
    }
    match &schema["default"] {
        Value::Null if required => words.push_str(" (needed)"),
        Value::Null => {}
        default => {
            let _ = write!(words, " (default {})", default.as_str().map_or_else(|| default.to_string(), str::to_owned));
        }
    }
    words
}
