//! Meaning: do the names exist, are there circles, do the expressions compile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::codes;
use super::fleet::{Declared, Fleet};
use super::members::Members;
use super::policies::{GUARDS, expired};
use super::tree::{Node, Spot, Tree};
use super::update_rules::NAME as UPDATES;
use crate::catalog::facts::misspelt;
use crate::diagnose::Diagnostic;
use crate::model::selector::Match;
use crate::model::{Group, Place, Policy, Selector};
use crate::script::{Condition, Mention, ScriptError};

/// From this many problems on no similar names are looked for: ten thousand misspelt names end quickly too.
const MAX_SUGGESTIONS: usize = 100;

/// What names can be resolved against.
pub(super) struct Checker<'a> {
    pub fleet: &'a Fleet,
    /// Site identifiers to names.
    pub site_ids: &'a BTreeMap<String, String>,
    /// Which devices are in which groups.
    pub members: &'a Members<'a>,
    /// Not everything that the fleet files say is known: that a selector means nobody cannot be told.
    pub incomplete: bool,
    pub problems: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn broken(&self, section: &str, name: &str) -> bool {
        self.fleet.unread || self.fleet.broken.get(section).is_some_and(|names| names.iter().any(|known| known == name))
    }

    fn unknown(&mut self, kind: &str, name: &str, at: &Place) {
        let problem = if self.problems.len() >= MAX_SUGGESTIONS {
            Diagnostic::error("RMM0108", format!("there is no {kind} '{name}'")).at(at)
        } else {
            match kind {
                "group" => codes::unknown_name(kind, name, self.fleet.groups.keys().map(String::as_str), at),
                "site" => codes::unknown_name(kind, name, self.fleet.sites.keys().map(String::as_str), at),
                _ => codes::unknown_name(kind, name, self.fleet.devices.keys().map(String::as_str), at),
            }
        };
        self.problems.push(problem);
    }

    pub(super) fn group(&mut self, name: &str, at: &Place) {
        if self.fleet.groups.contains_key(name) || self.broken("groups", name) {
            return;
        }
        if self.fleet.devices.contains_key(name) {
            let problem = Diagnostic::error("RMM0108", format!("there is no group '{name}'")).at(at).label("this is a device");
            self.problems.push(problem.advice(format!("to select one device, write {{device: {name}}}")));
        } else {
            self.unknown("group", name, at);
        }
    }

    pub(super) fn site(&mut self, name: &str, at: &Place) {
        if !self.fleet.sites.contains_key(name) && !self.site_ids.contains_key(name) && !self.broken("sites", name) {
            self.unknown("site", name, at);
        }
    }

    pub(super) fn device(&mut self, name: &str, at: &Place) {
        if !self.fleet.devices.contains_key(name) && !self.broken("devices", name) {
            self.unknown("device", name, at);
        }
    }

    /// Checks a selector whose tree is `node`.
    pub(super) fn selector(&mut self, selector: &Selector, node: &Node, file: &Arc<str>) {
        match selector {
            Selector::Name(name) if name == "*" => {}
            Selector::Name(name) => self.group(name, &node.spot.of(file)),
            Selector::Match(parts) => {
                let at = |key: &str| node.at_pointer(&format!("/{key}")).spot.of(file);
                if let Some(name) = &parts.group {
                    self.group(name, &at("group"));
                }
                if let Some(name) = &parts.site {
                    self.site(name, &at("site"));
                }
                if let Some(name) = &parts.device {
                    self.device(name, &at("device"));
                }
                if let Some(text) = &parts.condition {
                    match Condition::compile(text) {
                        Err(error) => {
                            let place = node.get("where").map_or_else(|| at("where"), |node| inside(node, text, &error).of(file));
                            let problem = Diagnostic::error("RMM0112", format!("the condition does not compile: {error}")).at(&place);
                            self.problems.push(problem.advice("a condition is an expression such as facts.hardware.memory.total_gb < 8"));
                        }
                        Ok(condition) => {
                            let spot = node.get("where").map_or(node.spot, |node| node.spot);
                            self.problems.extend(unknown_facts(&condition, spot, file));
                        }
                    }
                }
                if *parts == Match::default() {
                    let problem =
                        codes::wrong_value("this selector has no members and would select nothing in particular", &node.spot.of(file));
                    self.problems.push(problem.advice("write \"*\" for every device"));
                }
            }
        }
    }

    /// Checks a selector, and warns where no device can be meant.
    pub(super) fn target(&mut self, selector: &Selector, node: &Node, file: &Arc<str>) {
        let before = self.problems.len();
        self.selector(selector, node, file);
        if self.problems.len() == before && !self.incomplete && self.members.none(selector) {
            let message = match selector {
                Selector::Name(name) => format!("no device is in the group '{name}'"),
                Selector::Match(_) => "no device fits this selector".to_owned(),
            };
            let problem = Diagnostic::warning("RMM0150", message).at(&node.spot.of(file));
            self.problems.push(problem.advice("put a device in the group, or correct the selector; rmm devices list shows what there is"));
        }
    }

    /// Selectors of a policy, and the devices and settings of its exceptions.
    pub(super) fn policy(&mut self, policy: &Policy, node: &Node, file: &Arc<str>, zone: Tz, now: DateTime<Utc>) {
        for (key, selectors) in [("targets", &policy.targets), ("exclude", &policy.exclude)] {
            let Some(declared) = node.get(key) else { continue };
            let nodes: Vec<&Node> =
                if matches!(declared.value, Tree::List(_)) { declared.items().iter().collect() } else { vec![declared] };
            if nodes.is_empty() && key == "targets" {
                let problem =
                    Diagnostic::error("RMM0113", format!("the policy '{}' has no targets", policy.name)).at(&declared.spot.of(file));
                self.problems.push(problem.advice("name the groups it is for: targets: [Servers]; \"*\" is every device"));
            }
            for (selector, node) in selectors.iter().zip(nodes) {
                if key == "targets" {
                    self.target(selector, node, file);
                } else {
                    self.selector(selector, node, file);
                }
            }
        }
        let nodes = node.get("exceptions").map(Node::items).unwrap_or_default();
        let declared = node.get("settings").map(Node::entries).unwrap_or_default();
        for (exception, node) in policy.exceptions.iter().zip(nodes) {
            self.device(&exception.device, &node.at_pointer("/device").spot.of(file));
            if let Some(wanted) = &exception.setting {
                let known: BTreeSet<String> = policy
                    .settings
                    .iter()
                    .flat_map(|setting| [setting.name.to_string(), setting.label()])
                    .chain(policy.updates.iter().map(|_| UPDATES.to_owned()))
                    .collect();
                // A setting that is misspelt above is one mistake.
                let of_policy = |key: &String| known.contains(key) || GUARDS.iter().any(|(name, _)| name == key) || key == UPDATES;
                let unknown_above = declared.iter().any(|entry| !of_policy(&entry.key));
                if !known.contains(wanted) && !unknown_above {
                    let at = node.at_pointer("/setting").spot.of(file);
                    let problem = Diagnostic::error("RMM0109", format!("the policy '{}' does not set '{wanted}'", policy.name)).at(&at);
                    self.problems.push(problem.advice(codes::suggestion(wanted, known.iter().map(String::as_str), "it sets")));
                }
            }
            if expired(exception, zone, now) {
                let until = exception.until.map(|until| until.to_string()).unwrap_or_default();
                let problem = Diagnostic::warning("RMM0114", format!("the exception for '{}' ended on {until}", exception.device));
                self.problems.push(
                    problem
                        .at(&node.at_pointer("/until").spot.of(file))
                        .advice("remove it, or extend it with a new approval: it no longer holds"),
                );
            }
        }
    }

    /// Names within the fleet itself.
    pub(super) fn fleet(&mut self) {
        for group in self.fleet.groups.values() {
            if let Some(parent) = &group.value.parent {
                self.group(parent, &group.place("/parent"));
            }
            for (i, member) in group.value.members.iter().enumerate() {
                self.device(member, &group.place(&format!("/members/{i}")));
            }
            if let (Some(rule), Some(node)) = (&group.value.rule, group.node.get("match")) {
                self.selector(rule, node, &group.file);
            }
        }
        for device in self.fleet.devices.values() {
            for (i, group) in device.value.groups.iter().enumerate() {
                if !self.fleet.groups.contains_key(group) {
                    self.group(group, &device.place(&format!("/groups/{i}")));
                }
            }
            if let Some(site) = &device.value.site {
                self.site(site, &device.place("/site"));
            }
            if let Some(host) = &device.value.host {
                self.device(host, &device.place("/host"));
            }
            for (i, other) in device.value.depends_on.iter().enumerate() {
                self.device(other, &device.place(&format!("/dependsOn/{i}")));
            }
            if let Some(address) = &device.value.address
                && address.chars().any(|c| c.is_control() || c.is_whitespace())
            {
                let message = "an address cannot hold spaces or control characters";
                self.problems.push(codes::wrong_value(message, &device.place("/address")));
            }
        }
        for site in self.fleet.sites.values() {
            if let Some(Err(message)) = site.value.timezone.as_deref().map(crate::time::zone) {
                self.problems.push(Diagnostic::error("RMM0115", message).at(&site.place("/timezone")));
            }
        }
        self.circles();
        super::depends::check(self.fleet, self.problems);
    }

    /// Groups that contain themselves, through parents or rules.
    fn circles(&mut self) {
        let groups = &self.fleet.groups;
        // What must be known before the members of a group are: its children, and the group that its rule names.
        let mut needs: BTreeMap<&str, BTreeSet<&str>> = groups.keys().map(|name| (name.as_str(), BTreeSet::new())).collect();
        for (name, group) in groups {
            if let Some((parent, _)) = group.value.parent.as_ref().and_then(|parent| groups.get_key_value(parent)) {
                needs.entry(parent).or_default().insert(name);
            }
            if let Some((other, _)) = ruled_by(group).and_then(|other| groups.get_key_value(other)) {
                needs.entry(name).or_default().insert(other);
            }
        }
        let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, others) in &needs {
            for other in others {
                needed_by.entry(other).or_default().push(name);
            }
        }
        // Leaves are taken away until only circles, and what hangs on them, are left.
        let mut open: BTreeMap<&str, usize> = needs.iter().map(|(name, others)| (*name, others.len())).collect();
        let mut leaves: Vec<&str> = open.iter().filter(|(_, n)| **n == 0).map(|(name, _)| *name).collect();
        while let Some(leaf) = leaves.pop() {
            open.remove(leaf);
            for name in needed_by.get(leaf).into_iter().flatten() {
                if let Some(n) = open.get_mut(name) {
                    *n -= 1;
                    if *n == 0 {
                        leaves.push(name);
                    }
                }
            }
        }
        let mut done: BTreeSet<&str> = BTreeSet::new();
        for start in open.keys() {
            let mut path: Vec<&str> = Vec::new();
            let mut seen: BTreeSet<&str> = BTreeSet::new();
            let mut at = *start;
            while !done.contains(at) && seen.insert(at) {
                path.push(at);
                match needs.get(at).and_then(|others| others.iter().find(|other| open.contains_key(*other))) {
                    Some(next) => at = next,
                    None => break,
                }
            }
            if !done.contains(at)
                && let Some(begin) = path.iter().position(|name| *name == at)
            {
                self.circle(&path[begin..]);
            }
            done.extend(path);
        }
    }

    fn circle(&mut self, names: &[&str]) {
        let shown: Vec<&str> = names.iter().chain(names.first()).copied().collect();
        let declared = names.iter().filter_map(|name| self.fleet.groups.get(*name));
        let mut problem = Diagnostic::error("RMM0111", format!("groups contain one another in a circle: {}", shown.join(" > ")));
        for (i, group) in declared.enumerate() {
            let part = if group.value.parent.as_deref().is_some_and(|parent| names.contains(&parent)) { "/parent" } else { "/match" };
            if i == 0 {
                problem = problem.at(&group.place(part));
            } else if i < 8 {
                problem = problem.related(&group.place(part), "and here");
            }
        }
        self.problems.push(problem.advice("remove one of the links"));
    }
}

