//! A policy as it is put together: settings in the order in which they came, each once, with a note of where it comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Control;
use crate::catalog::Catalog;

/// Longest note.
const NOTE: usize = 160;

/// Which devices a control is for: some lists have lines for domain controllers and others for members.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// All.
    #[default]
    All,
    /// Domain controllers.
    Controllers,
    /// All but domain controllers.
    Members,
    /// All, of what is only to be so already.
    Asserted,
}

impl Part {
    /// What follows the name of the policy, the condition, and the priority.
    fn words(self) -> (&'static str, Option<&'static str>, i32) {
        match self {
            Self::All => ("", None, 0),
            Self::Controllers => (" domain controllers", Some("facts.software.os.role == \"domain controller\""), 10),
            Self::Members => (" members", Some("facts.software.os.role != \"domain controller\""), 10),
            // What the document itself sets goes before what it finds.
            Self::Asserted => (" assertions", None, -10),
        }
    }
}

/// Settings of a policy to be.
#[derive(Debug, Default)]
pub struct Draft {
    /// Label in small letters (names of Windows are the same in any case) and where the entry stands.
    known: BTreeMap<(Part, String), usize>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    part: Part,
    setting: &'static str,
    key: Option<String>,
    value: Value,
    notes: Vec<String>,
}

impl Draft {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many settings, keys counted one by one.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Setting, key and value of every entry.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Option<&str>, &Value)> {
        self.entries.iter().map(|entry| (entry.setting, entry.key.as_deref(), &entry.value))
    }

    /// Adds all of these or none: each has to fit its setting, and what is there already.
    pub(super) fn add_all(&mut self, controls: Vec<Control>, part: Part, note: &str) -> Result<(), String> {
        let catalog = Catalog::builtin();
        let mut made = Vec::with_capacity(controls.len());
        for control in controls {
            let name = format!("{}\n{}", control.setting, control.key.as_deref().unwrap_or_default()).to_lowercase();
            let label = (part, name);
            let at = self.known.get(&label).copied();
            let value = match at {
                Some(at) => joined(&self.entries[at].value, &control.value, control.setting == "RegistryLists")
                    .ok_or_else(|| format!("it contradicts '{}'", self.entries[at].notes.first().map_or("", String::as_str)))?,
                None => control.value,
            };
            let def = catalog.settings.get(control.setting).ok_or_else(|| format!("there is no setting {}", control.setting))?;
            if let Some((_, message)) = def.check(control.key.as_deref(), &value).into_iter().next() {
                return Err(format!("{}: {message}", control.setting));
            }
            made.push((label, at, control.setting, control.key, value));
        }
        for (label, at, setting, key, value) in made {
            let at = at.or_else(|| self.known.get(&label).copied());
            if let Some(at) = at {
                self.entries[at].value = value;
                self.entries[at].notes.push(note.to_owned());
            } else {
                self.known.insert(label, self.entries.len());
                self.entries.push(Entry { part, setting, key, value, notes: vec![note.to_owned()] });
            }
        }
        Ok(())
    }

    /// The policy as YAML, each entry below a comment that says where it comes from; what is only for domain controllers or only
    /// for members is a policy of its own, above the other.
    pub fn yaml(&self, name: &str, description: &str, origin: &str, targets: &Value) -> String {
        let mut out = String::from("# yaml-language-server: $schema=../schemas/policies.json\n#\n");
        origin.lines().for_each(|line| comment(&mut out, 0, line));
        out += "\npolicies:\n";
        for part in [Part::All, Part::Controllers, Part::Members, Part::Asserted] {
            let entries: Vec<&Entry> = self.entries.iter().filter(|entry| entry.part == part).collect();
            if !entries.is_empty() {
                one(&mut out, part, &entries, (name, description, targets));
            }
        }
        out
    }
}

/// One policy.
fn one(out: &mut String, part: Part, entries: &[&Entry], (name, description, targets): (&str, &str, &Value)) {
    let (more, condition, priority) = part.words();
    let name = format!("{name}{more}");
    let targets = condition.map_or_else(|| targets.clone(), |condition| narrowed(targets, condition));
    if part == Part::Asserted {
        comment(out, 2, "What the document only looks at: leave remediate at false, or it is set.");
    }
    *out += &format!("  {}:\n    description: {}\n    targets: {targets}\n    settings:\n", json!(name), json!(description));
    let mut done: Vec<&str> = Vec::new();
    for entry in entries {
        if done.contains(&entry.setting) {
            continue;
        }
        done.push(entry.setting);
        if entry.key.is_none() {
            entry.notes.iter().for_each(|note| comment(out, 6, note));
            *out += &format!("      {}: {}\n", entry.setting, entry.value);
            continue;
        }
        *out += &format!("      {}:\n", entry.setting);
        for one in entries.iter().filter(|one| one.setting == entry.setting) {
            one.notes.iter().for_each(|note| comment(out, 8, note));
            *out += &format!("        {}: {}\n", json!(one.key), one.value);
        }
    }
    *out += "    remediate: false\n";
    if priority != 0 {
        *out += &format!("    priority: {priority}\n");
    }
}

/// Targets with one more condition.
fn narrowed(targets: &Value, condition: &str) -> Value {
    let narrow = |target: &Value| match target {
        Value::String(group) if group != "*" => json!({ "group": group, "where": condition }),
        _ => json!({ "os": "windows", "where": condition }),
    };
    targets.as_array().into_iter().flatten().map(narrow).collect()
}

/// A comment on one line.
fn comment(out: &mut String, indent: usize, text: &str) {
    let plain: String =
        text.chars().map(|c| if c.is_control() || ('\u{2028}'..='\u{2029}').contains(&c) { ' ' } else { c }).take(NOTE).collect();
    *out += &format!("{:indent$}# {}\n", "", plain.trim());
}

/// Two values of one setting as one that says both; `None` where they contradict each other. `among`: lists name what has to be
/// among others, so that both hold together.
fn joined(a: &Value, b: &Value, among: bool) -> Option<Value> {
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (Value::Object(a), Value::Object(b)) => {
            let mut all = Map::new();
            for (name, value) in a.iter().chain(b) {
                let among = matches!(name.as_str(), "contains" | "includes" | "excludes");
                let both = match all.get(name) {
                    Some(known) => joined(known, value, among)?,
                    None => value.clone(),
                };
                all.insert(name.clone(), both);
            }
            // That absence is right has to be right for both.
            if a.contains_key("whenAbsent") != b.contains_key("whenAbsent") {
                all.remove("whenAbsent");
            }
            Some(Value::Object(all))
        }
        (Value::Array(a), Value::Array(b)) if among => {
            let mut all = a.clone();
            all.extend(b.iter().filter(|item| !a.contains(item)).cloned());
            Some(Value::Array(all))
        }
        (a, Value::Object(b)) | (Value::Object(b), a) if b.get("value") == Some(a) && !a.is_object() => Some(a.clone()),
        _ => None,
    }
}
