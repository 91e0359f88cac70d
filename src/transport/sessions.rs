//! The one place that opens sessions, and keeps them for the next command.
//!
//! Opens of one target share one connection; a dead or expired one is replaced before it is used. Expired ones are
//! closed when the next session is opened, or by [`Sessions::close_all`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::conversation::Conversation;
use super::simulated::Simulator;
use super::ssh::{self, Connected};
use super::wrapper::Rise;
use super::{Command, Output, Session, SessionOptions, Shell, Target, TransportError, local, secret, share, winrm};
use crate::access::Secrets;
use crate::model::Platform;
use crate::model::device::{Connection, TransportKind};
use crate::time::{Clock, SystemClock};

/// Opens and keeps sessions. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Sessions {
    inner: Arc<Inner>,
}

struct Inner {
    options: SessionOptions,
    secrets: Arc<dyn Secrets>,
    clock: Arc<dyn Clock>,
    absent: share::Absent,
    shared: ssh::Shared,
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    winrm: Arc<winrm::Opener>,
    places: Mutex<HashMap<String, Arc<winrm::Place>>>,
    swept: Mutex<Instant>,
    tasks: TaskTracker,
    stop: Mutex<CancellationToken>,
    simulator: Arc<Simulator>,
}

/// The place of one target's connection.
#[derive(Default)]
struct Slot {
    connection: tokio::sync::Mutex<Option<Arc<Connected>>>,
    /// The last failure and when: those who waited for that very attempt share it.
    failure: Mutex<Option<(Instant, TransportError)>>,
}

impl Sessions {
    /// With these limits; secrets are asked for when they are needed.
    pub fn new(options: SessionOptions, secrets: Arc<dyn Secrets>) -> Self {
        Self::with_clock(options, secrets, Arc::new(SystemClock))
    }

    /// The same; simulated devices live by this clock.
    pub fn with_clock(options: SessionOptions, secrets: Arc<dyn Secrets>, clock: Arc<dyn Clock>) -> Self {
        Self::made(Inner::new(options, secrets, Arc::clone(&clock), Arc::new(Simulator::new(clock))))
    }

    /// With other limits and secrets, and the same simulated devices, which keep what was changed on them.
    #[must_use]
    pub fn renewed(&self, options: SessionOptions, secrets: Arc<dyn Secrets>) -> Self {
        Self::made(Inner::new(options, secrets, Arc::clone(&self.inner.clock), Arc::clone(&self.inner.simulator)))
    }

    fn made(inner: Inner) -> Self {
        let inner = Arc::new(inner);
        let mut made = lock(&MADE);
        made.retain(|one| one.strong_count() > 0);
        made.push(Arc::downgrade(&inner));
        Self { inner }
    }

    /// A session on the target, connected and signed in. Later commands connect anew where that is necessary.
    pub async fn open(&self, target: &Target, cancel: &CancellationToken) -> Result<Arc<dyn Session>, TransportError> {
        if cancel.is_cancelled() {
            return Err(TransportError::Cancelled);
        }
        match target.transport() {
            TransportKind::Local => {
                return Ok(Arc::new(LocalSession { inner: Arc::clone(&self.inner), connection: target.connection.clone() }));
            }
            TransportKind::Simulated => return self.inner.simulator.open(target, &self.inner.options, cancel).await,
            TransportKind::Winrm => {
                self.inner.sweep();
                let place = self.inner.place(target);
                tokio::select! {
                    opened = Box::pin(place.open()) => opened?,
                    () = cancel.cancelled() => return Err(TransportError::Cancelled),
                }
                return Ok(Arc::new(WinrmSession { inner: Arc::clone(&self.inner), place }));
            }
            TransportKind::Share => return self.inner.share(target),
            TransportKind::Ssh => {}
        }
        self.inner.sweep();
        let slot = self.inner.slot(target);
        self.inner.connected(target, &slot, cancel).await?;
        Ok(Arc::new(SshSession { inner: Arc::clone(&self.inner), target: target.clone(), slot }))
    }

    /// Ends what runs, and closes all connections. Sessions that are still held connect anew when they are used.
    pub async fn close_all(&self) {
        let stop = std::mem::take(&mut *lock(&self.inner.stop));
        stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.inner.tasks.reopen();
        let slots: Vec<_> = lock(&self.inner.slots).drain().map(|(_, slot)| slot).collect();
        for slot in slots {
            if let Some(connection) = slot.connection.lock().await.take() {
                connection.close().await;
            }
        }
        self.inner.close_places(None).await;
    }
}

/// All that were made in this process.
static MADE: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());
/// How long a command that has done its work waits for the next device to end what it had open there.
const GOOD_BYE: Duration = Duration::from_secs(5);
/// Devices that are asked at the same time to end what is open there.
const MOST_GOOD_BYES: usize = 64;

/// Ends what this process has open on devices and what would go on there by itself for a while: called when it ends.
pub async fn close_everything() {
    let all: Vec<Arc<Inner>> = lock(&MADE).drain(..).filter_map(|one| one.upgrade()).collect();
    for inner in all {
        while_it_gets_less(&inner.tasks).await;
        inner.close_places(Some(GOOD_BYE)).await;
    }
    while_it_gets_less(winrm::farewells()).await;
}

