//! The nouns of the product: plain data, no I/O. Every other room speaks in these words.

pub mod config;
pub mod device;
pub mod facts;
pub mod operation;
pub mod place;
pub mod plan;
pub mod policy;
pub mod policy_test;
pub mod run;
pub mod selector;
pub mod traits;

pub use config::Config;
pub use device::{Device, Group, Platform, Site};
pub use facts::{Category, Facts, Section};
pub use operation::Operation;
pub use place::Place;
pub use plan::{Change, DevicePlan, Plan, State};
pub use policy::{Exception, Policy, Remediate, Setting};
pub use run::{ChangeState, Run, RunState};
pub use selector::Selector;
pub use traits::{Phase, Reboot, Risk, Severity};
