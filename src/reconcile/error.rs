//! Why the daemon does not run, or does not run on.

use crate::diagnose::{Category, Diagnose};
use crate::repo::follow::FollowError;
use crate::store::StoreError;

/// Why it ends.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The address for health and figures cannot be taken.
    #[error("{address} cannot be listened on: {reason}")]
    Listen {
        /// As given.
        address: String,
        /// Why.
        reason: String,
    },
    /// Another daemon has taken over the database, since this one gave no sign of life.
    #[error("another daemon has taken over this database")]
    TakenOver,
    /// A branch cannot be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for ReconcileError {
    fn code(&self) -> &'static str {
        match self {
            Self::Listen { .. } => "RMM0660",
            Self::TakenOver => "RMM0661",
            Self::Follow(error) => error.code(),
            Self::Store(error) => error.code(),
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Listen { .. } => Category::Configuration,
            Self::TakenOver => Category::Transient,
            Self::Follow(error) => error.category(),
            Self::Store(error) => error.category(),
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Listen { .. } => Some("set daemon.listen in rmm.toml, or leave it empty".into()),
            Self::TakenOver => Some("start it again: it waits as standby".into()),
            Self::Follow(error) => error.advice(),
            Self::Store(error) => error.advice(),
        }
    }
}
