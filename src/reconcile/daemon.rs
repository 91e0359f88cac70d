//! The daemon from start to end: standby until the database is free, then everything at work, then an orderly end. Every task
//! belongs to this one and ends with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::alerts::Alerts;
use super::blocking::{audit, blocking};
use super::conductor::Conductor;
use super::desk::DeskWay;
use super::error::ReconcileError;
use super::health::{Judge, Marks};
use super::hooks::Hooks;
use super::hot::Hot;
use super::keeper::Keeper;
use super::noticed::Noticed;
use super::reload;
use super::runs::Runs;
use super::sets::Sets;
use super::visits::{self, Pool};
use super::vitals::Vitals;
use super::watched::Watched;
use super::{http, service, triggers};
use crate::access::{Redactor, SecretError, SecretStore, Secrets};
use crate::apply::Parts;
use crate::collect::Kept;
use crate::model::run::Actor;
use crate::notify::{Opener, Worker};
use crate::store::{Owner, Store, StoreError};
use crate::time::Clock;
use crate::transport::{BEHIND_SHARES, Sessions};

/// How long the lease on the database holds without a sign of life. The process's end frees it at once on the same machine.
const LEASE: TimeDelta = TimeDelta::seconds(15);
/// How often it is renewed.
const HEARTBEAT: Duration = Duration::from_secs(4);
/// How often a standby looks whether it is free.
const STANDBY: Duration = Duration::from_millis(300);

/// What people and the service manager ask of the daemon.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    /// Begin nothing new, let what is in flight end, and end.
    pub stop: CancellationToken,
    /// End what is in flight too.
    pub abort: CancellationToken,
    /// Read the repository again.
    pub reload: Arc<Notify>,
}

/// What the daemon is started with.
pub struct Start {
    /// The policy set, and where the next one comes from.
    pub sets: Arc<Sets>,
    /// Folder of the repository.
    pub root: PathBuf,
    /// The database.
    pub store: Store,
    /// Where secrets come from.
    pub secrets: Arc<SecretStore>,
    /// Takes known secrets out of texts.
    pub redactor: Redactor,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Sessions. They are renewed with every policy set.
    pub sessions: Arc<Sessions>,
    /// How channels of notifications are opened.
    pub open: Opener,
    /// Who the daemon is in the audit.
    pub actor: Actor,
    /// Name of this machine.
    pub host: String,
}

/// Runs until it is asked to end, or cannot go on.
pub async fn run(start: Start, signals: Signals) -> Result<(), ReconcileError> {
    let vitals = Arc::new(Vitals::default());
    let faces = CancellationToken::new();
    let _ended = faces.clone().drop_guard();
    let mut aside = JoinSet::new();
    let listen = start.sets.current().config.daemon.listen.clone();
    if !listen.is_empty() {
        let address = http::address(&listen)?;
        let hooks = Hooks::new(parts(&start), Arc::clone(&start.sets), Arc::clone(&vitals));
        aside.spawn(http::serve(address, Arc::clone(&vitals), hooks, faces.clone()));
    }
    vitals.beat();
    aside.spawn(service::watchdog(Arc::clone(&vitals), faces.clone()));
    let owner = Owner::this_process();
    let begun = tokio::time::Instant::now();
    let result = match lead(&start, &owner, &vitals, &signals).await {
        Ok(true) => {
            if begun.elapsed() >= STANDBY {
                // What was read before the wait may be long out of date: nothing is carried out by it.
                let sets = Arc::clone(&start.sets);
                blocking(move || sets.catch_up()).await;
            }
            at_work(&start, &owner, &vitals, &signals).await
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error.into()),
    };
    vitals.lead(false);
    let (store, of) = (start.store.clone(), owner);
    // Where the database is gone, the lease ends with the process.
    let _ = blocking(move || store.release_all(&of)).await;
    faces.cancel();
    while aside.join_next().await.is_some() {}
    result
}

/// Who holds the lease, as somebody sees it who waits for it. The lease names its end by the clock, and a clock that is set
/// forward lets it end while its holder lives: here only the time counts in which it was not renewed.
#[derive(Debug, Default)]
struct Holder(Option<((Owner, DateTime<Utc>), tokio::time::Instant)>);

