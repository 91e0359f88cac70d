//! Sites, groups and devices: from documents to declarations, each with its tree for later checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::codes;
use super::decode::{self, DEVICE, GROUP, Kind, SITE};
use super::tree::{Entry, Node, Tree};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::{Device, Group, Place, Site};

/// A document of the repository.
pub(super) struct Document {
    pub file: Arc<str>,
    pub root: Node,
}

/// A decoded definition with the tree that it came from.
pub(super) struct Declared<T> {
    pub value: T,
    pub node: Node,
    pub file: Arc<str>,
}

impl<T> Declared<T> {
    /// Where a part of the definition stands; the definition itself where there is no such part.
    pub(super) fn place(&self, pointer: &str) -> Place {
        self.node.at_pointer(pointer).spot.of(&self.file)
    }
}

/// Everything that the fleet files declare.
#[derive(Default)]
pub(super) struct Fleet {
    pub sites: BTreeMap<String, Declared<Site>>,
    pub groups: BTreeMap<String, Declared<Group>>,
    pub devices: BTreeMap<String, Declared<Device>>,
    /// Names whose definition could not be decoded: they exist, so nobody is told that they do not.
    pub broken: BTreeMap<&'static str, Vec<String>>,
    /// A part could not be read at all: nobody can tell which names it declares.
    pub unread: bool,
}

const SECTIONS: [&str; 3] = ["sites", "groups", "devices"];

/// What is common to sites, groups and devices.
pub(super) trait Named {
    fn named(&mut self, name: String, place: Place);
    fn declared_at(&self) -> &Place;
}

macro_rules! named {
    ($($t:ty),+) => {$(impl Named for $t {
        fn named(&mut self, name: String, place: Place) {
            self.name = name;
            self.place = place;
        }
        fn declared_at(&self) -> &Place {
            &self.place
        }
    })+};
}
named!(Site, Group, Device);

impl Fleet {
    /// Takes a document in. `bare` is the section of a file that is not wrapped.
    pub(super) fn take(&mut self, document: Document, bare: &'static str, problems: &mut Vec<Diagnostic>) {
        let Document { file, root } = document;
        if matches!(root.value, Tree::Null) {
            return;
        }
        let wrapped = root.entries().iter().any(|entry| SECTIONS.contains(&entry.key.as_str()));
        if !wrapped {
            self.section(bare, &file, root, problems);
            return;
        }
        let Tree::Map(entries) = root.value else { return };
        for entry in entries {
            if let Some(section) = SECTIONS.iter().find(|section| **section == entry.key) {
                self.section(section, &file, entry.node, problems);
            } else {
                self.unread = true;
                problems.push(codes::unknown_key(&entry.key, SECTIONS, "this file", &entry.spot.of(&file)));
            }
        }
    }

    fn section(&mut self, section: &'static str, file: &Arc<str>, node: Node, problems: &mut Vec<Diagnostic>) {
        let before = problems.len();
        let entries = definitions(section.trim_end_matches('s'), file, node, problems);
        self.unread |= problems.len() > before;
        let broken = self.broken.entry(section).or_default();
        match section {
            "sites" => define(&mut self.sites, &SITE, "site", broken, file, entries, problems),
            "groups" => define(&mut self.groups, &GROUP, "group", broken, file, entries, problems),
            _ => define(&mut self.devices, &DEVICE, "device", broken, file, entries, problems),
        }
    }
}

fn define<T: Named + DeserializeOwned>(
    into: &mut BTreeMap<String, Declared<T>>,
    kind: &Kind,
    noun: &str,
    broken: &mut Vec<String>,
    file: &Arc<str>,
    entries: Vec<Entry>,
    problems: &mut Vec<Diagnostic>,
) {
    for Entry { key, spot, mut node } in entries {
        let place = spot.of(file);
        if let Some(first) = into.get(&key) {
            problems.push(codes::duplicate_name(noun, &key, &place, first.value.declared_at()));
            continue;
        }
        if let Some(why) = bad_name(&key) {
            problems.push(codes::wrong_value(format!("a {noun} cannot be named '{}': {why}", key.escape_debug()), &place));
        }
        if !node.is_map_or_null() {
            let found = super::tree::in_words(&node.to_json());
            problems
                .push(codes::wrong_value(format!("expected a map that describes the {noun} '{key}', found {found}"), &node.spot.of(file)));
            broken.push(key);
            continue;
        }
        respell(&mut node, kind);
        match decode::decode::<T>(kind, file, &node, problems) {
            Some(mut value) => {
                value.named(key.clone(), place);
                into.insert(key, Declared { value, node, file: Arc::clone(file) });
            }
            None => broken.push(key),
        }
    }
}

/// The definitions of a section: a map by name, or a list whose items carry `name`.
pub(super) fn definitions(noun: &str, file: &Arc<str>, node: Node, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let items = match node.value {
        Tree::Map(entries) => return entries,
        Tree::Null => return Vec::new(),
        Tree::List(items) => items,
        _ => {
            problems.push(codes::wrong_value(format!("expected a map from name to {noun}"), &node.spot.of(file)));
            return Vec::new();
        }
    };
    let mut entries = Vec::with_capacity(items.len());
    for mut item in items {
        let name = if let Tree::Map(members) = &mut item.value {
            members.iter().position(|m| m.key.eq_ignore_ascii_case("name")).map(|i| members.remove(i))
        } else {
            None
        };
        let name = name.as_ref().and_then(|entry| entry.node.text().map(|text| (text.to_owned(), entry.node.spot)));
        match name {
            Some((key, spot)) => entries.push(Entry { key, spot, node: item }),
            None => problems.push(Diagnostic::error("RMM0113", format!("a {noun} in a list needs the key 'name'")).at(&item.spot.of(file))),
        }
    }
    entries
}

/// Accepts `SiteId` for `siteId`: the spelling of other systems' exports.
pub(super) fn respell(node: &mut Node, kind: &Kind) {
    let Tree::Map(entries) = &mut node.value else { return };
    for i in 0..entries.len() {
        let key = &entries[i].key;
        let Some(first) = key.chars().next().filter(char::is_ascii_uppercase) else { continue };
        let camel = format!("{}{}", first.to_ascii_lowercase(), &key[1..]);
        if kind.keys().any(|known| known == camel) && !entries.iter().any(|entry| entry.key == camel) {
            entries[i].key = camel;
        }
    }
}

/// Why a text cannot be the name of a site, group or device. Names become file names of logs and parts of commands' output.
pub fn bad_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        Some("it is empty")
    } else if name.chars().any(char::is_control) {
        Some("it holds a control character")
    } else if name.trim() != name {
        Some("it begins or ends with a space")
    } else if name.len() > 255 {
        Some("it is longer than 255 bytes")
    } else if name == "*" || name == "." || name == ".." {
        Some("that has a meaning of its own")
    } else {
        None
    }
}

/// `devices` where a bare file was meant to be wrapped and the key is misspelt.
pub(super) fn misspelt_section(root: &Node) -> Option<(&Entry, &'static str)> {
    if root.entries().iter().any(|entry| SECTIONS.contains(&entry.key.as_str())) {
        return None;
    }
    root.entries().iter().find_map(|entry| {
        let near = did_you_mean(&entry.key, SECTIONS)?;
        let all_maps = !entry.node.entries().is_empty() && entry.node.entries().iter().all(|inner| inner.node.is_map_or_null());
        let section = SECTIONS.into_iter().find(|section| *section == near)?;
        let no_device = !entry.node.entries().iter().any(|inner| DEVICE.keys().any(|key| key == inner.key));
        (all_maps && no_device).then_some((entry, section))
    })
}
