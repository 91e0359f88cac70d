//! Observes devices, many at a time, as they are asked for; hands on what was seen. A device that cannot be reached costs one
//! bounded attempt and delays nobody.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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
use crate::collect::events::{self, Fetched, Log};
use crate::collect::{Collector, Kept, Limits, Observation, Request};
use crate::model::Device;
use crate::repo::PolicySet;
use crate::store::{Store, StoreError};
use crate::time::Clock;
use crate::transport::{Sessions, TransportError};

/// Visits that wait for a free place. Where it is full, the device keeps its place in the loop's own list and comes next time.
pub(super) const WAITING: usize = 512;
/// Results on their way to the keeper. Where it is full, the visits wait for the disk.
pub(super) const RESULTS: usize = 256;

/// Most records that are read from the logs of one device within an hour: one that says more fills no database, and is not
/// asked without end.
const MOST_RECORDS: usize = 10_000;
const HOUR: Duration = Duration::from_hours(1);

/// How many records were read of each device, and since when.
#[derive(Debug, Default)]
struct Spoken(Mutex<HashMap<String, (Duration, usize)>>);

impl Spoken {
    /// So many more records of a device. Whether it has said all that is read of it within an hour.
    fn add(&self, device: &str, records: usize, now: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (since, _)| now < *since + HOUR);
        if records > 0 {
            all.entry(device.to_owned()).or_insert((now, 0)).1 += records;
        }
        all.get(device).is_some_and(|(_, said)| *said >= MOST_RECORDS)
    }
}

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

/// Where visits are asked for. A device behind a share waits for most of its time, in a pool of its own.
pub(super) struct Desks {
    pub(super) direct: mpsc::Sender<Visit>,
    pub(super) behind_shares: mpsc::Sender<Visit>,
}

/// The workers.
#[derive(Clone)]
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
        let (spoken, began) = (Arc::new(Spoken::default()), Instant::now());
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
            let (vitals, store, spoken) = (Arc::clone(&self.vitals), self.store.clone(), Arc::clone(&spoken));
            let logs = self.watched.of(&visit.device.name).logs;
            tasks.spawn(async move {
                let begun = Instant::now();
                let (of, watch) = (visit.clone(), Arc::clone(&clock));
                let work = async move {
                    let result = observe(&of, &kept, watch.as_ref(), &stop).await;
                    let records = match logs.filter(|_| result.is_ok()) {
                        Some(wanted) => records(&of, &wanted, store, &stop, (&spoken, began.elapsed())).await,
                        None => None,
                    };
                    (result, records)
                };
                // Whatever happens, the loop hears of it: a device of which it heard nothing would never be asked again.
                let (result, records) = tokio::spawn(work).await.unwrap_or_else(|_| {
                    tracing::error!(device = visit.device.name.as_str(), "observing it broke off: a defect of rmm");
                    (Err(TransportError::Cancelled), None)
                });
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
async fn records(
    visit: &Visit,
    wanted: &events::Wanted,
    store: Store,
    stop: &CancellationToken,
    (spoken, now): (&Spoken, Duration),
) -> Option<Fetched> {
    let name = visit.device.name.clone();
    let spent = spoken.add(&name, 0, now);
    let sources = Log::of(&visit.device).sources();
    let read = move || {
        let cursor = |source: &&'static str| Ok(store.event_cursor(&name, source)?.map(|cursor| (*source, cursor)));
        sources.iter().filter_map(|source| cursor(source).transpose()).collect::<Result<BTreeMap<_, _>, StoreError>>()
    };
    let mut cursors = blocking(read).await.ok()?;
    // Without a cursor it is only asked where its log ends now.
    let skipped = spent && !cursors.is_empty();
    if spent {
        cursors.clear();
    }
    let session = visit.sessions.open(&target(&visit.set, &visit.device), stop).await.ok()?;
    match events::fetch(session.as_ref(), &visit.device, wanted, &cursors, stop).await {
        Ok(mut fetched) => {
            spoken.add(&visit.device.name, fetched.records().count(), now);
            if skipped {
                fetched.problem =
                    Some(format!("it has said more than {MOST_RECORDS} records within an hour: those that came since are left out"));
            }
            Some(fetched)
        }
        Err(error) => {
            tracing::info!(device = visit.device.name.as_str(), error = %error, "its log was not read");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_talks_without_end_is_heard_so_far_within_an_hour_and_then_again() {
        let spoken = Spoken::default();
        let minutes = |n| Duration::from_mins(n);
        assert!(!spoken.add("a", MOST_RECORDS - 1, minutes(0)));
        assert!(spoken.add("a", 1, minutes(30)));
        assert!(spoken.add("a", 0, minutes(59)));
        assert!(!spoken.add("b", 500, minutes(59)), "others are heard");
        assert!(!spoken.add("a", 0, minutes(60)));
        assert!(spoken.0.lock().unwrap().len() < 2, "who is silent is forgotten");
    }
}