impl Holder {
    /// Whether the holder that is seen now may be alive.
    fn is_alive(&mut self, seen: Option<(Owner, DateTime<Utc>)>, now: tokio::time::Instant) -> bool {
        let Some(seen) = seen.filter(|(owner, _)| !owner.is_gone()) else { return false };
        let since = match self.0.take() {
            Some((known, since)) if known == seen => since,
            _ => now,
        };
        self.0 = Some((seen, since));
        now.duration_since(since) < LEASE.to_std().unwrap_or_default()
    }
}

/// Waits until the database is free, and takes it. False where it was asked to end before.
async fn lead(start: &Start, owner: &Owner, vitals: &Vitals, signals: &Signals) -> Result<bool, StoreError> {
    let mut told = false;
    let mut holder = Holder::default();
    loop {
        vitals.beat();
        let store = start.store.clone();
        let seen = match blocking(move || store.daemon_holder()).await {
            // Taking it will say so too, and is tried again.
            Err(StoreError::Locked { .. }) => None,
            seen => seen?,
        };
        let (store, of) = (start.store.clone(), owner.clone());
        let taken = if holder.is_alive(seen, tokio::time::Instant::now()) {
            Err(StoreError::DaemonRuns { until: start.clock.now() })
        } else {
            blocking(move || store.lease_daemon(&of, LEASE)).await
        };
        match taken {
            Ok(()) => return Ok(true),
            Err(StoreError::DaemonRuns { .. }) => {
                if !told {
                    told = true;
                    tracing::info!("standby: another daemon serves this database");
                    service::ready("standby: another daemon serves this database");
                }
            }
            Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = signals.stop.cancelled() => return Ok(false),
            () = tokio::time::sleep(STANDBY) => {}
        }
    }
}

