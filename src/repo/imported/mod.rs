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
use crate::model::Place;

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

/// The text of a file: UTF-8, with or without its mark. Else what the file is instead, under this code.
pub fn text(path: &str, code: &str, bytes: Vec<u8>) -> Result<String, Vec<Diagnostic>> {
    let place = |line| Place { file: path.into(), line, column: 0, length: 0 };
    let refused = |why: &str, advice: &str| Err(vec![Diagnostic::error(code, why).at(&place(0)).advice(advice)]);
    if bytes.starts_with(b"PK\x03\x04") {
        return refused("this is a ZIP archive", "unpack it, and name a file of it");
    }
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return refused("this is a gzip archive", "unpack it, and name a file of it");
    }
    let marked = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if marked || matches!(bytes[..], [0, 1..=u8::MAX, ..] | [1..=u8::MAX, 0, ..]) {
        return refused("the file is written in UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW");
    }
    if bytes.contains(&0) {
        return refused("this is not a text", "name the list or the document itself");
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let problem = Diagnostic::error(code, "the line holds characters that are not UTF-8").at(&place(u32::try_from(line).unwrap_or(0)));
        vec![problem.advice("save it as UTF-8; where Windows calls it ANSI: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW")]
    })
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
                let place = Place { file: Arc::clone(about.file), line: about.line, column: 0, length: 0 };
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
