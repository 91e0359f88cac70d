//! A run that this process drives: its rows as they were read last, and the transitions that follow from them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::decide::{Next, View, next};
use super::drive::Event;
use super::{result, start, targets};
use crate::alert::Desk;
use crate::apply::Parts;
use crate::model::alert::{AlertKey, Finding, Signal, Subject};
use crate::model::job::JobPart;
use crate::model::workflow::{Concurrency, Work};
use crate::model::workflow_run::{Cause, JobCounts};
use crate::model::{Job, JobState, Severity, StepRun, StepState, WorkflowRun, WorkflowState};
use crate::store::{JobFilter, StepChange, Store, StoreError};

/// Transitions of one run in one go; a run that wants more is a defect, and is looked at again later.
const MOST_STEPS: usize = 10_000;
/// Most jobs that are read to tell the result of a step.
const MOST_READ: usize = 200;

/// A run that is driven here.
pub(super) struct Led {
    pub(super) run: Arc<WorkflowRun>,
    pub(super) steps: Vec<StepRun>,
    pub(super) jobs: BTreeMap<u32, JobCounts>,
    pub(super) undone: BTreeMap<u32, JobCounts>,
    /// Looked at again then, where nothing happens before.
    pub(super) wake: Option<DateTime<Utc>>,
    /// Something has happened since it was looked at.
    pub(super) dirty: bool,
    /// Jobs that were under way when their process ended: they go on first.
    pub(super) orphans: Vec<Job>,
    /// When a job of it was given a place last: a count that `choose` keeps.
    pub(super) served: u64,
}

/// What has to be done beside the rows.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// Steps whose devices are ended.
    pub(super) abort: Vec<u32>,
    /// Runs that have ended: whoever waits for them is looked at.
    pub(super) ended: Vec<String>,
}

impl Led {
    /// Reads a run. Nothing where there is none.
    pub(super) fn read(store: &Store, id: &str) -> Result<Option<Self>, StoreError> {
        let Some(run) = store.workflow_run(id)? else { return Ok(None) };
        let running = JobFilter { run: Some(id.to_owned()), states: vec![JobState::Running], ..JobFilter::default() };
        let mut led = Self {
            run: Arc::new(run),
            steps: Vec::new(),
            jobs: BTreeMap::new(),
            undone: BTreeMap::new(),
            wake: None,
            dirty: true,
            orphans: store.jobs(&running)?,
            served: 0,
        };
        led.refresh(store)?;
        Ok(Some(led))
    }

    fn refresh(&mut self, store: &Store) -> Result<(), StoreError> {
        self.run = store.workflow_run_now(&self.run)?;
        self.steps = store.workflow_steps(&self.run.id)?;
        self.jobs = store.job_counts(&self.run.id)?;
        self.undone = store.rollback_counts(&self.run.id)?;
        Ok(())
    }

    /// Jobs that wait or are under way.
    pub(super) fn has_work(&self) -> bool {
        self.jobs.values().chain(self.undone.values()).any(|c| c.open() + c.offline > 0)
    }

    /// Jobs that are under way.
    pub(super) fn running(&self) -> usize {
        self.jobs.values().chain(self.undone.values()).map(|c| c.running).sum()
    }

    /// Does all that follows from the rows, until nothing more does before some moment.
    pub(super) fn advance(&mut self, parts: &Parts, on: &dyn Fn(Event), aside: &mut Aside) -> Result<(), StoreError> {
        let (store, id) = (&parts.store, self.run.id.clone());
        let timed: Vec<u32> = (0..).zip(&self.run.steps).filter(|(_, step)| step.not_before.is_some()).map(|(n, _)| n).collect();
        for _ in 0..MOST_STEPS {
            if store.expire_jobs(&id, &timed, &parts.actor)? > 0 {
                tracing::info!(run = id.as_str(), "devices did not return in time");
            }
            self.refresh(store)?;
            let now = parts.clock.now();
            let (nexts, wake) = self.next(parts, now)?;
            let mut moved = false;
            for next in nexts {
                moved |= self.follow(parts, next, on, aside)?;
            }
            if !moved {
                self.dirty = false;
                let job = store.next_job_at(&id, now)?;
                self.wake = [wake, job].into_iter().flatten().min();
                return Ok(());
            }
        }
        tracing::error!(run = id.as_str(), "the run does not come to rest");
        Ok(())
    }

