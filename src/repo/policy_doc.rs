//! The shape of a policy in its file, before names are resolved. Its JSON Schema comes from here.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::policy::{References, Remediate};
use crate::model::{Selector, Severity};

/// A policy: what devices should look like.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PolicyDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Devices it is for: group names or selectors, any of them.
    pub targets: Selectors,
    /// Devices it is not for, although targeted.
    #[serde(default)]
    pub exclude: Selectors,
    /// Desired states by the names of the catalog.
    #[serde(default)]
    #[allow(dead_code)] // read from the tree, with the places; declared for the schema
    pub settings: Map<String, Value>,
    /// true carries out, approve waits for a person, false only reports.
    #[serde(default)]
    pub remediate: RemediateDoc,
    /// How often it is enforced: a cron expression or a phrase such as Daily 02:00.
    #[serde(default)]
    pub schedule: Option<String>,
    /// How much deviations matter.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// The higher wins where two policies set the same thing.
    #[serde(default)]
    pub priority: i64,
    /// Published controls that it answers to.
    #[serde(default)]
    pub references: References,
    /// Devices that may deviate for a while.
    #[serde(default)]
    pub exceptions: Vec<ExceptionDoc>,
    /// When it is in force: 06:00-22:00.
    #[serde(default)]
    pub active_hours: Option<String>,
    /// IANA time zone of activeHours and of the dates.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// A device that may deviate.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ExceptionDoc {
    /// Device by name.
    pub device: String,
    /// Setting, or Setting.key; all of the policy where absent.
    #[serde(default)]
    pub setting: Option<String>,
    /// Last day on which it holds: 2026-12-31.
    #[serde(default)]
    pub until: Option<String>,
    /// Why.
    pub reason: String,
    /// Who allowed it.
    #[serde(default)]
    pub approved_by: Option<String>,
}

/// One selector or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Selectors {
    /// Several.
    Many(Vec<Selector>),
    /// One.
    One(Selector),
}

impl Default for Selectors {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Selectors {
    pub(super) fn into_vec(self) -> Vec<Selector> {
        match self {
            Self::Many(selectors) => selectors,
            Self::One(selector) => vec![selector],
        }
    }
}

/// What happens to deviations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum RemediateDoc {
    /// Carry out, or only report.
    Switch(bool),
    /// Wait for a person.
    Word(RemediateWord),
}

/// The word form of `remediate`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RemediateWord {
    /// Wait for a person.
    Approve,
}

impl Default for RemediateDoc {
    fn default() -> Self {
        Self::Switch(false)
    }
}

impl From<RemediateDoc> for Remediate {
    fn from(doc: RemediateDoc) -> Self {
        match doc {
            RemediateDoc::Switch(true) => Self::Apply,
            RemediateDoc::Switch(false) => Self::Report,
            RemediateDoc::Word(RemediateWord::Approve) => Self::Approve,
        }
    }
}
