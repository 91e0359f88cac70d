//! Notifications: who hears of what, how fast, and who hears of it next where nobody answers.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Place, Selector, Severity};
use crate::time::Span;

/// One rule: alerts that it is about, and where they are sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationRule {
    /// Unique name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Severities; all of them where absent.
    pub severity: Option<SeverityRule>,
    /// Types of alerts; all of them where empty.
    pub types: Vec<String>,
    /// Devices; all of them where empty.
    pub targets: Vec<Selector>,
    /// Channels of `rmm.toml` by their names there, sorted.
    pub channels: Vec<Arc<str>>,
    /// Waits this long, and says nothing where it is over by then.
    pub delay: Span,
    /// Says the same thing about the same device only once while it lasts.
    pub suppress_duplicates: bool,
    /// Only during business hours, only outside of them, or always.
    pub during: During,
    /// Says it again this often, until it is over or somebody looks after it.
    pub repeat: Option<Span>,
    /// Who hears of it next, by name.
    pub escalation: Option<Arc<str>>,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// Which severities are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SeverityRule {
    /// These.
    Any(Vec<Severity>),
    /// This one and those above.
    AtLeast(Severity),
}

impl SeverityRule {
    /// Whether it is about this severity.
    pub fn covers(&self, severity: Severity) -> bool {
        match self {
            Self::Any(list) => list.contains(&severity),
            Self::AtLeast(least) => severity >= *least,
        }
    }
}

/// When a rule holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum During {
    /// At any time.
    #[default]
    Always,
    /// During business hours.
    BusinessHours,
    /// Outside of business hours.
    OutsideBusinessHours,
}

/// Who hears of an alert that nobody acknowledges.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Escalation {
    /// Unique name.
    pub name: Arc<str>,
    /// One after another.
    pub tiers: Vec<Tier>,
    /// The person who hears of it where the last tier has not answered either.
    pub manager: Option<Arc<str>>,
    /// How long after the last tier the manager hears of it.
    pub timeout: Span,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// One tier.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tier {
    /// How long after the tier before nobody has acknowledged.
    pub after: Span,
    /// Channels of `rmm.toml` by their names there, sorted.
    pub channels: Vec<Arc<str>>,
    /// Rota whose person on duty hears of it.
    pub on_call: Option<Arc<str>>,
    /// People who hear of it whoever is on duty.
    pub people: Vec<Arc<str>>,
    /// When this tier exists; outside it is passed over.
    pub during: During,
}

/// What a channel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChannelType {
    /// Mail through an SMTP server.
    Email,
    /// Microsoft Teams.
    Teams,
    /// Slack.
    Slack,
    /// PagerDuty.
    PagerDuty,
    /// Text messages.
    Sms,
    /// A request to an address of your own.
    Webhook,
    /// The event log of Windows.
    EventLog,
    /// The system log.
    Syslog,
}

super::traits::lower_display! {
    ChannelType {
        Email => "email", Teams => "teams", Slack => "slack", PagerDuty => "pagerduty", Sms => "sms", Webhook => "webhook",
        EventLog => "eventlog", Syslog => "syslog",
    }
    During { Always => "always", BusinessHours => "businessHours", OutsideBusinessHours => "outsideBusinessHours" }
}
