//! Small helpers of this room: work that blocks, on threads of its own; rows of the audit.

use chrono::{DateTime, Utc};
use serde_json::Value;

pub(super) use crate::apply::blocking;
use crate::model::run::Actor;
use crate::store::AuditEvent;

/// A row of the audit.
pub(super) fn audit(actor: &Actor, at: DateTime<Utc>, action: &str, target: &str, details: Value) -> AuditEvent {
    AuditEvent {
        at,
        user: Some(actor.user.clone()),
        action: action.to_owned(),
        target: Some(target.to_owned()).filter(|target| !target.is_empty()),
        details,
        ip: Some(actor.from.clone()),
        success: true,
    }
}
