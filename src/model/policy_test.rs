//! Policy tests: given this device and these facts, expect these verdicts. The shape of `tests/*.yaml`.
//!
//! `repo::policy_tests` reads them, `plan::policy_test` runs them, `rmm test` shows what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::plan::State;
use super::{Device, Facts, Place, Platform, Reboot, Risk, Severity};
use crate::time::Span;

/// A policy test as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicyTest {
    /// A sentence that says what has to hold.
    pub name: String,
    /// Why, for those who read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The device: described here, or the name of a declared one.
    pub device: TestDevice,
    /// What was observed: sections below their category, `{security: {sshd: {permitrootlogin: "yes"}}}`. A section that is
    /// given was observed whole; null or `{unknown: WHY}` could not be observed, `{unsupported: WHY}` does not exist on the
    /// platform; one that is missing was never asked for.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub facts: Map<String, Value>,
    /// A file of the repository that holds facts, as `rmm facts DEVICE --output json` writes it; `facts` is laid over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_from: Option<String>,
    /// How old the facts are, `3d`; observed at this very moment unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_age: Option<Span>,
    /// The moment at which the plan is made: 2026-11-10T12:00:00-05:00. Noon UTC of 2026-01-01 unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Take changes of policies with `remediate: approve` as approved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve: bool,
    /// What the plan has to say.
    pub expect: Expect,
}

/// The device of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TestDevice {
    /// A declared device by its name.
    Declared(String),
    /// A device that exists in this test only.
    Described(Described),
}

/// A device that exists in a test only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Described {
    /// Its name; `device` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Name or address to connect to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Operating system family, where the facts do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Platform>,
    /// Site by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Groups that it is a member of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Free labels, for selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Values for templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// What the organisation remembers about it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, Value>,
}

/// What the plan has to say. An entry that is listed has to be in the plan with the members that it gives; the plan may say
/// more, unless the list is empty or `only` is true.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// Whatever is not listed has to be compliant; groups and policies, where they are listed, are all of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only: bool,
    /// Everything is as it should be: the same as `only: true` without a list.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nothing: bool,
    /// Differ, and would be changed. An empty list: nothing would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Expected>>,
    /// Differ, and the policy only reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports: Option<Vec<Expected>>,
    /// Differ, but something stands in the way: `by` names the guarding policy, exception, approval or activeHours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Vec<Expected>>,
    /// As they should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliant: Option<Vec<Expected>>,
    /// Not observed, or too long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Vec<Expected>>,
    /// Do not exist on the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsupported: Option<Vec<Expected>>,
    /// Two policies of the same priority disagree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicts: Option<Vec<Expected>>,
    /// Groups that the device belongs to, parents and rules included. An empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<String>>,
    /// Policies that are for the device. An empty list: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<String>>,
}

impl Expect {
    /// The lists of verdicts that were given, with the state that they are about and their key.
    pub fn lists(&self) -> impl Iterator<Item = (State, &'static str, &[Expected])> {
        LISTS.iter().zip(self.members()).filter_map(|((state, key), list)| Some((*state, *key, list?)))
    }

    fn members(&self) -> [Option<&[Expected]>; 7] {
        [&self.changes, &self.reports, &self.held, &self.compliant, &self.unknown, &self.unsupported, &self.conflicts].map(Option::as_deref)
    }

    /// The list of a state, made where it is missing.
    pub fn list_mut(&mut self, state: State) -> &mut Vec<Expected> {
        let list = match state {
            State::Change => &mut self.changes,
            State::Report => &mut self.reports,
            State::Held => &mut self.held,
            State::Compliant => &mut self.compliant,
            State::Unknown => &mut self.unknown,
            State::Unsupported => &mut self.unsupported,
            State::Conflict => &mut self.conflicts,
        };
        list.get_or_insert_default()
    }

    /// Whether nothing at all is expected.
    pub fn is_empty(&self) -> bool {
        self.lists().next().is_none() && self.groups.is_none() && self.policies.is_none() && !self.only && !self.nothing
    }

    /// The key of the list of a state.
    pub fn key(state: State) -> &'static str {
        LISTS.iter().find(|(s, _)| *s == state).map_or("", |(_, key)| key)
    }
}

const LISTS: [(State, &str); 7] = [
    (State::Change, "changes"),
    (State::Report, "reports"),
    (State::Held, "held"),
    (State::Compliant, "compliant"),
    (State::Unknown, "unknown"),
    (State::Unsupported, "unsupported"),
    (State::Conflict, "conflicts"),
];

/// One expected verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Expected {
    /// A setting: `Timezone`, `Services.sshd`, or `Services` for any key of it.
    Label(String),
    /// A setting with more that has to hold.
    Entry(Box<Entry>),
}

/// An expected verdict with the members that have to be the plan's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Entry {
    /// `Timezone`, `Services.sshd`, or `Services` for any key of it.
    pub setting: String,
    /// Key of a map-valued setting, where it is not part of `setting`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was observed: the text that the plan shows, or the value; of a map only the members that are given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// What is desired: the text that the plan shows, or the value; of a map only the members that are given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
    /// The policy that asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// What stands in the way: a policy, or exception, approval, activeHours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Words that the reason holds: why it is held, unknown or unsupported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How much the deviation matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// How dangerous the change is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Whether it restarts the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Reboot>,
    /// Texts that the commands of the change hold, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
}

/// `null` is a value here: it says that nothing is there.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Expected {
    /// Setting and key as they were written.
    pub fn label(&self) -> (&str, Option<&str>) {
        match self {
            Self::Label(label) => (label, None),
            Self::Entry(entry) => (&entry.setting, entry.key.as_deref()),
        }
    }

    /// The members besides the setting.
    pub fn entry(&self) -> Option<&Entry> {
        if let Self::Entry(entry) = self { Some(entry) } else { None }
    }
}

/// A test made ready: names resolved, facts read.
#[derive(Debug, Clone)]
pub struct ReadyTest {
    /// As it was written.
    pub test: PolicyTest,
    /// The device.
    pub device: Arc<Device>,
    /// What is known of it.
    pub facts: Arc<Facts>,
    /// The moment of the plan.
    pub at: DateTime<Utc>,
    /// Where the test stands.
    pub place: Place,
    /// Where its expectations stand, by list and position: `changes` and 0; the list itself under its length.
    pub places: BTreeMap<(&'static str, usize), Place>,
}

impl ReadyTest {
    /// Where an entry of a list stands; the test where that is not known.
    pub fn place_of(&self, list: &'static str, entry: usize) -> &Place {
        self.places.get(&(list, entry)).unwrap_or(&self.place)
    }
}
