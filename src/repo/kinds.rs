//! What thresholds, workflows and notifications have in common: the names that they may refer to, and how a file of
//! definitions is taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;

use super::check::Checker;
use super::codes;
use super::compile::Unread;
use super::decode::{self, Kind};
use super::fleet;
use super::policy_doc::Selectors;
use super::tree::{Entry, Node, Spot, Tree, in_words};
use crate::catalog::Catalog;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::config::{Channel, Config};
use crate::model::notification::SeverityRule;
use crate::model::selector::Match;
use crate::model::{Place, Selector, Severity};

/// What definitions may refer to.
pub(super) struct Kinds<'a> {
    pub checker: Checker<'a>,
    pub catalog: &'a Catalog,
    pub config: &'a Config,
    pub channels: &'a BTreeMap<String, Channel>,
    pub policies: &'a BTreeSet<String>,
    pub workflows: BTreeSet<String>,
    pub unread: &'a Unread,
    pub now: DateTime<Utc>,
}

impl Kinds<'_> {
    pub(super) fn problem(&mut self, problem: Diagnostic) {
        self.checker.problems.push(problem);
    }

    /// Checks a definition against its type; `None`, with the problems reported, where it does not fit.
    pub(super) fn decode<T: DeserializeOwned>(&mut self, kind: &Kind, file: &Arc<str>, node: &Node) -> Option<T> {
        decode::decode(kind, file, node, self.checker.problems)
    }

    /// The selectors under a key, checked, in their shortest form.
    pub(super) fn selectors(&mut self, doc: Selectors, node: Option<&Node>, file: &Arc<str>) -> Vec<Selector> {
        let selectors = doc.into_vec();
        if let Some(node) = node {
            let nodes: Vec<&Node> = if matches!(node.value, Tree::List(_)) { node.items().iter().collect() } else { vec![node] };
            for (selector, node) in selectors.iter().zip(nodes) {
                self.checker.target(selector, node, file);
            }
        }
        selectors.into_iter().map(shortest).collect()
    }

    /// A policy, workflow, channel, group, site or device by its name.
    pub(super) fn name(&mut self, kind: &str, name: &str, at: &Place) {
        match kind {
            "group" => self.checker.group(name, at),
            "site" => self.checker.site(name, at),
            "device" => self.checker.device(name, at),
            "policy" if !self.policies.contains(name) && !self.unread.policies => {
                let problem = codes::unknown_name("policy", name, self.policies.iter().map(String::as_str), at);
                self.problem(problem);
            }
            "workflow" if !self.workflows.contains(name) && !self.unread.workflows => {
                let problem = codes::unknown_name("workflow", name, self.workflows.iter().map(String::as_str), at);
                self.problem(problem);
            }
            "channel" => drop(self.channel(name, at)),
            _ => {}
        }
    }

    /// The declared channels that a name means: the one of that name in any case of letters, else all of that type.
    pub(super) fn channel(&mut self, name: &str, at: &Place) -> Vec<Arc<str>> {
        let lower = name.to_ascii_lowercase();
        let named = self.channels.keys().find(|known| known.eq_ignore_ascii_case(name));
        let typed = || self.channels.iter().filter(|(_, channel)| channel.kind.is_some_and(|kind| kind.to_string() == lower));
        let found: Vec<Arc<str>> = match named {
            Some(name) => vec![name.as_str().into()],
            None => typed().map(|(name, _)| name.as_str().into()).collect(),
        };
        if found.is_empty() && !self.unread.config {
            let problem = Diagnostic::error("RMM0143", format!("there is no channel '{name}'")).at(at);
            let names = self.channels.keys().map(String::as_str);
            let advice = match did_you_mean(name, names.clone()) {
                Some(near) => format!("did you mean '{near}'?"),
                None if self.channels.is_empty() => format!("declare it in rmm.toml: [notifications.channels.{}]", toml_key(&lower)),
                None => format!("neither by name nor by type; {}", codes::suggestion(name, names, "channels are")),
            };
            self.problem(problem.advice(advice));
        }
        found
    }

    /// One severity, several, or `>= High`.
    pub(super) fn severity(&mut self, texts: &[String], node: &Node, file: &Arc<str>) -> Option<SeverityRule> {
        let mut list = Vec::new();
        let nodes: Vec<&Node> = if node.items().is_empty() { vec![node] } else { node.items().iter().collect() };
        for (text, node) in texts.iter().zip(nodes) {
            let (least, word) = text.trim().strip_prefix(">=").map_or((false, text.trim()), |word| (true, word.trim()));
            let Some(severity) = severity_of(word) else {
                let problem = Diagnostic::error("RMM0144", format!("'{}' is not a severity", word.escape_debug())).at(&node.spot.of(file));
                self.problem(problem.advice(codes::suggestion(word, SEVERITIES.map(|(name, _)| name), "severities are")));
                continue;
            };
            if least && texts.len() == 1 {
                return Some(SeverityRule::AtLeast(severity));
            }
            if least {
                let problem = Diagnostic::error("RMM0144", format!("'>= {word}' cannot stand in a list of severities"));
                self.problem(
                    problem.at(&node.spot.of(file)).advice(format!("write severity: \">= {word}\" alone, or list them one by one")),
                );
                continue;
            }
            list.push(severity);
        }
        list.sort_unstable();
        list.dedup();
        (!list.is_empty()).then_some(SeverityRule::Any(list))
    }
}

