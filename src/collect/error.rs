//! Why a request cannot be put into a script.

use crate::diagnose::{Category, Diagnose};

/// Why a request cannot be put into a script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// A section that the collector does not know.
    #[error("there is no section '{name}'")]
    UnknownSection {
        /// As asked.
        name: String,
    },
    /// A probe that the collector does not know.
    #[error("there is no probe '{kind}'")]
    UnknownProbe {
        /// As asked.
        kind: String,
    },
    /// Arguments of a probe that cannot be asked for: wrong number, or a NUL, CR or line break in one.
    #[error("the probe {kind} cannot be asked for {argument:?}: {reason}")]
    Argument {
        /// Kind of probe.
        kind: String,
        /// The argument.
        argument: String,
        /// Why.
        reason: &'static str,
    },
}

impl Diagnose for CollectError {
    fn code(&self) -> &'static str {
        match self {
            Self::UnknownSection { .. } => "RMM0701",
            Self::UnknownProbe { .. } => "RMM0702",
            Self::Argument { .. } => "RMM0703",
        }
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        let near = |name: &str, known: Vec<&'static str>| {
            crate::diagnose::did_you_mean(name, known).map(|near| format!("did you mean '{near}'?"))
        };
        match self {
            Self::UnknownSection { name } => near(name, super::sections::SECTIONS.iter().map(|s| s.name).collect()),
            Self::UnknownProbe { kind } => near(kind, super::sections::PROBES.iter().map(|p| p.kind).collect()),
            Self::Argument { .. } => None,
        }
    }
}
