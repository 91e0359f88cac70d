//! One file per family of sections: raw output to the shapes that `catalog/facts/*.yaml` describe.

// Every parser has the signature that the table of sections wants, also where nothing can go wrong.
#![allow(clippy::unnecessary_wraps)]

pub(super) mod accounts;
pub(super) mod hardware;
mod links;
mod marks;
pub(super) mod mounts;
pub(super) mod network;
pub(super) mod packages;
pub(super) mod performance;
pub(super) mod probe_files;
pub(super) mod probe_keys;
pub(super) mod probe_lines;
pub(super) mod probe_registry;
pub(super) mod probe_system;
pub(super) mod security;
pub(super) mod services;
pub(super) mod software;
pub(super) mod sshd;
pub(super) mod updates;

use super::raw::{Parsed, Raw};
use crate::model::facts::Status;

/// Answer of a device that does not run Windows to what only Windows has.
pub(super) fn of_windows(_: &Raw<'_>) -> Parsed {
    Err(Status::Unsupported("observed on Windows only".into()))
}
