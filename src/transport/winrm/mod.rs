//! WinRM: signed-in connections with their shells, kept for the next command. Called by `sessions`.
//!
//! A connection serves one command after the other; commands side by side have one each. What is left behind by a connection that
//! broke is ended over the next one, and by the device itself where there is none.

mod answer;
mod big_endian;
mod clixml;
mod context;
mod envelope;
mod fault;
mod http;
mod kdc;
mod kerberos;
mod keytab;
mod link;
#[cfg(test)]
mod recorded;
mod run;
mod seal;
mod sign_in;
mod tls;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use self::clixml::readable;
use self::link::{Link, Origin};
pub(super) use self::tls::{fingerprint, shown_certificate};
use super::{Command, Output, SessionOptions, Target, TransportError};
use crate::access::Secrets;

/// Commands side by side on one device.
const MOST_LINKS: usize = 4;
/// Shells that a device is remembered to have kept; older ones end by themselves.
const MOST_LEFT: usize = 16;
/// How often a device is asked to end a shell that nobody needs.
const ATTEMPTS: usize = 3;
/// Time to end on a device what must not go on there.
const GRACE: Duration = Duration::from_secs(10);

/// What connections to all targets are made with.
pub(super) struct Opener {
    trust: tls::Trust,
    options: SessionOptions,
    secrets: Arc<dyn Secrets>,
}

impl Opener {
    pub(super) fn new(options: SessionOptions, secrets: Arc<dyn Secrets>) -> Self {
        Self { trust: tls::Trust::default(), options, secrets }
    }
}

/// Shells that are being ended though nobody waits for that.
static FAREWELLS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// The shells that are being ended because they were dropped in the middle of things.
pub(super) fn farewells() -> &'static TaskTracker {
    &FAREWELLS
}

/// Ends a shell when there is time for it.
fn end_later(origin: &Arc<Origin>, shell: String) {
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let origin = Arc::clone(origin);
        FAREWELLS.spawn_on(
            async move {
                farewell(&origin, None, vec![shell]).await;
            },
            &runtime,
        );
    }
}

/// The connections to one target.
pub(super) struct Place {
    origin: Arc<Origin>,
    idle: Mutex<Vec<Link>>,
    turns: Semaphore,
    /// Shells that are still on the device though nobody needs them.
    left: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    pub(super) fn new(target: Target, opener: Arc<Opener>) -> Self {
        Self {
            origin: Arc::new(Origin::new(target, opener)),
            idle: Mutex::default(),
            turns: Semaphore::new(MOST_LINKS),
            left: Mutex::default(),
        }
    }

    /// Makes sure that there is a connection that can be used.
    pub(super) async fn open(&self) -> Result<(), TransportError> {
        if self.turns.available_permits() < MOST_LINKS && lock(&self.idle).is_empty() {
            // One is signed in, and at work.
            return Ok(());
        }
        let link = self.take().await?;
        self.keep(link);
        Ok(())
    }

    /// `host:port`
    pub(super) fn address(&self) -> String {
        link::address(&self.origin.target)
    }

    fn keep(&self, link: Link) {
        lock(&self.idle).push(link);
    }

    /// Keeps a connection for the next command, and of one that is of no more use its shell, to be ended over another.
    fn put_back(&self, mut link: Link) {
        if !link.is_torn() {
            self.keep(link);
        } else if let Some(shell) = link.shell.take() {
            self.leave(shell.id);
        }
    }

    /// A connection that can be used as it is.
    fn usable(&self) -> Option<Link> {
        let mut idle = lock(&self.idle);
        let at = idle.iter_mut().position(Link::is_usable)?;
        Some(idle.swap_remove(at))
    }

    /// A connection that can be used, made anew where there is none. The shell of one that broke while it was idle is used on.
    async fn take(&self) -> Result<Link, TransportError> {
        if let Some(link) = self.usable() {
            return Ok(link);
        }
        let mut link = Link::connect(&self.origin).await?;
        // Taken only now: another command may have come back meanwhile.
        let old = lock(&self.idle).pop();
        if let Some(mut old) = old {
            if old.is_usable() {
                self.keep(old);
            } else {
                link.shell = old.shell.take();
            }
        }
        if link.shell.is_none() {
            link.prove().await?;
        }
        Ok(link)
    }

    fn leave(&self, shell: String) {
        let mut left = lock(&self.left);
        if left.len() >= MOST_LEFT {
            left.remove(0);
        }
        left.push(shell);
    }