    fn next(&self, parts: &Parts, now: DateTime<Utc>) -> Result<(Vec<Next>, Option<DateTime<Utc>>), StoreError> {
        let store = &parts.store;
        let mut children = BTreeMap::new();
        for step in &self.steps {
            let waits = step.state == StepState::Running
                && matches!(self.run.steps.get(step.step as usize).map(|step| &step.work), Some(Work::Workflow { .. }));
            if waits && let Some(child) = store.child_run(&self.run.id, step.step)? {
                children.insert(step.step, (child.state, child.error));
            }
        }
        let undoable = OnceCell::new();
        let failure = std::cell::RefCell::new(None);
        let view = View {
            run: &self.run,
            steps: &self.steps,
            jobs: &self.jobs,
            undone: &self.undone,
            child: &|step| children.get(&step).cloned(),
            undoable: &|step| {
                let counts: &BTreeMap<u32, usize> = undoable.get_or_init(|| match self.undoable(parts) {
                    Ok(counts) => counts,
                    Err(error) => {
                        *failure.borrow_mut() = Some(error);
                        BTreeMap::new()
                    }
                });
                counts.get(&step).copied().unwrap_or(0)
            },
        };
        let next = next(&view, now);
        match failure.into_inner() {
            Some(error) => Err(error),
            None => Ok(next),
        }
    }

    fn undoable(&self, parts: &Parts) -> Result<BTreeMap<u32, usize>, StoreError> {
        let done = JobFilter { run: Some(self.run.id.clone()), states: vec![JobState::Succeeded], ..JobFilter::default() };
        let mut counts = BTreeMap::new();
        for job in parts.store.jobs(&done)?.iter().filter(|job| targets::can_undo(parts, job)) {
            *counts.entry(job.step).or_default() += 1;
        }
        Ok(counts)
    }

    /// Does one thing. Whether rows have changed by it.
    fn follow(&mut self, parts: &Parts, next: Next, on: &dyn Fn(Event), aside: &mut Aside) -> Result<bool, StoreError> {
        let (store, id) = (&parts.store, self.run.id.clone());
        match next {
            Next::Step(mut change) => {
                if change.state.is_final() && change.result.is_none() {
                    change.result = self.result(store, change.step)?;
                }
                if change.state == StepState::Failed
                    && let Some(why) = self.why_together(store, change.step)?
                {
                    change.reason = Some(why);
                }
                store.move_step(&change, &parts.actor)?;
                self.tell_step(&change, on);
            }
            Next::Begin(step) => self.begin(parts, step, on)?,
            Next::CancelJobs { step, reason } => return Ok(store.cancel_jobs(&id, step, &reason, &parts.actor)? > 0),
            Next::Abort(step) => {
                aside.abort.push(step);
                return Ok(false);
            }
            Next::CancelChild(step) => {
                if let Some(child) = store.child_run(&id, step)?.filter(|child| !child.state.is_final() && child.cancel.is_none()) {
                    store.ask_to_cancel(&child.id, &format!("run {id} was cancelled"), &parts.actor)?;
                }
                return Ok(false);
            }
            Next::Tell(step) => {
                self.tell(parts, step)?;
                return Ok(false);
            }
            Next::Start { step, workflow } => {
                if let Some(workflow) = parts.set.workflows.get(&*workflow) {
                    let cause = Cause { kind: "workflow".into(), key: Some(format!("failure:{id}/{step}")), ..self.run.cause.clone() };
                    let mut run = start::new_run(&parts.set, workflow, cause, &self.run.actor, parts.clock.now(), rand::random());
                    run.priority = self.run.priority;
                    store.start_workflow(&run, start::rule(workflow, &run.cause))?;
                }
                return Ok(false);
            }
            Next::Undo(step) => {
                let done = JobFilter { run: Some(id.clone()), step: Some(step), states: vec![JobState::Succeeded], ..JobFilter::default() };
                let jobs = targets::rollbacks(parts, &self.run, &store.jobs(&done)?);
                store.put_jobs(&jobs)?;
                return Ok(!jobs.is_empty());
            }
            Next::Run(state, error) => {
                store.move_run(&id, state, error.as_deref(), &parts.actor)?;
                on(Event::Run { run: id.clone(), state, error });
                if state.is_final() {
                    aside.ended.extend(self.run.parent.iter().map(|(parent, _)| parent.clone()));
                    store.dequeue_runs(&parts.actor)?;
                }
            }
        }
        Ok(true)
    }

    fn tell_step(&self, change: &StepChange, on: &dyn Fn(Event)) {
        let name = self.steps.iter().find(|step| step.step == change.step).map(|step| Arc::clone(&step.name)).unwrap_or_default();
        on(Event::Step {
            run: self.run.id.clone(),
            step: change.step,
            name,
            state: change.state,
            until: change.wake_at,
            reason: change.reason.clone(),
        });
    }

