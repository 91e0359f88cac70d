//! Suspensions: what is left alone until somebody, or a new policy set, resumes it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuspensionKind {
    /// Everything on a device.
    Device,
    /// Everything on the devices of a group.
    Group,
    /// A policy, everywhere.
    Policy,
    /// A setting, on one device.
    Setting,
}

impl SuspensionKind {
    /// The kind that the database and the command line call so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Device, Self::Group, Self::Policy, Self::Setting].into_iter().find(|kind| kind.as_str() == text)
    }

    /// As the database and the command line call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Group => "group",
            Self::Policy => "policy",
            Self::Setting => "setting",
        }
    }
}

impl std::fmt::Display for SuspensionKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that is left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// What.
    pub kind: SuspensionKind,
    /// Its name: a device, a group, a policy, or the label of a setting (`Services.sshd`).
    pub name: String,
    /// On which device; only for settings.
    pub device: Option<String>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Who; `rmm` where it did not converge.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Whether it was suspended because it did not converge; then a new policy set resumes it.
    pub automatic: bool,
    /// The policy set under which that was.
    pub policy_set: Option<String>,
}
