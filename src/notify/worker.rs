//! The worker: takes what is due from the queue of the database, sends it, and records what came of it.
//!
//! A delivery is claimed (`Sending`) before it leaves. Each channel has its own few messages on their way, so that one that
//! never answers holds up no other. The clock is the one that was passed in; real time passes only while nothing is due.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::channel::{Answer, Channel, Parcel, Surroundings};
use super::lane::{ChannelCounts, LOOK_AT, Lane, Lanes};
use super::taken::Taken;
use super::{Opener, SendError, backoff, merge};
use crate::access::{Redactor, Secrets};
use crate::diagnose::Diagnose;
use crate::model::{Config, Delivery, DeliveryState, Severity, Signal};
use crate::store::{AlertBatch, DeliveryResult, Store, StoreError};
use crate::time::Clock;

/// The queue is looked at this often even where nobody says that something is due: a clock may have been set.
const LOOK: Duration = Duration::from_secs(5);
/// How long what is on its way may take to arrive when the worker is to stop.
const DRAIN: Duration = Duration::from_secs(10);
/// No try takes longer, whatever a channel does.
const LONGEST_TRY: Duration = Duration::from_mins(8);
/// Most deliveries that are merged at once.
const MOST_MERGED: usize = 500;

/// What the worker needs.
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Where secrets come from.
    pub secrets: Arc<dyn Secrets>,
    /// Takes them out of texts.
    pub redactor: Redactor,
    /// Root of the repository.
    pub root: PathBuf,
    /// Name of this machine.
    pub host: String,
    /// Told when the queue has changed.
    pub wake: Arc<Notify>,
    /// Is given alerts about channels. Must not block.
    pub signals: Arc<dyn Fn(Signal) + Send + Sync>,
}

/// Empties the queue. One for each database.
pub struct Worker {
    pub(super) parts: Parts,
    house: RwLock<Surroundings>,
    lanes: Mutex<Lanes>,
    taken: Taken,
    /// By the clock, when the queue was last looked at.
    looked_at: Mutex<Option<DateTime<Utc>>>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("store", &self.parts.store).finish_non_exhaustive()
    }
}

/// A delivery that was tried.
pub(super) struct Tried {
    pub(super) delivery: Delivery,
    pub(super) result: Result<Answer, SendError>,
}

impl Worker {
    /// A worker that knows no channel yet.
    pub fn new(parts: Parts) -> Arc<Self> {
        Self::with_channels(parts, Arc::new(super::open))
    }

    /// The same; channels are opened by `open`.
    pub fn with_channels(parts: Parts, open: Opener) -> Arc<Self> {
        let house = Surroundings {
            root: parts.root.clone(),
            secrets: Arc::clone(&parts.secrets),
            redactor: parts.redactor.clone(),
            base_url: None,
            host: parts.host.clone(),
        };
        let taken = Taken::beside(parts.store.path());
        Arc::new(Self { parts, house: RwLock::new(house), lanes: Mutex::new(Lanes::new(open)), taken, looked_at: Mutex::default() })
    }

    /// Takes over the channels of a policy set. Reads the certificates of the system for each one that is new or has changed:
    /// some milliseconds.
    pub fn configure(&self, config: &Config) {
        let house = {
            let mut house = self.house.write().unwrap_or_else(PoisonError::into_inner);
            house.base_url.clone_from(&config.notifications.base_url);
            house.clone()
        };
        self.lanes().configure(&config.notifications.channels, &house);
        self.parts.wake.notify_one();
    }

    /// Puts back what was on its way when the last process died, but for what channels are known to have taken. Returns how many
    /// go again. Once, before [`Self::run`]. Blocking.
    pub fn recover(&self) -> Result<usize, StoreError> {
        let now = self.parts.clock.now();
        let stray = self.parts.store.hasten_stray_deliveries(now, now + backoff::MOST)?;
        if stray > 0 {
            tracing::warn!(stray, "messages waited for moments of a clock that was ahead; they go now");
        }
        let taken = self.taken.read().unwrap_or_else(|error| {
            tracing::warn!("what channels had taken cannot be read: {error}");
            std::collections::BTreeMap::new()
        });
        let lost = self.parts.store.uncertain_deliveries(&taken)?;
        for delivery in &lost {
            tracing::warn!(delivery = %delivery.id, channel = %delivery.channel, "it is not known whether it arrived; it goes again with the same key");
        }
        Ok(lost.len())
    }

