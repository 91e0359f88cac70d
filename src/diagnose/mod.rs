//! Problems: a code, a place, what is wrong, and what to do about it. Rendered once, in [`render`].
//!
//! Every code has a page in `codes/RMM0101.md`: first line `# Title`, then what it means, an example, what to do.

pub mod code_quality;
mod codes;
mod harmless;
pub mod markdown;
mod render;
pub mod sarif;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use codes::{Page, page, pages};
pub use harmless::harmless;
pub use render::{Sources, render};

use crate::model::Place;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Nothing is done until it is mended.
    Error,
    /// Probably a mistake; goes on.
    Warning,
    /// For information.
    Note,
}

/// What follows from an error while work is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Try again, with back-off.
    Transient,
    /// The device is away or broken: mark it offline, queue its changes.
    Device,
    /// A person has to mend a file or a credential; trying again does not help.
    Configuration,
    /// The database or this machine: stop cleanly.
    Fatal,
}

crate::model::traits::lower_display! {
    Level { Error => "error", Warning => "warning", Note => "note" }
    Category { Transient => "transient", Device => "device", Configuration => "configuration", Fatal => "fatal" }
}

/// An error that knows its code, its category and what to do about it. Every public error enum is one.
pub trait Diagnose: std::error::Error {
    /// Its code, `RMM0301`.
    fn code(&self) -> &'static str;
    /// What follows from it.
    fn category(&self) -> Category;
    /// What to do, as a sentence.
    fn advice(&self) -> Option<String> {
        None
    }
    /// As a diagnostic without a place.
    fn diagnostic(&self) -> Diagnostic {
        let mut diagnostic = Diagnostic::error(self.code(), self.to_string());
        diagnostic.advice = self.advice();
        diagnostic
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// `RMM0102`.
    pub code: String,
    /// How bad it is.
    pub level: Level,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// A few words under the marked source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// Other places that belong to it: the first of two duplicates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            level: Level::Error,
            message: message.into(),
            place: None,
            label: None,
            advice: None,
            related: Vec::new(),
        }
    }

    /// A warning.
    pub fn warning(code: &str, message: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::error(code, message) }
    }

    /// With the place.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// With words under the marked source.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With advice.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// With another place that belongs to it.
    #[must_use]
    pub fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        self.related.push((place.clone(), label.into()));
        self
    }
}

impl fmt::Display for Diagnostic {
    /// One line: `policies/a.yaml:9:5: error[RMM0102]: unknown key 'tragets'`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}")?;
            if place.column > 0 {
                write!(f, ":{}", place.column)?;
            }
            write!(f, ": ")?;
        }
        write!(f, "{}[{}]: {}", self.level, self.code, self.message)
    }
}

/// The known name nearest to a misspelt one, where one is near enough to be meant.
pub fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong_lower = wrong.to_lowercase();
    known
        .into_iter()
        .map(|name| {
            (
                strsim::jaro_winkler(&wrong_lower, &name.to_lowercase()).max(
                    1.0 - strsim::damerau_levenshtein(&wrong_lower, &name.to_lowercase()) as f64 / wrong.chars().count().max(1) as f64,
                ),
                name,
            )
        })
        .filter(|(score, _)| *score > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
