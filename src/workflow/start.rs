//! How a run begins: its definition as it is now, what started it, and what that means while another one is unfinished.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::model::config::Amount;
use crate::model::run::Actor;
use crate::model::workflow::{Concurrency, OnFailure, Work};
use crate::model::workflow_run::Cause;
use crate::model::{ActionCall, Place, Step, Workflow, WorkflowRun, WorkflowState};
use crate::repo::PolicySet;
use crate::store::{Started, Store, StoreError};
use crate::time::Span;

/// Priority where nobody says otherwise.
pub(super) const PRIORITY: u8 = 5;

/// A new run of a workflow. `random` makes two of the same second differ.
pub fn new_run(set: &PolicySet, workflow: &Workflow, cause: Cause, actor: &Actor, now: DateTime<Utc>, random: u32) -> WorkflowRun {
    run_of(set, Arc::clone(&workflow.name), workflow.steps.clone(), cause, actor, now, random)
}

/// How an action that is asked for by hand is carried out.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Time for each device.
    pub timeout: Option<Span>,
    /// How often a failed device is tried again.
    pub retries: u32,
    /// Devices at once.
    pub max_parallel: Option<u32>,
    /// Devices that may fail before no further one begins; as many as there are where absent.
    pub max_failures: Option<Amount>,
    /// Devices that ask for a restart are restarted and awaited.
    pub wait_for_reboot: bool,
    /// How long a device that is away keeps its work.
    pub expires: Option<Span>,
    /// Devices begin spread over this time.
    pub stagger: Option<Span>,
    /// 1 (first) to 9 (last).
    pub priority: Option<u8>,
    /// Waits this long first.
    pub delay: Option<Span>,
    /// No device begins before.
    pub not_before: Option<DateTime<Utc>>,
}

/// A run of one step: an action that a person asks for.
pub fn by_hand(set: &PolicySet, call: ActionCall, options: &Options, actor: &Actor, now: DateTime<Utc>, random: u32) -> WorkflowRun {
    let name: Arc<str> = format!("rmm run {}", call.action).into();
    let step = Step {
        name: Arc::clone(&call.action),
        work: Work::Action(call),
        delay: options.delay,
        when: None,
        on_failure: OnFailure::Stop,
        timeout: options.timeout,
        retries: options.retries,
        max_parallel: options.max_parallel,
        max_failures: Some(options.max_failures.unwrap_or(Amount::Percent(100))),
        parallel: false,
        wait_for_reboot: options.wait_for_reboot,
        expires: options.expires,
        stagger: options.stagger,
        not_before: options.not_before,
        place: Place::default(),
    };
    let cause = Cause { kind: "hand".into(), ..Cause::default() };
    let mut run = run_of(set, name, vec![step], cause, actor, now, random);
    run.priority = options.priority.unwrap_or(PRIORITY).clamp(1, 9);
    run
}

fn run_of(set: &PolicySet, name: Arc<str>, steps: Vec<Step>, cause: Cause, actor: &Actor, now: DateTime<Utc>, random: u32) -> WorkflowRun {
    let scripts = steps.iter().filter_map(|step| match &step.work {
        Work::Action(call) => Some((call.action.to_string(), script_hash(set, &call.action)?)),
        _ => None,
    });
    WorkflowRun {
        id: format!("w-{}-{random:08x}", now.format("%Y%m%d-%H%M%S")),
        workflow: name,
        scripts: scripts.collect::<BTreeMap<_, _>>(),
        steps,
        cause,
        parent: None,
        actor: actor.clone(),
        policy_set: set.hash.clone(),
        commit: set.commit.clone(),
        priority: PRIORITY,
        created_at: now,
        started_at: None,
        finished_at: None,
        state: WorkflowState::Queued,
        error: None,
        cancel: None,
    }
}

/// Tells one script from another: what was not shown does not happen.
pub(super) fn script_hash(set: &PolicySet, action: &str) -> Option<String> {
    use std::fmt::Write as _;
    let def = set.catalog.actions.get(action)?;
    let digest = Sha256::digest(def.program.text().as_bytes());
    Some(digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// What a start means while a run of the workflow is unfinished: as declared, else by what started it. A schedule leaves the new
/// one out; everything else is somebody's, or a device's, and waits.
pub fn rule(workflow: &Workflow, cause: &Cause) -> Concurrency {
    workflow.concurrency.unwrap_or(if cause.kind == "schedule" { Concurrency::Skip } else { Concurrency::Queue })
}

/// Keeps a run in the database. It begins as soon as somebody drives it.
pub fn start(store: &Store, run: &WorkflowRun, rule: Concurrency) -> Result<Started, StoreError> {
    store.start_workflow(run, rule)
}
