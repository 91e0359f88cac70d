//! Runs of workflows: what the database knows of one, step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::job::{JobState, WaitsFor};
use super::run::Actor;
use super::workflow::Step;

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkflowState {
    /// Waits for an earlier run of the same workflow.
    #[default]
    Queued,
    /// Under way. What it waits for stands with its steps and jobs.
    Running,
    /// A step has failed, and what was done is undone in reverse order.
    Undoing,
    /// All is well.
    Succeeded,
    /// A step has failed.
    Failed,
    /// A person, or a newer run, has ended it.
    Cancelled,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepState {
    /// Its turn has not come.
    #[default]
    Pending,
    /// Waits for its delay, or for a person.
    Waiting,
    /// Devices are at work.
    Running,
    /// Done.
    Succeeded,
    /// Failed.
    Failed,
    /// Its condition did not hold, or it had no devices.
    Skipped,
    /// The run ended before it.
    Cancelled,
}

super::traits::lower_display! {
    WorkflowState {
        Queued => "queued", Running => "running", Undoing => "undoing", Succeeded => "succeeded", Failed => "failed",
        Cancelled => "cancelled",
    }
    StepState {
        Pending => "pending", Waiting => "waiting", Running => "running", Succeeded => "succeeded", Failed => "failed",
        Skipped => "skipped", Cancelled => "cancelled",
    }
}

impl WorkflowState {
    /// Whether the store accepts this step.
    pub const fn may_become(self, next: Self) -> bool {
        use WorkflowState::{Cancelled, Failed, Queued, Running, Succeeded, Undoing};
        match self {
            Queued => matches!(next, Running | Cancelled),
            Running => matches!(next, Undoing | Succeeded | Failed | Cancelled),
            Undoing => matches!(next, Failed | Cancelled),
            // Resumed by a person.
            Failed | Cancelled => matches!(next, Running),
            Succeeded => false,
        }
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl StepState {
    /// Whether the store accepts this step.
    pub const fn may_become(self, next: Self) -> bool {
        use StepState::{Cancelled, Failed, Pending, Running, Skipped, Succeeded, Waiting};
        match self {
            Pending => matches!(next, Waiting | Running | Succeeded | Failed | Skipped | Cancelled),
            // Its delay is over, and it waits for a person.
            Waiting => matches!(next, Waiting | Running | Succeeded | Failed | Skipped | Cancelled),
            Running => matches!(next, Succeeded | Failed | Skipped | Cancelled),
            // Resumed by a person.
            Failed | Cancelled => matches!(next, Pending),
            Succeeded | Skipped => false,
        }
    }

    /// Whether nothing more will happen by itself.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Waiting | Self::Running)
    }
}

/// What started a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// `manual`, `schedule`, `alert`, `deviceAdded`, `webhook`, `workflow`.
    pub kind: String,
    /// Unique among the runs of the workflow, where what is seen twice must start one run.
    pub key: Option<String>,
    /// The device that it is about.
    pub device: Option<Arc<str>>,
    /// The group that the device came into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Arc<str>>,
    /// What conditions see as `trigger`: severity, type, parameters.
    #[serde(default)]
    pub data: Value,
}

/// A run as the database keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRun {
    /// `w-20261121-073012-4f2a91c3`.
    pub id: String,
    /// Workflow by name; `rmm run ACTION` for an action asked for by hand.
    pub workflow: Arc<str>,
    /// The steps as they were when it began.
    pub steps: Vec<Step>,
    /// What started it.
    pub cause: Cause,
    /// Run and step that wait for this one.
    pub parent: Option<(String, u32)>,
    /// Who asked.
    pub actor: Actor,
    /// Policy set with which it began.
    pub policy_set: String,
    /// Its commit.
    pub commit: Option<String>,
    /// Hashes of the scripts of its actions when it began, by action.
    pub scripts: BTreeMap<String, String>,
    /// Priority of its jobs, 1 to 9.
    pub priority: u8,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When its first step began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Where it stands.
    pub state: WorkflowState,
    /// Why it failed or was cancelled.
    pub error: Option<String>,
    /// Somebody wants it to end: the reason.
    pub cancel: Option<String>,
}

/// A step of a run as the database keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRun {
    /// Run.
    pub run: String,
    /// Position, from 0.
    pub step: u32,
    /// Its name.
    pub name: Arc<str>,
    /// Where it stands.
    pub state: StepState,
    /// When its delay is over, or its approval expires.
    pub wake_at: Option<DateTime<Utc>>,
    /// When its turn came.
    pub begun_at: Option<DateTime<Utc>>,
    /// When devices began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What conditions of later steps see.
    pub result: Value,
    /// Why it failed, waits or was left out; who approved.
    pub reason: Option<String>,
}

/// How many jobs of a step are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobCounts {
    /// Wait for their turn.
    pub pending: usize,
    /// Wait for a retry, a window, another run, a restart.
    pub waiting: usize,
    /// Wait for their device to return.
    pub offline: usize,
    /// Under way.
    pub running: usize,
    /// Done.
    pub succeeded: usize,
    /// Failed or interrupted.
    pub failed: usize,
    /// Had nothing to do.
    pub skipped: usize,
    /// Cancelled.
    pub cancelled: usize,
    /// Their device did not return in time.
    pub expired: usize,
}

impl JobCounts {
    /// All of them.
    pub const fn total(&self) -> usize {
        self.open() + self.offline + self.succeeded + self.failed + self.skipped + self.cancelled + self.expired
    }

    /// Those that the step waits for.
    pub const fn open(&self) -> usize {
        self.pending + self.waiting + self.running
    }

    /// Counts `n` more jobs of a state.
    pub fn add(&mut self, state: JobState, offline: bool, n: usize) {
        *self.of(state, offline) += n;
    }

    /// A job has moved on.
    pub fn step(&mut self, from: (JobState, Option<WaitsFor>), to: (JobState, Option<WaitsFor>)) {
        let before = self.of(from.0, from.1 == Some(WaitsFor::Device));
        *before = before.saturating_sub(1);
        *self.of(to.0, to.1 == Some(WaitsFor::Device)) += 1;
    }

    fn of(&mut self, state: JobState, offline: bool) -> &mut usize {
        match state {
            JobState::Pending => &mut self.pending,
            JobState::Waiting if offline => &mut self.offline,
            JobState::Waiting => &mut self.waiting,
            JobState::Running => &mut self.running,
            JobState::Succeeded => &mut self.succeeded,
            JobState::Failed | JobState::Interrupted => &mut self.failed,
            JobState::Skipped => &mut self.skipped,
            JobState::Cancelled => &mut self.cancelled,
            JobState::Expired => &mut self.expired,
        }
    }
}
