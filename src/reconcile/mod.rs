//! The daemon: what is due is observed, what has changed is planned, what policies allow is carried out, and whoever has to
//! know is told, for months. Timers, files, a branch, workers, the service manager; it wires the rooms below and decides
//! nothing itself. `cli/reconcile.rs` starts it.

mod alerts;
mod blocking;
mod breaker;
mod budget;
mod conductor;
mod daemon;
mod desk;
mod enforce;
mod error;
mod fixed;
mod health;
mod hooks;
mod hot;
mod http;
mod keeper;
mod kinds;
mod labelled;
mod noticed;
mod reload;
mod reminders;
mod resume;
mod runs;
mod service;
mod sets;
#[cfg(test)]
mod tests;
mod timers;
mod triggers;
mod upkeep;
mod visits;
mod vitals;
mod watched;
mod watcher;
mod wheel;

pub use breaker::{Breaker, KIND as SUSPENDED, key as suspended_key, resume_changed};
pub use daemon::{Signals, Start, run};
pub use error::ReconcileError;
pub use runs::drive_due;
pub use sets::{Reading, Reloaded, Sets, Source, judge};
pub use triggers::Triggers;
pub use vitals::Vitals;
pub use watcher::{polls, watch};
