//! Policies: from a definition to a [`Policy`]: settings by the catalog, guards, windows, schedules.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::codes;
use super::compile::Unread;
use super::decode::{self, POLICY};
use super::policy_doc::{ExceptionDoc, PolicyDoc};
use super::tree::{Entry, Node, Tree, in_words};
use crate::catalog::{Catalog, SettingDef};
use crate::diagnose::Diagnostic;
use crate::model::policy::{Exception, Guard, GuardKind};
use crate::model::{Place, Policy, Setting};
use crate::time::{Window, zone};

pub(super) const GUARDS: [(&str, GuardKind); 3] =
    [("AllowChanges", GuardKind::AllowChanges), ("AllowUpdates", GuardKind::AllowUpdates), ("AllowReboots", GuardKind::AllowReboots)];

/// What a policy may refer to.
pub(super) struct Compiler<'a> {
    pub file: &'a Arc<str>,
    pub catalog: &'a Catalog,
    pub unread: &'a Unread,
    pub now: DateTime<Utc>,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn place(&self, node: &Node) -> Place {
        node.spot.of(self.file)
    }

    /// Compiles one policy. Its selectors and exceptions are checked against the fleet later.
    pub(super) fn policy(&mut self, entry: &Entry) -> Option<Policy> {
        let place = entry.spot.of(self.file);
        let node = &entry.node;
        if !node.is_map_or_null() {
            let found = in_words(&node.to_json());
            self.problems.push(codes::wrong_value(
                format!("expected a map that describes the policy '{}', found {found}", entry.key),
                &self.place(node),
            ));
            return None;
        }
        let before = self.problems.len();
        let doc = decode::decode::<PolicyDoc>(&POLICY, self.file, node, self.problems);
        for problem in &mut self.problems[before..] {
            if problem.code == "RMM0113" && problem.message.contains("'targets'") {
                problem.place = Some(place.clone());
                problem.advice = Some("name the groups it is for: targets: [Servers]; \"*\" is every device".into());
            }
        }
        let mut settings = Vec::new();
        let mut guards = Vec::new();
        let mut updates = None;
        if let Some(declared) = node.get("settings") {
            for entry in declared.entries() {
                if entry.key == super::update_rules::NAME {
                    updates = super::update_rules::read(self.file, entry.spot, &entry.node, self.problems);
                    continue;
                }
                self.setting(entry, &mut settings, &mut guards);
            }
        }
        self.restarts(node, &settings);
        let doc = doc?;
        let text = |key: &str| node.get(key).map_or_else(|| place.clone(), |node| self.place(node));
        let (schedule_at, hours_at, zone_at) = (text("schedule"), text("activeHours"), text("timezone"));
        let zone = match doc.timezone.as_deref().map(zone) {
            Some(Ok(zone)) => zone,
            Some(Err(message)) => {
                self.problems.push(Diagnostic::error("RMM0115", message).at(&zone_at));
                Tz::UTC
            }
            None => Tz::UTC,
        };
        let active = self.time(doc.active_hours.as_deref().map(|text| Window::parse(text, zone)), &hours_at);
        let schedule = doc.schedule.as_deref().and_then(|text| codes::schedule(text, zone, self.now, &schedule_at, self.problems));
        let items = node.get("exceptions").map(Node::items).unwrap_or_default();
        let exceptions = doc.exceptions.into_iter().zip(items).map(|(doc, node)| self.exception(doc, node)).collect();
        Some(Policy {
            name: entry.key.as_str().into(),
            description: doc.description,
            targets: doc.targets.into_vec(),
            exclude: doc.exclude.into_vec(),
            settings,
            guards,
            updates,
            remediate: doc.remediate.into(),
            schedule,
            severity: doc.severity.unwrap_or_default(),
            priority: doc.priority,
            references: doc.references,
            exceptions,
            active,
            place,
        })
    }

    fn time<T>(&mut self, read: Option<Result<T, String>>, at: &Place) -> Option<T> {
        match read? {
            Ok(value) => Some(value),
            Err(message) => {
                self.problems.push(Diagnostic::error("RMM0115", message).at(at));
                None
            }
        }
    }

    fn exception(&mut self, doc: ExceptionDoc, node: &Node) -> Exception {
        let until = doc.until.as_deref().and_then(|text| {
            let date = crate::time::day(text);
            if date.is_none() {
                let at = self.place(node.at_pointer("/until"));
                self.problems.push(codes::wrong_value(format!("expected a date such as 2026-12-31, found '{text}'"), &at));
            }
            date
        });
        Exception {
            device: doc.device,
            setting: doc.setting,
            until,
            reason: doc.reason,
            approved_by: doc.approved_by,
            place: self.place(node),
        }
    }

    fn setting(&mut self, entry: &Entry, settings: &mut Vec<Setting>, guards: &mut Vec<Guard>) {
        let place = entry.spot.of(self.file);
        if let Some((_, kind)) = GUARDS.iter().find(|(name, _)| *name == entry.key) {
            if let Tree::Bool(allow) = entry.node.value {
                guards.push(Guard { kind: *kind, allow, place });
            } else {
                let found = in_words(&entry.node.to_json());
                self.problems.push(codes::wrong_value(format!("expected true or false, found {found}"), &self.place(&entry.node)));
            }
            return;
        }
        let Some(definition) = self.catalog.settings.get(entry.key.as_str()).cloned() else {
            if self.unread.declares(&entry.key) {
                return;
            }
            let known: Vec<&str> = self
                .catalog
                .settings
                .keys()
                .map(AsRef::as_ref)
                .chain(GUARDS.iter().map(|(name, _)| *name))
                .chain([super::update_rules::NAME])
                .collect();
            let problem = Diagnostic::error("RMM0109", format!("there is no setting '{}'", entry.key)).at(&place);
            self.problems.push(problem.advice(codes::suggestion(&entry.key, known.iter().copied(), "settings are")));
            return;
        };
        let Some(keyed) = &definition.keyed else {
            let value = entry.node.to_json();
            self.check(&definition, None, &value, &entry.node);
            settings.push(setting(&definition.name, None, value, Vec::new(), place));
            return;
        };
        if !matches!(entry.node.value, Tree::Map(_)) {
            let found = in_words(&entry.node.to_json());
            let message = format!("expected a map from {} to value, found {found}", keyed.name);
            self.problems.push(codes::wrong_value(message, &self.place(&entry.node)));
            return;
        }
        for inner in entry.node.entries() {
            let mut value = inner.node.to_json();
            let restart_on = self.take_restart_on(&mut value, &inner.node);
            self.check(&definition, Some(&inner.key), &value, &inner.node);
            settings.push(setting(&definition.name, Some(&inner.key), value, restart_on, inner.spot.of(self.file)));
        }
    }

    fn check(&mut self, definition: &SettingDef, key: Option<&str>, value: &Value, node: &Node) {
        for pointer in definition.refused_secrets(value) {
            let name = crate::model::policy::label(&definition.name, key);
            let message = format!("{name}: a secret cannot be compared here: what the device answers would be stored with the facts");
            let advice = "use Files: it compares the content by its hash (see rmm explain RMM0120)";
            self.problems.push(Diagnostic::error("RMM0120", message).at(&self.place(node.at_pointer(&pointer))).advice(advice));
        }
        // What holds a template is known for each device only: the planner checks it again once it is filled in.
        let known_key = key.filter(|key| !key.contains("{{"));
        for (pointer, message) in definition.check(known_key, value) {
            if value.pointer(&pointer).and_then(Value::as_str).is_some_and(|text| text.contains("{{")) {
                continue;
            }
            let at = self.place(node.at_pointer(&pointer));
            let name = crate::model::policy::label(&definition.name, key);
            let advice = format!("rmm explain {} shows what it takes", definition.name);
            self.problems.push(Diagnostic::error("RMM0110", format!("{name}: {message}")).at(&at).advice(advice));
        }
    }

    fn take_restart_on(&mut self, value: &mut Value, node: &Node) -> Vec<String> {
        let Some(taken) = value.as_object_mut().and_then(|map| map.shift_remove("restartOn")) else { return Vec::new() };
        let list = match taken {
            Value::String(one) => Some(vec![one]),
            Value::Array(items) => items.into_iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        list.unwrap_or_else(|| {
            let at = self.place(node.at_pointer("/restartOn"));
            self.problems.push(codes::wrong_value("expected a list of settings such as [\"Files./etc/ssh/sshd_config\"]", &at));
            Vec::new()
        })
    }

    /// Warns where `restartOn` names something that the policy does not set: it would never happen.
    fn restarts(&mut self, node: &Node, settings: &[Setting]) {
        let labels: std::collections::HashSet<String> = settings.iter().map(Setting::label).collect();
        for setting in settings {
            for wanted in &setting.restart_on {
                if labels.contains(wanted) {
                    continue;
                }
                let key = setting.key.as_deref().unwrap_or_default();
                let declared = node.get("settings").and_then(|all| all.get(&setting.name)).and_then(|map| map.get(key));
                let list = declared.and_then(|value| value.get("restartOn"));
                let item = list.and_then(|list| list.items().iter().find(|item| item.text() == Some(wanted)).or(Some(list)));
                let at = item.map_or_else(|| setting.place.clone(), |item| self.place(item));
                let problem = Diagnostic::warning("RMM0116", format!("restartOn names '{wanted}', which this policy does not set")).at(&at);
                self.problems.push(problem.advice(codes::suggestion(wanted, labels.iter().map(String::as_str), "it sets")));
            }
        }
    }
}