async fn at_work(start: &Start, owner: &Owner, vitals: &Arc<Vitals>, signals: &Signals) -> Result<(), ReconcileError> {
    let parts = parts(start);
    let set = Arc::clone(&parts.set);
    let began = json!({ "policySet": set.hash, "commit": set.commit, "pid": std::process::id() });
    record(&parts, "daemon.started", began).await?;
    vitals.lead(true);
    tracing::info!(policy_set = set.hash, commit = set.commit.as_deref().unwrap_or("-"), devices = set.devices.len(), "at work");
    service::ready(&format!("at work: {} devices", set.devices.len()));

    // Ended when the loop has drained: whoever serves it.
    let helpers = CancellationToken::new();
    let lost = CancellationToken::new();
    let mut tasks: JoinSet<Result<(), ReconcileError>> = JoinSet::new();
    let (desk, told) = DeskWay::channel();
    let wake = Arc::new(Notify::new());
    let worker = worker(start, &wake, desk.clone());
    let (of, config) = (Arc::clone(&worker), set.config.clone());
    blocking(move || {
        of.configure(&config);
        of.recover()
    })
    .await?;
    // Deliveries leave until everything else has ended.
    let sending = CancellationToken::new();
    let sender = tokio::spawn(Arc::clone(&worker).run(sending.clone()));
    // The desk decides until nobody is left who could have something to say.
    let closing = CancellationToken::new();
    let (stop, until) = (signals.stop.clone(), closing.clone());
    let marks = Marks::default();
    let alerts =
        Alerts { parts: parts.clone(), worker, wake: Arc::clone(&wake), vitals: Arc::clone(vitals), marks: marks.clone(), stop, until };
    let mut alerts = tokio::spawn(alerts.run(told));
    tasks.spawn(heartbeat(start.store.clone(), owner.clone(), lost.clone(), helpers.clone()));
    tasks.spawn(reload::run(
        Arc::clone(&start.sets),
        start.root.clone(),
        desk.clone(),
        Arc::clone(vitals),
        signals.reload.clone(),
        helpers.clone(),
    ));

    tasks.spawn(super::upkeep::run(Arc::clone(&start.sets), start.store.clone(), helpers.clone()));
    tasks.spawn(super::reminders::run(
        Arc::clone(&start.sets),
        Arc::clone(&start.secrets),
        start.store.clone(),
        Arc::clone(&start.clock),
        desk.clone(),
        helpers.clone(),
    ));
    let watched = Watched::default();
    let most = Arc::new(AtomicUsize::new(set.config.connections.max_concurrent as usize));
    let (visits, asked) = mpsc::channel(visits::WAITING);
    let (results, came) = mpsc::channel(visits::RESULTS);
    // Groups of results, each of them written already.
    let (seen, heard) = mpsc::channel(16);
    let pool = Pool {
        most: Arc::clone(&most),
        clock: Arc::clone(&start.clock),
        kept: Arc::new(Kept::default()),
        watched: watched.clone(),
        store: start.store.clone(),
        vitals: Arc::clone(vitals),
        stop: signals.stop.clone(),
    };
    let (behind_shares, asked_behind) = mpsc::channel(visits::WAITING);
    let patient = Pool { most: Arc::new(AtomicUsize::new(BEHIND_SHARES)), ..pool.clone() };
    for (pool, asked) in [(pool, asked), (patient, asked_behind)] {
        let results = results.clone();
        tasks.spawn(async move {
            pool.run(asked, results).await;
            Ok(())
        });
    }
    drop(results);
    let visits = visits::Desks { direct: visits, behind_shares };
    let hot = known(&parts).await?;
    let judge = Judge::new(parts.clone(), marks.clone(), Arc::clone(vitals));
    let (changes, until) = (start.sets.subscribe(), helpers.clone());
    tasks.spawn(async move {
        judge.run(changes, until).await;
        Ok(())
    });
    let noticed = Noticed::default();
    let on = (desk.clone(), watched.clone(), noticed.clone());
    let keeper = Keeper::new(parts.clone(), hot, Arc::clone(vitals), on, marks, signals.stop.clone());
    let changes = start.sets.subscribe();
    tasks.spawn(async move { Ok(keeper.run(came, changes, seen).await?) });

    tasks.spawn(triggers::run(parts.clone(), start.sets.subscribe(), noticed.clone(), signals.stop.clone()));
    let (stop, abort) = (signals.stop.clone(), signals.abort.clone());
    let runs = Runs { parts: parts.clone(), noticed, vitals: Arc::clone(vitals), wake, stop, abort };
    tasks.spawn(runs.run(start.sets.subscribe()));
    let conductor =
        Conductor::new(parts.clone(), visits, most, (desk, watched), Arc::clone(vitals), (signals.stop.clone(), signals.abort.clone()));
    let mut loop_ = tokio::spawn(conductor.run(start.sets.subscribe(), heard));
    let mut result: Result<(), ReconcileError> = Ok(());
    let mut stopping = false;
    loop {
        tokio::select! {
            ended = &mut loop_ => {
                result = result.and(joined(ended).and_then(|ended| ended.map_err(Into::into)));
                break;
            }
            () = signals.stop.cancelled(), if !stopping => {
                stopping = true;
                vitals.drain();
                let drain = start.sets.current().config.daemon.drain.duration();
                tracing::info!("asked to end: what is in flight ends first");
                service::stopping(drain + Duration::from_secs(15));
            }
            () = lost.cancelled() => {
                result = result.and(Err(ReconcileError::TakenOver));
                signals.stop.cancel();
                signals.abort.cancel();
                let ended = (&mut loop_).await;
                result = result.and(joined(ended).and_then(|ended| ended.map_err(Into::into)));
                break;
            }
            ended = &mut alerts, if !stopping => {
                result = result.and(joined(ended).and_then(|ended| ended));
                signals.stop.cancel();
                // It is asked for once more below.
                alerts = tokio::spawn(std::future::ready(Ok(())));
                stopping = true;
            }
            // Something that must not end has ended.
            Some(ended) = tasks.join_next(), if !stopping => {
                let ended = joined(ended).and_then(|ended| ended);
                if let Err(error) = ended {
                    tracing::error!(%error, "cannot go on");
                    result = result.and(Err(error));
                    signals.stop.cancel();
                }
            }
        }
    }
    signals.stop.cancel();
    helpers.cancel();
    while let Some(ended) = tasks.join_next().await {
        result = result.and(joined(ended).and_then(|ended| ended));
    }
    closing.cancel();
    result = result.and(joined(alerts.await).and_then(|ended| ended));
    sending.cancel();
    match sender.await {
        Ok(0) => {}
        Ok(left) => tracing::warn!(left, "notifications were on their way; they go again at the next start"),
        Err(error) => tracing::error!(%error, "the sender of notifications has ended early"),
    }
    let ended = json!({ "pid": std::process::id(), "error": result.as_ref().err().map(ToString::to_string) });
    record(&parts, "daemon.stopped", ended).await?;
    tracing::info!("ended");
    result
}

