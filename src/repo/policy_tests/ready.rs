//! One test made ready: its device, its facts and its moment, and every name in it checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeZone as _, Utc};
use serde_json::{Map, Value};

use super::super::codes;
use super::super::tree::{Node, Tree, in_words};
use super::super::yaml;
use super::Reading;
use crate::diagnose::Diagnostic;
use crate::model::policy_test::{Described, PolicyTest, ReadyTest, TestDevice};
use crate::model::{Device, Facts, Place};

/// What may stand in the way of a change besides a policy.
const HOLDERS: [&str; 4] = ["exception", "approval", "activeHours", "suspended"];

/// When a plan is made where the test does not say it: always the same moment, so that a test fails for a change of the
/// repository and never because a day has passed.
fn usual_moment() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().unwrap_or_default()
}

impl Reading<'_> {
    pub(super) fn ready(&mut self, test: PolicyTest, node: &Node, file: &Arc<str>, place: Place) -> Option<ReadyTest> {
        let before = self.errors();
        let at_key = |pointer: &str| node.at_pointer(pointer).spot.of(file);
        let at = match test.at.as_deref().map(DateTime::parse_from_rfc3339) {
            None => usual_moment(),
            Some(Ok(at)) => at.with_timezone(&Utc),
            Some(Err(_)) => {
                let text = test.at.as_deref().unwrap_or_default();
                let problem = codes::wrong_value(format!("expected a moment, found text '{text}'"), &at_key("/at"));
                self.problems.push(problem.advice("write it with its offset: 2026-11-10T12:00:00-05:00"));
                usual_moment()
            }
        };
        let device = self.device(&test.device, node, file);
        let facts = self.facts(&test, node, file);
        let places = self.expectations(&test, node, file);
        if test.expect.is_empty() {
            let problem = Diagnostic::error("RMM0531", format!("the test '{}' expects nothing, so it cannot fail", test.name));
            self.problems
                .push(problem.at(&at_key("/expect")).advice("list what the plan has to say; `nothing: true` where all is as it should be"));
        }
        let lists = test.expect.lists().any(|(state, ..)| state != crate::model::State::Compliant);
        if test.expect.nothing && lists {
            let message = "`nothing: true` says that everything is compliant; no other list can stand beside it";
            self.problems.push(codes::wrong_value(message, &at_key("/expect/nothing")));
        }
        let (device, facts) = (device?, facts?);
        if self.errors() > before {
            return None;
        }
        let observed = test.facts_age.map_or(at, |age| at - age.delta());
        Some(ReadyTest { device, facts: Arc::new(facts.observed_at(observed)), at, place, places, test })
    }

    fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.level == crate::diagnose::Level::Error).count()
    }

    fn device(&mut self, device: &TestDevice, node: &Node, file: &Arc<str>) -> Option<Arc<Device>> {
        let at = |pointer: &str| node.at_pointer(pointer).spot.of(file);
        let described = match device {
            TestDevice::Described(described) => described,
            TestDevice::Declared(name) => {
                let found = self.set.devices.get(name).cloned();
                if found.is_none() {
                    let known = self.set.devices.keys().map(String::as_str);
                    let problem = codes::unknown_name("device", name, known, &at("/device"));
                    let advice = problem.advice.clone().unwrap_or_default();
                    self.problems.push(problem.advice(format!("{advice}, or describe one: {{hostname: {name}, groups: [...]}}")));
                }
                return found;
            }
        };
        let Described { hostname, address, os, site, groups, tags, vars, custom_fields } = described.clone();
        for (i, group) in groups.iter().enumerate() {
            if !self.set.groups.contains_key(group) {
                let known = self.set.groups.keys().map(String::as_str);
                self.problems.push(codes::unknown_name("group", group, known, &at(&format!("/device/groups/{i}"))));
            }
        }
        let site = match site {
            None => self.set.config.general.default_site.clone(),
            Some(name) => {
                let found = self.set.sites.values().find(|s| s.name == name || s.site_id.as_deref() == Some(&name));
                let is_default = name == self.set.config.general.default_site;
                if found.is_none() && !is_default {
                    let known = self.set.sites.keys().map(String::as_str);
                    self.problems.push(codes::unknown_name("site", &name, known, &at("/device/site")));
                }
                found.map_or(name, |site| site.name.clone())
            }
        };
        let name = hostname.unwrap_or_else(|| "device".to_owned());
        if let Some(why) = super::super::fleet::bad_name(&name) {
            self.problems
                .push(codes::wrong_value(format!("a device cannot be named '{}': {why}", name.escape_debug()), &at("/device/hostname")));
        }
        let connection = crate::model::device::Connection::default();
        Some(Arc::new(Device {
            name,
            address,
            os,
            site: Some(site),
            groups,
            tags,
            vars,
            custom_fields,
            connection,
            place: at("/device"),
            ..Device::default()
        }))
    }

    /// Facts of the file, with those of the test laid over them.
    fn facts(&mut self, test: &PolicyTest, node: &Node, file: &Arc<str>) -> Option<Arc<Facts>> {
        let base = match &test.facts_from {
            None => Arc::default(),
            Some(path) => self.sample(path, &node.at_pointer("/factsFrom").spot.of(file))?,
        };
        if test.facts.is_empty() {
            return Some(base);
        }
        let given = Facts::from_value(&test.facts, usual_moment());
        for name in given.sections.keys() {
            if self.known.iter().any(|known| **known == **name) || base.sections.contains_key(name) {
                continue;
            }
            let at = match name.split_once('.') {
                Some((category, section)) => node.at_pointer("/facts").get(category).and_then(|c| c.entry(section)),
                None => node.at_pointer("/facts").entry(name),
            };
            let place = at.map_or_else(|| node.at_pointer("/facts").spot, |entry| entry.spot).of(file);
            let problem =
                Diagnostic::warning("RMM0533", format!("no collector gives the section '{name}', so no device has it")).at(&place);
            let near = codes::suggestion(name, self.known.iter().map(String::as_str), "sections are");
            self.problems.push(problem.advice(near));
        }
        if base.sections.is_empty() {
            return Some(Arc::new(given));
        }
        let mut facts = (*base).clone();
        for (name, section) in given.sections {
            let merged = match facts.sections.get(&name) {
                Some(under) if under.data.is_object() && section.data.is_object() => {
                    let mut data = (*under.data).clone();
                    lay_over(&mut data, &section.data);
                    crate::model::Section::new(data, section.status, section.collected_at)
                }
                _ => section,
            };
            facts.sections.insert(name, merged);
        }
        Some(Arc::new(facts))
    }

    fn sample(&mut self, path: &str, at: &Place) -> Option<Arc<Facts>> {
        if let Some(known) = self.facts.get(path) {
            return known.clone();
        }
        let read = (self.samples)(path).and_then(|text| facts_of(path, &text));
        let facts = match read {
            Ok(facts) => Some(Arc::new(facts)),
            Err(why) => {
                let problem = Diagnostic::error("RMM0532", format!("the facts '{}' cannot be used: {why}", path.escape_debug())).at(at);
                let advice = "name a file of this repository by its path from the root; `rmm facts DEVICE --output json` writes one";
                self.problems.push(problem.advice(advice));
                None
            }
        };
        self.facts.insert(path.to_owned(), facts.clone());
        facts
    }

    /// Checks the names in the expectations and notes where each stands.
    fn expectations(&mut self, test: &PolicyTest, node: &Node, file: &Arc<str>) -> BTreeMap<(&'static str, usize), Place> {
        let mut places = BTreeMap::new();
        let policies: Vec<&str> = self.set.policies.iter().map(|policy| &*policy.name).collect();
        let expect = node.at_pointer("/expect");
        for (_, key, list) in test.expect.lists() {
            let listed = expect.entry(key);
            places.insert((key, list.len()), listed.map_or(expect.spot, |entry| entry.spot).of(file));
            let nodes = listed.map(|entry| entry.node.items()).unwrap_or_default();
            for (i, (entry, node)) in list.iter().zip(nodes).enumerate() {
                places.insert((key, i), node.spot.of(file));
                let setting_at = || node.get("setting").unwrap_or(node).spot.of(file);
                let (label, _) = entry.label();
                let name = label.split('.').next().unwrap_or(label);
                if !self.set.catalog.settings.contains_key(name) {
                    let known = self.set.catalog.settings.keys().map(|name| &**name);
                    let problem = Diagnostic::error("RMM0109", format!("there is no setting '{name}'")).at(&setting_at());
                    self.problems.push(problem.advice(codes::suggestion(name, known, "settings are")));
                }
                let Some(entry) = entry.entry() else { continue };
                if let Some(policy) = entry.policy.as_deref().filter(|policy| !policies.contains(policy)) {
                    let at = node.at_pointer("/policy").spot.of(file);
                    self.problems.push(codes::unknown_name("policy", policy, policies.iter().copied(), &at));
                }
                if let Some(by) = entry.by.as_deref().filter(|by| !HOLDERS.contains(by) && !policies.contains(by)) {
                    let known: Vec<&str> = policies.iter().copied().chain(HOLDERS).collect();
                    let at = node.at_pointer("/by").spot.of(file);
                    let problem = Diagnostic::error("RMM0108", format!("there is no policy '{by}' that could hold a change")).at(&at);
                    self.problems.push(problem.advice(codes::suggestion(by, known.iter().copied(), "changes are held by")));
                }
            }
        }
        let groups: Vec<&str> = self.set.groups.keys().map(String::as_str).collect();
        for (key, kind, list, known) in
            [("groups", "group", &test.expect.groups, &groups), ("policies", "policy", &test.expect.policies, &policies)]
        {
            let Some(list) = list else { continue };
            let listed = expect.get(key);
            places.insert((key, list.len()), listed.map_or(expect.spot, |node| node.spot).of(file));
            for (i, (name, node)) in list.iter().zip(listed.map(Node::items).unwrap_or_default()).enumerate() {
                let at = node.spot.of(file);
                if !known.contains(&name.as_str()) {
                    self.problems.push(codes::unknown_name(kind, name, known.iter().copied(), &at));
                }
                places.insert((key, i), at);
            }
        }
        places
    }
}

