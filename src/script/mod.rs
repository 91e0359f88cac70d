//! Rhai: the sandbox, the host functions that settings and actions may call, the cache of compiled scripts,
//! and the one place where operations become shell text or PowerShell.
//!
//! Scripts reach out through [`Host`]: `plan/` records, `apply/` acts, tests answer.

mod condition;
mod device;
mod edit;
mod engine;
mod facts_path;
mod failure;
mod host;
mod mentions;
mod own;
mod powershell;
mod program;
mod programs;
mod pure;
mod quote;
mod recorder;
mod registry;
mod render;
mod step_condition;
#[cfg(test)]
mod tests;
mod value;
mod variables;
mod version;
pub(crate) mod windows;
mod windows_names;
mod windows_zones;

pub use condition::{Answer, Condition};
pub use host::{Host, HostError};
pub use mentions::{Mention, Step};
pub use powershell::language_mode;
pub use program::{Program, ScriptError, SharedHost};
pub use quote::quote;
pub use recorder::Recorder;
pub use render::{Rendered, render, render_told, shown, told};
pub use step_condition::{NamedStep, StepCondition};
pub use version::version_matches;
pub use windows_names::{account_name, account_sid, audit_subcategory, audit_subcategory_name};
pub use windows_zones::iana_zone;
