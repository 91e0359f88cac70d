//! The loop: what is due is asked, what has changed is planned, what policies allow is carried out. It decides when; what, is
//! decided by the rooms below. Everything that blocks runs beside it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::breaker::{self, Breaker};
use super::budget::Budget;
use super::desk::DeskWay;
use super::enforce::{self, Attempt};
use super::keeper::Seen;
use super::kinds::{self, Kind, Kinds};
use super::resume;
use super::timers::{self, Timers};
use super::visits::Visit;
use super::vitals::Vitals;
use super::watched::Watched;
use super::wheel::{self, Wheel};
use crate::apply::{Parts, Waiting};
use crate::collect::Request;
use crate::model::alert::Signal;
use crate::model::plan::{Change, State};
use crate::model::suspension::SuspensionKind;
use crate::plan::{PlanOptions, Unattended};
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
/// A device whose run has failed is left alone for so long, and three times as long after each further failure.
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
    pub(super) visits: mpsc::Sender<Visit>,
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
    wheels: BTreeMap<&'static str, (Kind, Wheel)>,
    timers: Timers,
    /// Visits that have been decided on and not yet begun, by device.
    wanted: BTreeMap<Arc<str>, Kinds>,
    /// Visits by the time of day, spread.
    later: BTreeSet<(Duration, Arc<str>, &'static str)>,
    asked: HashSet<Arc<str>>,
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
        visits: mpsc::Sender<Visit>,
        most: Arc<AtomicUsize>,
        (desk, watched): (DeskWay, Watched),
        vitals: Arc<Vitals>,
        (stop, abort): (CancellationToken, CancellationToken),
    ) -> Self {
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
            wheels: BTreeMap::new(),
            timers: Timers::default(),
            wanted: BTreeMap::new(),
            later: BTreeSet::new(),
            asked: HashSet::new(),
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

    /// Time since the start, on a clock that nobody sets.
    fn steady(&self) -> Duration {
        self.begun.elapsed()
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

    async fn begin(&mut self) -> Result<(), StoreError> {
        let parts = self.parts.clone();
        let breaker = blocking(move || Breaker::load(&parts)).await?;
        self.breaker = Arc::new(std::sync::Mutex::new(breaker));
        self.settle_set(true).await?;
        // What a process before this one had begun.
        self.go_on(None).await
    }

    /// Another policy set is in force. Runs that have begun keep theirs.
    async fn take(&mut self, set: Arc<PolicySet>) -> Result<(), StoreError> {
        self.parts.take(set);
        self.budget.forgive();
        self.refused_until = None;
        self.settle_set(false).await
    }

    /// What follows from the set in force: declarations, wheels, timers; everything is planned again.
    async fn settle_set(&mut self, first: bool) -> Result<(), StoreError> {
        let parts = self.parts.clone();
        let (rows, over) = blocking(move || {
            crate::apply::declare(&parts.set, &parts.store)?;
            Ok::<_, StoreError>((parts.store.schedules()?, breaker::resume_changed(&parts)?))
        })
        .await?;
        // The moment of a policy that a process before this one had begun and not ended goes on.
        let begun = rows.iter().filter(|row| row.finished_at.is_none()).filter_map(|row| Some((row.name.strip_prefix(POLICY)?, row.due)));
        let scheduled = |(name, due): (&str, DateTime<Utc>)| {
            let policy = self.parts.set.policies.iter().find(|policy| *policy.name == *name && policy.schedule.is_some())?;
            Some((Arc::clone(&policy.name), due))
        };
        self.due_policies = begun.filter_map(scheduled).collect();
        let claimed: BTreeMap<String, DateTime<Utc>> = rows.into_iter().map(|row| (row.name, row.due)).collect();
        self.say(over).await;
        self.desk.set(Arc::clone(&self.parts.set)).await;
        let (set, now, steady) = (Arc::clone(&self.parts.set), self.now(), self.steady());
        let schedules = &set.config.monitoring.schedules;
        let zone = schedules.timezone.0;
        self.most.store(set.config.connections.max_concurrent as usize, Ordering::Relaxed);
        let mut by_wall = BTreeMap::new();
        for kind in Kind::SAMPLED {
            let Some(schedule) = kind.schedule(schedules).schedule(zone) else {
                self.wheels.remove(kind.name());
                continue;
            };
            let known = self.wheels.remove(kind.name());
            if let Some(period) = timers::period(&schedule, now) {
                let known = known.filter(|(_, wheel)| wheel.period() == period);
                let (_, mut wheel) = known.unwrap_or_else(|| (kind, Wheel::new(period)));
                wheel.set(set.devices.keys().map(String::as_str), steady);
                self.wheels.insert(kind.name(), (kind, wheel));
            } else {
                by_wall.insert(kind.name().to_owned(), schedule);
            }
        }
        let named = [("cleanup", &schedules.cleanup), ("database", &schedules.database)];
        let daily = Kind::DAILY.iter().map(|kind| (kind.name(), kind.schedule(schedules)));
        by_wall.extend(daily.chain(named).filter_map(|(name, when)| Some((name.to_owned(), when.schedule(zone)?))));
        by_wall.extend(set.policies.iter().filter_map(|policy| Some((format!("{POLICY}{}", policy.name), policy.schedule.clone()?))));
        self.timers.set(by_wall, &claimed, now);
        self.needs.clear();
        self.edges.clear();
        self.wanting.clear();
        self.unseen.clear();
        self.wanted.retain(|name, _| set.devices.contains_key(&**name));
        self.later.retain(|(_, name, _)| set.devices.contains_key(&**name));
        self.patience.clear();
        self.missing.clear();
        self.dirty = set.devices.keys().cloned().collect();
        self.vitals.figures.devices.set(set.devices.len() as i64);
        if first {
            // What has never been seen, or not for long, is not left to the next turn of the wheel.
            self.catch_up().await?;
        }
        Ok(())
    }

    /// At the start: devices whose inventory is older than it should be are asked for it, spread over a turn of the wheel.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        let (store, oldest) = (self.parts.store.clone(), self.now() - self.parts.set.config.monitoring.inventory_interval.delta());
        let fresh: HashSet<String> = blocking(move || {
            let states = store.device_states()?;
            Ok::<_, StoreError>(states.into_iter().filter(|s| s.last_inventory.is_some_and(|at| at > oldest)).map(|s| s.name).collect())
        })
        .await?;
        let (names, steady) =
            (self.parts.set.devices.keys().filter(|name| !fresh.contains(*name)).cloned().collect::<Vec<_>>(), self.steady());
        let span = self.turn().min(PACE.saturating_mul(u32::try_from(names.len()).unwrap_or(u32::MAX)));
        for name in names {
            let at = steady + wheel::place(&name, span);
            for kind in Kind::DAILY {
                self.later.insert((at, name.as_str().into(), kind.name()));
            }
        }
        Ok(())
    }

    /// How long one turn of the quickest wheel is.
    fn turn(&self) -> Duration {
        self.wheels.values().map(|(_, wheel)| wheel.period()).min().unwrap_or(BACK_OFF)
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

    /// Another process has written: suspensions may have come or gone, people may have answered alerts.
    async fn external(&mut self) -> Result<(), StoreError> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let (store, known) = (self.parts.store.clone(), self.data_version);
        let read = blocking(move || {
            let version = store.data_version()?;
            if version == known {
                return Ok(None);
            }
            let all: BTreeSet<Suspended> = store.suspensions()?.into_iter().map(|one| (one.kind, one.name, one.device)).collect();
            Ok::<_, StoreError>(Some((version, all)))
        });
        let Some((version, suspensions)) = read.await? else { return Ok(()) };
        self.data_version = version;
        self.vitals.figures.suspended.set(suspensions.len() as i64);
        self.desk.external().await;
        self.heed(suspensions).await;
        Ok(())
    }

    /// What is suspended now. Another try is given to what no longer is, and to nothing else: what is suspended here for one
    /// device says nothing of how often the others have failed.
    async fn heed(&mut self, now: BTreeSet<Suspended>) {
        let before = std::mem::replace(&mut self.suspensions, now);
        // One that came and went between two looks shows by what is held because of nothing.
        let many = self.suspensions.iter().any(|(kind, ..)| matches!(kind, SuspensionKind::Group | SuspensionKind::Policy));
        if !many {
            let named: BTreeSet<&str> = self.suspensions.iter().map(|(_, name, device)| device.as_deref().unwrap_or(name)).collect();
            self.dirty.extend(self.stopped.extract_if(.., |device| !named.contains(device.as_str())));
        }
        if before == self.suspensions {
            return;
        }
        tracing::info!(suspensions = self.suspensions.len(), "something else is suspended now");
        let over: Vec<&Suspended> = before.difference(&self.suspensions).collect();
        let mut touched = Some(BTreeSet::new());
        for (kind, name, device) in over.iter().copied().chain(self.suspensions.difference(&before)) {
            let one = device.as_deref().or_else(|| (*kind == SuspensionKind::Device).then_some(name.as_str()));
            // Groups and policies are for many devices.
            touched = touched.zip(one).map(|(mut touched, one)| {
                touched.insert(one.to_owned());
                touched
            });
        }
        let devices = &self.parts.set.devices;
        let touched = touched.unwrap_or_else(|| devices.keys().cloned().collect());
        if !over.is_empty() {
            let (breaker, forgiven) = (Arc::clone(&self.breaker), touched.clone());
            // A run that ends may hold it while it writes.
            blocking(move || breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner).forgive(&forgiven)).await;
            self.patience.retain(|device, _| !touched.contains(device));
        }
        self.dirty.extend(touched.into_iter().filter(|device| devices.contains_key(device)));
    }

    /// Schedules whose time has come.
    async fn fire(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        for due in self.timers.due(now) {
            let (store, name, at) = (self.parts.store.clone(), due.name.clone(), due.at);
            if !blocking(move || store.claim_schedule(&name, at, now)).await? {
                tracing::info!(schedule = due.name, due = %due.at, "has run already");
                continue;
            }
            tracing::info!(schedule = due.name, due = %due.at, "begins");
            if let Some(policy) = due.name.strip_prefix(POLICY) {
                // Its moment is over when everything that follows from it has begun.
                self.due_policies.insert(policy.into(), at);
                self.dirty = self.parts.set.devices.keys().cloned().collect();
                continue;
            }
            let outcome = self.scheduled(&due.name).await?;
            let (store, name) = (self.parts.store.clone(), due.name);
            blocking(move || store.finish_schedule(&name, at, &outcome)).await?;
        }
        while self.edges.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, device)) = self.edges.pop_first()
        {
            self.dirty.insert(device);
        }
        Ok(())
    }

    async fn scheduled(&mut self, name: &str) -> Result<String, StoreError> {
        let set = Arc::clone(&self.parts.set);
        let parts = self.parts.clone();
        match name {
            "cleanup" => {
                let removed = blocking(move || {
                    crate::apply::waiting(&parts, Some(&BTreeSet::new()))?;
                    parts.store.forget(&crate::apply::survey::retention(&parts.set.config))
                });
                Ok(format!("{} rows removed", removed.await?))
            }
            "database" => {
                blocking(move || super::upkeep::weekly(&parts.store)).await?;
                Ok("done".into())
            }
            _ => {
                let kind = Kind::DAILY.into_iter().chain(Kind::SAMPLED).find(|kind| kind.name() == name);
                let (steady, spread) = (self.steady(), set.config.monitoring.schedules.spread.duration());
                for device in set.devices.keys() {
                    let at = steady + wheel::place(device, spread);
                    self.later.extend(kind.map(|kind| (at, device.as_str().into(), kind.name())));
                }
                Ok(format!("{} devices asked", set.devices.len()))
            }
        }
    }

    /// Asks the devices whose turn it is. A visit is for everything that is due then.
    async fn visit(&mut self) -> Result<(), StoreError> {
        let steady = self.steady();
        for (kind, wheel) in self.wheels.values_mut() {
            for name in wheel.due(steady, usize::MAX) {
                let kinds = self.wanted.entry(name).or_default();
                *kinds = kinds.with(Kinds::of(*kind));
            }
        }
        let all = Kind::SAMPLED.into_iter().chain(Kind::DAILY);
        let by_name: BTreeMap<&str, Kind> = all.map(|kind| (kind.name(), kind)).collect();
        while self.later.first().is_some_and(|(at, ..)| *at <= steady)
            && let Some((_, name, kind)) = self.later.pop_first()
        {
            let kinds = self.wanted.entry(name).or_default();
            *kinds = by_name.get(kind).map_or(*kinds, |kind| kinds.with(Kinds::of(*kind)));
        }
        let ready: Vec<Arc<str>> = self.wanted.keys().filter(|name| !self.asked.contains(*name)).cloned().collect();
        if ready.is_empty() {
            return Ok(());
        }
        self.learn_needs(&ready).await?;
        for name in ready {
            let Some(device) = self.parts.set.devices.get(&*name) else {
                self.wanted.remove(&name);
                continue;
            };
            let kinds = self.wanted.get(&name).copied().unwrap_or_default();
            let mut request = kinds::request(kinds, self.needs.get(&name).map(|needs| &**needs));
            if kinds.has(Kind::Status) && self.watched.of(&name).services {
                request.add_path("software.services");
            }
            if request.is_empty() {
                self.wanted.remove(&name);
                continue;
            }
            let visit = Visit {
                set: Arc::clone(&self.parts.set),
                sessions: Arc::clone(&self.parts.sessions),
                device: Arc::clone(device),
                request: Arc::new(request),
            };
            if self.visits.try_send(visit).is_err() {
                // The others wait for the next round; nothing is lost.
                self.vitals.figures.visits_late.inc();
                break;
            }
            self.wanted.remove(&name);
            self.asked.insert(name);
        }
        Ok(())
    }

    /// What the policies of these devices look at, kept until something changes.
    async fn learn_needs(&mut self, names: &[Arc<str>]) -> Result<(), StoreError> {
        let wanted = |name: &&Arc<str>| {
            !self.needs.contains_key(*name) && self.wanted.get(*name).is_some_and(|k| k.wants_needs() || *k != Kinds::default())
        };
        let devices: Vec<_> = names.iter().filter(wanted).filter_map(|name| self.parts.set.devices.get(&**name).cloned()).collect();
        if devices.is_empty() {
            return Ok(());
        }
        let parts = self.parts.clone();
        let found = blocking(move || parts.survey().needs(&devices)).await?;
        self.needs.extend(found.into_iter().map(|(name, request)| (Arc::from(name), request)));
        Ok(())
    }

    /// What was seen.
    async fn heard(&mut self, group: Vec<Seen>) -> Result<(), StoreError> {
        let mut returned = BTreeSet::new();
        for seen in group {
            self.asked.remove(&seen.device);
            if seen.changed {
                self.needs.remove(&seen.device);
            }
            if seen.changed || seen.returned {
                self.dirty.insert(seen.device.to_string());
            }
            if let Some(at) = seen.again {
                let wait = (at - self.parts.clock.now()).to_std().unwrap_or_default();
                self.later.insert((self.begun.elapsed() + wait, Arc::clone(&seen.device), Kind::Status.name()));
            }
            if seen.returned {
                returned.insert(seen.device.to_string());
            }
        }
        if returned.is_empty() { Ok(()) } else { self.go_on(Some(returned)).await }
    }

    /// Goes on with what waits for these devices; without any, with everything that can go on.
    async fn go_on(&mut self, devices: Option<BTreeSet<String>>) -> Result<(), StoreError> {
        let parts = self.parts.clone();
        let waiting = blocking(move || crate::apply::waiting(&parts, devices.as_ref())).await?;
        let of = |run: &Waiting| run.changes.iter().map(|change| change.device.clone()).collect();
        let waiting = waiting.into_iter().map(|run| (of(&run), run)).collect();
        let turns = resume::choose(waiting, &self.running, MOST_RUNS.saturating_sub(self.runs.len()));
        self.put_off.extend(turns.put_off);
        for (devices, waiting) in turns.now {
            tracing::info!(run = waiting.run.id, devices = devices.len(), "goes on");
            self.running.extend(devices);
            let attempt = enforce::resume(self.parts.clone(), waiting, (self.stop.clone(), self.abort.clone()), Arc::clone(&self.breaker));
            self.runs.spawn(attempt);
        }
        Ok(())
    }

    /// Plans what has changed, in pieces, and remembers who wants something.
    async fn plan(&mut self) -> Result<(), StoreError> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.dirty.iter().filter(|name| !self.running.contains(*name)).take(PIECE).cloned().collect();
        for name in &names {
            self.dirty.remove(name);
        }
        let devices: Vec<_> = names.iter().filter_map(|name| self.parts.set.devices.get(name).cloned()).collect();
        if devices.is_empty() {
            return Ok(());
        }
        let (parts, options) = (self.parts.clone(), self.options());
        let plans = blocking(move || parts.survey().plan_devices(&devices, &options)).await?;
        self.vitals.figures.planned.inc_by(plans.len() as u64);
        let steady = self.steady();
        for plan in plans {
            if plan.changes.iter().any(|change| change.held.as_ref().is_some_and(|held| held.by == "suspended")) {
                self.stopped.insert(plan.device.clone());
            } else {
                self.stopped.remove(&plan.device);
            }
            let unseen = |change: &Change| change.state == State::Unknown && change.observed_at.is_none();
            if plan.changes.iter().any(unseen) {
                self.look_soon(&plan.device, steady);
            } else {
                self.unseen.remove(&plan.device);
            }
            self.edges.extend(plan.changes.iter().filter_map(|c| c.held.as_ref()?.until).map(|until| (until, plan.device.clone())).take(4));
            if plan.changes.iter().any(|change| change.state == State::Change) {
                self.wanting.entry(plan.device).or_insert(steady);
            } else {
                self.wanting.remove(&plan.device);
            }
        }
        self.desk.facts(names).await;
        self.vitals.figures.wanting.set(self.wanting.len() as i64);
        Ok(())
    }

    /// What a policy looks at has not been observed yet: the device is asked now and not when the wheel comes round, but not in
    /// a circle.
    fn look_soon(&mut self, device: &str, steady: Duration) {
        let asked = self.missing.entry(device.to_owned()).or_default();
        if *asked >= MOST_LOOKS {
            self.unseen.remove(device);
            return;
        }
        *asked += 1;
        let fleet = u32::try_from(self.parts.set.devices.len()).unwrap_or(u32::MAX);
        let span = self.turn().min(PACE.saturating_mul(fleet));
        let at = steady + wheel::place(device, span);
        self.unseen.insert(device.to_owned(), at + PATIENT);
        self.later.insert((at, device.into(), Kind::Status.name()));
    }

    /// The moments of policies are over once everything that they were for has been looked at and begun.
    async fn end_moments(&mut self, steady: Duration) -> Result<(), StoreError> {
        let open = !self.wanting.is_empty() || !self.running.is_empty() || self.unseen.values().any(|until| *until > steady);
        if open || self.due_policies.is_empty() {
            return Ok(());
        }
        let (store, over) = (self.parts.store.clone(), std::mem::take(&mut self.due_policies));
        blocking(move || over.into_iter().try_for_each(|(name, due)| store.finish_schedule(&format!("{POLICY}{name}"), due, "carried out")))
            .await
    }

    fn options(&self) -> PlanOptions {
        let daemon = &self.parts.set.config.daemon;
        let unattended = Unattended {
            destructive: daemon.allow_destructive,
            reboots: daemon.allow_reboots,
            due: self.due_policies.keys().cloned().collect(),
        };
        PlanOptions { commands: true, unattended: Some(unattended), ..PlanOptions::default() }
    }

    /// Carries out what policies allow, within limits.
    async fn enforce(&mut self) -> Result<(), StoreError> {
        let steady = self.steady();
        let planning = self.dirty.iter().any(|name| !self.running.contains(name));
        if planning || self.runs.len() >= MOST_RUNS || self.refused_until.is_some_and(|until| steady < until) {
            return Ok(());
        }
        let patient = |name: &String| self.patience.get(name).is_none_or(|(until, _)| *until <= steady);
        let ready = |(name, since): &(&String, &Duration)| !self.running.contains(*name) && patient(name) && **since + GATHER <= steady;
        let devices: BTreeSet<String> = self.wanting.iter().filter(ready).map(|(name, _)| name.clone()).collect();
        if devices.is_empty() {
            return self.end_moments(steady).await;
        }
        let config = &self.parts.set.config;
        let fleet = self.parts.set.devices.len();
        if let Err(spent) = self.budget.allows(&devices, &config.limits, fleet, config.daemon.limit_window.duration(), steady) {
            tracing::warn!(devices = devices.len(), "nothing is carried out: {spent}");
            self.refused_until = Some(steady + REFUSED);
            self.say(vec![enforce::refused(&spent.to_string(), devices.len(), self.now())]).await;
            return Ok(());
        }
        self.say(vec![enforce::permitted(self.now())]).await;
        for name in &devices {
            self.wanting.remove(name);
        }
        self.vitals.figures.wanting.set(self.wanting.len() as i64);
        self.budget.begun(devices.iter().cloned(), steady);
        self.running.extend(devices.iter().cloned());
        self.vitals.figures.runs.inc();
        let attempt =
            enforce::begin(self.parts.clone(), devices, self.options(), (self.stop.clone(), self.abort.clone()), Arc::clone(&self.breaker));
        self.runs.spawn(attempt);
        Ok(())
    }

    /// A run has ended.
    async fn attempted(&mut self, attempt: Result<Attempt, tokio::task::JoinError>) -> Result<(), StoreError> {
        let attempt = match attempt {
            Ok(attempt) => attempt,
            // A panic of ours: its devices stay leased to nobody and are looked at again at the next start.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Ok(()),
        };
        let steady = self.steady();
        for device in &attempt.devices {
            self.running.remove(device);
            self.dirty.insert(device.clone());
        }
        self.vitals.figures.changes_failed.inc_by(attempt.failed.len() as u64);
        self.budget.failed(attempt.failed.iter().cloned(), steady);
        for device in attempt.devices.iter().filter(|device| !attempt.failed.contains(device)) {
            self.patience.remove(device);
        }
        for device in &attempt.failed {
            let times = self.patience.get(device).map_or(0, |(_, times)| *times);
            let wait = BACK_OFF * 3u32.pow(times.min(4));
            self.patience.insert(device.clone(), (steady + wait, times + 1));
        }
        if let Some(wait) = attempt.again {
            for device in &attempt.devices {
                self.patience.insert(device.clone(), (steady + wait, 0));
            }
        }
        self.say(attempt.signals).await;
        if let Some(error) = attempt.fatal {
            return Err(error);
        }
        // There is room for another one.
        if self.put_off.is_empty() || self.stop.is_cancelled() {
            return Ok(());
        }
        let devices = std::mem::take(&mut self.put_off);
        self.go_on(Some(devices)).await
    }

    async fn say(&self, signals: Vec<Signal>) {
        self.desk.signals(signals).await;
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
}