/// What work is done with, by the policy set that is in force now.
fn parts(start: &Start) -> Parts {
    let set = start.sets.current();
    let secrets = Arc::new(start.secrets.sealed_in(set.sealed.clone()));
    Parts {
        store: start.store.clone(),
        sessions: crate::apply::renewed(&start.sessions, &set, &secrets),
        secrets,
        redactor: start.redactor.clone(),
        clock: Arc::clone(&start.clock),
        actor: start.actor.clone(),
        set,
    }
}

/// Secrets of the policy set that is in force when they are asked for.
struct InForce {
    secrets: Arc<SecretStore>,
    sets: Arc<Sets>,
}

impl Secrets for InForce {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        self.secrets.sealed_in(self.sets.current().sealed.clone()).resolve(name)
    }
}

fn worker(start: &Start, wake: &Arc<Notify>, desk: DeskWay) -> Arc<Worker> {
    let parts = crate::notify::Parts {
        store: start.store.clone(),
        clock: Arc::clone(&start.clock),
        secrets: Arc::new(InForce { secrets: Arc::clone(&start.secrets), sets: Arc::clone(&start.sets) }),
        redactor: start.redactor.clone(),
        root: start.root.clone(),
        host: start.host.clone(),
        wake: Arc::clone(wake),
        signals: Arc::new(move |signal| {
            if !desk.try_signal(signal) {
                tracing::warn!("an alert about a channel was lost: the desk is busy");
            }
        }),
    };
    Worker::with_channels(parts, Arc::clone(&start.open))
}

/// A panic of a task is one of the daemon.
fn joined<T>(ended: Result<T, JoinError>) -> Result<T, ReconcileError> {
    ended.map_err(|error| match error.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => ReconcileError::TakenOver,
    })
}

/// Renews the lease; `lost` where another daemon has taken it, or it can no longer be certain that none has.
async fn heartbeat(store: Store, owner: Owner, lost: CancellationToken, until: CancellationToken) -> Result<(), ReconcileError> {
    let mut good = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = until.cancelled() => return Ok(()),
            () = tokio::time::sleep(HEARTBEAT) => {}
        }
        let (store, of) = (store.clone(), owner.clone());
        match blocking(move || store.lease_daemon(&of, LEASE)).await {
            Ok(()) => good = tokio::time::Instant::now(),
            Err(StoreError::DaemonRuns { .. }) => {
                tracing::error!("another daemon has taken over");
                lost.cancel();
                return Ok(());
            }
            Err(error) => {
                tracing::error!(%error, "the lease cannot be renewed");
                if good.elapsed() + HEARTBEAT >= LEASE.to_std().unwrap_or_default() {
                    lost.cancel();
                    return Err(error.into());
                }
            }
        }
    }
}

/// What the database knows of the devices.
async fn known(parts: &Parts) -> Result<Hot, StoreError> {
    let store = parts.store.clone();
    let states = blocking(move || store.device_states()).await?;
    let mut hot = Hot::default();
    for state in states.into_iter().filter(|state| parts.set.devices.contains_key(&state.name)) {
        hot.status(&state.name, state.status);
    }
    Ok(hot)
}

async fn record(parts: &Parts, action: &'static str, details: serde_json::Value) -> Result<(), StoreError> {
    let event = audit(&parts.actor, parts.clock.now(), action, "", details);
    let store = parts.store.clone();
    blocking(move || store.audit(&event)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_renews_its_lease_holds_it_wherever_the_clock_is_set() {
        let (mut holder, start) = (Holder::default(), tokio::time::Instant::now());
        let owner = Owner::named("elsewhere/1/1/1/1");
        let at = |seconds: i64| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut seen = |until: i64, seconds: u64| holder.is_alive(Some((owner.clone(), at(until))), start + Duration::from_secs(seconds));
        assert!(seen(100, 0) && seen(100, 14));
        assert!(seen(104, 16) && seen(104, 30), "it was renewed");
        assert!(!seen(104, 31), "and then no more");
        assert!(seen(108, 32));
        assert!(!Holder::default().is_alive(None, start));
    }
}