/// Waits for tasks as long as some of them end.
async fn while_it_gets_less(tasks: &TaskTracker) {
    tasks.close();
    loop {
        let left = tasks.len();
        if tokio::time::timeout(GOOD_BYE, tasks.wait()).await.is_ok() || tasks.len() >= left {
            break;
        }
    }
    tasks.reopen();
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    fn new(options: SessionOptions, secrets: Arc<dyn Secrets>, clock: Arc<dyn Clock>, simulator: Arc<Simulator>) -> Self {
        Self {
            winrm: Arc::new(winrm::Opener::new(options.clone(), Arc::clone(&secrets))),
            options,
            secrets,
            clock,
            absent: share::Absent::default(),
            shared: ssh::Shared::default(),
            slots: Mutex::default(),
            places: Mutex::default(),
            swept: Mutex::new(Instant::now()),
            tasks: TaskTracker::new(),
            stop: Mutex::default(),
            simulator,
        }
    }

    /// A device behind a share. Nothing is opened: the first job shows whether the share is there.
    fn share(&self, target: &Target) -> Result<Arc<dyn Session>, TransportError> {
        let setup = |what: &str, reason: String| TransportError::Setup { what: what.into(), reason };
        let share = target
            .connection
            .share
            .as_deref()
            .ok_or_else(|| setup("connection.share", "transport: share needs the directory of the share".into()))?;
        let name = crate::model::device::SecretRef { secret: share::KEY_NAME.into() };
        let key = share::SigningKey::read(&secret(&*self.secrets, &name)?).map_err(|reason| setup("the signing key of shares", reason))?;
        let times = share::Times { fetch: self.options.share_timeout, command: self.options.command_timeout };
        let path = std::path::Path::new(share);
        Ok(Arc::new(share::ShareSession::new(
            path,
            &target.name,
            Arc::new(key),
            times,
            self.options.max_output_bytes,
            Arc::clone(&self.clock),
            Arc::clone(&self.absent),
        )))
    }

    fn slot(&self, target: &Target) -> Arc<Slot> {
        Arc::clone(lock(&self.slots).entry(key(target)).or_default())
    }

    fn place(&self, target: &Target) -> Arc<winrm::Place> {
        let make = || Arc::new(winrm::Place::new(target.clone(), Arc::clone(&self.winrm)));
        Arc::clone(lock(&self.places).entry(key(target)).or_insert_with(make))
    }

    /// Ends the shells of all WinRM devices, many side by side; where `patience` is given, as long as some device answers within it.
    async fn close_places(&self, patience: Option<Duration>) {
        let mut places = lock(&self.places).drain().map(|(_, place)| place).collect::<Vec<_>>().into_iter();
        let mut all = tokio::task::JoinSet::new();
        loop {
            for place in places.by_ref().take(MOST_GOOD_BYES - all.len()) {
                all.spawn(async move { place.close().await });
            }
            let next = all.join_next();
            let next = match patience {
                Some(patience) => tokio::time::timeout(patience, next).await.ok().flatten(),
                None => next.await,
            };
            if next.is_none() {
                return;
            }
        }
    }

    /// Drops what nobody has used for long, at most four times per lifetime.
    fn sweep(&self) {
        let ttl = self.options.session_ttl;
        {
            let mut swept = lock(&self.swept);
            if swept.elapsed() < ttl / 4 {
                return;
            }
            *swept = Instant::now();
        }
        lock(&self.places).retain(|_, place| place.sweep(&self.tasks) || Arc::strong_count(place) > 1);
        let mut expired = Vec::new();
        lock(&self.slots).retain(|_, slot| {
            // One that is just being opened is in use.
            let Ok(mut held) = slot.connection.try_lock() else { return true };
            let keep = held.as_ref().is_some_and(|c| c.is_usable(&self.options));
            if !keep {
                expired.extend(held.take());
            }
            keep || Arc::strong_count(slot) > 1
        });
        for connection in expired {
            self.tasks.spawn(async move { connection.close().await });
        }
    }

    /// The target's connection, opened where there is none that can be used.
    async fn connected(&self, target: &Target, slot: &Slot, cancel: &CancellationToken) -> Result<Arc<Connected>, TransportError> {
        let asked = Instant::now();
        let work = async {
            let mut held = slot.connection.lock().await;
            if let Some(connection) = held.as_ref().filter(|c| c.is_usable(&self.options)) {
                return Ok(Arc::clone(connection));
            }
            if let Some((when, failure)) = &*lock(&slot.failure)
                && *when > asked
            {
                return Err(failure.clone());
            }
            if let Some(old) = held.take() {
                self.tasks.spawn(async move { old.close().await });
            }
            match Connected::open(target, &self.shared, &self.options, &*self.secrets).await {
                Ok(connection) => Ok(Arc::clone(held.insert(Arc::new(connection)))),
                Err(failure) => {
                    *lock(&slot.failure) = Some((Instant::now(), failure.clone()));
                    Err(failure)
                }
            }
        };
        tokio::select! {
            result = work => result,
            () = cancel.cancelled() => Err(TransportError::Cancelled),
        }
    }

    /// How the command becomes root, and the password for it.
    fn rise(&self, connection: &Connection, elevate: bool) -> Result<(Rise, Option<SecretString>), TransportError> {
        let rise = Rise::of(connection.elevate, elevate, connection.sudo_password.is_some());
        let password = match &connection.sudo_password {
            Some(name) if rise == Rise::WithPassword => Some(secret(&*self.secrets, name)?),
            _ => None,
        };
        Ok((rise, password))
    }
}

