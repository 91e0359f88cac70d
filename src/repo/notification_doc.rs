//! The shape of `notifications.yaml`, before names are resolved. Its JSON Schema comes from here.

use schemars::JsonSchema;
use serde::Deserialize;

use super::policy_doc::Selectors;
use super::workflow_doc::SeverityDoc;
use crate::model::notification::During;
use crate::time::Span;

/// A rule: which alerts, and where they are sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({"condition": {"severity": ">= High"}, "channels": ["ops-mail"], "delay": "5m"}))]
pub(super) struct RuleDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Which alerts; all of them where absent.
    #[serde(default)]
    pub condition: ConditionDoc,
    /// Channels of rmm.toml by name, or by type.
    #[schemars(length(min = 1))]
    pub channels: Vec<String>,
    /// Waits this long, and says nothing where it is over by then.
    #[serde(default)]
    pub delay: Span,
    /// Says the same about the same device only once while it lasts.
    #[serde(default)]
    pub suppress_duplicates: bool,
    /// When it holds.
    #[serde(default)]
    pub during: During,
    /// Who hears of it where nobody acknowledges: one of escalation.
    #[serde(default)]
    pub escalation: Option<String>,
}

/// Which alerts: all of these have to hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ConditionDoc {
    /// Which severities: Critical, a list, or ">= High".
    #[serde(default)]
    pub severity: Option<SeverityDoc>,
    /// Type of the alert: one or a list.
    #[serde(default, rename = "type")]
    pub kind: Option<Texts>,
    /// Devices: group names or selectors, any of them.
    #[serde(default)]
    pub targets: Selectors,
}

/// One text or a list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Texts {
    /// Several.
    Many(Vec<String>),
    /// One.
    One(String),
}

impl Texts {
    pub(super) fn into_vec(self) -> Vec<String> {
        match self {
            Self::Many(texts) => texts,
            Self::One(text) => vec![text],
        }
    }
}

/// Who hears of an alert that nobody acknowledges.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct EscalationDoc {
    /// One after another.
    #[schemars(length(min = 1))]
    pub tiers: Vec<TierDoc>,
}

/// One tier.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TierDoc {
    /// How long after the tier before nobody has acknowledged.
    pub after: Span,
    /// Channels of rmm.toml by name, or by type.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Rota whose person on duty hears of it.
    #[serde(default)]
    pub on_call: Option<String>,
}

/// Who is on duty, one after another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RotaDoc {
    /// In this order, in a circle.
    #[schemars(length(min = 1))]
    pub people: Vec<String>,
    /// First day of the first of them: 2026-01-05.
    pub start: String,
    /// How long each is on duty.
    #[serde(default)]
    pub turn: Option<Span>,
}

/// When people are at work.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HoursDoc {
    /// Days of the week: [Mon, Tue]; Monday to Friday where absent.
    #[serde(default)]
    pub days: Option<Vec<String>>,
    /// Time of the day: 08:00-18:00.
    pub hours: String,
    /// IANA time zone; UTC where absent.
    #[serde(default)]
    pub timezone: Option<String>,
}
