//! A plan: what would change on which device, because of which line, by which commands.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operation::ShownCommand;
use super::{Phase, Place, Platform, Reboot, Risk, Severity};

/// The verdict on one setting of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Observed matches desired.
    Compliant,
    /// Differs, and would be remediated.
    Change,
    /// Differs, and the policy only reports.
    Report,
    /// Differs, but something stands in the way.
    Held,
    /// Not observed, or too long ago.
    Unknown,
    /// Does not exist on this platform.
    Unsupported,
    /// Two policies of the same priority disagree.
    Conflict,
}

super::traits::lower_display! {
    State {
        Compliant => "compliant", Change => "change", Report => "report", Held => "held",
        Unknown => "unknown", Unsupported => "unsupported", Conflict => "conflict",
    }
}

/// What stands in the way of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// Guarding policy, `exception`, `approval`, `limit`, `activeHours` or `suspended`.
    pub by: String,
    /// When it ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
    /// In words, with the local time: `MaintenanceWindow until 22:00 (America/New_York)`.
    pub reason: String,
}

/// One setting of one device that is not simply compliant. (Compliant ones are counted, and listed on request.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Setting by its name in the catalog.
    pub setting: Arc<str>,
    /// Key of a map-valued setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// The verdict.
    pub state: State,
    /// Desired value with templates resolved and secrets not.
    pub desired: Value,
    /// Observed value; `null` where absent or unknown. Secret ones are replaced by their hash.
    pub observed: Value,
    /// Observed, in a few words.
    pub from: String,
    /// Desired, in a few words.
    pub to: String,
    /// Policy that asks for it.
    pub policy: Arc<str>,
    /// The line that asks for it.
    pub place: Place,
    /// The other side of a conflict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<(Arc<str>, Place)>,
    /// How much the deviation matters.
    pub severity: Severity,
    /// How dangerous the change is.
    pub risk: Risk,
    /// Whether it restarts the device.
    pub reboot: Reboot,
    /// Its place in the order on the device.
    pub phase: Phase,
    /// Labels of settings after whose change this one is carried out again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restart_on: Vec<String>,
    /// Right as it is, but carried out again because of `restart_on`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restart: bool,
    /// What stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Why it is unknown or unsupported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When the observed value was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<DateTime<Utc>>,
    /// What would run, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<ShownCommand>,
}

impl Change {
    /// `Services.sshd`, or `Timezone`.
    pub fn label(&self) -> String {
        super::policy::label(&self.setting, self.key.as_deref())
    }
}

/// What a plan says of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DevicePlan {
    /// Device by name.
    pub device: String,
    /// Operating system in words: `Debian GNU/Linux 12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Family, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Groups whose policies apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When the oldest fact behind this was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts_at: Option<DateTime<Utc>>,
    /// How many settings are compliant.
    pub compliant: u32,
    /// Everything that is not simply compliant, by phase, setting, key.
    pub changes: Vec<Change>,
}

/// How many of each state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Devices looked at.
    pub devices: u32,
    /// Devices with at least one change.
    pub devices_changing: u32,
    /// Verdicts by state.
    pub states: BTreeMap<State, u32>,
    /// Changes by risk.
    pub risks: BTreeMap<Risk, u32>,
    /// Changes that always restart the device.
    pub reboots: u32,
}

/// The version of the plan's JSON form. A reader refuses another major.
pub const PLAN_SCHEMA: &str = "rmm.plan/1";

/// The pure result of planning: the same inputs give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// [`PLAN_SCHEMA`].
    pub schema: String,
    /// Repository name: the folder's.
    pub repository: String,
    /// Content hash of the policy set, hexadecimal.
    pub policy_set: String,
    /// Git commit of the policy set, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// After this it is refused.
    pub expires_at: DateTime<Utc>,
    /// What was asked for, in words: selector and `--target`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Devices with something to say, by name.
    pub devices: Vec<DevicePlan>,
    /// Totals, compliant devices included.
    pub summary: Summary,
}
