//! SSH: connections, and commands over them. Called by `sessions`, which keeps the connections.

mod auth;
mod checker;
mod config;
mod connect;
mod hop;
mod keys;
mod known_hosts;
mod pattern;
mod run;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use russh::client::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::checker::Checker;
use self::config::SshConfig;
use super::{SessionOptions, Target, TransportError};
use crate::access::Secrets;

pub(super) use run::run;

/// Commands side by side on one connection: OpenSSH allows ten.
const MOST_CHANNELS: usize = 8;

/// What all connections of a process share: files that are read once.
#[derive(Default)]
pub(super) struct Shared {
    keys: keys::Keys,
    known: Arc<known_hosts::KnownHosts>,
    config: OnceLock<Result<SshConfig, TransportError>>,
    agent: OnceLock<Option<PathBuf>>,
}

impl Shared {
    fn config(&self, options: &SessionOptions) -> Result<&SshConfig, TransportError> {
        let read = || {
            let home = options.home();
            SshConfig::read(&options.ssh_config.clone().unwrap_or_else(|| home.join(".ssh/config")), &home)
        };
        self.config.get_or_init(read).as_ref().map_err(Clone::clone)
    }

    fn agent(&self, options: &SessionOptions) -> Option<&Path> {
        self.agent.get_or_init(|| options.agent_socket()).as_deref()
    }
}

/// A signed-in connection to a device, with the connections to the hops that carry it.
pub(super) struct Connected {
    handles: Vec<Handle<Checker>>,
    address: String,
    channels: Arc<Semaphore>,
    running: AtomicUsize,
    used: Mutex<Instant>,
    opened: Instant,
}

/// A channel for one command; counts as use of its connection.
pub(super) struct OpenChannel {
    channel: Option<russh::Channel<russh::client::Msg>>,
    connection: Arc<Connected>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.connection.touch();
        self.connection.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connected {
    /// Connects and signs in.
    pub(super) async fn open(
        target: &Target,
        shared: &Shared,
        options: &SessionOptions,
        secrets: &dyn Secrets,
    ) -> Result<Self, TransportError> {
        let (handles, address) = connect::Connector { shared, options, secrets }.connect(target).await?;
        Ok(Self {
            handles,
            address,
            channels: Arc::new(Semaphore::new(MOST_CHANNELS)),
            running: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
            opened: Instant::now(),
        })
    }

    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it can be used for another command.
    pub(super) fn is_usable(&self, options: &SessionOptions) -> bool {
        let alive = self.handles.iter().all(|h| !h.is_closed());
        let fresh = || {
            let idle = self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
            idle < options.session_ttl && self.opened.elapsed() < options.sign_in_ttl
        };
        // What is under way is let go on.
        alive && (self.running.load(Ordering::Relaxed) > 0 || fresh())
    }

    /// Opens a channel: nothing has been run on the device when this fails.
    pub(super) async fn channel(self: &Arc<Self>, limit: Duration) -> Result<OpenChannel, TransportError> {
        let lost = |reason: String| TransportError::Lost { address: self.address.clone(), reason };
        let permit = Arc::clone(&self.channels).acquire_owned().await.map_err(|e| lost(e.to_string()))?;
        let handle = self.handles.last().ok_or_else(|| lost("there is no connection".into()))?;
        self.touch();
        let channel = tokio::time::timeout(limit, handle.channel_open_session())
            .await
            .map_err(|_| lost(format!("no channel within {} s", limit.as_secs_f32())))?
            .map_err(|e| lost(e.to_string()))?;
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(OpenChannel { channel: Some(channel), connection: Arc::clone(self), _permit: permit })
    }

    /// Says good-bye, the device first.
    pub(super) async fn close(&self) {
        for handle in self.handles.iter().rev() {
            // Already gone is as good.
            let _ = handle.disconnect(russh::Disconnect::ByApplication, "", "en").await;
        }
    }
}
