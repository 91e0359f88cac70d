//! Why a message could not be sent, and whether trying again may help.

use std::time::Duration;

use crate::access::SecretError;
use crate::diagnose::{Category, Diagnose};

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel lacks something, or its keys do not go together.
    #[error("the channel cannot send: {0}")]
    Incomplete(String),
    /// No such channel (any more).
    #[error("there is no channel '{0}' in rmm.toml")]
    NoChannel(String),
    /// A secret has no value.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Nobody answers there, or nobody who can be trusted.
    #[error("{host} cannot be reached: {why}")]
    Unreachable {
        /// Who.
        host: String,
        /// In the system's words.
        why: String,
    },
    /// No answer in time. It may have arrived.
    #[error("{host} did not answer within {} s", .after.as_secs())]
    TimedOut {
        /// Who.
        host: String,
        /// How long was waited.
        after: Duration,
    },
    /// The other side cannot now.
    #[error("{host} asks to try again later: {said}")]
    Later {
        /// Who.
        host: String,
        /// What it said.
        said: String,
        /// After what time, where it says so.
        after: Option<Duration>,
    },
    /// The other side will not, however often it is asked.
    #[error("{host} refused: {said}")]
    Refused {
        /// Who.
        host: String,
        /// What it said.
        said: String,
    },
    /// The message cannot be put into the form of the channel.
    #[error("the message cannot be written: {0}")]
    Unwritable(String),
    /// This system has no such thing.
    #[error("{0} does not exist on this system")]
    Unsupported(&'static str),
}

impl SendError {
    /// Whether trying again may help.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Later { .. })
            // A secret is often put in its place a little later than the channel.
            || matches!(self, Self::Secret(SecretError::Missing { .. } | SecretError::Unreadable { .. }))
    }

    /// The time after which the other side wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Later { after, .. } = self { *after } else { None }
    }
}

impl Diagnose for SendError {
    fn code(&self) -> &'static str {
        match self {
            Self::Incomplete(_) => "RMM0620",
            Self::NoChannel(_) => "RMM0621",
            Self::Secret(error) => error.code(),
            Self::Unreachable { .. } => "RMM0622",
            Self::TimedOut { .. } => "RMM0623",
            Self::Later { .. } => "RMM0624",
            Self::Refused { .. } => "RMM0625",
            Self::Unwritable(_) => "RMM0626",
            Self::Unsupported(_) => "RMM0627",
        }
    }

    fn category(&self) -> Category {
        if self.may_pass() { Category::Transient } else { Category::Configuration }
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Incomplete(_) => "complete [notifications.channels.NAME] in rmm.toml; `rmm validate` shows the line".into(),
            Self::NoChannel(_) => "`rmm notify channels` lists those that exist".into(),
            Self::Secret(error) => return error.advice(),
            Self::Unreachable { .. } => {
                "look at the address, the firewall and the proxy; ca_file names the certificate of an own authority".into()
            }
            Self::TimedOut { .. } => "it is tried again; `timeout` of the channel gives it more time".into(),
            Self::Later { .. } => "it is tried again".into(),
            Self::Refused { .. } => "look at the address, the key and the rights of the channel, then `rmm notify retry`".into(),
            Self::Unwritable(_) => "correct the address or the template of the channel, then `rmm notify retry`".into(),
            Self::Unsupported(_) => "declare a channel of another type for this machine".into(),
        })
    }
}