const SEVERITIES: [(&str, Severity); 5] = [
    ("Critical", Severity::Critical),
    ("High", Severity::High),
    ("Medium", Severity::Medium),
    ("Low", Severity::Low),
    ("Info", Severity::Info),
];

/// A severity in any case of letters.
pub(super) fn severity_of(word: &str) -> Option<Severity> {
    SEVERITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, severity)| *severity)
}

/// A group has two spellings, its name alone and `{group: NAME}`; the first is kept.
fn shortest(selector: Selector) -> Selector {
    match &selector {
        Selector::Match(Match { group: Some(group), tag: None, site: None, os: None, device: None, condition: None }) => {
            Selector::Name(group.clone())
        }
        _ => selector,
    }
}

fn toml_key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

/// The part of a text that stands at this character, as a place; the whole text where it is written in another way
/// (over several lines, with escapes).
pub(super) fn within(node: &Node, text: &str, at: u32, length: u32) -> Spot {
    let all = text.chars().count() as u32;
    let quote = node.spot.length.saturating_sub(all) / 2;
    if text.contains('\n') || at > all || (node.spot.length != all && node.spot.length != all + 2) {
        return node.spot;
    }
    Spot { line: node.spot.line, column: node.spot.column + quote + at, length: length.max(1) }
}

/// The definitions of a file: bare or under one key with the kind's name.
pub(super) fn unwrap(file: &Arc<str>, root: Node, wrapper: &'static str, noun: &str, problems: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let expected = |node: &Node| codes::wrong_value(format!("expected a map from name to {noun}"), &node.spot.of(file));
    let entries = match root.value {
        Tree::Map(entries) => entries,
        Tree::Null => return Vec::new(),
        _ => {
            problems.push(expected(&root));
            return Vec::new();
        }
    };
    let wrapped = entries.iter().any(|entry| entry.key.eq_ignore_ascii_case(wrapper));
    if !wrapped {
        let only = if let [only] = entries.as_slice() { Some(only) } else { None };
        let misspelt = only.filter(|only| {
            let maps = only.node.entries();
            did_you_mean(&only.key, [wrapper]).is_some() && !maps.is_empty() && maps.iter().all(|inner| !inner.node.entries().is_empty())
        });
        if let Some(only) = misspelt {
            problems.push(codes::unknown_key(&only.key, [wrapper], "this file", &only.spot.of(file)));
            return Vec::new();
        }
        return entries;
    }
    let mut definitions = Vec::new();
    for entry in entries {
        if !entry.key.eq_ignore_ascii_case(wrapper) {
            problems.push(codes::unknown_key(&entry.key, [wrapper], "this file", &entry.spot.of(file)));
            continue;
        }
        match entry.node.value {
            Tree::Map(inner) => definitions.extend(inner),
            Tree::Null => {}
            _ => problems.push(expected(&entry.node)),
        }
    }
    definitions
}

/// Takes the definitions of all files together by name; the second of a name is reported.
pub(super) fn by_name(
    parts: Vec<(Arc<str>, Vec<Entry>)>,
    noun: &str,
    problems: &mut Vec<Diagnostic>,
) -> BTreeMap<String, (Arc<str>, Entry)> {
    let mut all: BTreeMap<String, (Arc<str>, Entry)> = BTreeMap::new();
    for (file, entries) in parts {
        for entry in entries {
            let place = entry.spot.of(&file);
            if let Some((first, known)) = all.get(&entry.key) {
                problems.push(codes::duplicate_name(noun, &entry.key, &place, &known.spot.of(first)));
                continue;
            }
            if let Some(why) = fleet::bad_name(&entry.key) {
                problems.push(codes::wrong_value(format!("a {noun} cannot be named '{}': {why}", entry.key.escape_debug()), &place));
            }
            if !entry.node.is_map_or_null() {
                let found = in_words(&entry.node.to_json());
                let message = format!("expected a map that describes the {noun} '{}', found {found}", entry.key);
                problems.push(codes::wrong_value(message, &entry.node.spot.of(&file)));
                continue;
            }
            all.insert(entry.key.clone(), (Arc::clone(&file), entry));
        }
    }
    all
}

/// Accepts `Warning` for `warning` in the items of a list too.
pub(super) fn respell_items(node: &mut Node, key: &str, kind: &Kind) {
    let Tree::Map(entries) = &mut node.value else { return };
    for entry in entries.iter_mut().filter(|entry| entry.key == key) {
        match &mut entry.node.value {
            Tree::List(items) => items.iter_mut().for_each(|item| fleet::respell(item, kind)),
            Tree::Map(_) => fleet::respell(&mut entry.node, kind),
            _ => {}
        }
    }
}
