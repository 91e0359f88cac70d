//! Records of a device's logs, in one form whatever they come from.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A record of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventRecord {
    /// Device by name.
    pub device: Arc<str>,
    /// The log: `journal`, `System`, `Application`.
    pub source: Arc<str>,
    /// Its place in the log; with the source, what tells it from all others of the device.
    pub cursor: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// How bad, as in syslog: 0 emergency, 2 critical, 3 error, 4 warning, 6 information, 7 debug.
    pub priority: u8,
    /// Who wrote it: a unit, a program, a provider.
    pub origin: String,
    /// The number that its writer gives to what happened, where there is one.
    pub code: Option<i64>,
    /// What it says.
    pub message: String,
    /// What else is known; an object, or null.
    pub data: serde_json::Value,
}
