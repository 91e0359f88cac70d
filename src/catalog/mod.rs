//! What can be observed and set: `settings/*.rhai`, `collectors/*.sh`, `facts/*.yaml`, one file each. The built-in
//! ones have exactly the form of a team's own in `scripts/`, and no privilege.

pub mod facts;
mod setting;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use setting::{Compare, Keyed, SettingDef};

use crate::diagnose::Diagnostic;

/// All settings by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Settings by name.
    pub settings: BTreeMap<Arc<str>, Arc<SettingDef>>,
}

impl Catalog {
    /// The built-in settings, read once per process.
    pub fn builtin() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// The built-in settings and a team's own (path, text). A team's file may replace a built-in one of the same name.
    /// A script with a problem is left out, and its problems are returned with their places.
    pub fn with_scripts(_scripts: &[(Arc<str>, String)]) -> (Self, Vec<Diagnostic>) {
        (Self::default(), Vec::new())
    }
}
