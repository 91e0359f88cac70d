//! Observes many devices side by side, each once, and hands the results on as they come.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Collector, Kept, Limits, Observation, Request};
use crate::model::device::TransportKind;
use crate::time::Clock;
use crate::transport::{Places, Session, TransportError, Waiting};

/// The result of one device.
#[derive(Debug)]
pub struct Collected<D> {
    /// As given.
    pub device: D,
    /// What was seen, or why nothing was.
    pub result: Result<Observation, TransportError>,
    /// Time from opening the session to the parsed result; without the wait for a free place.
    pub took: Duration,
}

/// What becomes of a session when its device has been observed.
#[derive(Debug, Clone, Default)]
pub enum Visit {
    /// It is closed: nothing follows.
    Once,
    /// It stays open for what follows.
    #[default]
    First,
    /// It stays open for the next observation, and the device need not say twice what is kept.
    Again(Arc<Kept>),
}

/// How a round of observing goes.
#[derive(Debug, Clone)]
pub struct Round<D> {
    /// Devices at once that are reached directly.
    pub concurrency: usize,
    /// Devices behind shares at once: they wait for most of their time, and have places of their own.
    pub behind_shares: usize,
    /// Bounds of each.
    pub limits: Limits,
    /// What becomes of the sessions.
    pub visit: Visit,
    /// What a device is called, unique in the fleet.
    pub name: fn(&D) -> &str,
}

/// Observes devices, one attempt each. `open` opens the session of a device, and `transport` is what that goes over.
///
/// Results go to `results` in the order in which they come. Where that bounded channel is full, the work waits for its
/// reader; where its reader is gone, the rest is cancelled. After a cancellation the devices that were not yet done
/// answer [`TransportError::Cancelled`], so that every device given has exactly one result. All tasks end with this call.
pub async fn collect_fleet<D, I, O, F>(
    devices: I,
    (open, transport): (O, impl Fn(&D) -> TransportKind),
    clock: Arc<dyn Clock>,
    round: Round<D>,
    cancel: CancellationToken,
    results: mpsc::Sender<Collected<D>>,
) where
    D: Send + Sync + 'static,
    I: IntoIterator<Item = (D, Arc<Request>)>,
    O: Fn(&D) -> F,
    F: Future<Output = Result<Arc<dyn Session>, TransportError>> + Send + 'static,
{
    let Round { concurrency, behind_shares, limits, visit, name } = round;
    let places = Places::new(concurrency, behind_shares);
    let cancel = cancel.child_token();
    let mut tasks = JoinSet::new();
    let mut waiting: Waiting<_> = devices.into_iter().map(|(device, request)| (transport(&device), (device, request))).collect();
    // Waiting here, and not in the task, keeps a fleet of 10,000 from being 10,000 tasks.
    while let Some((place, (device, request))) = places.next(&mut waiting).await {
        while tasks.try_join_next().is_some() {}
        if results.is_closed() {
            cancel.cancel();
        }
        if cancel.is_cancelled() {
            let gone = Collected { device, result: Err(TransportError::Cancelled), took: Duration::ZERO };
            let _ = results.send(gone).await;
            continue;
        }
        let opening = open(&device);
        let (clock, cancel, results, visit) = (Arc::clone(&clock), cancel.clone(), results.clone(), visit.clone());
        tasks.spawn(async move {
            let start = Instant::now();
            let session = tokio::select! {
                biased;
                () = cancel.cancelled() => Err(TransportError::Cancelled),
                session = opening => session,
            };
            let result = match session {
                Ok(session) => {
                    let kept = if let Visit::Again(kept) = &visit { Some((kept, name(&device))) } else { None };
                    let seen = Collector::collect(session.as_ref(), &request, kept, clock.as_ref(), &cancel, limits).await;
                    if matches!(visit, Visit::Once) {
                        session.close().await;
                    }
                    seen
                }
                Err(error) => Err(error),
            };
            let done = Collected { device, result, took: start.elapsed() };
            if results.send(done).await.is_err() {
                cancel.cancel();
            }
            // Only now: with a slow reader, observations that nobody has taken yet would otherwise pile up without bound.
            drop(place);
        });
    }
    drop(results);
    while tasks.join_next().await.is_some() {}
}
