//! One expectation against one verdict: whether it is met, and how they differ where it is not.

use serde_json::Value;

use crate::model::plan::{Change, State};
use crate::model::policy_test::{Entry, Expect, Expected};

/// The setting that an expectation is about, `Services.sshd`.
pub(super) fn name(expected: &Expected) -> String {
    let (label, key) = expected.label();
    crate::model::policy::label(label, key)
}

/// Whether a verdict is about the setting of an expectation.
fn about(expected: &Expected, change: &Change) -> bool {
    match expected.label() {
        (setting, Some(key)) => &*change.setting == setting && change.key.as_deref() == Some(key),
        (label, None) => &*change.setting == label || change.label() == label,
    }
}

/// Whether a verdict is what is expected.
pub(super) fn meets(expected: &Expected, change: &Change, state: State) -> bool {
    change.state == state && about(expected, change) && expected.entry().is_none_or(|entry| members(entry, change).is_empty())
}

/// The members in which a verdict differs: name, expected, found.
fn members(entry: &Entry, change: &Change) -> Vec<(&'static str, String, String)> {
    let mut wrong = Vec::new();
    let mut check = |name, holds: bool, expected: String, found: String| {
        if !holds {
            wrong.push((name, expected, found));
        }
    };
    if let Some(from) = &entry.from {
        check("from", says(from, &change.observed, &change.from), shown(from), found(from, &change.observed, &change.from));
    }
    if let Some(to) = &entry.to {
        let desired = crate::plan::placeholders(&change.desired);
        check("to", says(to, &desired, &change.to), shown(to), found(to, &desired, &change.to));
    }
    if let Some(policy) = &entry.policy {
        check("policy", *policy == *change.policy, policy.clone(), change.policy.to_string());
    }
    if let Some(by) = &entry.by {
        let held = change.held.as_ref().map_or("nothing", |held| held.by.as_str());
        check("by", held == by, by.clone(), held.to_owned());
    }
    if let Some(reason) = &entry.reason {
        let said = change.held.as_ref().map(|held| held.reason.as_str()).or(change.reason.as_deref()).unwrap_or_default();
        check("reason", said.contains(reason.as_str()), reason.clone(), if said.is_empty() { "none".into() } else { said.to_owned() });
    }
    if let Some(severity) = entry.severity {
        check("severity", severity == change.severity, severity.to_string(), change.severity.to_string());
    }
    if let Some(risk) = entry.risk {
        check("risk", risk == change.risk, risk.to_string(), change.risk.to_string());
    }
    if let Some(reboot) = entry.reboot {
        check("reboot", reboot == change.reboot, reboot.to_string(), change.reboot.to_string());
    }
    if !entry.commands.is_empty() {
        let lines: Vec<&str> = change.commands.iter().map(|command| command.line.as_str()).collect();
        let mut left = lines.iter();
        let holds = entry.commands.iter().all(|wanted| left.any(|line| line.contains(wanted.as_str())));
        let said = if lines.is_empty() { "none".to_owned() } else { lines.join("\n") };
        check("commands", holds, entry.commands.join("\n"), said);
    }
    wrong
}

/// Whether a value, or the text that the plan shows for it, is the expected one. Of a map only the given members count.
fn says(expected: &Value, value: &Value, text: &str) -> bool {
    match expected {
        Value::String(wanted) => wanted == text || value.as_str() == Some(wanted),
        Value::Bool(_) | Value::Number(_) => part_of(expected, value) || text == expected.to_string().as_str(),
        _ => part_of(expected, value),
    }
}

fn part_of(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().all(|(key, wanted)| part_of(wanted, found.get(key).unwrap_or(&Value::Null)))
        }
        (Value::Array(wanted), Value::Array(found)) => wanted.len() == found.len() && wanted.iter().zip(found).all(|(w, f)| part_of(w, f)),
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        _ => expected == value,
    }
}

/// An expected value as it stands in a difference.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "nothing".into(),
        other => other.to_string(),
    }
}

/// What was found, in the form in which it was asked for: a value where a map or list was expected, else the shown text.
fn found(expected: &Value, value: &Value, text: &str) -> String {
    if expected.is_object() || expected.is_array() { value.to_string() } else { text.to_owned() }
}

/// How the plan differs from an expectation that no verdict meets: expected lines, actual lines.
pub(super) fn difference(expected: &Expected, state: State, changes: &[Change]) -> (Vec<String>, Vec<String>) {
    let nearest = changes
        .iter()
        .filter(|change| change.state == state && about(expected, change))
        .map(|change| (expected.entry().map(|entry| members(entry, change)).unwrap_or_default(), change))
        .min_by_key(|(wrong, _)| wrong.len());
    if let Some((wrong, change)) = nearest {
        // Where the expectation names no key, the reader wants to know which one was looked at.
        let about = if change.label() == name(expected) { String::new() } else { format!("{} ", change.label()) };
        let lines = |name: &str, text: &str| text.lines().map(|line| format!("{about}{name}: {line}")).collect::<Vec<_>>();
        let (mut wanted, mut said) = (Vec::new(), Vec::new());
        for (name, expected, found) in &wrong {
            wanted.extend(lines(name, expected));
            said.extend(lines(name, found));
        }
        return (wanted, said);
    }
    let actual: Vec<String> = changes.iter().filter(|change| about(expected, change)).map(line).collect();
    let none = || vec!["no policy that is for this device sets it".to_owned()];
    (vec![wanted(expected, state)], if actual.is_empty() { none() } else { actual })
}

/// An expectation on one line.
fn wanted(expected: &Expected, state: State) -> String {
    let mut text = format!("{}  {}", Expect::key(state), name(expected));
    if let Some(entry) = expected.entry() {
        text += &match (&entry.from, &entry.to) {
            (Some(from), Some(to)) => format!(": {} -> {}", shown(from), shown(to)),
            (Some(from), None) => format!(": {} -> ...", shown(from)),
            (None, Some(to)) => format!(": ... -> {}", shown(to)),
            (None, None) => String::new(),
        };
        if let Some(by) = &entry.by {
            text += &format!(", held by {by}");
        }
        if let Some(reason) = &entry.reason {
            text += &format!(", {reason}");
        }
    }
    text
}

/// A verdict on one line, under the name of the list in which a test would expect it.
pub fn line(change: &Change) -> String {
    let about = match change.state {
        State::Compliant => change.from.clone(),
        State::Unknown | State::Unsupported => change.reason.clone().unwrap_or_default(),
        State::Conflict => {
            let other = change.other.as_ref().map(|(name, _)| name.to_string()).unwrap_or_default();
            format!("{} says {}, {other} says {}", change.policy, change.from, change.to)
        }
        State::Held => {
            let why = change.held.as_ref().map_or("", |held| held.reason.as_str());
            format!("{} -> {}, held: {why}", change.from, change.to)
        }
        State::Change | State::Report => format!("{} -> {}", change.from, change.to),
    };
    let text = format!("{}  {}: {about}", Expect::key(change.state), change.label());
    format!("{}  ({})", text.trim_end_matches([' ', ':']), change.place)
}
