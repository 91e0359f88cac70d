//! The loop: what is due is asked, what has changed is planned, what policies allow is carried out. It decides when; what, is
//! decided by the rooms below. Everything that blocks runs beside it.

mod asking;
mod carrying;
mod force;
mod moments;
mod outside;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::breaker::Breaker;
use super::budget::Budget;
use super::desk::DeskWay;
use super::enforce::Attempt;
use super::keeper::Seen;
use super::kinds::{Kind, Kinds};
use super::timers::Timers;
use super::visits::Desks;
use super::vitals::Vitals;
use super::watched::Watched;
use super::wheel::Wheel;
use crate::apply::Parts;
use crate::collect::Request;
use crate::model::alert::Signal;
use crate::model::suspension::SuspensionKind;
use crate::repo::PolicySet;
use crate::store::StoreError;

/// The loop comes round at least so often: the wall clock may have been set.
const LONGEST: Duration = Duration::from_secs(1);
/// Devices that are asked out of turn are asked one after another, so far apart.
const PACE: Duration = Duration::from_millis(20);
/// The first look takes in everything, the second what policies name one by one; the third is for what was missed.
const MOST_LOOKS: u8 = 3;
/// How often other processes' writes are looked for.
const LOOK: Duration = Duration::from_millis(500);
/// Devices that are planned together; a fleet is planned in pieces, so that it is never in memory as a whole.
const PIECE: usize = 500;
/// Changes wait so long for others that come at the same time: one run for many devices.
const GATHER: Duration = Duration::from_secs(1);
/// Runs at the same time.
const MOST_RUNS: usize = 8;
/// A device whose run has failed, or has not reached it, is left alone for so long, and three times as long after each further time.
const BACK_OFF: Duration = Duration::from_mins(5);
/// A device that does not answer when it is looked at is not waited for any longer: the moments of policies end without it.
const PATIENT: Duration = Duration::from_secs(30);
/// Beginning of the names of policies' schedules.
const POLICY: &str = "policy ";
/// After a limit has refused everything, it is tried again after this.
const REFUSED: Duration = Duration::from_mins(1);

/// Kind, name and device of a suspension.
type Suspended = (SuspensionKind, String, Option<String>);

/// What the loop works with.
pub(super) struct Conductor {
    pub(super) parts: Parts,
    pub(super) visits: Desks,
    /// Devices observed at once, for the pool.
    pub(super) most: Arc<AtomicUsize>,
    pub(super) desk: DeskWay,
    pub(super) watched: Watched,
    pub(super) vitals: Arc<Vitals>,
    /// Nothing new is begun.
    pub(super) stop: CancellationToken,
    /// What is in flight is ended too.
    pub(super) abort: CancellationToken,
    begun: Instant,
    /// What the wall clock showed then.
    anchor: Duration,
    wheels: BTreeMap<&'static str, (Kind, Wheel)>,
    timers: Timers,
    /// Visits that have been decided on and not yet begun, by device.
    wanted: BTreeMap<Arc<str>, Kinds>,
    /// Visits by the time of day, spread.
    later: BTreeSet<(Duration, Arc<str>, &'static str)>,
    /// Being asked, and what for.
    asked: HashMap<Arc<str>, Kinds>,
    /// Scans whose moment has come, that moment, and the devices that have not been asked yet.
    scans: BTreeMap<&'static str, (DateTime<Utc>, HashSet<Arc<str>>)>,
    needs: HashMap<Arc<str>, Arc<Request>>,
    /// How often a device was asked because its policies look at what nobody has observed, under this policy set.
    missing: HashMap<String, u8>,
    /// To be planned again.
    dirty: BTreeSet<String>,
    /// With something to be carried out, and since when (on the clock that only goes forward) that is known.
    wanting: BTreeMap<String, Duration>,
    /// Moments at which something stops standing in the way.
    edges: BTreeSet<(DateTime<Utc>, String)>,
    /// Devices with a run of ours.
    running: BTreeSet<String>,
    /// Devices that a run waits for which could go on, but for the runs that there are.
    put_off: BTreeSet<String>,
    /// Not before.
    patience: HashMap<String, (Duration, u32)>,
    /// Policies whose moment has come and is not over, and that moment.
    due_policies: BTreeMap<Arc<str>, DateTime<Utc>>,
    /// Devices that are being looked at because their policies want to know more, and until when that is waited for.
    unseen: BTreeMap<String, Duration>,
    budget: Budget,
    refused_until: Option<Duration>,
    breaker: Arc<std::sync::Mutex<Breaker>>,
    runs: JoinSet<Attempt>,
    data_version: i64,
    looked: Option<Instant>,
    /// What is suspended: kind, name, device.
    suspensions: BTreeSet<Suspended>,
    /// With changes that are held because something is suspended.
    stopped: BTreeSet<String>,
}

impl Conductor {
    /// Ready to begin.
    pub(super) fn new(
        parts: Parts,
        visits: Desks,
        most: Arc<AtomicUsize>,
        (desk, watched): (DeskWay, Watched),
        vitals: Arc<Vitals>,
        (stop, abort): (CancellationToken, CancellationToken),
    ) -> Self {
        let anchor = (parts.clock.now() - DateTime::UNIX_EPOCH).to_std().unwrap_or_default();
        Self {
            parts,
            visits,
            most,
            desk,
            watched,
            vitals,
            stop,
            abort,
            begun: Instant::now(),
            anchor,
            wheels: BTreeMap::new(),
            timers: Timers::default(),
            wanted: BTreeMap::new(),
            later: BTreeSet::new(),
            asked: HashMap::new(),
            scans: BTreeMap::new(),
            needs: HashMap::new(),
            missing: HashMap::new(),
            dirty: BTreeSet::new(),
            wanting: BTreeMap::new(),
            edges: BTreeSet::new(),
            running: BTreeSet::new(),
            put_off: BTreeSet::new(),
            patience: HashMap::new(),
            due_policies: BTreeMap::new(),
            unseen: BTreeMap::new(),
            budget: Budget::default(),
            refused_until: None,
            breaker: Arc::default(),
            runs: JoinSet::new(),
            data_version: 0,
            looked: None,
            suspensions: BTreeSet::new(),
            stopped: BTreeSet::new(),
        }
    }

