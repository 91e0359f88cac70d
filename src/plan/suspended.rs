//! What is suspended, looked up while deciding: by device, by its groups, by policy, by setting on a device.

use std::collections::HashMap;

use crate::model::plan::{Change, Held};
use crate::model::suspension::{Suspension, SuspensionKind};

/// All suspensions. Empty in most fleets, and then it costs nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspended {
    all: Vec<Suspension>,
    devices: HashMap<String, usize>,
    groups: HashMap<String, usize>,
    policies: HashMap<String, usize>,
    /// By device, empty for every device, and label.
    settings: HashMap<String, HashMap<String, usize>>,
}

impl Suspended {
    /// Makes them ready to be looked up.
    pub fn new(all: Vec<Suspension>) -> Self {
        let mut this = Self::default();
        for (i, one) in all.iter().enumerate() {
            match one.kind {
                SuspensionKind::Device => this.devices.insert(one.name.clone(), i),
                SuspensionKind::Group => this.groups.insert(one.name.clone(), i),
                SuspensionKind::Policy => this.policies.insert(one.name.clone(), i),
                SuspensionKind::Setting => {
                    this.settings.entry(one.device.clone().unwrap_or_default()).or_default().insert(one.name.clone(), i)
                }
            };
        }
        Self { all, ..this }
    }

    /// All of them.
    pub fn all(&self) -> &[Suspension] {
        &self.all
    }

    /// Whether a device as a whole is left alone.
    pub fn of_device(&self, device: &str, groups: &[String]) -> Option<&Suspension> {
        let found = self.devices.get(device).or_else(|| groups.iter().find_map(|group| self.groups.get(group)))?;
        self.all.get(*found)
    }

    /// Whether this change on it is: its policy, its setting, or this key of it.
    pub(super) fn of_change(&self, device: &str, change: &Change) -> Option<&Suspension> {
        let by_setting = |of: &HashMap<String, usize>| of.get(&change.label()).or_else(|| of.get(&*change.setting)).copied();
        let found = self.policies.get(&*change.policy).copied();
        let found = found.or_else(|| [device, ""].into_iter().find_map(|device| by_setting(self.settings.get(device)?)))?;
        self.all.get(found)
    }
}

/// As it stands in the plan.
pub(super) fn held(suspension: &Suspension) -> Held {
    let what = match suspension.kind {
        SuspensionKind::Setting => String::new(),
        kind => format!("{kind} {} ", suspension.name),
    };
    let by = if suspension.automatic { String::new() } else { format!(" by {}", suspension.by) };
    Held { by: "suspended".into(), until: None, reason: format!("{what}suspended{by}: {}", suspension.reason) }
}
