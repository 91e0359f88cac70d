//! Workflows: jobs of several steps, and what starts them. Data only; nothing runs here.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::Role;
use super::config::Amount;
use super::notification::SeverityRule;
use super::{Place, Selector};
use crate::time::{Schedule, Span};

/// A job of several steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// Unique name.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// What starts it; one of these.
    pub triggers: Vec<Trigger>,
    /// What a second start means while a run is unfinished; by the trigger where absent.
    pub concurrency: Option<Concurrency>,
    /// How late a moment of its schedules that was missed may still have its run; however late where absent.
    pub start_within: Option<Span>,
    /// What it does, in this order.
    pub steps: Vec<Step>,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// What a start means while a run of the same workflow (about the same device, where it is about one) is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Concurrency {
    /// Nothing: it is left out.
    Skip,
    /// It begins when the unfinished one has ended.
    Queue,
    /// The unfinished one is cancelled.
    Replace,
    /// Both go on.
    Parallel,
}

/// What starts a workflow.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Trigger {
    /// A moment.
    Schedule(Schedule),
    /// A device came into a group.
    DeviceAdded {
        /// Group by name.
        group: Arc<str>,
    },
    /// An alert.
    Alert {
        /// Its type: a threshold, a metric, or what else raises alerts; every type where absent.
        kind: Option<Arc<str>>,
        /// Which severities.
        severity: Option<SeverityRule>,
    },
    /// A request to the server.
    Webhook {
        /// Name in its address.
        name: Arc<str>,
    },
    /// A person.
    Manual,
}

impl Trigger {
    /// Whether a run that it starts is about one device, so that steps need not name a target.
    pub fn has_device(&self) -> bool {
        matches!(self, Self::DeviceAdded { .. } | Self::Alert { .. })
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Name, unique in the workflow.
    pub name: Arc<str>,
    /// What it does.
    pub work: Work,
    /// Waits this long first.
    pub delay: Option<Span>,
    /// Condition over `steps` and `trigger` (`script::StepCondition`); where it is false the step is skipped.
    pub when: Option<Arc<str>>,
    /// What happens where it fails.
    pub on_failure: OnFailure,
    /// How long it may take.
    pub timeout: Option<Span>,
    /// How often it is tried again.
    pub retries: u32,
    /// Devices at once; as many as the connections allow where absent.
    pub max_parallel: Option<u32>,
    /// Devices that may fail before the step has failed.
    pub max_failures: Option<Amount>,
    /// Begins together with the parallel steps around it, and the next step waits for all of them.
    pub parallel: bool,
    /// Waits until devices that restart are back.
    pub wait_for_reboot: bool,
    /// How long a device that is away keeps its job; `limits.queue_expires` where absent.
    pub expires: Option<Span>,
    /// Devices begin spread over this time instead of all at once.
    pub stagger: Option<Span>,
    /// No device begins before this moment: of an action that a person has asked for ahead of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<DateTime<Utc>>,
    /// Where it stands.
    #[serde(skip, default)]
    pub place: Place,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// An action of the catalogue.
    Action(ActionCall),
    /// Waits for a person.
    Approval {
        /// Who may approve.
        role: Role,
        /// For how long it waits; then the step has failed.
        within: Option<Span>,
    },
    /// Runs another workflow and waits for its end.
    Workflow {
        /// Its name.
        name: Arc<str>,
        /// What its conditions see as `trigger`.
        with: BTreeMap<String, Value>,
    },
    /// Ends the run.
    End(Outcome),
}

/// How a run ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// All is well.
    Succeeded,
    /// Something is wrong.
    Failed,
}

/// An action with its parameters. The cmdlet spelling and the structured one are the same here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActionCall {
    /// Name in the catalogue: `InstallUpdates`.
    pub action: Arc<str>,
    /// Parameters by their names in the catalogue.
    pub with: BTreeMap<String, Value>,
    /// Devices: any of these; the device that started the run where empty.
    pub on: Vec<Selector>,
}

/// What happens where a step fails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnFailure {
    /// The run ends as failed.
    #[default]
    Stop,
    /// The next step begins.
    Continue,
    /// The administrators are told, and the run ends as failed.
    NotifyAdmin,
    /// What the finished steps did is undone in reverse order, and the run ends as failed.
    Rollback,
    /// Both.
    RollbackAndNotify,
    /// Another workflow is started, and the run ends as failed.
    Run(Arc<str>),
}