    /// Sends what is due until `stop` is cancelled, then lets what is on its way arrive. Returns how many messages were left
    /// uncertain; they go again at the next start.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> usize {
        let mut under_way = JoinSet::new();
        while !stop.is_cancelled() {
            let next = match self.pass(&mut under_way).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(code = error.code(), "the queue of notifications cannot be read: {error}");
                    None
                }
            };
            let left = next.map(|next| (next - self.parts.clock.now()).to_std().unwrap_or_default());
            let wait = left.unwrap_or(LOOK).clamp(Duration::from_millis(1), LOOK);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Some(_) = under_way.join_next() => while under_way.try_join_next().is_some() {},
                () = self.parts.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        let drained = tokio::time::timeout(DRAIN, async { while under_way.join_next().await.is_some() {} }).await;
        let left = if drained.is_ok() { 0 } else { under_way.len() };
        under_way.shutdown().await;
        left
    }

    /// Sends everything that is due by the clock and waits for all of it. Says when something is due next.
    pub async fn settle(self: &Arc<Self>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let mut under_way = JoinSet::new();
        loop {
            let next = self.pass(&mut under_way).await?;
            if under_way.is_empty() {
                return Ok(next);
            }
            while under_way.join_next().await.is_some() {}
        }
    }

    /// Figures of all channels, by name.
    pub fn counts(&self) -> Vec<ChannelCounts> {
        self.lanes().by_name.values().map(|lane| lane.counts.clone()).collect()
    }

    /// How long each message took, in seconds, from the decision until the channel had taken it; of those since the last call.
    pub fn take_latencies(&self) -> Vec<(Arc<str>, f64)> {
        let mut lanes = self.lanes();
        let of = |(name, lane): (&Arc<str>, &mut Lane)| {
            let name = Arc::clone(name);
            std::mem::take(&mut lane.latencies).into_iter().map(move |seconds| (Arc::clone(&name), seconds))
        };
        lanes.by_name.iter_mut().flat_map(of).collect()
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn house(&self) -> Surroundings {
        self.house.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does something with the database away from the tasks that send.
    async fn store<T: Send + 'static>(&self, work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError> {
        let store = self.parts.store.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(error) => Err(StoreError::Statement(error.to_string())),
        }
    }

    /// Starts whatever may start now. Says when to look again at the latest.
    async fn pass(self: &Arc<Self>, under_way: &mut JoinSet<()>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let now = self.parts.clock.now();
        let before = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        if before.is_some_and(|before| now < before - TimeDelta::seconds(1)) {
            self.store(move |store| store.hasten_deliveries(now)).await?;
        }
        let (mut counts, mut next) = self.store(move |store| Ok((store.due_counts(now)?, store.next_delivery_after(now)?))).await?;
        if next.is_some_and(|next| next > now + backoff::MOST) {
            // No try is put off for so long: the clock was ahead in another process.
            let all = move |store: &Store| Ok((store.due_counts(now)?, store.next_delivery_after(now)?));
            (counts, next) =
                self.store(move |store| store.hasten_stray_deliveries(now, now + backoff::MOST).and_then(|_| all(store))).await?;
        }
        for (channel, due) in counts {
            let (free, rate, left, ends) = {
                let mut lanes = self.lanes();
                let lane = lanes.of(&channel);
                let rate = lane.options().and_then(crate::model::channel::Options::rate);
                let left = rate.map_or(u32::MAX, |rate| lane.minute.left(rate, now));
                (lane.free(), rate, left as usize, lane.minute.ends(now))
            };
            if left == 0 {
                next = Some(next.map_or(ends, |next| next.min(ends)));
                continue;
            }
            if free == 0 {
                continue;
            }
            if let Some(rate) = rate.filter(|_| due > left) {
                self.merge(&channel, rate, left, now).await?;
            }
            let name = Arc::clone(&channel);
            let waiting = self.store(move |store| store.due_deliveries_to(&name, now, LOOK_AT)).await?;
            self.start(&channel, waiting, free.min(left), now, under_way).await?;
        }
        Ok(next)
    }

    /// Leaves as many as the minute still takes, and makes one of the rest.
    async fn merge(&self, channel: &Arc<str>, rate: u32, left: usize, now: DateTime<Utc>) -> Result<(), StoreError> {
        let name = Arc::clone(channel);
        let least = self.lanes().of(channel).options().map_or(Severity::Info, crate::model::channel::Options::min_severity);
        let merged = self
            .store(move |store| {
                let mut waiting = store.due_deliveries_to(&name, now, MOST_MERGED)?;
                let rest = waiting.split_off(left.saturating_sub(1).min(waiting.len()));
                let Some(batch) = merge::summaries(&rest, rate, least, now) else { return Ok(0) };
                store.commit_alerts(&batch)?;
                Ok(batch.cancel.len())
            })
            .await?;
        if merged > 0 {
            tracing::warn!(channel = %channel, merged, rate, "more messages than the channel takes in a minute were merged into one");
            self.lanes().of(channel).counts.merged += merged as u64;
        }
        Ok(())
    }

    /// Claims and sends as many of those that wait as are free.
    async fn start(
        self: &Arc<Self>,
        channel: &Arc<str>,
        waiting: Vec<Delivery>,
        mut free: usize,
        now: DateTime<Utc>,
        under_way: &mut JoinSet<()>,
    ) -> Result<(), StoreError> {
        let mut unwanted = Vec::new();
        for delivery in waiting {
            if free == 0 {
                break;
            }
            let (wait, below) = {
                let mut lanes = self.lanes();
                let lane = lanes.of(channel);
                (lane.must_wait(&delivery), lane.is_below(&delivery))
            };
            if wait {
                continue;
            }
            if let Some(least) = below {
                tracing::info!(delivery = %delivery.id, channel = %channel, "not sent: the channel takes {least} and above");
                unwanted.push(delivery.id);
                continue;
            }
            let id = delivery.id.clone();
            // Before anybody waits for anything: a second look must not find it free.
            self.lanes().of(channel).begin(&delivery, now);
            match self.store(move |store| store.claim_delivery(&id, now)).await {
                Ok(true) => {}
                Ok(false) => {
                    self.lanes().of(channel).end(&delivery.id);
                    continue;
                }
                Err(error) => {
                    self.lanes().of(channel).end(&delivery.id);
                    return Err(error);
                }
            }
            free -= 1;
            let worker = Arc::clone(self);
            under_way.spawn(async move { worker.carry(delivery).await });
        }
        if !unwanted.is_empty() {
            let batch = AlertBatch { cancel: unwanted, ..AlertBatch::default() };
            self.store(move |store| store.commit_alerts(&batch).map(drop)).await?;
        }
        Ok(())
    }

    /// One try of one delivery, from the claim to its record.
    async fn carry(self: Arc<Self>, delivery: Delivery) {
        let tried = self.send(delivery).await;
        let id = tried.delivery.id.clone();
        let channel = Arc::clone(&tried.delivery.channel);
        let outcome = self.judge(&tried);
        let taken = outcome.state == DeliveryState::Sent;
        if taken {
            self.taken.note(&id, &outcome);
        }
        let recorded = self.record(&id, outcome.clone()).await;
        if taken && recorded {
            self.taken.recorded(&id);
        }
        self.lanes().of(&channel).end(&id);
        self.tell(&tried, &outcome);
        self.parts.wake.notify_one();
    }

    async fn send(&self, delivery: Delivery) -> Tried {
        let house = self.house();
        let sender = self.lanes().of(&delivery.channel).sender(&house);
        let sender = match sender {
            Ok(sender) => sender,
            Err(error) => return Tried { delivery, result: Err(error) },
        };
        let thread = match delivery.alert.clone() {
            None => None,
            Some(alert) => {
                let channel = Arc::clone(&delivery.channel);
                self.store(move |store| store.receipts(&alert, &channel)).await.unwrap_or_default()
            }
        };
        let (result, delivery) = guarded(sender, delivery, thread, self.parts.clock.now()).await;
        Tried { delivery, result }
    }

    /// Writes it down. Where that fails for long, the delivery stays uncertain and goes again after the next start: that is
    /// put off for as long as a database may be busy. True where it is written.
    async fn record(&self, id: &str, outcome: DeliveryResult) -> bool {
        for pause in [0, 100, 1000, 5000, 30_000, 60_000, 300_000, 600_000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let (id, outcome) = (id.to_owned(), outcome.clone());
            match self.store(move |store| store.finish_delivery(&id, &outcome)).await {
                Ok(()) => return true,
                Err(error) => tracing::error!(code = error.code(), "what came of a notification cannot be recorded: {error}"),
            }
        }
        false
    }
}

/// Sends it in a task of its own with a time limit: a channel that breaks or hangs takes nothing else along.
async fn guarded(
    sender: Arc<dyn Channel>,
    delivery: Delivery,
    thread: Option<String>,
    at: DateTime<Utc>,
) -> (Result<Answer, SendError>, Delivery) {
    let kept = delivery.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let recipient = delivery.recipient.as_deref();
        let parcel = Parcel { id: &delivery.id, recipient, message: &delivery.message, receipt: thread.as_deref(), at };
        let host = delivery.channel.to_string();
        let timed_out = || SendError::TimedOut { host, after: LONGEST_TRY };
        tokio::time::timeout(LONGEST_TRY, sender.send(&parcel)).await.unwrap_or_else(|_| Err(timed_out()))
    });
    let result = match tasks.join_next().await {
        Some(Ok(result)) => result,
        _ => Err(SendError::Unwritable("this is a defect of rmm: the channel broke off".into())),
    };
    (result, kept)
}