/// What tells targets apart.
fn key(target: &Target) -> String {
    format!("{}\0{:?}\0{:?}", target.address, target.platform, target.connection)
}

fn refuse_nul(command: &Command) -> Result<(), TransportError> {
    if command.line.contains('\0') {
        return Err(TransportError::Setup { what: "command".into(), reason: "it contains a NUL byte".into() });
    }
    Ok(())
}

/// This machine.
struct LocalSession {
    inner: Arc<Inner>,
    connection: Connection,
}

#[async_trait::async_trait]
impl Session for LocalSession {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        refuse_nul(&command)?;
        let (rise, password) = self.inner.rise(&self.connection, command.elevate)?;
        let limits = (self.inner.options.command_timeout, self.inner.options.max_output_bytes);
        local::run(command, rise, password, limits, cancel).await
    }
}

/// A device over SSH.
struct SshSession {
    inner: Arc<Inner>,
    target: Target,
    slot: Arc<Slot>,
}

impl SshSession {
    /// A channel for a command. A connection that broke while it was idle is replaced once: nothing has run yet.
    async fn channel(&self, cancel: &CancellationToken) -> Result<ssh::OpenChannel, TransportError> {
        let inner = &self.inner;
        let limit = inner.options.ssh_timeout;
        let connection = inner.connected(&self.target, &self.slot, cancel).await?;
        match connection.channel(limit).await {
            Err(TransportError::Lost { .. }) => {}
            other => return other,
        }
        {
            let mut held = self.slot.connection.lock().await;
            if held.as_ref().is_some_and(|c| Arc::ptr_eq(c, &connection)) {
                *held = None;
            }
        }
        inner.connected(&self.target, &self.slot, cancel).await?.channel(limit).await
    }
}

#[async_trait::async_trait]
impl Session for SshSession {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        refuse_nul(&command)?;
        let inner = &self.inner;
        let (rise, password) = inner.rise(&self.target.connection, command.elevate)?;
        let time = command.timeout.unwrap_or(inner.options.command_timeout);
        let talk = match self.shell() {
            Shell::Posix => Conversation::new(command, rise, password, inner.options.max_output_bytes),
            Shell::PowerShell => Conversation::plain(command, inner.options.max_output_bytes),
        };
        let open = tokio::select! {
            open = self.channel(cancel) => open?,
            () = cancel.cancelled() => return Err(TransportError::Cancelled),
        };
        // A task of its own, so that a caller who is dropped in the middle still ends the remote command.
        let stop = lock(&inner.stop).child_token();
        let dropped = stop.clone().drop_guard();
        let task = inner.tasks.spawn(ssh::run(open, talk, time, stop.clone()));
        let forward = async {
            cancel.cancelled().await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = task => answer,
            () = forward => return Err(TransportError::Cancelled),
        };
        dropped.disarm();
        answer.unwrap_or_else(|e| Err(TransportError::Lost { address: self.target.address.clone(), reason: e.to_string() }))
    }

    fn shell(&self) -> Shell {
        if self.target.platform == Some(Platform::Windows) { Shell::PowerShell } else { Shell::Posix }
    }

    async fn close(&self) {
        let held = self.slot.connection.lock().await.take();
        if let Some(connection) = held {
            connection.close().await;
        }
    }
}

/// A device over WinRM.
struct WinrmSession {
    inner: Arc<Inner>,
    place: Arc<winrm::Place>,
}

#[async_trait::async_trait]
impl Session for WinrmSession {
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError> {
        if command.line.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')) {
            return Err(TransportError::Setup { what: "command".into(), reason: "it contains a control character".into() });
        }
        // A task of its own, so that a caller who is dropped in the middle still ends the remote command.
        let stop = lock(&self.inner.stop).child_token();
        let dropped = stop.clone().drop_guard();
        let (place, ours) = (Arc::clone(&self.place), stop.clone());
        let task = self.inner.tasks.spawn(async move { place.run(command, &ours).await });
        let forward = async {
            cancel.cancelled().await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        let answer = tokio::select! {
            answer = task => answer,
            () = forward => return Err(TransportError::Cancelled),
        };
        dropped.disarm();
        answer.unwrap_or_else(|e| Err(TransportError::Lost { address: self.place.address(), reason: e.to_string() }))
    }

    fn shell(&self) -> Shell {
        Shell::PowerShell
    }

    async fn close(&self) {
        self.place.close().await;
    }
}
