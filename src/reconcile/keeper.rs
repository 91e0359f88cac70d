//! Takes what was seen: tells the alert desk of measured values as they arrive, before anything is written; writes facts,
//! values and states in batches; tells the loop what has changed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::blocking::blocking;
use super::hot::Hot;
use super::visits::Visited;
use super::vitals::Vitals;
use crate::diagnose::{Category, Diagnose as _};
use crate::store::{Merge, Observation, Sample, Status, Store, StoreError};
use crate::transport::TransportError;

/// Most results that are written together.
const BATCH: usize = 256;
/// How long a batch that is not full waits for more.
const MOMENT: Duration = Duration::from_millis(500);

/// What the loop hears of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) device: Arc<str>,
    /// It answered.
    pub(super) answered: bool,
    /// Its facts have changed.
    pub(super) changed: bool,
    /// It was away before.
    pub(super) returned: bool,
}

/// What waits to be written.
#[derive(Default)]
struct Batch {
    observations: Vec<Observation>,
    samples: Vec<Sample>,
    statuses: Vec<(String, Status, Option<String>)>,
    seen: Vec<Seen>,
}

/// The keeper.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn crate::time::Clock>,
    pub(super) hot: Hot,
    pub(super) vitals: Arc<Vitals>,
}

impl Keeper {
    /// Works until nothing comes any more. A database that cannot be written ends it, and with it the daemon.
    pub(super) async fn run(mut self, mut results: mpsc::Receiver<Visited>, told: mpsc::Sender<Vec<Seen>>) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        while let Some(first) = results.recv().await {
            self.take(first, &mut batch);
            let until = Instant::now() + MOMENT;
            while batch.seen.len() < BATCH
                && let Ok(Some(next)) = tokio::time::timeout_at(until, results.recv()).await
            {
                self.take(next, &mut batch);
            }
            let seen = self.write(std::mem::take(&mut batch)).await?;
            self.vitals.figures.online.set(self.hot.count(Status::Online) as i64);
            self.vitals.figures.offline.set(self.hot.count(Status::Offline) as i64);
            if told.send(seen).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn take(&mut self, visited: Visited, batch: &mut Batch) {
        let Visited { device, result, took, at } = visited;
        let name: Arc<str> = device.name.as_str().into();
        match result {
            Ok(observation) => {
                let news = self.hot.answered(&name, observation.sections.iter(), at);
                for problem in &observation.problems {
                    tracing::warn!(device = &*name, problem = problem.as_str(), "observed, not all of it");
                }
                if news.changed {
                    self.vitals.figures.sections_changed.inc();
                }
                batch.samples.extend(observation.sections.iter().flat_map(|(section, data)| Sample::of_section(&name, section, data)));
                batch.statuses.push((device.name.clone(), Status::Online, None));
                batch.observations.push(Observation { device: device.name.clone(), sections: observation.sections, merge: Merge::Replace });
                batch.seen.push(Seen { device: name, answered: true, changed: news.changed, returned: news.returned });
            }
            // It was not asked to the end: nothing is known.
            Err(TransportError::Cancelled) => batch.seen.push(Seen { device: name, answered: false, changed: false, returned: false }),
            Err(error) => {
                self.vitals.figures.visits_failed.inc();
                let away = matches!(error.category(), Category::Device | Category::Transient);
                let status = if away { Status::Offline } else { Status::Error };
                tracing::info!(device = &*name, took = took.as_millis() as u64, error = %error, "not observed");
                self.hot.silent(&name, status);
                batch.statuses.push((device.name.clone(), status, Some(error.to_string())));
                batch.seen.push(Seen { device: name, answered: false, changed: false, returned: false });
            }
        }
    }

    async fn write(&self, batch: Batch) -> Result<Vec<Seen>, StoreError> {
        let (store, now) = (self.store.clone(), self.clock.now());
        blocking(move || {
            store.put_observations(&batch.observations)?;
            store.put_metrics(&batch.samples)?;
            let statuses: Vec<_> = batch.statuses.iter().map(|(device, status, reason)| (&**device, *status, reason.clone())).collect();
            store.set_statuses(&statuses, now)?;
            Ok(batch.seen)
        })
        .await
    }
}
