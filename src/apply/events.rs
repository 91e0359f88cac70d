//! What happens during a run, as it happens: for progress on a terminal and for `--output jsonl`.

use serde::Serialize;

use crate::model::ChangeState;

/// Version of the event stream. Minor versions only add.
pub const EVENTS_SCHEMA: &str = "rmm.events/1";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// A stage begins.
    #[serde(rename_all = "camelCase")]
    Stage {
        /// Group, or `everything else`.
        name: String,
        /// Devices in it.
        devices: usize,
    },
    /// A device begins.
    #[serde(rename_all = "camelCase")]
    Device {
        /// Device.
        device: String,
        /// Changes that it has in this run.
        changes: usize,
    },
    /// A change reached a new state.
    #[serde(rename_all = "camelCase")]
    Change {
        /// Device.
        device: String,
        /// `Services.sshd`.
        setting: String,
        /// New state.
        state: ChangeState,
        /// Why it failed or waits.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
    /// No further device is begun, and why.
    #[serde(rename_all = "camelCase")]
    Stopped {
        /// Why.
        reason: String,
    },
}

/// Takes events; called from several tasks, must not block for long.
pub type OnEvent<'a> = &'a (dyn Fn(Event) + Send + Sync);
