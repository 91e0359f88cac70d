//! What people do to alerts by hand: take them on, give them back, say that they are over.
//!
//! A command writes the row and the audit; whoever runs the engine takes it in and tells who has to hear of it. Without a daemon
//! nothing is sent, and nothing is lost.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::entry::clip;
use crate::diagnose::{Category, Diagnose};
use crate::model::alert::Note;
use crate::model::run::Actor;
use crate::model::{Alert, AlertState};
use crate::store::{AlertBatch, AuditEvent, Store, StoreError};

/// Longest note.
const MOST_TEXT: usize = 4000;
/// How often another process may get in between.
const TRIES: u32 = 20;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Look after it from now on.
    Acknowledge {
        /// Also where somebody else does already.
        take_over: bool,
    },
    /// No longer look after it: it is told again to who comes next.
    GiveBack,
    /// It is over.
    Resolve,
    /// Only say something.
    Note,
}

/// Why it could not be done.
#[derive(Debug, thiserror::Error)]
pub enum HandError {
    /// There is no such alert.
    #[error("there is no alert '{0}'")]
    Missing(String),
    /// It is over already.
    #[error("the alert {id} is {state}: there is nothing left to do about it")]
    Over {
        /// The alert.
        id: String,
        /// Where it stands.
        state: AlertState,
    },
    /// Somebody else looks after it.
    #[error("{by} has acknowledged the alert {id} already")]
    Taken {
        /// The alert.
        id: String,
        /// Who.
        by: String,
    },
    /// Nobody looks after it.
    #[error("nobody has acknowledged the alert {0}, so nobody can give it back")]
    NotTaken(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnose for HandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "RMM0613",
            Self::Over { .. } | Self::NotTaken(_) => "RMM0614",
            Self::Taken { .. } => "RMM0615",
            Self::Store(error) => error.code(),
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Store(error) => error.category(),
            _ => Category::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some("`rmm alerts list` shows those that last, `rmm alerts history` all of them".into()),
            Self::Over { .. } => Some("`rmm alerts list` shows those that last".into()),
            Self::Taken { .. } => Some("add --take-over to look after it instead".into()),
            Self::NotTaken(_) => None,
            Self::Store(error) => error.advice(),
        }
    }
}

/// Does something about an alert. Returns it as it stands then.
pub fn act(store: &Store, id: &str, act: Act, note: Option<&str>, actor: &Actor, now: DateTime<Utc>) -> Result<Alert, HandError> {
    let mut tries = 0;
    loop {
        // Read first: what is written meanwhile is noticed.
        let seen = store.alerts_revision()?;
        let mut alert = store.alert(id)?.ok_or_else(|| HandError::Missing(id.to_owned()))?;
        let before = alert.state;
        let done = apply(&mut alert, act, &actor.user, now)?;
        let text = note.filter(|note| !note.trim().is_empty()).map(|note| clip(note.trim(), MOST_TEXT));
        let said = match (&text, done) {
            (Some(text), "") => text.clone(),
            (Some(text), done) => format!("{done}: {text}"),
            (None, done) => done.to_owned(),
        };
        if !said.is_empty() {
            alert.notes.push(Note { at: now, by: actor.user.clone(), text: said });
        }
        let details = json!({
            "alert": alert.id, "type": alert.key.kind, "instance": alert.key.instance,
            "from": before.as_str(), "to": alert.state.as_str(), "note": text,
        });
        let event = AuditEvent {
            at: now,
            user: Some(actor.user.clone()),
            action: format!("alert.{}", word(act)),
            target: Some(alert.key.subject.to_string()),
            details,
            ip: Some(actor.from.clone()),
            success: true,
        };
        let batch = AlertBatch { alerts: vec![alert.clone()], audit: vec![event], seen: Some(seen), ..AlertBatch::default() };
        match store.commit_alerts(&batch) {
            Ok(_) => return Ok(alert),
            Err(StoreError::Changed { .. }) if tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// The step itself; returns what is noted about it.
fn apply(alert: &mut Alert, act: Act, user: &str, now: DateTime<Utc>) -> Result<&'static str, HandError> {
    if !alert.state.is_open() && act != Act::Note {
        return Err(HandError::Over { id: alert.id.clone(), state: alert.state });
    }
    match act {
        Act::Acknowledge { take_over } => {
            let other = alert.acknowledged_by.as_deref().filter(|_| alert.state == AlertState::Acknowledged);
            if let Some(by) = other.filter(|_| !take_over) {
                return Err(HandError::Taken { id: alert.id.clone(), by: by.to_owned() });
            }
            let taken_over = other.is_some();
            alert.state = AlertState::Acknowledged;
            alert.acknowledged_at = Some(now);
            alert.acknowledged_by = Some(user.to_owned());
            Ok(if taken_over { "taken over" } else { "acknowledged" })
        }
        Act::GiveBack => {
            if alert.state != AlertState::Acknowledged {
                return Err(HandError::NotTaken(alert.id.clone()));
            }
            alert.state = AlertState::Active;
            (alert.acknowledged_at, alert.acknowledged_by) = (None, None);
            Ok("given back")
        }
        Act::Resolve => {
            alert.state = AlertState::Resolved;
            alert.resolved_at = Some(now.max(alert.created_at));
            alert.resolved_by = Some(user.to_owned());
            Ok("resolved")
        }
        Act::Note => Ok(""),
    }
}

/// As the audit calls it.
fn word(act: Act) -> &'static str {
    match act {
        Act::Acknowledge { take_over: false } => "acknowledged",
        Act::Acknowledge { take_over: true } => "taken-over",
        Act::GiveBack => "given-back",
        Act::Resolve => "resolved",
        Act::Note => "noted",
    }
}
