//! A run as the database has it at one moment, with the runs that its steps wait for. What is shown of a run is shown of this.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::words;
use crate::model::workflow::Work;
use crate::model::workflow_run::JobCounts;
use crate::model::{Job, JobState, StepRun, StepState, WorkflowRun, WorkflowState};
use crate::store::{JobFilter, Lease, Store, StoreError};
use crate::workflow::DEEPEST;

/// Jobs of a step that are named while it goes on.
const NAMED: usize = 3;
/// Failures of a step that are told while the run goes on, the latest.
const NAMED_FAILURES: usize = 2;

/// A run.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Seen {
    /// The run.
    pub(super) run: WorkflowRun,
    /// Its steps.
    pub(super) steps: Vec<StepRun>,
    /// Jobs by step.
    pub(super) jobs: BTreeMap<u32, JobCounts>,
    /// Rollbacks by step.
    pub(super) undone: BTreeMap<u32, JobCounts>,
    /// A few of the jobs that are under way, wait, or failed last, by step, while it goes on.
    pub(super) busy: BTreeMap<u32, Vec<Job>>,
    /// Runs that steps wait for.
    pub(super) children: BTreeMap<u32, Seen>,
    /// Who drives it.
    pub(super) driven: Driven,
}

/// Who drives a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Driven {
    /// The daemon.
    Daemon,
    /// A process, by its number.
    Process(u32),
    /// Some process, here or elsewhere.
    Somebody,
    /// Nobody.
    Nobody,
}

impl Driven {
    /// Who it is, by the leases.
    pub(super) fn of(run: &str, leases: &[Lease]) -> Self {
        let name = format!("run {run}");
        let Some(lease) = leases.iter().find(|lease| lease.name == name) else { return Self::Nobody };
        let process = |lease: &Lease| lease.owner.as_str().split('/').nth(1).and_then(|pid| pid.parse().ok());
        let daemon = leases.iter().find(|lease| lease.name == "daemon");
        let pid = process(lease);
        if daemon.is_some_and(|daemon| pid.is_some() && process(daemon) == pid) {
            return Self::Daemon;
        }
        pid.map_or(Self::Somebody, Self::Process)
    }
}

impl std::fmt::Display for Driven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Daemon => f.write_str("driven by the daemon"),
            Self::Process(pid) => write!(f, "driven by process {pid}"),
            Self::Somebody => f.write_str("driven by another process"),
            Self::Nobody => f.write_str("nobody drives it"),
        }
    }
}

impl Seen {
    /// Reads a run. Nothing where there is none.
    pub(super) fn read(store: &Store, id: &str) -> Result<Option<Self>, StoreError> {
        Self::at_depth(store, id, &store.leases()?, 0)
    }

    fn at_depth(store: &Store, id: &str, leases: &[Lease], depth: usize) -> Result<Option<Self>, StoreError> {
        let Some(run) = store.workflow_run(id)? else { return Ok(None) };
        let steps = store.workflow_steps(id)?;
        let jobs = store.job_counts(id)?;
        let undone = store.rollback_counts(id)?;
        let mut busy: BTreeMap<u32, Vec<Job>> = BTreeMap::new();
        for (step, counts) in &jobs {
            let back = undone.get(step).copied().unwrap_or_default();
            let any = counts.running + counts.waiting + counts.offline + back.running + back.waiting + back.offline;
            let failed = counts.failed + back.failed > 0 && !run.state.is_final();
            let wanted = [
                (any > 0, vec![JobState::Running], NAMED, false),
                (any > 0, vec![JobState::Waiting], NAMED, false),
                (failed, vec![JobState::Failed, JobState::Interrupted], NAMED_FAILURES, true),
            ];
            for (_, states, limit, newest_first) in wanted.into_iter().filter(|(wanted, ..)| *wanted) {
                let filter = JobFilter { run: Some(id.into()), step: Some(*step), states, newest_first, limit, ..JobFilter::default() };
                busy.entry(*step).or_default().extend(store.jobs(&filter)?);
            }
        }
        let mut children = BTreeMap::new();
        for (step, declared) in steps.iter().zip(&run.steps) {
            if matches!(declared.work, Work::Workflow { .. })
                && step.state != StepState::Pending
                && depth < DEEPEST
                && let Some(child) = store.child_run(id, step.step)?
                && let Some(child) = Self::at_depth(store, &child.id, leases, depth + 1)?
            {
                children.insert(step.step, child);
            }
        }
        let driven = Driven::of(id, leases);
        Ok(Some(Self { run, steps, jobs, undone, busy, children, driven }))
    }