    /// A clock that nobody sets. It begins where the wall clock stands at the start, so that devices keep their places in a turn of
    /// the wheel over a restart.
    fn steady(&self) -> Duration {
        self.anchor + self.begun.elapsed()
    }

    fn now(&self) -> DateTime<Utc> {
        self.parts.clock.now()
    }

    /// Works until `stop`, then lets runs end. Only a database that cannot be used is an error.
    pub(super) async fn run(
        mut self,
        mut sets: watch::Receiver<Arc<PolicySet>>,
        mut seen: mpsc::Receiver<Vec<Seen>>,
    ) -> Result<(), StoreError> {
        self.begin().await?;
        loop {
            self.vitals.beat();
            let wait = self.wait();
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                changed = sets.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    let set = Arc::clone(&sets.borrow_and_update());
                    self.take(set).await?;
                }
                Some(attempt) = self.runs.join_next() => self.attempted(attempt).await?,
                group = seen.recv() => match group {
                    Some(group) => self.heard(group).await?,
                    // The keeper has ended, and says why itself.
                    None => break,
                },
                () = tokio::time::sleep(wait) => {}
            }
            self.external().await?;
            self.fire().await?;
            self.visit().await?;
            self.plan().await?;
            self.enforce().await?;
        }
        self.drain().await
    }

    /// How long there is nothing to be done.
    fn wait(&self) -> Duration {
        if self.dirty.iter().any(|name| !self.running.contains(name)) {
            return Duration::ZERO;
        }
        let steady = self.steady();
        let wheels = self.wheels.values().filter_map(|(_, wheel)| wheel.next());
        // Those that have waited long enough and are not carried out wait for something else.
        let gathering = self.wanting.values().map(|since| *since + GATHER).filter(|at| *at > steady).min();
        let moments = wheels.chain(self.later.first().map(|(at, ..)| *at)).chain(gathering);
        let next = moments.min().map(|at| at.saturating_sub(steady));
        let wall = self.timers.wait(self.now());
        let wait = [next, wall, Some(LONGEST)].into_iter().flatten().min().unwrap_or(LONGEST);
        // What cannot be done yet is not asked for in a circle.
        wait.max(Duration::from_millis(20))
    }

    /// What is in flight ends: runs finish the change that they are at and leave the rest for the next start. After
    /// `daemon.drain` they are ended.
    async fn drain(mut self) -> Result<(), StoreError> {
        let until = Instant::now() + self.parts.set.config.daemon.drain.duration();
        let mut result = Ok(());
        while !self.runs.is_empty() {
            self.vitals.beat();
            tokio::select! {
                Some(attempt) = self.runs.join_next() => {
                    if let Err(error) = self.attempted(attempt).await {
                        result = Err(error);
                    }
                }
                () = tokio::time::sleep_until(until), if !self.abort.is_cancelled() => {
                    tracing::warn!(runs = self.runs.len(), "still at work after daemon.drain: ended");
                    self.abort.cancel();
                }
                () = tokio::time::sleep(LONGEST) => {}
            }
        }
        result
    }

    async fn say(&self, signals: Vec<Signal>) {
        self.desk.signals(signals).await;
    }
}
