//! From findings to alerts, and from alerts to who hears of them: thresholds, life cycle, correlation, escalation.
//!
//! Pure and deterministic but for [`Desk`], which keeps the engine together with the database. Nothing is sent here: deliveries are
//! rows that `notify/` takes. The daemon calls the desk; commands read and write the same rows through [`hand`].

mod correlate;
mod desk;
mod engine;
mod entry;
mod fleet;
pub mod hand;
mod incoming;
pub mod kind;
mod outbox;
mod people;
mod progress;
mod records;
mod related;
mod remedy;
mod settle;
mod silences;
mod speak;
mod suppress;
#[cfg(test)]
mod tests;
mod thresholds;
mod watch;

use std::sync::Arc;

pub use crate::store::{DeviceSamples, SeriesName};
pub use desk::{Counts, Desk, Outcome};

use crate::model::ActionCall;

/// Something that a threshold wants done. It has been counted and noted already.
#[derive(Debug, Clone, PartialEq)]
pub struct Remediation {
    /// The alert.
    pub alert: String,
    /// On which device.
    pub device: Arc<str>,
    /// By which threshold.
    pub threshold: Arc<str>,
    /// About which instance.
    pub instance: Arc<str>,
    /// What.
    pub call: ActionCall,
}
