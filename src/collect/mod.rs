//! Observes devices: what to ask for ([`Request`]), the one shell script that asks it ([`script`]), its answer read
//! into sections ([`parse`]), and the same for one session ([`Collector`]) or a whole fleet ([`collect_fleet`]).
//!
//! The shell fragments are `catalog/collectors/*.sh`; they print raw text, and everything is parsed here, in Rust. Devices with
//! Windows are asked in PowerShell, in `windows`. Nothing here stores, plans or opens sessions.

#[cfg(test)]
mod behind_shares;
mod collector;
mod error;
pub mod events;
mod fleet;
mod frames;
mod glob;
pub mod measure;
mod observe;
mod parse;
mod raw;
pub mod reach;
mod request;
#[cfg(test)]
mod samples;
mod script;
mod sections;
mod settled;
#[cfg(test)]
mod tests;
pub mod watch;
mod windows;
pub mod windows_updates;

pub use collector::{Collector, Limits};
pub use error::CollectError;
pub use fleet::{Collected, Round, Visit, collect_fleet};
pub use observe::{Observation, parse};
pub use request::Request;
pub use script::{nonce, script};
pub use settled::Kept;
