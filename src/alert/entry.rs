//! An alert in the engine's memory.

use chrono::{DateTime, SubsecRound, Utc};

use super::progress::Progress;
use crate::model::alert::{Note, Suppression};
use crate::model::{Alert, AlertState};

/// Most notes that an alert keeps.
const MOST_NOTES: usize = 200;
/// Notes that a message carries: the last ones, and so much of each.
const SHOWN_NOTES: usize = 20;
const SHOWN_NOTE: usize = 500;
/// So much of the text of an alert a summary carries. A message that is too large would never be written.
const LISTED_MESSAGE: usize = 1000;
/// Most characters of a title and of a message: the database keeps no more.
pub(super) const MOST_TITLE: usize = 300;
pub(super) const MOST_MESSAGE: usize = 8000;

/// Who notes what nobody said.
pub(super) const ENGINE: &str = "rmm";

/// An alert with what the engine remembers of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub alert: Alert,
    pub progress: Progress,
    /// As it stands in the database; none where it is not there yet.
    pub stored: Option<AlertState>,
}

impl Entry {
    /// As the database has it.
    pub(super) fn read(mut alert: Alert) -> Self {
        let progress = serde_json::from_value(alert.progress.take()).unwrap_or_default();
        let stored = Some(alert.state);
        Self { alert, progress, stored }
    }

    /// As the database shall have it.
    pub(super) fn row(&self) -> Alert {
        Alert { progress: serde_json::to_value(&self.progress).unwrap_or_default(), ..self.alert.clone() }
    }

    /// As it stands in a message: without what only the engine needs.
    pub(super) fn shown(&self) -> Alert {
        let notes = &self.alert.notes[self.alert.notes.len().saturating_sub(SHOWN_NOTES)..];
        let notes = notes.iter().map(|note| Note { text: clip(&note.text, SHOWN_NOTE), ..note.clone() }).collect();
        Alert { notes, ..self.alert.clone() }
    }

    /// The same among many others: without what a list has no room for.
    pub(super) fn listed(&self) -> Alert {
        Alert { notes: Vec::new(), message: clip(&self.alert.message, LISTED_MESSAGE), ..self.alert.clone() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.alert.state.is_open()
    }

    /// Open, and measured as wrong now.
    pub(super) fn is_present(&self) -> bool {
        self.is_open() && self.progress.present
    }

    /// Whether nobody is told because of this.
    pub(super) fn is_hidden_by(&self, suppression: &Suppression) -> bool {
        self.alert.suppressed.as_ref() == Some(suppression)
    }

    pub(super) fn note(&mut self, at: DateTime<Utc>, by: &str, text: impl Into<String>) {
        self.alert.notes.push(Note { at, by: by.to_owned(), text: text.into() });
        let surplus = self.alert.notes.len().saturating_sub(MOST_NOTES);
        self.alert.notes.drain(..surplus);
    }
}

/// Times are kept to the millisecond, as the database keeps them: a restart changes nothing.
pub(super) fn millis(at: DateTime<Utc>) -> DateTime<Utc> {
    at.trunc_subsecs(3)
}

pub(super) fn clip(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}
