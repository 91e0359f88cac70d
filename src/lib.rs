//! `rmm` manages a fleet of computers from a Git repository.
//!
//! The folders are the architecture; each floor uses only the floors below it (`docs/architecture.md`,
//! checked by `tests/it/floors.rs`):
//!
//! - faces: [`cli`]
//! - the loop: [`reconcile`]
//! - the work: [`alert`], [`apply`], [`collect`], [`report`], [`workflow`]
//! - the hands: [`transport`], [`store`], [`access`], [`notify`]
//! - the mind: [`plan`], [`repo`], [`catalog`], [`script`]
//! - the ground: [`model`], [`diagnose`], [`time`]

pub mod access;
pub mod alert;
pub mod apply;
pub mod catalog;
pub mod cli;
pub mod collect;
pub mod diagnose;
pub mod model;
pub mod notify;
pub mod plan;
pub mod reconcile;
pub mod repo;
pub mod report;
pub mod script;
pub mod store;
pub mod time;
pub mod transport;
pub mod workflow;