    fn result(&self, store: &Store, step: u32) -> Result<Option<serde_json::Value>, StoreError> {
        if !matches!(self.run.steps.get(step as usize).map(|step| &step.work), Some(Work::Action(_))) {
            return Ok(None);
        }
        let of_step = |states: Vec<JobState>| JobFilter {
            run: Some(self.run.id.clone()),
            step: Some(step),
            states,
            limit: MOST_READ,
            ..JobFilter::default()
        };
        let counts = self.jobs.get(&step).copied().unwrap_or_default();
        let mut jobs = store.jobs(&of_step(vec![JobState::Failed, JobState::Interrupted]))?;
        if counts.total() == 1 && jobs.is_empty() {
            jobs = store.jobs(&of_step(Vec::new()))?;
        }
        jobs.retain(|job| job.part == JobPart::Run);
        Ok(Some(result::of_step(counts, &jobs)))
    }

    /// Why what is done once for all devices has failed: that one device of one failed says nothing.
    fn why_together(&self, store: &Store, step: u32) -> Result<Option<String>, StoreError> {
        let failed = JobFilter {
            run: Some(self.run.id.clone()),
            step: Some(step),
            device: Some(String::new()),
            states: vec![JobState::Failed],
            limit: 1,
            ..JobFilter::default()
        };
        Ok(store.jobs(&failed)?.into_iter().find_map(|job| job.reason))
    }

    fn begin(&mut self, parts: &Parts, step: u32, on: &dyn Fn(Event)) -> Result<(), StoreError> {
        let (store, id) = (&parts.store, self.run.id.clone());
        let Some(declared) = self.run.steps.get(step as usize) else { return Ok(()) };
        let mut change = StepChange { run: id.clone(), step, state: StepState::Running, wake_at: None, result: None, reason: None };
        match &declared.work {
            Work::Workflow { name, with } => {
                match store.child_run(&id, step)? {
                    Some(child) if child.state == WorkflowState::Failed || child.state == WorkflowState::Cancelled => {
                        store.resume_workflow(&child.id, &parts.actor)?;
                    }
                    Some(_) => {}
                    None => {
                        let Some(workflow) = parts.set.workflows.get(&**name) else {
                            change.state = StepState::Failed;
                            change.reason = Some(format!("there is no workflow {name} any more"));
                            store.move_step(&change, &parts.actor)?;
                            self.tell_step(&change, on);
                            return Ok(());
                        };
                        let data = serde_json::Value::Object(with.iter().map(|(key, value)| (key.clone(), value.clone())).collect());
                        let cause = Cause { kind: "workflow".into(), key: None, data, ..self.run.cause.clone() };
                        let mut run = start::new_run(&parts.set, workflow, cause, &self.run.actor, parts.clock.now(), rand::random());
                        run.parent = Some((id, step));
                        run.priority = self.run.priority;
                        store.start_workflow(&run, Concurrency::Parallel)?;
                    }
                }
                store.move_step(&change, &parts.actor)?;
            }
            Work::Action(call) => {
                let jobs = targets::jobs(parts, &self.run, step, declared, call)?;
                if jobs.is_empty() {
                    change.state = StepState::Skipped;
                    change.reason = Some("no devices are meant".into());
                    store.move_step(&change, &parts.actor)?;
                } else {
                    store.begin_step(&change, &jobs, &parts.actor)?;
                }
            }
            Work::Approval { .. } | Work::End(_) => return Ok(()),
        }
        self.tell_step(&change, on);
        Ok(())
    }

    /// Somebody has to know that a step failed: an alert like any other, by the rules of `notifications.yaml`.
    fn tell(&self, parts: &Parts, step: u32) -> Result<(), StoreError> {
        let Some(row) = self.steps.iter().find(|row| row.step == step) else { return Ok(()) };
        let subject = self.run.cause.device.as_ref().map_or(Subject::System, |device| Subject::Device(Arc::clone(device)));
        let now = parts.clock.now();
        let finding = Finding {
            key: AlertKey { subject, kind: crate::alert::kind::WORKFLOW_FAILED.into(), instance: self.run.id.as_str().into() },
            severity: Severity::High,
            title: format!("{}: the step '{}' failed", self.run.workflow, row.name),
            message: format!("{}. See `rmm workflow status {}`.", row.reason.as_deref().unwrap_or("It failed"), self.run.id),
            source: "workflow".into(),
            value: None,
            unit: None,
            at: now,
        };
        // A handle of its own: the daemon's desk takes up what others write.
        let store = Store::open(parts.store.path(), Arc::clone(&parts.clock))?;
        for attempt in 0.. {
            let mut desk = Desk::new(Arc::clone(&parts.set), store.clone(), now)?;
            match desk.signals(vec![Signal::Occurred(finding.clone())], now) {
                Err(StoreError::Changed { .. }) if attempt < 5 => {}
                told => return told.map(|_| ()),
            }
        }
        Ok(())
    }
}
