//! WinRM: signed-in connections with their shells, kept for the next command. Called by `sessions`.
//!
//! A connection serves one command after the other; commands side by side have one each. What is left behind by a connection that
//! broke is ended over the next one, and by the device itself where there is none.

mod answer;
mod clixml;
mod context;
mod envelope;
mod fault;
mod http;
mod kdc;
mod keytab;
mod link;
mod run;
mod seal;
mod sign_in;
mod tls;

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) use self::clixml::readable;
use self::link::Link;
pub(super) use self::tls::{fingerprint, shown_certificate};
use super::{Command, Output, SessionOptions, Target, TransportError};
use crate::access::Secrets;

/// Commands side by side on one device.
const MOST_LINKS: usize = 4;
/// Shells that a device is remembered to have kept; older ones end by themselves.
const MOST_LEFT: usize = 16;
/// Time to end on a device what must not go on there.
const GRACE: Duration = Duration::from_secs(10);

/// What all connections of a process share.
#[derive(Default)]
pub(super) struct Shared {
    trust: tls::Trust,
}

/// Shells that are being ended though nobody waits for that.
static FAREWELLS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// Waits until the shells are ended that were dropped in the middle of things.
pub(super) async fn farewells() {
    FAREWELLS.close();
    FAREWELLS.wait().await;
    FAREWELLS.reopen();
}

/// What opening needs beside the target.
pub(super) struct Opener<'a> {
    pub(super) shared: &'a Shared,
    pub(super) options: &'a SessionOptions,
    pub(super) secrets: &'a dyn Secrets,
}

/// The connections to one target.
pub(super) struct Place {
    target: Target,
    idle: Mutex<Vec<Link>>,
    turns: Semaphore,
    /// One signs in at a time, so that a wrong password is tried once.
    opening: tokio::sync::Mutex<()>,
    /// The last failure and when: those who waited for that very attempt share it.
    failure: Mutex<Option<(Instant, TransportError)>>,
    /// Shells that are still on the device though nobody needs them.
    left: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            idle: Mutex::default(),
            turns: Semaphore::new(MOST_LINKS),
            opening: tokio::sync::Mutex::default(),
            failure: Mutex::default(),
            left: Mutex::default(),
        }
    }

    /// Makes sure that there is a connection that can be used.
    pub(super) async fn open(&self, opener: &Opener<'_>) -> Result<(), TransportError> {
        if let Some(link) = self.usable(opener.options) {
            self.keep(link);
            return Ok(());
        }
        if self.turns.available_permits() < MOST_LINKS {
            // One is signed in, and at work.
            return Ok(());
        }
        let link = self.connect(opener).await?;
        self.keep(link);
        Ok(())
    }

    /// `host:port`
    pub(super) fn address(&self) -> String {
        link::address(&self.target)
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
    fn usable(&self, options: &SessionOptions) -> Option<Link> {
        let mut idle = lock(&self.idle);
        let at = idle.iter_mut().position(|link| link.is_usable(options))?;
        Some(idle.swap_remove(at))
    }

    /// A connection that can be used, made anew where there is none. The shell of one that broke while it was idle is used on.
    async fn take(&self, opener: &Opener<'_>) -> Result<Link, TransportError> {
        if let Some(link) = self.usable(opener.options) {
            return Ok(link);
        }
        let mut link = self.connect(opener).await?;
        // Taken only now: another command may have come back meanwhile.
        let old = lock(&self.idle).pop();
        if let Some(mut old) = old {
            if old.is_usable(opener.options) {
                self.keep(old);
            } else if link.shell.is_none() {
                link.shell = old.shell.take();
            } else if let Some(shell) = old.shell.take() {
                self.leave(shell.id);
            }
        }
        Ok(link)
    }

    async fn connect(&self, opener: &Opener<'_>) -> Result<Link, TransportError> {
        let asked = Instant::now();
        let _turn = self.opening.lock().await;
        if let Some((when, failure)) = &*lock(&self.failure)
            && *when > asked
        {
            return Err(failure.clone());
        }
        match Link::connect(&self.target, &opener.shared.trust, opener.options, opener.secrets).await {
            Ok(link) => Ok(link),
            Err(failure) => {
                *lock(&self.failure) = Some((Instant::now(), failure.clone()));
                Err(failure)
            }
        }
    }

    fn leave(&self, shell: String) {
        let mut left = lock(&self.left);
        if left.len() >= MOST_LEFT {
            left.remove(0);
        }
        left.push(shell);
    }

    /// Runs a command to its end, and sees to it that nothing of it goes on.
    pub(super) async fn run(&self, opener: &Opener<'_>, command: Command, stop: &CancellationToken) -> Result<Output, TransportError> {
        let taken = async {
            let turn = self.turns.acquire().await.map_err(|_| TransportError::Cancelled)?;
            Ok((turn, self.take(opener).await?))
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
                taken = self.take(opener) => taken?,
                () = stop.cancelled() => return Err(TransportError::Cancelled),
            };
        }
        let ran = run::run(&mut link, command, opener.options, stop).await;
        match ran.left {
            None => self.put_back(link),
            Some((shell, command)) => {
                let ended = tokio::time::timeout(GRACE, self.end(opener, link, &shell, command.as_deref())).await;
                if !matches!(ended, Ok(Ok(()))) {
                    self.leave(shell);
                }
            }
        }
        ran.answer
    }

    /// Ends a command and its shell: over its own connection, or over another where that one still waits for an answer.
    async fn end(&self, opener: &Opener<'_>, link: Link, shell: &str, command: Option<&str>) -> Result<(), TransportError> {
        let mut link = if link.is_torn() {
            drop(link);
            Link::connect(&self.target, &opener.shared.trust, opener.options, opener.secrets).await?
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
    pub(super) fn sweep(self: &Arc<Self>, options: &SessionOptions, tasks: &TaskTracker) -> bool {
        let mut idle = lock(&self.idle);
        let (expired, fresh): (Vec<Link>, Vec<Link>) = std::mem::take(&mut *idle).into_iter().partition(|link| link.is_expired(options));
        *idle = fresh;
        let keeps = !idle.is_empty() || self.turns.available_permits() < MOST_LINKS;
        drop(idle);
        for link in expired {
            tasks.spawn(farewell(link, Vec::new()));
        }
        keeps
    }

    /// Ends all shells and closes all connections.
    pub(super) async fn close(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        let mut left = std::mem::take(&mut *lock(&self.left));
        for link in idle {
            farewell(link, std::mem::take(&mut left)).await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let idle = std::mem::take(self.idle.get_mut().unwrap_or_else(PoisonError::into_inner));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            for link in idle {
                FAREWELLS.spawn_on(farewell(link, Vec::new()), &runtime);
            }
        }
    }
}

/// Ends the shell of a connection, and others. What cannot be ended now ends by itself.
async fn farewell(mut link: Link, others: Vec<String>) {
    let own = link.shell.take().map(|shell| shell.id);
    let all = async {
        for shell in own.iter().chain(&others) {
            if link.is_torn() || link.delete(shell).await.is_err() {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(GRACE, all).await;
}
