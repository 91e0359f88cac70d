//! Rhai: the sandbox, the host functions that settings and actions may call, the cache of compiled scripts,
//! and the one place where operations become shell text.
//!
//! Scripts reach out through [`Host`]: `plan/` records, `apply/` acts, tests answer.

mod condition;
mod host;
mod program;

pub use condition::Condition;
pub use host::{Host, HostError};
pub use program::{Program, ScriptError, SharedHost};
