//! What two policy sets say differently. Both are turned into items with flat members, so that order, layout, comments,
//! defaults that are written out and the file that something stands in are no difference.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::locate::Locator;
use super::scripts::{self, Texts};
use crate::model::policy::GuardKind;
use crate::model::{Place, Policy, Remediate, Selector};
use crate::repo::PolicySet;

/// Longest text of a value that is shown.
const LONGEST: usize = 160;
/// Most members of a list that a difference names.
const MOST_NAMES: usize = 12;

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// The old side has it, the new one does not.
    Removed,
    /// Both have it, differently.
    Changed,
    /// The new side has it, the old one does not.
    Added,
}

/// One difference in meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// `policy`, `group`, `site`, `device`, `configuration`, `threshold`, `workflow`, `notification`, `script`, `secret`.
    pub kind: &'static str,
    /// Name of the policy, group, ...
    pub name: String,
    /// What of it: `targets`, `settings.Packages.curl`; empty where it came or went as a whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub member: String,
    /// What happened.
    pub how: How,
    /// Before, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// After, in a few words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Where it stands: on the new side, or on the old one where it is gone.
    pub place: Place,
    /// Whether `place` is one of the old side.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub old_place: bool,
}

/// What a member is worth, in a form that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Worth {
    /// A value in words.
    Text(String),
    /// Names whose order does not matter.
    Names(BTreeSet<String>),
    /// Compared by the first, shown as the second.
    Opaque(String, String),
}

impl Worth {
    fn shown(&self) -> String {
        match self {
            Self::Text(text) | Self::Opaque(_, text) => bounded(text),
            Self::Names(names) => some(names.iter().map(String::as_str)),
        }
    }
}

/// Something with a name and members.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) members: BTreeMap<String, Worth>,
    /// Where members stand, as far as that is known already.
    pub(super) places: BTreeMap<String, Place>,
}

impl Item {
    pub(super) fn new(kind: &'static str, name: &str, place: Place) -> Self {
        Self { kind, name: name.to_owned(), place, members: BTreeMap::new(), places: BTreeMap::new() }
    }

    fn text(&mut self, member: &str, text: impl Into<String>) {
        self.members.insert(member.to_owned(), Worth::Text(text.into()));
    }

    fn names(&mut self, member: &str, names: impl IntoIterator<Item = String>) {
        let names: BTreeSet<String> = names.into_iter().collect();
        if !names.is_empty() {
            self.members.insert(member.to_owned(), Worth::Names(names));
        }
    }
}

/// What differs between two sides, and where it stands.
pub fn differences(old: &PolicySet, new: &PolicySet, old_texts: &Texts, new_texts: &Texts) -> Vec<Difference> {
    let (before, after) = (items(old, new, old_texts), items(new, old, new_texts));
    let (mut old_places, mut new_places) = (Locator::new(old_texts), Locator::new(new_texts));
    let mut found = Vec::new();
    for (key, item) in &after {
        match before.get(key) {
            None => whole(item, How::Added, &mut new_places, &mut found),
            Some(was) => compare(was, item, &mut old_places, &mut new_places, &mut found),
        }
    }
    for (key, item) in &before {
        if !after.contains_key(key) {
            whole(item, How::Removed, &mut old_places, &mut found);
        }
    }
    let rank = |kind: &str| KINDS.iter().position(|known| *known == kind);
    found.sort_by(|a, b| (rank(a.kind), &a.name, a.how, &a.member).cmp(&(rank(b.kind), &b.name, b.how, &b.member)));
    found
}

/// The kinds in the order in which they are shown.
const KINDS: [&str; 9] = ["policy", "group", "site", "device", "threshold", "workflow", "notification", "script", "configuration"];

