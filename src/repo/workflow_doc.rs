//! The shape of a workflow in its file, before names are resolved. Its JSON Schema comes from here.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::policy_doc::Selectors;
use crate::model::config::Amount;
use crate::model::workflow::Concurrency;
use crate::time::Span;

/// A job of several steps.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({
    "trigger": "Schedule: Second Tuesday 10PM",
    "steps": [
        {"name": "Pilot", "action": "Install-Updates -Group Pilot", "waitForReboot": true, "onFailure": "rollback-and-notify"},
        {"name": "Sign-off", "approval": {"role": "Operator", "within": "12h"}},
        {"name": "Everybody", "action": "InstallUpdates", "on": {"group": "Production"}, "maxFailures": "10%"}
    ]
}))]
pub(super) struct WorkflowDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What starts it: one or a list. Manual where absent.
    #[serde(default)]
    #[allow(dead_code)] // read from the tree, with the places; declared for the schema
    pub trigger: Option<TriggersDoc>,
    /// IANA time zone of a schedule; UTC where absent.
    #[serde(default)]
    pub timezone: Option<String>,
    /// What a start means while a run of the workflow is unfinished: skip, queue, replace or parallel.
    #[serde(default)]
    pub concurrency: Option<Concurrency>,
    /// How late a moment of its schedules that was missed may still have its run, 2h; without it however late. What is later is left out.
    #[serde(default)]
    pub start_within: Option<Span>,
    /// What it does, in this order.
    pub steps: Vec<StepDoc>,
}

/// One trigger or a list of them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // as above
pub(super) enum TriggersDoc {
    /// Several.
    Many(Vec<TriggerDoc>),
    /// One.
    One(TriggerDoc),
}

/// What starts a workflow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)] // as above
pub(super) enum TriggerDoc {
    /// Schedule: Second Tuesday 10PM; Device added to group 'New Devices'; Alert: DiskSpace severity >= High; Webhook: NAME; Manual
    Text(#[schemars(example = &"Schedule: Daily 02:00", example = &"Device added to group 'New Devices'", example = &"Manual")] String),
    /// The structured form.
    Form(TriggerForm),
}

/// The structured form of a trigger: exactly one of these keys.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct TriggerForm {
    /// A moment.
    #[serde(default)]
    pub schedule: Option<ScheduleDoc>,
    /// A device came into a group.
    #[serde(default)]
    pub device_added: Option<DeviceAddedDoc>,
    /// An alert.
    #[serde(default)]
    pub alert: Option<AlertDoc>,
    /// A request to the server.
    #[serde(default)]
    pub webhook: Option<WebhookDoc>,
    /// A person.
    #[serde(default)]
    pub manual: Option<bool>,
}

/// A moment: a phrase, or a cron expression with a time zone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ScheduleDoc {
    /// Second Tuesday 10PM
    Text(String),
    /// With a time zone.
    Form(ScheduleForm),
}

/// A moment with a time zone.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["cron"]}, {"required": ["phrase"]}]))]
pub(super) struct ScheduleForm {
    /// A cron expression of five fields, or of six with seconds.
    #[serde(default)]
    pub cron: Option<String>,
    /// A phrase such as Second Tuesday 10PM.
    #[serde(default)]
    pub phrase: Option<String>,
    /// IANA time zone.
    #[serde(default)]
    pub timezone: Option<String>,
}

/// A device came into a group.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeviceAddedDoc {
    /// Group by name.
    pub group: String,
}

/// An alert.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct AlertDoc {
    /// Its type; every type where absent.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Which severities: High, or ">= High".
    #[serde(default)]
    pub severity: Option<SeverityDoc>,
}

/// A severity, several, or ">= High".
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum SeverityDoc {
    /// Several.
    Many(Vec<String>),
    /// One, or ">= High".
    One(#[schemars(example = &"Critical", example = &">= High")] String),
}

/// A request to the server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum WebhookDoc {
    /// Its name.
    Text(String),
    /// Its name.
    Form {
        /// Name in its address.
        name: String,
    },
}

/// One step: an action, another workflow, an approval, or the end of the run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StepDoc {
    /// Name, unique in the workflow.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    #[allow(dead_code)] // for people
    pub description: Option<String>,
    /// Action: InstallUpdates, or Install-Updates -Group Pilot.
    #[serde(default)]
    pub action: Option<String>,
    /// Devices of a structured action: group names or selectors, any of them.
    #[serde(default)]
    #[allow(dead_code)] // read from the tree, with the places
    pub on: Selectors,
    /// Parameters of a structured action.
    #[serde(default)]
    #[allow(dead_code)] // as above
    pub with: Map<String, Value>,
    /// Runs another workflow and waits for its end; `with` is what its conditions see as `trigger`.
    #[serde(default)]
    pub workflow: Option<String>,
    /// Waits for a person.
    #[serde(default)]
    pub approval: Option<ApprovalDoc>,
    /// Ends the run.
    #[serde(default)]
    pub end: Option<EndDoc>,
    /// Waits this long first.
    #[serde(default)]
    pub delay: Option<Span>,
    /// Only where this holds: `steps["Verify Pilot Health"].score >= 90`
    #[serde(default)]
    pub when: Option<String>,
    /// What happens where it fails.
    #[serde(default)]
    pub on_failure: Option<OnFailureDoc>,
    /// How long it may take.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How often it is tried again.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100))]
    pub retries: u32,
    /// Devices at once.
    #[serde(default)]
    #[schemars(range(min = 1, max = 500))]
    pub max_parallel: Option<u32>,
    /// Devices that may fail before the step has failed: 3, or 10%.
    #[serde(default)]
    pub max_failures: Option<Amount>,
    /// Begins together with the parallel steps around it.
    #[serde(default)]
    pub parallel: bool,
    /// Waits until devices that restart are back.
    #[serde(default)]
    pub wait_for_reboot: bool,
    /// How long a device that is away keeps its work.
    #[serde(default)]
    pub expires: Option<Span>,
    /// Devices begin spread over this time instead of all at once.
    #[serde(default)]
    pub stagger: Option<Span>,
}

/// Waits for a person.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApprovalDoc {
    /// Who may approve: Operator or Admin.
    #[serde(default)]
    pub role: ApproverDoc,
    /// How long it waits; without an answer the step has failed.
    #[serde(default)]
    pub within: Option<Span>,
}

/// Who may approve.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
pub(super) enum ApproverDoc {
    /// Whoever may run actions.
    #[default]
    Operator,
    /// Administrators only.
    Admin,
}

/// How a run ends early.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum EndDoc {
    /// All is well.
    Succeeded,
    /// Something is wrong.
    Failed,
}

/// What happens where a step fails.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum OnFailureDoc {
    /// A word, or "run: OtherWorkflow".
    Text(
        #[schemars(example = &"stop", example = &"continue", example = &"notify-admin", example = &"rollback", example = &"rollback-and-notify")]
         String,
    ),
    /// Starts another workflow.
    Run(RunDoc),
}

/// Starts another workflow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct RunDoc {
    /// Workflow by name.
    pub run: String,
}