fn setting(name: &Arc<str>, key: Option<&str>, value: Value, restart_on: Vec<String>, place: Place) -> Setting {
    Setting { name: Arc::clone(name), key: key.map(Into::into), value: Arc::new(value), restart_on, place }
}

/// Whether an exception has ended.
pub(super) fn expired(exception: &Exception, zone: Tz, now: DateTime<Utc>) -> bool {
    exception.until.is_some_and(|until| now.with_timezone(&zone).date_naive() > until)
}

/// The parts of a policies file.
pub(super) struct File {
    pub imports: Vec<(String, Place)>,
    pub policies: Vec<Entry>,
}

/// Takes a policies file apart: bare or under `policies:`, and what it imports.
pub(super) fn split(file: &Arc<str>, root: Node, problems: &mut Vec<Diagnostic>) -> File {
    let mut parts = File { imports: Vec::new(), policies: Vec::new() };
    let entries = match root.value {
        Tree::Map(entries) => entries,
        Tree::Null => return parts,
        _ => {
            problems.push(codes::wrong_value("expected a map from name to policy", &root.spot.of(file)));
            return parts;
        }
    };
    let wrapped = entries.iter().any(|entry| entry.key == "policies");
    for entry in entries {
        if entry.key == "import" && !matches!(entry.node.value, Tree::Map(_)) {
            let names: Vec<&Node> = if entry.node.text().is_some() { vec![&entry.node] } else { entry.node.items().iter().collect() };
            if names.is_empty() || names.iter().any(|node| node.text().is_none()) {
                problems.push(codes::wrong_value("expected a list of packs such as [linux-baseline]", &entry.node.spot.of(file)));
            }
            parts.imports.extend(names.into_iter().filter_map(|node| Some((node.text()?.to_owned(), node.spot.of(file)))));
        } else if entry.key == "policies" {
            match entry.node.value {
                Tree::Map(inner) => parts.policies.extend(inner),
                Tree::Null => {}
                _ => problems.push(codes::wrong_value("expected a map from name to policy", &entry.node.spot.of(file))),
            }
        } else if wrapped {
            problems.push(codes::unknown_key(&entry.key, ["policies", "import"], "a policies file", &entry.spot.of(file)));
        } else {
            parts.policies.push(entry);
        }
    }
    parts
}