type Key = (&'static str, String);

fn items(set: &PolicySet, other: &PolicySet, texts: &Texts) -> BTreeMap<Key, Item> {
    let mut all = Vec::new();
    all.extend(set.policies.iter().map(|p| policy(p)));
    for group in set.groups.values() {
        let mut item = Item::new("group", &group.name, group.place.clone());
        flatten(&json(group), &mut item);
        all.push(item);
    }
    for site in set.sites.values() {
        let mut item = Item::new("site", &site.name, site.place.clone());
        flatten(&json(site), &mut item);
        all.push(item);
    }
    for (name, device) in &set.devices {
        let same = other.devices.get(name).is_some_and(|twin| twin == device || without_place(twin) == without_place(device));
        let mut item = Item::new("device", name, device.place.clone());
        // Ten thousand devices that are the same need not be taken apart.
        if !same {
            flatten(&json(&**device), &mut item);
        }
        all.push(item);
    }
    let mut config = Item::new("configuration", "rmm.toml", Place::file("rmm.toml"));
    flatten(&json(&set.config), &mut config);
    for (member, worth) in &mut config.members {
        // Somebody may have written a password where the name of a secret belongs.
        if member.starts_with("notifications.channels.") {
            *worth = Worth::Opaque(format!("{worth:?}"), "(not shown)".into());
        }
        if let Some(place) = set.origins.get(member).and_then(|origin| origin.rsplit_once(':'))
            && let Ok(line) = place.1.parse()
        {
            config.places.insert(member.clone(), Place { file: place.0.into(), line, column: 0, length: 0 });
        }
    }
    all.push(config);
    all.extend(scripts::items(texts));
    declared(set, &mut all);
    all.into_iter().map(|item| ((item.kind, item.name.clone()), item)).collect()
}

/// Thresholds, monitors, workflows and what notifications are made of.
fn declared(set: &PolicySet, all: &mut Vec<Item>) {
    let mut put = |kind, name: &str, place: &Place, value: Value| {
        let mut item = Item::new(kind, name, place.clone());
        flatten(&value, &mut item);
        all.push(item);
    };
    for (name, threshold) in &set.thresholds {
        put("threshold", name, &threshold.place, json(threshold));
    }
    for (name, monitor) in &set.monitors {
        put("monitor", name, &monitor.place, json(monitor));
    }
    for (name, workflow) in &set.workflows {
        put("workflow", name, &workflow.place, json(workflow));
    }
    for (name, rule) in &set.notifications {
        put("notification", name, &rule.place, json(rule));
    }
    for (name, escalation) in &set.escalations {
        put("notification", &format!("escalation {name}"), &escalation.place, json(escalation));
    }
    for (name, rota) in &set.rotas {
        put("notification", &format!("rota {name}"), &rota.place, json(rota));
    }
    if let Some(hours) = &set.business_hours {
        let days: Vec<String> = hours.days.iter().map(ToString::to_string).collect();
        let holidays: Vec<String> = hours.holidays.iter().map(ToString::to_string).collect();
        let mut value = serde_json::json!({ "days": days, "hours": hours.hours.to_string() });
        if !holidays.is_empty() {
            value["holidays"] = holidays.into();
        }
        put("notification", "business hours", &hours.place, value);
    }
    if let Some(quiet) = &set.quiet_hours {
        let value = serde_json::json!({ "hours": quiet.hours.to_string(), "except": quiet.except });
        put("notification", "quiet hours", &quiet.hours.place, value);
    }
    for (name, person) in &set.people {
        put("notification", &format!("person {name}"), &person.place, json(person));
    }
    for (name, maintenance) in &set.maintenance {
        let targets: Vec<String> = maintenance.targets.iter().map(Selector::to_string).collect();
        let value = serde_json::json!({ "targets": targets, "types": maintenance.types, "when": maintenance.when.to_string() });
        put("notification", &format!("maintenance {name}"), &maintenance.place, value);
    }
    if set.alerts != crate::model::duty::AlertOptions::default() {
        put("notification", "alerts", &Place::file("notifications.yaml"), json(&set.alerts));
    }
}

fn json(definition: &impl Serialize) -> Value {
    serde_json::to_value(definition).unwrap_or_default()
}

fn without_place(device: &crate::model::Device) -> crate::model::Device {
    crate::model::Device { place: Place::default(), ..device.clone() }
}

fn policy(policy: &Policy) -> Item {
    let mut item = Item::new("policy", &policy.name, policy.place.clone());
    item.names("targets", policy.targets.iter().map(Selector::to_string));
    item.names("exclude", policy.exclude.iter().map(Selector::to_string));
    let remediate = match policy.remediate {
        Remediate::Report => "report",
        Remediate::Approve => "approve",
        Remediate::Apply => "apply",
    };
    item.text("remediate", remediate);
    item.text("severity", policy.severity.to_string());
    item.text("priority", policy.priority.to_string());
    if let Some(schedule) = &policy.schedule {
        item.text("schedule", schedule.to_string());
    }
    if let Some(active) = &policy.active {
        item.text("activeHours", active.to_string());
    }
    if let Some(description) = &policy.description {
        item.text("description", description);
    }
    item.names("references.cis", policy.references.cis.iter().cloned());
    item.names("references.nist", policy.references.nist.iter().cloned());
    for setting in &policy.settings {
        let key = format!("settings.{}", setting.label());
        let shown = words(&crate::plan::placeholders(&setting.value));
        let mut exact = canonical(&setting.value);
        exact.push_str(&format!(" {:?}", setting.restart_on));
        let shown = if setting.restart_on.is_empty() { shown } else { format!("{shown}, restart on {}", setting.restart_on.join(", ")) };
        item.members.insert(key.clone(), Worth::Opaque(exact, shown));
        item.places.insert(key, setting.place.clone());
    }
    for guard in &policy.guards {
        let kind = match guard.kind {
            GuardKind::AllowChanges => "AllowChanges",
            GuardKind::AllowUpdates => "AllowUpdates",
            GuardKind::AllowReboots => "AllowReboots",
        };
        let key = format!("settings.{kind}");
        item.text(&key, guard.allow.to_string());
        item.places.insert(key, guard.place.clone());
    }
    if let Some(updates) = &policy.updates {
        let rules = serde_json::to_value(updates).unwrap_or_default();
        item.members.insert("settings.Updates".into(), Worth::Opaque(canonical(&rules), words(&rules)));
        item.places.insert("settings.Updates".into(), updates.place.clone());
    }
    for exception in &policy.exceptions {
        let key = format!("exceptions.{}{}", exception.device, exception.setting.as_ref().map(|s| format!(" {s}")).unwrap_or_default());
        let until = exception.until.map_or_else(|| "for ever".to_owned(), |until| format!("until {until}"));
        let by = exception.approved_by.as_ref().map(|by| format!(", approved by {by}")).unwrap_or_default();
        let mut text = format!("{until}: {}{by}", exception.reason);
        // Several of them may cover the same.
        if let Some(Worth::Text(before)) = item.members.get(&key) {
            text = format!("{before}; {text}");
        }
        item.text(&key, text);
        item.places.insert(key, exception.place.clone());
    }
    item
}

/// Lists of names whose order means nothing.
const UNORDERED: [&str; 7] = ["members", "groups", "tags", "targets", "exclude", "channels", "types"];

fn flatten(value: &Value, item: &mut Item) {
    flatten_below(value, "", item);
}

fn flatten_below(value: &Value, path: &str, item: &mut Item) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                flatten_below(value, &below(key), item);
            }
        }
        Value::Array(list) if UNORDERED.contains(&path) => item.names(path, list.iter().map(words)),
        // Steps have names, overrides and tiers numbers; the order of both means something.
        Value::Array(list) if list.iter().any(Value::is_object) => {
            let names: Vec<&Value> = list.iter().filter_map(|one| one.get("name")).collect();
            let named = names.len() == list.len();
            for (i, one) in list.iter().enumerate() {
                let name = names.get(i).filter(|_| named).map_or_else(|| (i + 1).to_string(), |name| words(name));
                flatten_below(one, &below(&name), item);
            }
            if named {
                let names = Value::Array(names.into_iter().cloned().collect());
                item.members.insert(path.to_owned(), Worth::Opaque(canonical(&names), words(&names)));
            }
        }
        Value::Null => {}
        Value::Object(_) if path.is_empty() => {}
        // Two values may read the same: a number and its digits, two names and one with a comma.
        other => drop(item.members.insert(path.to_owned(), Worth::Opaque(canonical(other), words(other)))),
    }
}

