//! What can go wrong when a person asks for something about workflows and their runs.

use crate::diagnose::{Category, Diagnose};

/// Why it was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// No workflow, run or job of that name.
    #[error("there is no {what} '{name}'")]
    Unknown {
        /// Kind of thing.
        what: &'static str,
        /// As given.
        name: String,
        /// What was probably meant.
        near: Option<String>,
    },
    /// The rule of the workflow is to leave a start out while a run is unfinished.
    #[error("run {run} of {workflow} is unfinished, and its rule is to leave another one out")]
    LeftOut {
        /// Workflow.
        workflow: String,
        /// The unfinished run.
        run: String,
    },
    /// The run cannot be taken up again.
    #[error("run {run} cannot be resumed: {why}")]
    NotResumable {
        /// Run.
        run: String,
        /// Why.
        why: String,
    },
    /// No step waits for a decision.
    #[error("run {run}: {why}")]
    NothingToDecide {
        /// Run.
        run: String,
        /// Why.
        why: String,
        /// What could be done instead.
        advice: Option<String>,
    },
    /// A step acts on the device that a run is about, and none was named.
    #[error("the step '{step}' of {workflow} acts on the device that started the run, and no device is named")]
    NoDevice {
        /// Workflow.
        workflow: String,
        /// Step.
        step: String,
    },
    /// What has ended, or has begun, cannot be cancelled.
    #[error("{what} cannot be cancelled: {why}")]
    NotCancellable {
        /// The run or the job.
        what: String,
        /// Why.
        why: String,
        /// What could be done instead.
        advice: Option<String>,
    },
}

impl Diagnose for Problem {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "RMM0704",
            Self::LeftOut { .. } => "RMM0705",
            Self::NotResumable { .. } => "RMM0706",
            Self::NothingToDecide { .. } => "RMM0707",
            Self::NoDevice { .. } => "RMM0708",
            Self::NotCancellable { .. } => "RMM0709",
        }
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Unknown { near: Some(near), .. } => Some(format!("did you mean '{near}'?")),
            Self::Unknown { what: "workflow", .. } => Some("`rmm workflow list` shows what there is".into()),
            Self::Unknown { what: "job", .. } => Some("`rmm workflow queue` shows those that wait".into()),
            Self::Unknown { what: "device", .. } => Some("`rmm devices list` shows what there is".into()),
            Self::Unknown { what: "run", .. } => Some("`rmm workflow status` shows the latest".into()),
            Self::Unknown { .. } => None,
            Self::LeftOut { run, .. } | Self::NotResumable { run, .. } => Some(format!("look at it: rmm workflow status {run}")),
            Self::NothingToDecide { advice, .. } | Self::NotCancellable { advice, .. } => advice.clone(),
            Self::NoDevice { .. } => Some("add --device NAME".into()),
        }
    }
}