/// The group that a group's rule asks for.
fn ruled_by(group: &Declared<Group>) -> Option<&str> {
    match group.value.rule.as_ref()? {
        Selector::Name(name) => Some(name),
        Selector::Match(parts) => parts.group.as_deref(),
    }
}

/// The spot within a one-line expression at which the compiler stopped.
fn inside(node: &Node, text: &str, error: &ScriptError) -> Spot {
    match error {
        ScriptError::Compile { line: 0 | 1, column, .. } => within(node.spot, text, *column, 1),
        _ => node.spot,
    }
}

/// The place of a piece of an expression that stands at `spot`, as far as its quoting tells it.
fn within(mut spot: Spot, text: &str, column: u32, length: u32) -> Spot {
    let whole = text.chars().count() as u32;
    // Plain or simply quoted: escapes would move the columns.
    let quote = spot.length.saturating_sub(whole) / 2;
    if column > 0 && column <= whole + 1 && !text.contains('\n') && (spot.length == whole || spot.length == whole + 2) {
        spot.column += quote + column - 1;
        spot.length = length;
    }
    spot
}

/// The same for an expression that stands alone, in a source of this name.
pub fn unknown_facts_in(condition: &Condition, source: &str) -> Vec<Diagnostic> {
    let length = condition.text().chars().count() as u32;
    unknown_facts(condition, Spot { line: 1, column: 1, length }, &source.into())
}

/// Facts and members of devices that an expression asks for and that do not exist: it would never hold.
pub(super) fn unknown_facts(condition: &Condition, spot: Spot, file: &Arc<str>) -> Vec<Diagnostic> {
    let wrong = |mention: Mention| {
        let names: Vec<&str> = mention.steps.iter().map(|step| step.name.as_str()).collect();
        let (at, known) = match mention.variable.as_str() {
            "facts" => misspelt(&names)?,
            "device" if !Condition::DEVICE.contains(names.first()?) => (0, Condition::DEVICE.map(str::to_owned).into()),
            _ => return None,
        };
        let (step, path) = (&mention.steps[at], names[..=at].join("."));
        let place = within(spot, condition.text(), step.column, step.name.chars().count() as u32).of(file);
        let problem = Diagnostic::error("RMM0146", format!("there is no {}.{path}", mention.variable)).at(&place);
        Some(problem.advice(codes::suggestion(&step.name, known.iter().map(String::as_str), "there are")))
    };
    condition.mentions().into_iter().filter_map(wrong).collect()
}
