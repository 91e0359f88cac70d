//! What tells one device from all others: a value that holds it is no value for a policy.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::model::{Device, Facts};

/// Facts that name a device.
const NAMES: [&str; 8] = [
    "software.os.hostname",
    "software.os.fqdn",
    "software.os.machine_id",
    "hardware.system.serial",
    "hardware.system.uuid",
    "hardware.board.serial",
    "network.interfaces",
    "hardware.nics",
];
/// Shorter words, and those that stand for every device, name nobody.
const SHORTEST: usize = 2;
const ANYBODY: [&str; 8] = ["localhost", "none", "unknown", "127.0.0.1", "::1", "0.0.0.0", "00:00:00:00:00:00", "to be filled by o.e.m."];

/// The names of one device.
pub(super) struct Known<'a> {
    names: BTreeSet<String>,
    own: &'a str,
}

impl<'a> Known<'a> {
    pub(super) fn new(device: &'a Device, facts: &Facts) -> Self {
        let mut names = BTreeSet::new();
        let mut add = |text: &str| {
            let text = text.trim().to_lowercase();
            if text.len() >= SHORTEST && !ANYBODY.contains(&text.as_str()) {
                names.insert(text);
            }
        };
        add(&device.name);
        device.address.iter().for_each(|address| add(address));
        for path in NAMES {
            match facts.value(path) {
                Some(Value::String(text)) => add(text),
                Some(Value::Array(adapters)) => {
                    for adapter in adapters {
                        adapter.get("mac").and_then(Value::as_str).into_iter().for_each(&mut add);
                        let addresses = adapter.get("addresses").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                        addresses.for_each(|address| add(address.split('/').next().unwrap_or(address)));
                    }
                }
                _ => {}
            }
        }
        Self { names, own: &device.name }
    }

    /// Whether a text is a name of the device.
    pub(super) fn is_name(&self, text: &str) -> bool {
        text == self.own && self.names.contains(&text.to_lowercase())
    }

    /// Whether a value holds one as a word.
    pub(super) fn named(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let text = text.to_lowercase();
                let whole = |at: usize, name: &str| {
                    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
                    !text[..at].chars().next_back().is_some_and(word) && !text[at + name.len()..].chars().next().is_some_and(word)
                };
                self.names.iter().any(|name| text.match_indices(name.as_str()).any(|(at, _)| whole(at, name)))
            }
            Value::Array(list) => list.iter().any(|item| self.named(item)),
            Value::Object(map) => map.values().any(|item| self.named(item)),
            _ => false,
        }
    }
}
