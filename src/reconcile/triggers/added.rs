//! Devices that come into groups, declared or by their facts. The first look at a group is where it begins; who is found in it at a
//! later one came in since, and starts one run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::SecondsFormat;
use serde_json::json;

use super::Triggers;
use crate::model::workflow_run::Cause;
use crate::model::{Facts, Trigger, Workflow};
use crate::plan::Matcher;
use crate::store::{Belongs, StoreError};

/// The groups that triggers name.
#[derive(Debug, Default)]
pub(super) struct Groups {
    names: BTreeSet<Arc<str>>,
    matcher: Option<Matcher>,
}

impl Groups {
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

fn group(trigger: &Trigger) -> Option<&Arc<str>> {
    if let Trigger::DeviceAdded { group } = trigger { Some(group) } else { None }
}

fn groups(workflow: &Workflow) -> impl Iterator<Item = &Arc<str>> {
    workflow.triggers.iter().filter_map(group)
}

impl Triggers {
    /// Looks at all devices.
    pub(super) fn settle_groups(&mut self) -> Result<(), StoreError> {
        let names: BTreeSet<Arc<str>> = self.parts.set.workflows.values().flat_map(|workflow| groups(workflow)).cloned().collect();
        self.parts.store.watch_groups(&names.iter().map(|name| &**name).collect())?;
        let matcher = (!names.is_empty()).then(|| Matcher::new(Arc::clone(&self.parts.set), []));
        self.groups = Groups { names, matcher };
        self.look_at(None)
    }

    /// Looks at devices whose facts have changed.
    pub(super) fn look_at_devices(&self, changed: &BTreeSet<Arc<str>>) -> Result<(), StoreError> {
        if changed.is_empty() { Ok(()) } else { self.look_at(Some(changed)) }
    }

    fn look_at(&self, only: Option<&BTreeSet<Arc<str>>>) -> Result<(), StoreError> {
        let (set, store) = (&self.parts.set, &self.parts.store);
        let Some(matcher) = &self.groups.matcher else { return Ok(()) };
        let names: Option<Vec<&str>> = only.map(|names| names.iter().map(|name| &**name).collect());
        let sections = matcher.sections().unwrap_or_default();
        let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
        let mut memberships = HashMap::new();
        store.facts_fleet_map(
            &sections,
            &BTreeMap::new(),
            names.as_deref(),
            |name, facts| Some((name.to_owned(), matcher.membership(set.devices.get(name)?, &facts))),
            |found| memberships.extend(found),
        )?;
        let none = Facts::default();
        let devices = set.devices.values().filter(|device| only.is_none_or(|names| names.contains(device.name.as_str())));
        let mut seen: BTreeMap<&Arc<str>, BTreeMap<&str, Belongs>> = BTreeMap::new();
        for device in devices {
            let membership = memberships.remove(&device.name).unwrap_or_else(|| matcher.membership(device, &none));
            for name in &self.groups.names {
                let belongs = if membership.groups.contains(&**name) {
                    Belongs::Yes
                } else if membership.unknown.contains_key(&**name) {
                    Belongs::Unknown
                } else {
                    Belongs::No
                };
                seen.entry(name).or_default().insert(&device.name, belongs);
            }
        }
        for name in &self.groups.names {
            store.note_members(name, &seen.remove(name).unwrap_or_default(), only.is_none())?;
        }
        self.welcome()
    }

    /// One run for each device that came in, of every workflow that waits for that.
    fn welcome(&self) -> Result<(), StoreError> {
        let came = self.parts.store.came_in()?;
        for one in &came {
            let since = one.since.to_rfc3339_opts(SecondsFormat::Millis, true);
            for workflow in self.parts.set.workflows.values().filter(|workflow| groups(workflow).any(|name| *name == one.group)) {
                let cause = Cause {
                    kind: "deviceAdded".into(),
                    key: Some(format!("added:{}/{}@{since}", one.group, one.device)),
                    device: Some(Arc::clone(&one.device)),
                    group: Some(Arc::clone(&one.group)),
                    data: json!({ "group": one.group, "device": one.device }),
                };
                self.start(workflow, cause)?;
            }
        }
        self.parts.store.welcomed(&came)
    }
}
