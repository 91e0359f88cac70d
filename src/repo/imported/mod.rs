//! Policies made from what others have written down: lists of HardeningKitty, documents of DSC. Pure over (path, text).
//!
//! What has no setting here is named with its line and left out; nothing is guessed. `rmm import` writes the result.

mod draft;
pub mod dsc;
mod dsc_resources;
pub mod hardeningkitty;
mod methods;
mod registry;

use std::sync::Arc;

use serde_json::Value;

pub use draft::Draft;

use crate::diagnose::Diagnostic;

/// What a document says in our words.
#[derive(Debug, Default)]
pub struct Imported {
    /// The settings.
    pub draft: Draft,
    /// What has no setting, and why, in the order of the lines.
    pub left_out: Vec<Diagnostic>,
    /// How many controls the document has, and how many of them are expressed.
    pub controls: usize,
    /// How many of them are expressed.
    pub expressed: usize,
}

/// One control in our words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Control {
    /// Setting.
    pub(super) setting: &'static str,
    /// Key of a map-valued setting.
    pub(super) key: Option<String>,
    /// Value.
    pub(super) value: Value,
}

impl Control {
    pub(super) fn new(setting: &'static str, value: Value) -> Self {
        Self { setting, key: None, value }
    }

    pub(super) fn keyed(setting: &'static str, key: impl Into<String>, value: Value) -> Self {
        Self { setting, key: Some(key.into()), value }
    }
}

impl Imported {
    /// Takes controls over, all that one line says or none of it.
    fn take(&mut self, controls: Result<Vec<Control>, String>, about: &About<'_>) {
        self.controls += 1;
        let added = controls.and_then(|controls| self.draft.add_all(controls, about.part, about.note));
        match added {
            Ok(()) => self.expressed += 1,
            Err(why) => {
                let place = crate::model::Place { file: Arc::clone(about.file), line: about.line, column: 0, length: 0 };
                self.left_out.push(Diagnostic::warning(about.code, format!("{}: {why}", about.note)).at(&place));
            }
        }
    }
}

/// Where a control stands and what it is called there.
struct About<'a> {
    file: &'a Arc<str>,
    line: u32,
    note: &'a str,
    code: &'static str,
    part: draft::Part,
}

#[cfg(test)]
mod tests;
