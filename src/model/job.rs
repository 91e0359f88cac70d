//! Jobs: one action on one device, from the moment it is asked for to its end. Rows of the action queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a job stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for its turn.
    #[default]
    Pending,
    /// Waits for something that is named in `reason`, until `wake_at`.
    Waiting,
    /// The device is, or was when the process died, at work.
    Running,
    /// Done.
    Succeeded,
    /// Not done, and not tried again.
    Failed,
    /// Had nothing to do.
    Skipped,
    /// No longer wanted; never begun, or ended by a person.
    Cancelled,
    /// The device did not return in time.
    Expired,
    /// Begun, not known how it ended, and must not be repeated unasked.
    Interrupted,
}

super::traits::lower_display! {
    JobState {
        Pending => "pending", Waiting => "waiting", Running => "running", Succeeded => "succeeded", Failed => "failed",
        Skipped => "skipped", Cancelled => "cancelled", Expired => "expired", Interrupted => "interrupted",
    }
    WaitsFor { Retry => "retry", Device => "device", Window => "window", Busy => "busy", Restart => "restart" }
    JobPhase { Act => "act", Restart => "restart", Return => "return" }
    JobPart { Run => "run", Rollback => "rollback" }
}

impl JobState {
    /// All of them, in the order in which lists show them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Waiting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Skipped,
        Self::Cancelled,
        Self::Expired,
        Self::Interrupted,
    ];

    /// Whether the store accepts this step.
    pub const fn may_become(self, next: Self) -> bool {
        use JobState::{Cancelled, Expired, Failed, Interrupted, Pending, Running, Skipped, Succeeded, Waiting};
        match self {
            Pending => matches!(next, Running | Waiting | Cancelled | Expired | Skipped | Failed),
            Waiting => matches!(next, Running | Waiting | Cancelled | Expired | Failed),
            // Taken up again after a crash; between its parts it waits.
            Running => !matches!(next, Pending | Expired),
            // A person has the run resumed.
            Failed | Cancelled | Expired | Interrupted => matches!(next, Pending),
            Succeeded | Skipped => false,
        }
    }

    /// Whether nothing more will happen to it by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Waiting | Self::Running)
    }
}

/// What a waiting job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WaitsFor {
    /// It failed and is tried again.
    Retry,
    /// The device cannot be reached.
    Device,
    /// A guard or a maintenance window stands in the way.
    Window,
    /// Another run changes the device.
    Busy,
    /// The device restarts.
    Restart,
}

impl WaitsFor {
    /// Whether later jobs of the same device have to wait too, so that their order stays.
    pub const fn holds_order(self) -> bool {
        !matches!(self, Self::Window)
    }
}

/// Which part of a job comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobPhase {
    /// The action itself.
    #[default]
    Act,
    /// It is done; the device is restarted where it asks for that.
    Restart,
    /// The restart was asked for; the device is awaited and looked at.
    Return,
}

/// Which function of the action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobPart {
    /// `run(device, params)`.
    #[default]
    Run,
    /// `rollback(device, params, result)`.
    Rollback,
}

/// One action on one device (or on none, where it acts on nothing in particular).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// `RUN.STEP.N`: letters, digits, points and hyphens only.
    pub id: String,
    /// Run that it belongs to.
    pub run: String,
    /// Step of the run, from 0.
    pub step: u32,
    /// Device by name; empty where the action acts on nothing in particular.
    pub device: Arc<str>,
    /// Action by its name in the catalogue.
    pub action: Arc<str>,
    /// Parameters as they were declared: secrets are references.
    pub with: BTreeMap<String, Value>,
    /// Which function.
    pub part: JobPart,
    /// The job that it undoes, of a rollback.
    pub undoes: Option<String>,
    /// 1 (first) to 9 (last).
    pub priority: u8,
    /// Where it stands.
    pub state: JobState,
    /// What it waits for, of one that waits.
    pub waits_for: Option<WaitsFor>,
    /// Which part comes next.
    pub phase: JobPhase,
    /// How often it was begun on purpose. A new attempt is a new effect; taking up after a crash is not.
    pub attempt: u32,
    /// How often it failed and was tried again.
    pub retries: u32,
    /// Not before.
    pub wake_at: Option<DateTime<Utc>>,
    /// After this it is given up where its device is away.
    pub expires_at: DateTime<Utc>,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was begun first.
    pub started_at: Option<DateTime<Utc>>,
    /// When it reached a final state.
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it waits, failed or was left out.
    pub reason: Option<String>,
    /// What `run` returned.
    pub result: Value,
    /// What the engine has to remember between two parts.
    pub memo: Value,
}

/// How far a file that is copied has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobProgress {
    /// Bytes so far, those of an earlier attempt included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// As it went lately; not known at the beginning.
    pub bytes_per_second: Option<u64>,
}

impl Job {
    /// How far it has got, of one that is under way and copies a file.
    pub fn progress(&self) -> Option<JobProgress> {
        let known = self.memo.get(PROGRESS).filter(|_| self.state == JobState::Running)?;
        serde_json::from_value(known.clone()).ok()
    }
}

/// Member of what is remembered of a job that says how far it has got.
pub(crate) const PROGRESS: &str = "progress";

/// One command of a job and what it printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobOutput {
    /// Job.
    pub job: String,
    /// Attempt, from 1.
    pub attempt: u32,
    /// Position, from 1.
    pub seq: u32,
    /// The command as it is shown, secrets left out.
    pub line: String,
    /// Exit code.
    pub code: i32,
    /// Standard output, bounded.
    pub stdout: String,
    /// Standard error, bounded.
    pub stderr: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_well_never_moves_again() {
        for next in JobState::ALL {
            assert!(!JobState::Succeeded.may_become(next) && !JobState::Skipped.may_become(next), "{next}");
        }
    }

    #[test]
    fn what_was_cancelled_never_begins_unless_it_is_asked_for_anew() {
        let next: Vec<JobState> = JobState::ALL.into_iter().filter(|next| JobState::Cancelled.may_become(*next)).collect();
        assert_eq!(next, [JobState::Pending]);
    }

    #[test]
    fn final_states_are_those_that_nothing_leaves_by_itself() {
        let open: Vec<JobState> = JobState::ALL.into_iter().filter(|state| !state.is_final()).collect();
        assert_eq!(open, [JobState::Pending, JobState::Waiting, JobState::Running]);
    }
}
