//! Durable runs of workflows. A run is rows in the database; [`Driver`] carries it on, through restarts, to its end.
//!
//! `decide` says what comes next and does nothing; `drive` does it; `work` is one action on one device. Called by the daemon
//! and by `rmm workflow` and `rmm run`. Decision 0011 says why it is so.

mod choose;
mod decide;
mod drive;
mod led;
mod moving;
mod preview;
mod restart;
mod result;
mod start;
mod targets;
mod work;

#[cfg(test)]
mod tests;

pub use decide::approval_is_open;
pub use drive::{Driver, Event, OnEvent, Which};
pub use preview::{Alike, DEEPEST, StepPreview, What, preview};
pub use start::{Options, by_hand, new_run, rule, start};
pub use targets::{devices_of, together};