/// Maps are laid over member by member, everything else is replaced.
fn lay_over(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// The facts of a file: one nested document, bare or as `rmm facts --output json` writes it.
pub(super) fn facts_of(path: &str, text: &str) -> Result<Facts, String> {
    let file: Arc<str> = path.into();
    let (root, problems) = yaml::parse(&file, text);
    if let Some(problem) = problems.first() {
        let line = problem.place.as_ref().map_or(0, |place| place.line);
        return Err(format!("line {line}: {}", problem.message));
    }
    let root = root.unwrap_or_else(|| Node::new(super::super::tree::Spot::default(), Tree::Null));
    let mut document = root.to_json();
    let written = document.get("schema").and_then(Value::as_str).is_some_and(|schema| schema.starts_with("rmm.facts/"));
    if written {
        if document.get("path").and_then(Value::as_str).is_some_and(|path| !path.is_empty()) {
            return Err("it holds a part of the facts only; write all of them: `rmm facts DEVICE --output json`".into());
        }
        document = document.get_mut("facts").map(Value::take).unwrap_or_default();
    }
    match document {
        Value::Object(map) => Ok(Facts::from_value(&map, usual_moment())),
        Value::Null => Ok(Facts::from_value(&Map::new(), usual_moment())),
        other => Err(format!("expected a map from category to sections, found {}", in_words(&other))),
    }
}
