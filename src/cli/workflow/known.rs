//! A run that another process drives, as it was at the last look: what has changed since then is told as events.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::seen::Seen;
use crate::model::job::{JobProgress, WaitsFor};
use crate::model::{JobState, StepState, WorkflowState};
use crate::store::{JobFilter, Store, StoreError};
use crate::workflow::Event;

/// What was told of a run that somebody else drives.
#[derive(Default)]
pub(super) struct Known {
    runs: BTreeMap<String, WorkflowState>,
    steps: BTreeMap<(String, u32), StepState>,
    jobs: BTreeMap<String, (JobState, Option<WaitsFor>)>,
    progress: BTreeMap<String, JobProgress>,
    begun: bool,
}

impl Known {
    /// Tells what has changed since the last time. What was so before, only where all is wanted.
    pub(super) fn tell(&mut self, store: &Store, seen: &Seen, all: bool, tell: &dyn Fn(Event)) -> Result<(), StoreError> {
        let first = !std::mem::replace(&mut self.begun, true);
        self.look(store, seen, &|event| {
            if !first || all {
                tell(event);
            }
        })
    }

    fn look(&mut self, store: &Store, seen: &Seen, tell: &dyn Fn(Event)) -> Result<(), StoreError> {
        let id = &seen.run.id;
        for step in &seen.steps {
            let before = self.steps.insert((id.clone(), step.step), step.state);
            if before != Some(step.state) && step.state != StepState::Pending {
                tell(Event::Step {
                    run: id.clone(),
                    step: step.step,
                    name: Arc::clone(&step.name),
                    state: step.state,
                    until: step.wake_at,
                    reason: step.reason.clone(),
                });
            }
        }
        for job in store.jobs(&JobFilter { run: Some(id.clone()), ..JobFilter::default() })? {
            if let Some(progress) = job.progress()
                && self.progress.insert(job.id.clone(), progress) != Some(progress)
            {
                tell(Event::Progress { run: id.clone(), job: job.id.clone(), device: Arc::clone(&job.device), progress });
            }
            let before = self.jobs.insert(job.id.clone(), (job.state, job.waits_for));
            if before != Some((job.state, job.waits_for)) && job.state != JobState::Pending {
                tell(Event::Job(Box::new(job)));
            }
        }
        for child in seen.children.values() {
            self.look(store, child, tell)?;
        }
        if self.runs.insert(id.clone(), seen.run.state) != Some(seen.run.state) {
            tell(Event::Run { run: id.clone(), state: seen.run.state, error: seen.run.error.clone() });
        }
        Ok(())
    }
}
