//! Deliveries: one message to one channel, from the decision to send it to the answer of whoever took it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::alert::Alert;

/// Why something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// It is wrong.
    Raised,
    /// It got worse.
    Worsened,
    /// It is still wrong.
    Repeated,
    /// Nobody has answered: the next tier hears of it.
    Escalated,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over.
    Resolved,
    /// What happened while nobody was to be woken, or what was merged into one message.
    Summary,
    /// `rmm notify test`.
    Test,
}

super::traits::lower_display! {
    Occasion {
        Raised => "raised", Worsened => "worsened", Repeated => "repeated", Escalated => "escalated", Acknowledged => "acknowledged",
        Resolved => "resolved", Summary => "summary", Test => "test",
    }
}

/// What is said. Each channel gives it its own form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Why.
    pub occasion: Occasion,
    /// Name of the organisation.
    pub organization: String,
    /// The alerts as they stood when it was decided; one, but for summaries (and tests, which may have none).
    pub alerts: Vec<Alert>,
    /// Display name of the device's site, where known.
    pub site: Option<String>,
    /// The rule, tier or person that it is sent because of: `rule Critical to On-Call`, `escalation Default, tier 2`.
    pub because: String,
    /// A sentence of its own, for summaries and tests; else empty.
    pub note: String,
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Waits for its time.
    #[default]
    Pending,
    /// On its way; after a crash nobody knows whether it arrived.
    Sending,
    /// Taken by the channel.
    Sent,
    /// Given up after too many tries, or refused for good. Stays visible until somebody looks.
    Dead,
    /// No longer wanted: it was over before its delay had passed.
    Cancelled,
}

impl DeliveryState {
    /// Whether the step is legal. The store refuses all others.
    pub const fn may_become(self, next: Self) -> bool {
        use DeliveryState::{Cancelled, Dead, Pending, Sending, Sent};
        matches!(
            (self, next),
            (Pending, Sending | Cancelled | Dead)
                // Back to waiting: it failed and is tried again, or the process died in between.
                | (Sending, Sent | Pending | Dead)
                // A person has it tried again.
                | (Dead, Pending | Cancelled)
        )
    }

    /// As the database keeps it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Sending => "Sending",
            Self::Sent => "Sent",
            Self::Dead => "Dead",
            Self::Cancelled => "Cancelled",
        }
    }

    /// The state that the database calls so.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Pending, Self::Sending, Self::Sent, Self::Dead, Self::Cancelled].into_iter().find(|s| s.as_str() == text)
    }
}

impl std::fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.as_str().to_lowercase())
    }
}

/// One message to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Made from what it is about, so that deciding twice is sending once: alert, rule, channel, occasion, how many times.
    /// Goes along as idempotency key, `Message-ID` and the like.
    pub id: String,
    /// Channel by its name in `rmm.toml`.
    pub channel: Arc<str>,
    /// Whom within the channel, where a rota says so; the channel's own recipients where absent.
    pub recipient: Option<String>,
    /// The alert, where it is about one.
    pub alert: Option<String>,
    /// What is said.
    pub message: Message,
    /// Where it stands.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempts: u32,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// When it was decided.
    pub created_at: DateTime<Utc>,
    /// When the channel took it.
    pub sent_at: Option<DateTime<Utc>>,
    /// Why the last try failed.
    pub error: Option<String>,
    /// What the channel answered that later messages about the same alert need: a thread, a message id.
    pub receipt: Option<String>,
}
