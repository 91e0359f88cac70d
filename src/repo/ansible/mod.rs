//! An Ansible inventory as devices and groups: ini and YAML, with the files of `group_vars/` and `host_vars/` beside it.
//! Pure over (path, text) pairs. Nothing is run, no template is filled in, and no secret is taken over: what is left out is named.

mod ini;
mod range;
mod vars;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::bad_name;
use crate::diagnose::{Diagnostic, Level};
use crate::model::{Device, Group, Place};

/// Most hosts, ranges expanded.
const MAX_HOSTS: usize = 100_000;
/// Problems after which reading stops.
const MAX_PROBLEMS: usize = 1000;

/// A text that belongs to the inventory.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path, for messages.
    pub path: Arc<str>,
    /// What it says.
    pub text: String,
    /// What it is about.
    pub about: About,
}

/// What a file is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Hosts and groups.
    Inventory,
    /// Variables of the group of this name.
    Group(String),
    /// Variables of the host of this name.
    Host(String),
}

/// What an inventory says.
#[derive(Debug, Default)]
pub struct Imported {
    /// Devices by name.
    pub devices: Vec<Device>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// What was not taken over, and why.
    pub left_out: Vec<Diagnostic>,
}

/// A variable and where it stands.
type Vars = BTreeMap<String, (Value, Place)>;

#[derive(Debug, Default)]
struct HostData {
    place: Place,
    groups: BTreeSet<String>,
    vars: Vars,
}

#[derive(Debug, Default)]
struct GroupData {
    place: Place,
    parents: Vec<String>,
    vars: Vars,
}

/// What was read so far.
#[derive(Debug, Default)]
struct Inventory {
    hosts: BTreeMap<String, HostData>,
    groups: BTreeMap<String, GroupData>,
    problems: Vec<Diagnostic>,
}

impl Inventory {
    fn wrong(&mut self, message: impl Into<String>, at: &Place) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Diagnostic::error("RMM0561", message).at(at));
        }
    }

    fn group(&mut self, name: &str, at: &Place) -> &mut GroupData {
        if !self.groups.contains_key(name)
            && let Some(why) = bad_name(name)
        {
            self.wrong(format!("a group cannot be named '{}': {why}", name.escape_debug()), at);
        }
        self.groups.entry(name.to_owned()).or_insert_with(|| GroupData { place: at.clone(), ..GroupData::default() })
    }

    fn child(&mut self, parent: &str, child: &str, at: &Place) {
        self.group(parent, at);
        let group = self.group(child, at);
        if parent != "all" && !group.parents.iter().any(|known| known == parent) {
            group.parents.push(parent.to_owned());
        }
    }

    /// Adds the hosts that a pattern names to a group, with variables.
    fn hosts(&mut self, pattern: &str, group: &str, vars: &Vars, at: &Place) {
        let names = match range::expand(pattern) {
            Ok(names) => names,
            Err(why) => return self.wrong(format!("'{}' names no hosts: {why}", pattern.escape_debug()), at),
        };
        for name in names {
            if self.hosts.len() >= MAX_HOSTS && !self.hosts.contains_key(&name) {
                return self.wrong("the inventory has more than 100,000 hosts", at);
            }
            if let Some(why) = bad_name(&name) {
                self.wrong(format!("'{}' cannot be a name: {why}", name.escape_debug()), at);
                continue;
            }
            let host = self.hosts.entry(name).or_insert_with(|| HostData { place: at.clone(), ..HostData::default() });
            if group != "all" && group != "ungrouped" {
                host.groups.insert(group.to_owned());
            }
            host.vars.extend(vars.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
    }

    /// A circle among the groups, as the names on it.
    fn circle(&self) -> Option<String> {
        self.groups.keys().find(|start| self.above(start).contains(*start)).cloned()
    }

    /// All groups above one, nearest first.
    fn above(&self, name: &str) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut next: Vec<String> = self.groups.get(name).map(|group| group.parents.clone()).unwrap_or_default();
        while !next.is_empty() {
            let level = std::mem::take(&mut next);
            for parent in level {
                if !found.contains(&parent) {
                    next.extend(self.groups.get(&parent).into_iter().flat_map(|group| group.parents.iter().cloned()));
                    found.push(parent);
                }
            }
        }
        found
    }

    /// The groups of a host from the nearest to the farthest; of those equally near the last by name wins, as in Ansible.
    fn order(&self, host: &HostData) -> Vec<String> {
        let mut all: BTreeSet<String> = host.groups.clone();
        for group in &host.groups {
            all.extend(self.above(group));
        }
        let mut all: Vec<(usize, String)> = all.into_iter().map(|name| (self.depth(&name), name)).collect();
        all.sort_by(|a, b| b.cmp(a));
        let named = all.into_iter().map(|(_, name)| name);
        let ungrouped = host.groups.is_empty().then(|| "ungrouped".to_owned());
        named.chain(ungrouped).chain(["all".to_owned()]).collect()
    }

    /// How far below the top a group stands: the longest way.
    fn depth(&self, name: &str) -> usize {
        let mut depth = 0;
        let mut level: BTreeSet<&str> = BTreeSet::from([name]);
        while !level.is_empty() && depth <= self.groups.len() {
            level = level.iter().filter_map(|n| self.groups.get(*n)).flat_map(|g| g.parents.iter().map(String::as_str)).collect();
            depth += 1;
        }
        depth
    }
}

