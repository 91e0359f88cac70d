//! Policies: what devices should look like.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Place, Selector, Severity};
use crate::time::{Schedule, Window};

/// What happens to a deviation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remediate {
    /// Report only, the default.
    #[default]
    Report,
    /// Wait for a person.
    Approve,
    /// Carry out.
    Apply,
}

/// References to published controls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct References {
    /// Numbers in a CIS benchmark.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cis: Vec<String>,
    /// Controls of NIST SP 800-53.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nist: Vec<String>,
}

/// A device that may deviate from a setting for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Device by name.
    pub device: String,
    /// Setting, or `Setting.key`; every setting of the policy where absent.
    pub setting: Option<String>,
    /// Last day on which it holds, in the policy's time zone (UTC where none is given).
    pub until: Option<NaiveDate>,
    /// Why.
    pub reason: String,
    /// Who allowed it.
    pub approved_by: Option<String>,
    /// Where it stands.
    pub place: Place,
}

/// One desired state: a setting, or one key of a map-valued setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Name in the catalog, `Services`.
    pub name: Arc<str>,
    /// Key of a map-valued setting, `sshd`.
    pub key: Option<Arc<str>>,
    /// Desired value, templates and `{secret: …}` not yet resolved, `restartOn` taken out.
    pub value: Arc<Value>,
    /// `Setting.key` names after whose change this one is carried out again (a service restart).
    pub restart_on: Vec<String>,
    /// Where the value stands.
    pub place: Place,
}

impl Setting {
    /// `Services.sshd`, or `Timezone`.
    pub fn label(&self) -> String {
        label(&self.name, self.key.as_deref())
    }
}

/// `Services.sshd`, or `Timezone` where there is no key.
pub fn label(name: &str, key: Option<&str>) -> String {
    key.map_or_else(|| name.to_owned(), |key| format!("{name}.{key}"))
}

/// A named set of desired states and whom they are for.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Unique name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Devices it is for: any of these.
    pub targets: Vec<Selector>,
    /// Devices it is not for, although targeted.
    pub exclude: Vec<Selector>,
    /// Desired states, in the order of the file.
    pub settings: Vec<Setting>,
    /// Guards: what `rmm` itself may do to the targets, `AllowReboots: false`.
    pub guards: Vec<Guard>,
    /// Which updates are approved.
    pub updates: Option<super::update::UpdateRules>,
    /// What happens to deviations.
    pub remediate: Remediate,
    /// How often the daemon enforces it.
    pub schedule: Option<Schedule>,
    /// How much deviations matter.
    pub severity: Severity,
    /// Higher wins where two policies set the same thing. 0 unless told otherwise.
    pub priority: i64,
    /// Published controls it answers to.
    pub references: References,
    /// Devices that may deviate.
    pub exceptions: Vec<Exception>,
    /// When the policy is in force; always where absent. Outside, its changes are held and its guards rest.
    pub active: Option<Window>,
    /// Where it is declared.
    pub place: Place,
}

/// Something that `rmm` must not do while a guarding policy is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// What is constrained.
    pub kind: GuardKind,
    /// `false` forbids.
    pub allow: bool,
    /// Where it stands.
    pub place: Place,
}

/// What a guard constrains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum GuardKind {
    /// Any change to the device.
    AllowChanges,
    /// Changes in the packages phase.
    AllowUpdates,
    /// Changes that may restart the device.
    AllowReboots,
}

impl Exception {
    /// Whether the exception covers this setting at this moment.
    pub fn covers(&self, device: &str, name: &str, key: Option<&str>, now: DateTime<Utc>, zone: chrono_tz::Tz) -> bool {
        self.device == device
            && self.setting.as_deref().is_none_or(|s| s == name || s == label(name, key))
            && self.until.is_none_or(|until| now.with_timezone(&zone).date_naive() <= until)
    }
}