/// Something that came or went: itself, and for a policy each of its settings.
fn whole(item: &Item, how: How, places: &mut Locator<'_>, found: &mut Vec<Difference>) {
    let sides = |text: Option<String>| if how == How::Added { (None, text) } else { (text, None) };
    let (from, to) = sides(item.members.get("targets").map(|targets| format!("for {}", targets.shown())));
    let old_place = how == How::Removed;
    found.push(Difference {
        kind: item.kind,
        name: item.name.clone(),
        member: String::new(),
        how,
        from,
        to,
        place: item.place.clone(),
        old_place,
    });
    for (member, worth) in item.members.iter().filter(|(member, _)| item.kind == "policy" && member.starts_with("settings.")) {
        let (from, to) = sides(Some(worth.shown()));
        let place = place_of(item, member, places);
        found.push(Difference { kind: item.kind, name: item.name.clone(), member: member.clone(), how, from, to, place, old_place });
    }
}

fn compare(was: &Item, is: &Item, old: &mut Locator<'_>, new: &mut Locator<'_>, found: &mut Vec<Difference>) {
    let mut push = |member: &str, how, from, to, place, old_place| {
        found.push(Difference { kind: is.kind, name: is.name.clone(), member: member.to_owned(), how, from, to, place, old_place });
    };
    for (member, worth) in &is.members {
        match was.members.get(member) {
            Some(before) if before == worth => {}
            Some(Worth::Names(before)) if let Worth::Names(after) = worth => {
                let gone = some(before.difference(after).map(String::as_str));
                let come = some(after.difference(before).map(String::as_str));
                let part = |text: String| Some(text).filter(|text| !text.is_empty());
                push(member, How::Changed, part(gone), part(come), place_of(is, member, new), false);
            }
            Some(before) => push(member, How::Changed, Some(before.shown()), Some(worth.shown()), place_of(is, member, new), false),
            None => push(member, How::Added, None, Some(worth.shown()), place_of(is, member, new), false),
        }
    }
    for (member, worth) in &was.members {
        if !is.members.contains_key(member) {
            push(member, How::Removed, Some(worth.shown()), None, place_of(was, member, old), true);
        }
    }
}

fn place_of(item: &Item, member: &str, places: &mut Locator<'_>) -> Place {
    match item.places.get(member) {
        Some(place) => place.clone(),
        None if item.kind == "configuration" => item.place.clone(),
        None => places.member(&item.place, &member.split('.').collect::<Vec<_>>()),
    }
}

/// The first names, and how many more.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<&str> = names.collect();
    let more = if all.len() > MOST_NAMES { format!(" and {} more", all.len() - MOST_NAMES) } else { String::new() };
    bounded(&format!("{}{more}", all.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ")))
}

/// A value in words: `running, enabled` rather than JSON.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::Null => "(nothing)".into(),
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("[{}]", list.iter().map(words).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            sorted.iter().map(|(k, v)| format!("{k}={}", words(v))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// The same text for the same value, whatever the order of its members.
pub(super) fn canonical(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            format!("{{{}}}", sorted.iter().map(|(k, v)| format!("{k:?}:{}", canonical(v))).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// On one line, and not too long.
fn bounded(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= LONGEST { line.to_owned() } else { format!("{}...", line.chars().take(LONGEST - 3).collect::<String>()) }
}
