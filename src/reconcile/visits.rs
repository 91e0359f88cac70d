//! Observes devices, many at a time, as they are asked for; hands on what was seen. A device that cannot be reached costs one
//! bounded attempt and delays nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::vitals::Vitals;
use super::watched::Watched;
use crate::apply::survey::target;
use crate::collect::events::{self, Fetched, JOURNAL};
use crate::collect::{Collector, Kept, Limits, Observation, Request};
use crate::model::Device;
use crate::repo::PolicySet;
use crate::store::Store;
use crate::time::Clock;
use crate::transport::{Sessions, TransportError};

/// Visits that wait for a free place. Where it is full, the device keeps its place in the loop's own list and comes next time.
pub(super) const WAITING: usize = 512;
/// Results on their way to the keeper. Where it is full, the visits wait for the disk.
pub(super) const RESULTS: usize = 256;

/// One device to be observed.
#[derive(Clone)]
pub(super) struct Visit {
    pub(super) set: Arc<PolicySet>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) device: Arc<Device>,
    pub(super) request: Arc<Request>,
}

/// What was seen.
pub(super) struct Visited {
    pub(super) device: Arc<Device>,
    pub(super) result: Result<Observation, TransportError>,
    /// New records of its log, where those are wanted.
    pub(super) records: Option<Fetched>,
    pub(super) took: Duration,
    pub(super) at: DateTime<Utc>,
}

/// The workers.
pub(super) struct Pool {
    /// Devices at once.
    pub(super) most: Arc<AtomicUsize>,
    pub(super) clock: Arc<dyn Clock>,
    /// What devices need not say twice.
    pub(super) kept: Arc<Kept>,
    /// What monitors want from a visit.
    pub(super) watched: Watched,
    pub(super) store: Store,
    pub(super) vitals: Arc<Vitals>,
    pub(super) stop: CancellationToken,
}

impl Pool {
    /// Works until nobody asks any more or `stop`; what is under way then is ended.
    pub(super) async fn run(self, mut visits: mpsc::Receiver<Visit>, results: mpsc::Sender<Visited>) {
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() >= self.most.load(Ordering::Relaxed).max(1) {
                tasks.join_next().await;
            }
            let visit = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                Some(_) = tasks.join_next() => continue,
                visit = visits.recv() => visit,
            };
            let Some(visit) = visit else { break };
            self.vitals.figures.visits.inc();
            self.vitals.figures.visits_in_flight.inc();
            let (clock, kept, stop, results) = (Arc::clone(&self.clock), Arc::clone(&self.kept), self.stop.clone(), results.clone());
            let (vitals, store) = (Arc::clone(&self.vitals), self.store.clone());
            let logs = self.watched.of(&visit.device.name).logs;
            tasks.spawn(async move {
                let begun = Instant::now();
                let result = observe(&visit, &kept, clock.as_ref(), &stop).await;
                let records = match logs.filter(|_| result.is_ok()) {
                    Some(wanted) => records(&visit, &wanted, store, &stop).await,
                    None => None,
                };
                let visited = Visited { device: visit.device, result, records, took: begun.elapsed(), at: clock.now() };
                vitals.figures.visits_in_flight.dec();
                // Who no longer wants to know is ending.
                let _ = results.send(visited).await;
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

async fn observe(visit: &Visit, kept: &Arc<Kept>, clock: &dyn Clock, stop: &CancellationToken) -> Result<Observation, TransportError> {
    let connections = &visit.set.config.connections;
    let target = target(&visit.set, &visit.device);
    let session = tokio::select! {
        biased;
        () = stop.cancelled() => return Err(TransportError::Cancelled),
        session = visit.sessions.open(&target, stop) => session?,
    };
    let limits = Limits { timeout: connections.command_timeout.duration(), max_output: connections.max_output_bytes };
    Collector::collect(session.as_ref(), &visit.request, Some((kept, &visit.device.name)), clock, stop, limits).await
}

/// What the log of the device has said since it was read last. Over the session that is open already.
async fn records(visit: &Visit, wanted: &events::Wanted, store: Store, stop: &CancellationToken) -> Option<Fetched> {
    let name = visit.device.name.clone();
    let cursor = blocking(move || store.event_cursor(&name, JOURNAL)).await.ok()?;
    let session = visit.sessions.open(&target(&visit.set, &visit.device), stop).await.ok()?;
    match events::fetch(session.as_ref(), &visit.device.name, wanted, cursor.as_deref(), stop).await {
        Ok(fetched) => Some(fetched),
        Err(error) => {
            tracing::info!(device = visit.device.name.as_str(), error = %error, "its log was not read");
            None
        }
    }
}