    /// All jobs of it and of the runs within it, by where they stand.
    pub(super) fn totals(&self) -> JobCounts {
        let mut sum = JobCounts::default();
        let within: Vec<JobCounts> = self.children.values().map(Self::totals).collect();
        for counts in self.jobs.values().chain(self.undone.values()).chain(&within) {
            sum.pending += counts.pending;
            sum.waiting += counts.waiting;
            sum.offline += counts.offline;
            sum.running += counts.running;
            sum.succeeded += counts.succeeded;
            sum.failed += counts.failed;
            sum.skipped += counts.skipped;
            sum.cancelled += counts.cancelled;
            sum.expired += counts.expired;
        }
        sum
    }

    /// Whether nothing of it goes on, but for devices that are away.
    pub(super) fn is_over(&self) -> bool {
        self.run.state.is_final() && self.totals().running == 0
    }

    /// Steps that are done, and all.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.steps.iter().filter(|step| matches!(step.state, StepState::Succeeded | StepState::Skipped)).count(), self.steps.len())
    }

    /// Whether it failed for want of devices that answer, and for nothing else.
    pub(super) fn only_unreachable(&self) -> bool {
        let totals = self.totals();
        let away = |step: &StepRun| self.jobs.get(&step.step).is_some_and(|c| c.offline + c.expired > 0);
        let failed = self.steps.iter().filter(|step| step.state == StepState::Failed);
        totals.failed == 0
            && totals.offline + totals.expired > 0
            && failed.into_iter().all(|step| away(step) || self.children.contains_key(&step.step))
    }

    /// The run for programs.
    pub(super) fn value(&self, jobs: &[Job]) -> Value {
        let run = &self.run;
        let steps = self.steps.iter().map(|step| {
            json!({
                "step": step.step + 1, "name": step.name, "state": step.state, "until": step.wake_at, "begunAt": step.begun_at,
                "finishedAt": step.finished_at, "reason": step.reason, "result": step.result,
                "devices": self.jobs.get(&step.step), "undone": self.undone.get(&step.step),
                "run": self.children.get(&step.step).map(|child| child.run.id.clone()),
            })
        });
        json!({
            "id": run.id, "workflow": run.workflow, "state": run.state, "error": run.error, "cancel": run.cancel,
            "cause": { "kind": run.cause.kind, "device": run.cause.device, "group": run.cause.group, "data": run.cause.data },
            "user": run.actor.user, "from": run.actor.from, "priority": run.priority, "policySet": run.policy_set, "commit": run.commit,
            "createdAt": run.created_at, "startedAt": run.started_at, "finishedAt": run.finished_at,
            "parent": run.parent.as_ref().map(|(run, step)| json!({ "run": run, "step": step + 1 })),
            "driven": match self.driven {
                Driven::Daemon => "daemon",
                Driven::Process(_) | Driven::Somebody => "process",
                Driven::Nobody => "nobody",
            },
            "steps": steps.collect::<Vec<_>>(), "jobs": jobs.iter().map(job).collect::<Vec<_>>(),
        })
    }

    /// Where it stands, for a list.
    pub(super) fn summary(&self, now: DateTime<Utc>) -> String {
        let (done, all) = self.progress();
        if self.run.state == WorkflowState::Queued {
            return "waits for an earlier run".into();
        }
        let here = self.steps.iter().find(|step| matches!(step.state, StepState::Running | StepState::Waiting));
        match here {
            Some(step) if !self.run.state.is_final() => {
                let place = format!("{} of {all}: {}", step.step + 1, step.name);
                let later = self.run.steps.get(step.step as usize).and_then(|step| step.not_before).filter(|at| *at > now);
                if let Some(at) = later {
                    return format!("{place}, waits {}", words::until(at, now));
                }
                match &step.reason {
                    Some(reason) if step.state == StepState::Waiting => format!("{place}, {reason}"),
                    _ => place,
                }
            }
            _ => self.run.error.clone().unwrap_or_else(|| format!("{done} of {}", crate::cli::style::count(all, "step", "steps"))),
        }
    }
}

/// A job for programs.
pub(super) fn job(job: &Job) -> Value {
    json!({
        "job": job.id, "run": job.run, "step": job.step + 1, "device": Some(&*job.device).filter(|name| !name.is_empty()),
        "action": job.action, "part": job.part, "state": job.state, "waitsFor": job.waits_for, "until": job.wake_at,
        "expiresAt": job.expires_at, "priority": job.priority, "attempt": job.attempt, "createdAt": job.created_at,
        "startedAt": job.started_at, "finishedAt": job.finished_at, "reason": job.reason, "progress": job.progress(),
    })
}
