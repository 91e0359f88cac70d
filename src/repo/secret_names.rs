//! Which secrets a repository names, and where.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::PolicySet;

/// The names of all secrets that are named anywhere, with what names them: `device web-1`, `policy SshHardening`.
pub fn secret_names(set: &PolicySet) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = Found::default();
    for (name, site) in &set.sites {
        found.look(|| format!("site {name}"), site);
    }
    for (name, group) in &set.groups {
        found.look(|| format!("group {name}"), group);
    }
    for (name, device) in &set.devices {
        found.look(|| format!("device {name}"), &**device);
    }
    for (name, channel) in &set.config.notifications.channels {
        found.look(|| format!("channel {name}"), channel);
    }
    for policy in &set.policies {
        for setting in &policy.settings {
            found.walk(&|| format!("policy {}", policy.name), &setting.value);
        }
    }
    for (name, workflow) in &set.workflows {
        found.look(|| format!("workflow {name}"), &**workflow);
    }
    for (name, threshold) in &set.thresholds {
        found.look(|| format!("threshold {name}"), &**threshold);
    }
    found.0
}

#[derive(Default)]
struct Found(BTreeMap<String, BTreeSet<String>>);

impl Found {
    fn look(&mut self, place: impl Fn() -> String, what: &impl Serialize) {
        if let Ok(value) = serde_json::to_value(what) {
            self.walk(&place, &value);
        }
    }

    fn walk(&mut self, place: &dyn Fn() -> String, value: &Value) {
        match value {
            Value::Object(map) => match map.get("secret") {
                Some(Value::String(name)) if map.len() == 1 => {
                    self.0.entry(name.clone()).or_default().insert(place());
                }
                _ => map.values().for_each(|value| self.walk(place, value)),
            },
            Value::Array(list) => list.iter().for_each(|value| self.walk(place, value)),
            _ => {}
        }
    }
}
