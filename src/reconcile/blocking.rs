//! Small helpers of this room: work that blocks, on threads of its own; rows of the audit.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::model::run::Actor;
use crate::store::AuditEvent;

/// Runs what blocks (the database, the disk, planning) beside the event loop. A panic in it goes on here.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime ends: so does whoever waits for this.
        Err(_) => std::future::pending().await,
    }
}

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
