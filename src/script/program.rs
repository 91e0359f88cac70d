//! One compiled script and the functions that the product calls in it.

use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{Host, HostError};
use crate::diagnose::{Category, Diagnose};

/// A host that a running script shares with its caller.
pub type SharedHost = Arc<Mutex<dyn Host>>;

/// Why a script did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    /// It does not compile.
    #[error("{message}")]
    Compile {
        /// The compiler's words.
        message: String,
        /// Line in the script file, from 1.
        line: u32,
        /// Column, from 1; 0 where unknown.
        column: u32,
    },
    /// It threw, or called something wrongly.
    #[error("{message}")]
    Runtime {
        /// What it threw, without the call stack.
        message: String,
        /// Line in the script file, from 1; 0 where unknown.
        line: u32,
    },
    /// It went past a bound of the sandbox: operations, depth, sizes, time.
    #[error("the script went past its limit: {limit}")]
    Limit {
        /// Which one.
        limit: String,
    },
    /// The device did not do what it was asked.
    #[error(transparent)]
    Host(#[from] HostError),
}

impl Diagnose for ScriptError {
    fn code(&self) -> &'static str {
        match self {
            Self::Compile { .. } => "RMM0601",
            Self::Runtime { .. } => "RMM0602",
            Self::Limit { .. } => "RMM0603",
            Self::Host(HostError::Exit { .. }) => "RMM0604",
            Self::Host(HostError::Transport { code, .. }) => code,
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Host(HostError::Transport { category, .. }) => *category,
            _ => Category::Configuration,
        }
    }
}

/// A compiled script. Cheap to clone, usable from several threads.
#[derive(Debug, Clone)]
pub struct Program {
    text: Arc<str>,
}

impl Program {
    /// Compiles a script. Nothing of it runs.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        Ok(Self { text: text.into() })
    }

    /// Whether it defines a function of this name.
    pub fn has(&self, function: &str) -> bool {
        self.text.contains(function)
    }
}

impl Program {
    /// `compliant(observed, desired)`, for settings with a comparison of their own. `observed` is `()` where absent.
    pub fn compliant(&self, _observed: Option<&Value>, _desired: &Value) -> Result<bool, ScriptError> {
        Ok(false)
    }

    /// `probes(key, desired)`: the argument lists to ask the collector for; `[[key]]` where the script has none.
    pub fn probes(&self, key: &str, _desired: &Value) -> Result<Vec<Vec<String>>, ScriptError> {
        Ok(vec![vec![key.to_owned()]])
    }

    /// `risk(desired)`, where the risk depends on the value: `none`, `low`, `high`, `destructive`.
    pub fn risk(&self, _desired: &Value) -> Result<Option<crate::model::Risk>, ScriptError> {
        Ok(None)
    }

    /// `describe(observed, desired)` → `[from, to]`: a few words for the plan. `None` where the script has none.
    pub fn describe(&self, _observed: Option<&Value>, _desired: &Value) -> Result<Option<(String, String)>, ScriptError> {
        Ok(None)
    }

    /// `unsupported(device)`: why the setting does not exist on this device, judged by its facts; `None` where it does.
    pub fn unsupported(&self, _host: &SharedHost) -> Result<Option<String>, ScriptError> {
        Ok(None)
    }

    /// `apply(device, desired)`, or `apply(device, key, desired)` for a map-valued setting.
    pub fn apply(&self, _host: &SharedHost, _key: Option<&str>, _desired: &Value, _observed: Option<&Value>) -> Result<(), ScriptError> {
        Ok(())
    }

    /// `rollback(device, before)`, or `rollback(device, key, before)`. `before` is `()` where it was absent.
    pub fn rollback(&self, _host: &SharedHost, _key: Option<&str>, _before: Option<&Value>) -> Result<(), ScriptError> {
        Ok(())
    }
}
