//! Alerts: what monitors find, what becomes of it, and which step may follow which.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Severity;

/// Whom or what an alert is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// A device by name.
    Device(Arc<str>),
    /// A site by name.
    Site(Arc<str>),
    /// The product itself: its repository, its database, its channels.
    System,
}

impl Subject {
    /// The device, where it is about one.
    pub fn device(&self) -> Option<&str> {
        if let Self::Device(name) = self { Some(name) } else { None }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Device(name) | Self::Site(name) => name,
            Self::System => "rmm",
        })
    }
}

/// What makes two findings the same problem.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertKey {
    /// Whom it is about.
    pub subject: Subject,
    /// Its type: the name of a threshold or of a monitor, `Offline`, `Suspended`, `Repository` ...
    pub kind: Arc<str>,
    /// Which one of several: a mount point, an interface, a service; empty where there is one alone.
    pub instance: Arc<str>,
}

/// Something is wrong, as a monitor sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What it is the same as.
    pub key: AlertKey,
    /// How much it matters.
    pub severity: Severity,
    /// One line: `DiskSpace of /var: 7 % (critical at 10 %)`.
    pub title: String,
    /// What is known beyond that; may be empty.
    pub message: String,
    /// Who says so: `threshold DiskSpace`, `monitor Website`, `journal`, `reconcile`.
    pub source: Arc<str>,
    /// The measured value, where there is one.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: Option<String>,
    /// When it was measured, not when it arrived.
    pub at: DateTime<Utc>,
}

/// What monitors tell the alert engine.
#[derive(Debug, Clone, PartialEq)]
pub enum Signal {
    /// It is so, again or for the first time.
    Raised(Finding),
    /// It is over.
    Cleared {
        /// What is over.
        key: AlertKey,
        /// When it was measured.
        at: DateTime<Utc>,
        /// In a few words: `back at 24 %`.
        reason: String,
    },
    /// It happened and has no end of its own (a log record). Resolves by time.
    Occurred(Finding),
}

/// Where an alert stands. `Triggered -> Active -> Acknowledged -> Resolved -> Archived`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// Recorded, and nobody is told: a silence, a maintenance window, quiet hours, a parent that is down, or
    /// a part of a larger alert.
    #[default]
    Triggered,
    /// Open; the rules hold.
    Active,
    /// Somebody looks after it: no repetition, no escalation.
    Acknowledged,
    /// Over.
    Resolved,
    /// Over for so long that only history asks for it.
    Archived,
}

impl AlertState {
    /// Whether the step is legal. The store refuses all others.
    pub const fn may_become(self, next: Self) -> bool {
        use AlertState::{Acknowledged, Active, Archived, Resolved, Triggered};
        matches!(
            (self, next),
            (Triggered, Active | Acknowledged | Resolved)
                // Back to recording alone: a silence begins, or a larger alert takes it up.
                | (Active, Triggered | Acknowledged | Resolved)
                // It got worse, or whoever acknowledged it gave it back.
                | (Acknowledged, Active | Resolved)
                // The same thing again shortly after (flapping) is the same alert.
                | (Resolved, Triggered | Active | Archived)
        )
    }

    /// Whether it still lasts.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Triggered | Self::Active | Self::Acknowledged)
    }

    /// As the database keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "Triggered",
            Self::Active => "Active",
            Self::Acknowledged => "Acknowledged",
            Self::Resolved => "Resolved",
            Self::Archived => "Archived",
        }
    }

    /// The state that the database calls so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Triggered, Self::Active, Self::Acknowledged, Self::Resolved, Self::Archived].into_iter().find(|s| s.as_str() == text)
    }
}

impl std::fmt::Display for AlertState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.as_str().to_lowercase())
    }
}

/// Why nobody is told of an open alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by", content = "name")]
pub enum Suppression {
    /// A silence, by its id.
    Silence(String),
    /// A maintenance window, by its name.
    Maintenance(String),
    /// What it hangs on is down: a site, a relay, a host.
    Parent(String),
    /// It is a part of this alert, by its id.
    PartOf(String),
    /// It comes and goes too often; one alert says so. Its comings and goings are not told; the alert itself is.
    Flapping,
    /// Quiet hours: it is summed up at their end.
    QuietHours,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// `a-20261121-073012-4f2a91`: sorts by time.
    pub id: String,
    /// What it is the same as.
    pub key: AlertKey,
    /// How much it matters, now.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// What is known beyond that.
    pub message: String,
    /// Who says so.
    pub source: Arc<str>,
    /// The latest value.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: Option<String>,
    /// Where it stands.
    pub state: AlertState,
    /// Why nobody is told, where nobody is.
    pub suppressed: Option<Suppression>,
    /// How often it was raised.
    pub count: u32,
    /// When it was first measured.
    pub created_at: DateTime<Utc>,
    /// When it was last measured.
    pub last_at: DateTime<Utc>,
    /// When somebody took it on.
    pub acknowledged_at: Option<DateTime<Utc>>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// When it was over.
    pub resolved_at: Option<DateTime<Utc>>,
    /// Who said so; absent where it was found to be over.
    pub resolved_by: Option<String>,
    /// What people and the engine noted about it, oldest first.
    pub notes: Vec<Note>,
    /// What the engine needs to go on after a restart: who has been told, what comes next and when. Its own shape.
    pub progress: serde_json::Value,
}

/// Something noted about an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// When.
    pub at: DateTime<Utc>,
    /// Who; `rmm` for the engine itself.
    pub by: String,
    /// What.
    pub text: String,
}

/// Nobody is told of what it covers until it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// `s-20261121-073012-4f2a`.
    pub id: String,
    /// Devices as on the command line: a name, a group, `tag=x`; all where empty.
    pub targets: Vec<String>,
    /// Types of alerts; all where empty.
    pub kinds: Vec<String>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Why.
    pub reason: String,
    /// Who.
    pub by: String,
}
