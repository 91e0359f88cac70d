//! The policy set: one immutable, validated reading of a repository. Planning, applying and the daemon take this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::model::device::{Connection, TransportKind};
use crate::model::duty::{AlertOptions, Maintenance, Person, QuietHours};
use crate::model::{
    BusinessHours, Config, Device, Escalation, Group, Monitor, NotificationRule, Policy, Rota, Sealed, Selector, Site, Threshold, Workflow,
};

/// A repository, read and found valid.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// Folder of the repository.
    pub root: PathBuf,
    /// Name of that folder, for people.
    pub name: String,
    /// Hex SHA-256 of everything that was read, the overlay and the overrides included.
    pub hash: String,
    /// Hash of the memberships that actions have changed and that are laid over it; empty where there are none.
    pub overlay: String,
    /// Short Git commit, `-dirty` behind it where files differ from it; `None` outside Git.
    pub commit: Option<String>,
    /// `rmm.toml` with its overlay and overrides.
    pub config: Config,
    /// Where each value of the configuration came from, by dotted key: `default`, `rmm.toml:4`, `environment RMM_X`.
    pub origins: BTreeMap<String, String>,
    /// Sites by name.
    pub sites: BTreeMap<String, Site>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// Devices by name. Each has its site filled in, and its groups include those that list it as a member.
    pub devices: BTreeMap<String, Arc<Device>>,
    /// Policies, sorted by name.
    pub policies: Vec<Arc<Policy>>,
    /// Thresholds by name.
    pub thresholds: BTreeMap<String, Arc<Threshold>>,
    /// What is looked at besides, by name.
    pub monitors: BTreeMap<String, Arc<Monitor>>,
    /// Workflows by name.
    pub workflows: BTreeMap<String, Arc<Workflow>>,
    /// Rules of notification by name.
    pub notifications: BTreeMap<String, Arc<NotificationRule>>,
    /// Who hears of what nobody acknowledges, by name.
    pub escalations: BTreeMap<String, Arc<Escalation>>,
    /// Who is on duty, by name.
    pub rotas: BTreeMap<String, Arc<Rota>>,
    /// How people are reached, by name.
    pub people: BTreeMap<String, Arc<Person>>,
    /// Times in which problems are expected, by name.
    pub maintenance: BTreeMap<String, Arc<Maintenance>>,
    /// When people are at work, where that is declared.
    pub business_hours: Option<BusinessHours>,
    /// When nobody is told, where that is declared.
    pub quiet_hours: Option<QuietHours>,
    /// How findings become alerts.
    pub alerts: AlertOptions,
    /// The settings and actions, the team's own included.
    pub catalog: Arc<Catalog>,
    /// The encrypted secrets of the commit, where a branch is followed; else they are those of the folder.
    pub sealed: Option<Arc<Sealed>>,
    /// How many files were read.
    pub files: usize,
}

impl PolicySet {
    /// The groups of a device as far as they are known without its facts, nearest first: those that it names, those that
    /// list it, those whose rule holds whatever the facts are; then parents, parents of parents.
    pub fn groups_of(&self, device: &Device) -> Vec<&Group> {
        let named = device.groups.iter().filter_map(|name| self.groups.get(name));
        let listing = self.groups.values().filter(|group| group.members.contains(&device.name));
        let mut level: Vec<&Group> = named.chain(listing).collect();
        let ruled = |group: &&Group| group.rule.as_ref().is_some_and(|rule| self.holds_without_facts(rule, device));
        level.extend(self.groups.values().filter(ruled));
        let mut found: Vec<&Group> = Vec::new();
        while !level.is_empty() {
            let mut parents = Vec::new();
            for group in level {
                if !found.iter().any(|known| known.name == group.name) {
                    found.push(group);
                    parents.extend(group.parent.as_ref().and_then(|parent| self.groups.get(parent)));
                }
            }
            level = parents;
        }
        found
    }

    /// Names of the groups that a device names or that list it, with their parents. Cheap: no rule is looked at.
    pub fn declared_groups<'a>(&'a self, device: &'a Device) -> Vec<&'a str> {
        let mut found: Vec<&str> = Vec::new();
        let mut next: Vec<&str> = device.groups.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if !found.contains(&name) {
                found.push(name);
                next.extend(self.groups.get(name).and_then(|group| group.parent.as_deref()));
            }
        }
        found
    }

    /// Whether a rule holds by what is declared alone. A rule over groups or facts is left to the planner.
    fn holds_without_facts(&self, rule: &Selector, device: &Device) -> bool {
        match rule {
            Selector::Name(name) => name == "*",
            Selector::Match(m) => {
                let site = device.site.as_deref().unwrap_or(&self.config.general.default_site);
                let same_site = |wanted: &String| wanted == site || self.sites.get(site).and_then(|s| s.site_id.as_ref()) == Some(wanted);
                m.group.is_none()
                    && m.condition.is_none()
                    && m.tag.as_ref().is_none_or(|tag| device.tags.contains(tag))
                    && m.device.as_ref().is_none_or(|name| *name == device.name)
                    && m.site.as_ref().is_none_or(same_site)
                    && m.os.is_none_or(|os| device.os == Some(os))
            }
        }
    }

    /// The site of a device, where it is declared.
    pub fn site_of(&self, device: &Device) -> Option<&Site> {
        self.sites.get(device.site.as_deref().unwrap_or(&self.config.general.default_site))
    }

    /// How to reach a device: its own members, then those of its groups, then those of its site.
    pub fn connection(&self, device: &Device) -> Connection {
        let mut connection = device.connection.clone();
        for group in self.groups_of(device) {
            connection = connection.or(&group.connection);
        }
        match self.site_of(device) {
            Some(site) => connection.or(&site.connection),
            None => connection,
        }
    }

    /// What carries commands to a device.
    pub fn transport(&self, device: &Device) -> TransportKind {
        self.connection(device).transport(device.os)
    }

    /// Whether any device may be behind a file share. Cheap.
    pub fn has_shares(&self) -> bool {
        let declared = self.devices.values().map(|device| &device.connection).chain(self.groups.values().map(|group| &group.connection));
        declared
            .chain(self.sites.values().map(|site| &site.connection))
            .any(|connection| connection.transport == Some(TransportKind::Share))
    }

    /// Values for templates: of the device, then of its groups, then of its site; the nearest wins. `more` are groups that
    /// only the facts tell; they come after those that are declared.
    pub fn vars<'a>(&'a self, device: &Device, more: impl IntoIterator<Item = &'a Group>) -> BTreeMap<String, Value> {
        let mut vars = device.vars.clone();
        let groups = self.groups_of(device).into_iter().chain(more);
        let farther = groups.map(|group| &group.vars).chain(self.site_of(device).map(|site| &site.vars));
        for (name, value) in farther.flatten() {
            if !vars.contains_key(name) {
                vars.insert(name.clone(), value.clone());
            }
        }
        vars
    }
}
