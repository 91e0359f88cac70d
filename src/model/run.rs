//! A run: the carrying out of a plan, journalled change by change.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Change;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// Being carried out (or its process died: see the lease).
    Running,
    /// Everything ended well.
    Done,
    /// Something failed.
    Failed,
    /// Stopped before its end; can be resumed.
    Interrupted,
}

/// Where one change of a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeState {
    /// Not begun.
    Pending,
    /// The intent is in the journal; the script may have run.
    Started,
    /// Verified.
    Done,
    /// Was right already.
    Skipped,
    /// Did not reach the desired state.
    Failed,
    /// Failed, and what had been done was undone.
    RolledBack,
    /// The run was stopped before its turn.
    Cancelled,
    /// The device cannot be reached; waits for its return until it expires.
    Queued,
    /// The observed value is no longer the one in the plan.
    Stale,
    /// Begun, not known how it ended, and must not be run again unasked.
    Interrupted,
}

super::traits::lower_display! {
    RunState { Running => "running", Done => "done", Failed => "failed", Interrupted => "interrupted" }
    ChangeState {
        Pending => "pending", Started => "started", Done => "done", Skipped => "skipped", Failed => "failed",
        RolledBack => "rolled back", Cancelled => "cancelled", Queued => "queued", Stale => "stale",
        Interrupted => "interrupted",
    }
}

impl ChangeState {
    /// Whether the journal accepts this step. Everything else is refused by the store.
    pub fn may_become(self, next: Self) -> bool {
        use ChangeState::{Cancelled, Done, Failed, Interrupted, Pending, Queued, RolledBack, Skipped, Stale, Started};
        match self {
            // One that was begun before its device went away may turn out to be done.
            Pending => matches!(next, Started | Done | Skipped | Failed | Cancelled | Queued | Stale),
            // A retry writes a new intent; a resumed run looks again and may find it done.
            Started => matches!(next, Started | Done | Failed | RolledBack | Queued | Interrupted),
            Queued | Cancelled => matches!(next, Pending | Cancelled | Stale | Failed),
            Interrupted => matches!(next, Started | Done | Failed | Cancelled | Queued),
            Done | Skipped | Failed | RolledBack | Stale => false,
        }
    }

    /// Whether nothing more will happen to it in this run.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Skipped | Self::Failed | Self::RolledBack | Self::Stale)
    }
}

impl RunState {
    /// Whether the store accepts this step.
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Running => next != Self::Running,
            Self::Interrupted => next == Self::Running,
            Self::Done | Self::Failed => false,
        }
    }
}

/// Who asked for something, and from where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// Account name.
    pub user: String,
    /// `cli@HOST` or an IP address.
    pub from: String,
}

/// A run as the store keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Short unique id, `r-20261121-073012-4f2a`.
    pub id: String,
    /// Who asked.
    pub actor: Actor,
    /// Policy set that the plan was made from.
    pub policy_set: String,
    /// Its commit.
    pub commit: Option<String>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// After this, what is still queued is given up.
    pub expires_at: DateTime<Utc>,
    /// Where it is.
    pub state: RunState,
    /// Options as given: concurrency, limits, stage.
    pub options: Value,
}

/// One change of a run as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunChange {
    /// Run.
    pub run: String,
    /// Position within the run: the order on a device follows it.
    pub seq: i64,
    /// Device.
    pub device: String,
    /// The change as planned.
    pub change: Change,
    /// Where it is.
    pub state: ChangeState,
    /// How often the script was started.
    pub attempts: u32,
    /// Why it failed or waits.
    pub error: Option<String>,
    /// Observed before.
    pub before: Option<Value>,
    /// Observed after.
    pub after: Option<Value>,
    /// When the last intent was written.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached its final state.
    pub finished_at: Option<DateTime<Utc>>,
}
