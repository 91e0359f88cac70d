//! The policy set: one immutable, validated reading of a repository. Planning, applying and the daemon take this.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::catalog::Catalog;
use crate::model::device::Connection;
use crate::model::{Config, Device, Group, Policy, Site};

/// A repository, read and found valid.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// Folder of the repository.
    pub root: PathBuf,
    /// Name of that folder, for people.
    pub name: String,
    /// Hex SHA-256 of everything that was read, the overlay and the overrides included.
    pub hash: String,
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
    /// The settings, the team's own included.
    pub catalog: Arc<Catalog>,
    /// How many files were read.
    pub files: usize,
    /// Files that were only checked for syntax: thresholds, workflows, notifications.
    pub uninterpreted: Vec<Arc<str>>,
}

impl PolicySet {
    /// The groups of a device by declaration, nearest first: its own in their order, then parents, parents of parents.
    pub fn groups_of(&self, device: &Device) -> Vec<&Group> {
        let mut found: Vec<&Group> = Vec::new();
        let mut level: Vec<&str> = device.groups.iter().map(String::as_str).collect();
        while !level.is_empty() {
            let mut parents = Vec::new();
            for name in level {
                if let Some(group) = self.groups.get(name)
                    && !found.iter().any(|known| known.name == group.name)
                {
                    found.push(group);
                    parents.extend(group.parent.as_deref());
                }
            }
            level = parents;
        }
        found
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

    /// Values for templates: of the device, then of its groups, then of its site; the nearest wins.
    pub fn vars(&self, device: &Device) -> BTreeMap<String, Value> {
        let mut vars = device.vars.clone();
        let farther = self.groups_of(device).into_iter().map(|group| &group.vars).chain(self.site_of(device).map(|site| &site.vars));
        for (name, value) in farther.flatten() {
            if !vars.contains_key(name) {
                vars.insert(name.clone(), value.clone());
            }
        }
        vars
    }
}
