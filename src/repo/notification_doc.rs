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
    /// Says it again this often, until it is over or acknowledged: 30m.
    #[serde(default)]
    pub repeat: Option<Span>,
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
    /// The person who hears of it where the last tier has not answered either.
    #[serde(default)]
    pub manager: Option<String>,
    /// How long after the last tier the manager hears of it; as long as the last tier waited where absent.
    #[serde(default)]
    pub timeout: Option<Span>,
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
    /// People who hear of it, whoever is on duty.
    #[serde(default)]
    pub people: Vec<String>,
    /// When this tier exists; at other times it is passed over.
    #[serde(default)]
    pub during: During,
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
    /// Time of the day at which a turn begins: 09:00; midnight where absent.
    #[serde(default)]
    pub hand_over: Option<String>,
    /// IANA time zone; that of businessHours where absent, else UTC.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Who stands in for whoever it would be.
    #[serde(default)]
    pub overrides: Vec<StandInDoc>,
}

/// Somebody who is on duty out of turn.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StandInDoc {
    /// Who.
    pub person: String,
    /// From when: 2026-12-24, 2026-12-24 18:00 or with an offset.
    pub from: String,
    /// Until when, exclusive.
    pub until: String,
}

/// How a person is reached.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PersonDoc {
    /// Address of mail.
    #[serde(default)]
    pub email: Option<String>,
    /// Number in the international form: +491701234567.
    #[serde(default)]
    pub phone: Option<String>,
    /// Member or channel of Slack.
    #[serde(default)]
    pub slack: Option<String>,
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
    /// Days that do not count: 2026-12-24, or 12-25 for every year.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// Hours in which nobody is told; what happened is summed up at their end.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct QuietDoc {
    /// Days of the week on which they begin; every day where absent.
    #[serde(default)]
    pub days: Option<Vec<String>>,
    /// Time of the day: 22:00-07:00.
    pub hours: String,
    /// IANA time zone; that of businessHours where absent, else UTC.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Severities that are told all the same: Critical, a list, or ">= High".
    #[serde(default)]
    pub except: Option<SeverityDoc>,
}

/// A time in which problems of some devices are expected. It has hours, a schedule, or from and until.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({"targets": ["Servers"], "schedule": "Second Tuesday 10PM", "for": "4h"}))]
pub(super) struct MaintenanceDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Devices: group names or selectors, any of them; every device where absent.
    #[serde(default)]
    pub targets: Selectors,
    /// Types of alerts: one or a list; all of them where absent.
    #[serde(default)]
    pub types: Option<Texts>,
    /// Days of the week on which the hours begin; every day where absent.
    #[serde(default)]
    pub days: Option<Vec<String>>,
    /// Time of the day: 22:00-02:00.
    #[serde(default)]
    pub hours: Option<String>,
    /// A cron expression or a phrase such as Second Tuesday 10PM; needs for.
    #[serde(default)]
    pub schedule: Option<String>,
    /// How long it lasts from each moment of the schedule on.
    #[serde(default, rename = "for")]
    pub lasts: Option<Span>,
    /// Once, from then on: 2026-12-24, 2026-12-24 18:00 or with an offset.
    #[serde(default)]
    pub from: Option<String>,
    /// Once, until then.
    #[serde(default)]
    pub until: Option<String>,
    /// IANA time zone; that of businessHours where absent, else UTC.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// How findings become alerts.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AlertsDoc {
    /// The same thing again within this time after it was over is the same alert; 5m where absent.
    #[serde(default)]
    pub deduplicate: Option<Span>,
    /// What happened without an end of its own (a log record) is over after this; 4h where absent.
    #[serde(default)]
    pub occurred_for: Option<Span>,
    /// What is over for so long moves to the archive; 30d where absent.
    #[serde(default)]
    pub archive_after: Option<Span>,
    /// When coming and going is flapping.
    #[serde(default)]
    pub flapping: FlappingDoc,
    /// When a site is unreachable.
    #[serde(default)]
    pub site_unreachable: SiteDoc,
    /// How long an offline device waits for a larger problem that it may be a part of; 30s where absent.
    #[serde(default)]
    pub wait: Option<Span>,
    /// How long the parts of a larger problem have to recover after it is over; 10m where absent.
    #[serde(default)]
    pub recovery: Option<Span>,
}

/// When coming and going is flapping.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct FlappingDoc {
    /// More than so many comings; 4 where absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 40))]
    pub times: Option<u32>,
    /// Within this time; 30m where absent.
    #[serde(default)]
    pub within: Option<Span>,
    /// For how long nothing may change until it counts as calm; 30m where absent.
    #[serde(default)]
    pub calm: Option<Span>,
}

/// When a site is unreachable.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SiteDoc {
    /// At least so many of its devices are offline; 3 where absent.
    #[serde(default)]
    #[schemars(range(min = 2))]
    pub devices: Option<u32>,
    /// At least this share of its devices is offline, in per cent; 100 where absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub percent: Option<u32>,
}