/// Reads an inventory. Where anything is wrong, everything that is wrong comes back instead.
pub fn read(sources: &[Source]) -> Result<Imported, Vec<Diagnostic>> {
    let mut inventory = Inventory::default();
    for source in sources.iter().filter(|source| source.about == About::Inventory) {
        if yaml::looks_like(&source.path, &source.text) {
            yaml::inventory(source, &mut inventory);
        } else {
            ini::inventory(source, &mut inventory);
        }
    }
    let mut left_out = Vec::new();
    for source in sources {
        yaml::variables(source, &mut inventory, &mut left_out);
    }
    if let Some(name) = inventory.circle() {
        let at = inventory.groups.get(&name).map(|group| group.place.clone()).unwrap_or_default();
        inventory.wrong(format!("the group '{name}' contains itself"), &at);
    }
    if inventory.problems.is_empty() && inventory.hosts.is_empty() {
        let at = Place::file(sources.first().map_or("", |source| &source.path));
        inventory.wrong("the inventory has no hosts", &at);
    }
    if inventory.problems.is_empty() {
        let mut imported = build(&inventory);
        let problems: Vec<_> = imported.left_out.extract_if(.., |p| p.level == Level::Error).collect();
        if problems.is_empty() {
            left_out.append(&mut imported.left_out);
            return Ok(Imported { left_out, ..imported });
        }
        inventory.problems = problems;
    }
    inventory.problems.sort_by(|a, b| a.place.cmp(&b.place));
    Err(inventory.problems)
}

/// Devices and groups as the product has them.
fn build(inventory: &Inventory) -> Imported {
    let mut imported = Imported::default();
    let notes = &mut imported.left_out;
    let has_vars = |name: &str| inventory.groups.get(name).is_some_and(|group| !group.vars.is_empty());
    let all = has_vars("all");
    for (name, data) in &inventory.groups {
        let special = name == "all" || name == "ungrouped";
        if special && !has_vars(name) {
            continue;
        }
        let mut group = Group { name: name.clone(), place: data.place.clone(), ..Group::default() };
        // One parent contains the group; of the others its hosts become members one by one.
        group.parent = data.parents.first().cloned().or_else(|| (all && name != "all").then(|| "all".to_owned()));
        vars::take(&format!("the group {name}"), &data.vars, &mut group.vars, &mut group.connection, &mut None, notes);
        imported.groups.insert(name.clone(), group);
    }
    for (name, host) in &inventory.hosts {
        let order = inventory.order(host);
        let mut groups: BTreeSet<String> = host.groups.clone();
        for member in &order {
            let others = inventory.groups.get(member).map_or(&[][..], |group| group.parents.get(1..).unwrap_or_default());
            groups.extend(others.iter().cloned());
        }
        if groups.is_empty() {
            let special = ["ungrouped", "all"].into_iter().find(|special| has_vars(special));
            groups.extend(special.map(str::to_owned));
        }
        // Where groups disagree, the value that Ansible would take stands on the device itself.
        let mut own = host.vars.clone();
        let mut first: BTreeMap<&String, &(Value, Place)> = BTreeMap::new();
        for (key, value) in order.iter().filter_map(|group| inventory.groups.get(group)).flat_map(|group| &group.vars) {
            match first.get(key) {
                None => {
                    first.insert(key, value);
                }
                Some(nearest) if nearest.0 != value.0 && !own.contains_key(key) => {
                    own.insert(key.clone(), (*nearest).clone());
                }
                Some(_) => {}
            }
        }
        let mut device = Device { name: name.clone(), place: host.place.clone(), ..Device::default() };
        device.groups = groups.into_iter().collect();
        vars::take(name, &own, &mut device.vars, &mut device.connection, &mut Some(&mut device.address), notes);
        imported.devices.push(device);
    }
    imported
}

#[cfg(test)]
mod tests;
