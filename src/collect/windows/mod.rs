//! Observes devices that run Windows: one PowerShell script in one round trip, its parts side by side, each with a time limit
//! of its own; their answers read here, in Rust, into the same sections as everywhere.
//!
//! The parts are `catalog/collectors/windows/*.ps1`. They hand over what Windows says, by names that are not translated; what
//! it means is decided in this folder, by functions without I/O. Called by `collector`, `request` and `sections`.

mod accounts;
mod answers;
mod apps;
mod compose;
mod firewall;
mod hardware;
mod network;
mod observe;
mod performance;
mod policy;
mod probes;
mod protection;
#[cfg(test)]
mod recorded;
mod services;
#[cfg(test)]
mod silence;
mod software;
mod table;
mod take;
#[cfg(test)]
mod tests;
mod updates;

pub(super) use compose::compose;
pub(super) use observe::observe;