    /// Runs a command to its end, and sees to it that nothing of it goes on.
    pub(super) async fn run(&self, command: Command, stop: &CancellationToken) -> Result<Output, TransportError> {
        let taken = async {
            let turn = self.turns.acquire().await.map_err(|_| TransportError::Cancelled)?;
            Ok((turn, self.take().await?))
        };
        let (_turn, mut link) = tokio::select! {
            taken = taken => taken?,
            () = stop.cancelled() => return Err(TransportError::Cancelled),
        };
        // What an earlier one has left goes first: it counts against the quotas of the device.
        // Nobody waits long for that, and whoever stops the command stops it too.
        let mut old: Vec<String> = std::mem::take(&mut *lock(&self.left));
        let ended = async {
            while let Some(shell) = old.last() {
                if link.is_torn() || link.delete(shell).await.is_err() {
                    return;
                }
                old.pop();
            }
        };
        let stopped = tokio::select! {
            _ = tokio::time::timeout(GRACE, ended) => false,
            () = stop.cancelled() => true,
        };
        for shell in old {
            self.leave(shell);
        }
        if stopped {
            self.put_back(link);
            return Err(TransportError::Cancelled);
        }
        if link.is_torn() {
            self.put_back(link);
            link = tokio::select! {
                taken = self.take() => taken?,
                () = stop.cancelled() => return Err(TransportError::Cancelled),
            };
        }
        let ran = run::run(&mut link, command, self.origin.options(), stop).await;
        match ran.left {
            None => self.put_back(link),
            Some((shell, command)) => {
                let ended = tokio::time::timeout(GRACE, self.end(link, &shell, command.as_deref())).await;
                if !matches!(ended, Ok(Ok(()))) {
                    self.leave(shell);
                }
            }
        }
        ran.answer
    }

    /// Ends a command and its shell: over its own connection, or over another where that one still waits for an answer.
    async fn end(&self, link: Link, shell: &str, command: Option<&str>) -> Result<(), TransportError> {
        let mut link = if link.is_torn() {
            drop(link);
            Link::connect(&self.origin).await?
        } else {
            link
        };
        if let Some(command) = command {
            link.terminate(shell, command).await?;
        }
        link.delete(shell).await?;
        self.keep(link);
        Ok(())
    }

    /// Gives up what nobody has used for long; whether anything is still kept.
    pub(super) fn sweep(self: &Arc<Self>, tasks: &TaskTracker) -> bool {
        let mut idle = lock(&self.idle);
        let (expired, fresh): (Vec<Link>, Vec<Link>) = std::mem::take(&mut *idle).into_iter().partition(Link::is_expired);
        *idle = fresh;
        let keeps = !idle.is_empty() || self.turns.available_permits() < MOST_LINKS;
        drop(idle);
        for link in expired {
            let origin = Arc::clone(&self.origin);
            tasks.spawn(async move { farewell(&origin, Some(link), Vec::new()).await });
        }
        keeps
    }

    /// Ends all shells and closes all connections.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        let mut left = std::mem::take(&mut *lock(&self.left));
        for link in idle {
            left = farewell(&self.origin, Some(link), left).await;
        }
        if !left.is_empty() {
            // No connection is left that could end them.
            farewell(&self.origin, None, left).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        let left = std::mem::take(self.left.get_mut().unwrap_or_else(PoisonError::into_inner));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let origin = Arc::clone(&self.origin);
        if idle.is_empty() && left.is_empty() {
            return;
        }
        let all = async move {
            let mut left = left;
            for link in idle {
                left = farewell(&origin, Some(link), left).await;
            }
            if !left.is_empty() {
                farewell(&origin, None, left).await;
            }
        };
        FAREWELLS.spawn_on(all, &runtime);
    }
}

/// Ends the shell of a connection, and others: over that connection, and over another where it breaks. Gives those back that could not be
/// ended now; they end by themselves.
async fn farewell(origin: &Arc<Origin>, mut link: Option<Link>, mut shells: Vec<String>) -> Vec<String> {
    shells.extend(link.as_mut().and_then(|link| link.shell.take()).map(|shell| shell.id));
    let all = async {
        for _ in 0..ATTEMPTS {
            if shells.is_empty() {
                return;
            }
            let mut open = match link.take().filter(|link| !link.is_torn()) {
                Some(link) => link,
                None => match Link::connect(origin).await {
                    Ok(link) => link,
                    Err(_) => return,
                },
            };
            while let Some(shell) = shells.last() {
                if open.delete(shell).await.is_err() {
                    break;
                }
                shells.pop();
            }
            link = Some(open);
        }
    };
    let _ = tokio::time::timeout(GRACE, all).await;
    shells
}
