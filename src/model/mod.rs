//! The nouns of the product: plain data, no I/O. Every other room speaks in these words.

pub mod action;
pub mod alert;
pub mod config;
pub mod delivery;
pub mod device;
pub mod facts;
pub mod fingerprint;
pub mod notification;
pub mod operation;
pub mod place;
pub mod plan;
pub mod policy;
pub mod policy_test;
pub mod run;
pub mod selector;
pub mod threshold;
pub mod traits;
pub mod workflow;

pub use alert::{Alert, AlertKey, AlertState, Finding, Signal};
pub use config::Config;
pub use delivery::{Delivery, DeliveryState};
pub use device::{Device, Group, Platform, Site};
pub use facts::{Category, Facts, Section};
pub use fingerprint::fingerprint;
pub use notification::{BusinessHours, Escalation, NotificationRule, Rota};
pub use operation::Operation;
pub use place::Place;
pub use plan::{Change, DevicePlan, Plan, State};
pub use policy::{Exception, Policy, Remediate, Setting};
pub use run::{ChangeState, Run, RunState};
pub use selector::Selector;
pub use threshold::Threshold;
pub use traits::{Phase, Reboot, Risk, Severity};
pub use workflow::{ActionCall, Step, Trigger, Workflow};
