//! What a command that did not succeed tells the person: problems with code, place and advice, and the exit code.

use std::sync::Arc;

use super::exit::Exit;
use crate::diagnose::{Diagnose, Diagnostic};

/// Why a command ended early.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// What to show.
    pub(super) problems: Vec<Diagnostic>,
    /// Sources for the lines to show.
    pub(super) sources: Arc<std::collections::BTreeMap<Arc<str>, String>>,
}

impl Failure {
    /// One problem.
    pub(super) fn new(exit: Exit, problem: Diagnostic) -> Self {
        Self { exit, problems: vec![problem], sources: Arc::default() }
    }

    /// An exit code without a word: everything has been said.
    pub(super) fn silent(exit: Exit) -> Self {
        Self { exit, problems: Vec::new(), sources: Arc::default() }
    }

    /// Wrong use of the command line.
    pub(super) fn usage(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(Exit::Usage, Diagnostic::error("RMM0003", message).advice(advice))
    }
}

impl<E: Diagnose> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::new(exit_of(error.code()), error.diagnostic())
    }
}

/// The exit code that goes with an error code.
pub(super) fn exit_of(code: &str) -> Exit {
    match code {
        "RMM0301" => Exit::StalePlan,
        "RMM0302" | "RMM0303" | "RMM0304" | "RMM0305" | "RMM0306" | "RMM0307" | "RMM0309" | "RMM0509" | "RMM0590" | "RMM0592"
        | "RMM0705" | "RMM0706" | "RMM0707" | "RMM0709" | "RMM0730" => Exit::Refused,
        "RMM0310" | "RMM0551" | "RMM0704" | "RMM0708" => Exit::Usage,
        _ if code.starts_with("RMM01") || code.starts_with("RMM02") => Exit::InvalidConfiguration,
        _ => Exit::Error,
    }
}
