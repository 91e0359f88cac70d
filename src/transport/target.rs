//! Whom to reach, and the limits that hold for all.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Platform;
use crate::model::device::{Connection, HostKeyCheck, TransportKind};

/// A device as transport sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Name of the device, for logs.
    pub name: String,
    /// Name or address to connect to; an alias of `~/.ssh/config` will do.
    pub address: String,
    /// How to reach it, already joined from device, groups and site.
    pub connection: Connection,
    /// Operating system, where it is declared: Windows is spoken to in PowerShell, and over WinRM unless told otherwise.
    pub platform: Option<Platform>,
}

impl Target {
    /// What carries commands to it.
    pub fn transport(&self) -> TransportKind {
        self.connection.transport(self.platform)
    }
}

/// Limits and places that hold for all sessions.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// Time to reach, greet and sign in, over all hops.
    pub ssh_timeout: Duration,
    /// Time to reach and sign in over WinRM.
    pub winrm_timeout: Duration,
    /// How long a device behind a share may take to fetch a job.
    pub share_timeout: Duration,
    /// Time for a command that does not bring its own.
    pub command_timeout: Duration,
    /// How long an idle session is kept.
    pub session_ttl: Duration,
    /// How long a session goes on with the credentials with which it was opened.
    pub sign_in_ttl: Duration,
    /// Most bytes of standard output and of standard error, for a command that does not bring its own limit.
    pub max_output_bytes: u64,
    /// What to do about unknown host keys, where a connection does not say.
    pub host_key: HostKeyCheck,
    /// `~/.ssh/config` unless told otherwise.
    pub ssh_config: Option<PathBuf>,
    /// The home directory: `$HOME` unless told otherwise.
    pub home: Option<PathBuf>,
    /// The agent's socket: `$SSH_AUTH_SOCK` unless told otherwise. An empty path stands for no agent.
    pub agent: Option<PathBuf>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            ssh_timeout: Duration::from_secs(30),
            winrm_timeout: Duration::from_secs(30),
            share_timeout: Duration::from_mins(15),
            command_timeout: Duration::from_mins(5),
            session_ttl: Duration::from_mins(5),
            sign_in_ttl: Duration::from_hours(1),
            max_output_bytes: 16 * 1024 * 1024,
            host_key: HostKeyCheck::Strict,
            ssh_config: None,
            home: None,
            agent: None,
        }
    }
}

impl SessionOptions {
    /// The home directory, `/` where there is none.
    pub(super) fn home(&self) -> PathBuf {
        self.home.clone().or_else(|| std::env::var_os("HOME").map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("/"))
    }

    /// The path with a leading `~/` resolved.
    pub(super) fn expand(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home().join(rest),
            None if path == "~" => self.home(),
            None => PathBuf::from(path),
        }
    }

    /// The agent's socket, where there is one.
    pub(super) fn agent_socket(&self) -> Option<PathBuf> {
        self.agent.clone().or_else(|| std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from)).filter(|path| !path.as_os_str().is_empty())
    }
}
