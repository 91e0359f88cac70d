//! The head of a script: its first lines, each beginning with `//!`, are YAML that declares it.

use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value;

use super::action::no_parameters;
use super::{ActionDef, Compare, Keyed, SettingDef};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::action::{ActsOn, By, Role};
use crate::model::policy::GuardKind;
use crate::model::{Phase, Place, Platform, Reboot, Risk};
use crate::script::Program;
use crate::time::Span;

const SETTING_KEYS: [&str; 16] = [
    "setting",
    "summary",
    "description",
    "platforms",
    "reports",
    "keyed",
    "value",
    "observe",
    "observe_windows",
    "probe",
    "compare",
    "phase",
    "risk",
    "reboot",
    "secrets",
    "examples",
];
const ACTION_KEYS: [&str; 16] = [
    "action",
    "summary",
    "description",
    "platforms",
    "parameters",
    "risk",
    "reboot",
    "confirm",
    "idempotent",
    "timeout",
    "guard",
    "collects",
    "role",
    "by",
    "on",
    "examples",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    setting: String,
    summary: String,
    #[serde(default)]
    description: Option<String>,
    platforms: Vec<Platform>,
    #[serde(default)]
    reports: Vec<Platform>,
    #[serde(default)]
    keyed: Option<Keyed>,
    value: Value,
    #[serde(default)]
    observe: Option<String>,
    #[serde(default)]
    observe_windows: Option<String>,
    #[serde(default)]
    probe: Option<String>,
    #[serde(default)]
    compare: Compare,
    #[serde(default)]
    phase: Phase,
    #[serde(default)]
    risk: Risk,
    #[serde(default)]
    reboot: Reboot,
    #[serde(default)]
    secrets: bool,
    #[serde(default)]
    examples: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionHead {
    action: String,
    summary: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    platforms: Vec<Platform>,
    #[serde(default = "no_parameters")]
    parameters: Value,
    #[serde(default)]
    risk: Risk,
    #[serde(default)]
    reboot: Reboot,
    #[serde(default)]
    confirm: bool,
    #[serde(default)]
    idempotent: bool,
    #[serde(default)]
    timeout: Option<Span>,
    #[serde(default)]
    guard: Option<GuardKind>,
    #[serde(default)]
    collects: Vec<String>,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    by: By,
    #[serde(default)]
    on: ActsOn,
    #[serde(default)]
    examples: Vec<Value>,
}

/// The lines of the head, without their marks.
fn yaml(text: &str) -> String {
    text.lines().map_while(|line| line.strip_prefix("//!")).flat_map(|line| [line.strip_prefix(' ').unwrap_or(line), "\n"]).collect()
}

/// Most bytes of a head, and its deepest nesting: the library that reads it needs quadratic time for a deep one.
const MAX_HEAD: usize = 64 * 1024;
const MAX_DEPTH: i32 = 64;

/// Why a head is not even read.
fn beyond_bounds(file: &Arc<str>, yaml: &str) -> Option<Box<Diagnostic>> {
    let mut depth = 0;
    for (i, line) in yaml.lines().enumerate() {
        for c in line.chars() {
            depth += i32::from(matches!(c, '[' | '{')) - i32::from(matches!(c, ']' | '}'));
            if depth > MAX_DEPTH {
                let problem = Diagnostic::error("RMM0605", "the head of the script is nested deeper than 64 levels");
                return Some(Box::new(problem.at(&place(file, i as u32 + 1, 1))));
            }
        }
    }
    (yaml.len() > MAX_HEAD)
        .then(|| Box::new(Diagnostic::error("RMM0605", "the head of the script is larger than 64 KiB").at(&place(file, 1, 1))))
}

/// Whether a script declares an action rather than a setting.
pub(super) fn is_action(text: &str) -> bool {
    yaml(text).lines().any(|line| line.starts_with("action:"))
}

/// Reads the head of an action's script.
pub(super) fn read_action(file: &Arc<str>, text: &str, program: Program) -> Result<ActionDef, Box<Diagnostic>> {
    let yaml = yaml(text);
    beyond_bounds(file, &yaml).map_or(Ok(()), Err)?;
    let head: ActionHead = serde_yaml::from_str(&yaml).map_err(|error| Box::new(unreadable(file, &yaml, &error, &ACTION_KEYS)))?;
    Ok(ActionDef {
        name: head.action.into(),
        summary: head.summary,
        description: head.description,
        platforms: head.platforms,
        parameters: head.parameters,
        risk: head.risk,
        reboot: head.reboot,
        confirm: head.confirm,
        idempotent: head.idempotent,
        timeout: head.timeout,
        guard: head.guard,
        collects: head.collects,
        role: head.role,
        by: head.by,
        on: head.on,
        examples: head.examples,
        file: Arc::clone(file),
        program,
        schema: Arc::new(OnceLock::new()),
    })
}

/// Reads the head of a setting's script.
pub(super) fn read(file: &Arc<str>, text: &str, program: Program) -> Result<SettingDef, Box<Diagnostic>> {
    let yaml = yaml(text);
    beyond_bounds(file, &yaml).map_or(Ok(()), Err)?;
    let head: Head = serde_yaml::from_str(&yaml).map_err(|error| Box::new(unreadable(file, &yaml, &error, &SETTING_KEYS)))?;
    let observe = match (head.observe, &head.probe) {
        (Some(observe), _) => observe,
        (None, Some(probe)) => probe.clone(),
        (None, None) => {
            let message = "the head names neither 'observe' (a fact) nor 'probe' (what to ask the device for)";
            return Err(Box::new(Diagnostic::error("RMM0605", message).at(&place(file, 1, 0))));
        }
    };
    Ok(SettingDef {
        name: head.setting.into(),
        summary: head.summary,
        description: head.description,
        platforms: head.platforms,
        reports: head.reports,
        keyed: head.keyed,
        value: head.value,
        observe,
        observe_windows: head.observe_windows,
        probe: head.probe,
        compare: head.compare,
        phase: head.phase,
        risk: head.risk,
        reboot: head.reboot,
        secrets: head.secrets,
        examples: head.examples,
        file: Arc::clone(file),
        program,
        schema: Arc::new(OnceLock::new()),
    })
}

/// A place in a script.
pub(super) fn place(file: &Arc<str>, line: u32, column: u32) -> Place {
    Place { file: Arc::clone(file), line, column, length: 0 }
}

fn unreadable(file: &Arc<str>, yaml: &str, error: &serde_yaml::Error, keys: &[&str]) -> Diagnostic {
    let text = error.to_string();
    if yaml.trim().is_empty() {
        return Diagnostic::error("RMM0605", "the script has no head")
            .at(&place(file, 1, 0))
            .advice("begin the file with lines such as '//! setting: Motd' (see rmm explain RMM0605)");
    }
    if let Some(key) = text.split("unknown field `").nth(1).and_then(|rest| rest.split('`').next()) {
        let line = yaml.lines().position(|line| line.starts_with(key)).map_or(0, |line| line as u32 + 1);
        let mut at = place(file, line, if line == 0 { 0 } else { 5 });
        at.length = key.chars().count() as u32;
        let problem = Diagnostic::error("RMM0605", format!("unknown key '{key}' in the head of the script")).at(&at);
        return match did_you_mean(key, keys.iter().copied()) {
            Some(meant) => problem.advice(format!("did you mean '{meant}'?")),
            None => problem.advice(format!("the head may hold {}", keys.join(", "))),
        };
    }
    let (line, column) = error.location().map_or((1, 0), |at| (at.line() as u32, at.column() as u32 + 4));
    let reason = text.split(" at line ").next().unwrap_or(&text);
    if let Some((key, rest)) = reason.split_once(": unknown variant `") {
        let wrong = rest.split('`').next().unwrap_or_default();
        let known: Vec<&str> = rest.split('`').skip(2).step_by(2).collect();
        let problem =
            Diagnostic::error("RMM0605", format!("'{key}' in the head of the script cannot be '{wrong}'")).at(&place(file, line, column));
        return match did_you_mean(wrong, known.iter().copied()) {
            Some(meant) => problem.advice(format!("did you mean '{meant}'?")),
            None => problem.advice(format!("it is one of {}", known.join(", "))),
        };
    }
    Diagnostic::error("RMM0605", format!("the head of the script cannot be read: {reason}")).at(&place(file, line, column))
}
