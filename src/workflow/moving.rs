//! How far files that are copied have got. It is heard of often, told every few seconds, and kept in the row of the job while it
//! goes on, so that others see it too. Called by `drive`; how it looks is the faces' task.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::apply::engine_actions::Progress;
use crate::model::Job;
use crate::model::job::JobProgress;

/// How often it is told and written down.
pub(super) const EVERY: Duration = Duration::from_secs(3);
/// How much a new figure counts for the rate; the rest is what was known before.
const WEIGHT: f64 = 0.5;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Moving(Mutex<Marks>);

#[derive(Debug, Default)]
struct Marks {
    jobs: BTreeMap<String, Mark>,
    told: Option<Instant>,
}

/// One file.
#[derive(Debug)]
struct Mark {
    run: String,
    device: Arc<str>,
    done: u64,
    total: u64,
    /// What was told last, or where this attempt began, and when.
    before: (u64, Instant),
    rate: Option<f64>,
    fresh: bool,
}

/// What is told of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) run: String,
    pub(super) job: String,
    pub(super) device: Arc<str>,
    pub(super) progress: JobProgress,
}

impl Moving {
    /// A job has got so far.
    pub(super) fn hear(&self, job: &Job, progress: &Progress) {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Mark {
            run: job.run.clone(),
            device: Arc::clone(&job.device),
            done: progress.done,
            total: progress.total,
            before: (progress.done, Instant::now()),
            rate: None,
            fresh: true,
        };
        let mark = marks.jobs.entry(job.id.clone()).or_insert_with(new);
        if progress.done < mark.done {
            // It began anew.
            *mark = new();
        }
        (mark.done, mark.total, mark.fresh) = (progress.done, progress.total, true);
    }

    /// A job has ended.
    pub(super) fn forget(&self, job: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).jobs.remove(job);
    }

    /// What has changed since it was told last, where that is long enough ago.
    pub(super) fn due(&self) -> Vec<Moved> {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if marks.jobs.is_empty() || marks.told.is_some_and(|told| now - told < EVERY) {
            return Vec::new();
        }
        let fresh: Vec<Moved> = marks.jobs.iter_mut().filter(|(_, mark)| mark.fresh).map(|(job, mark)| mark.tell(job, now)).collect();
        if !fresh.is_empty() {
            marks.told = Some(now);
        }
        fresh
    }
}

impl Mark {
    fn tell(&mut self, job: &str, now: Instant) -> Moved {
        let (before, since) = self.before;
        let seconds = (now - since).as_secs_f64();
        if self.done > before && seconds > 0.0 {
            let rate = (self.done - before) as f64 / seconds;
            self.rate = Some(self.rate.map_or(rate, |known| known * (1.0 - WEIGHT) + rate * WEIGHT));
            self.before = (self.done, now);
        }
        self.fresh = false;
        let progress = JobProgress { done: self.done, total: self.total, bytes_per_second: self.rate.map(|rate| rate as u64) };
        Moved { run: self.run.clone(), job: job.to_owned(), device: Arc::clone(&self.device), progress }
    }
}
