//! The shape of a monitor in its file, before names are resolved. Its JSON Schema comes from here.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::policy_doc::Selectors;
use crate::model::Severity;
use crate::model::monitor::{Confirm, Events, Http, Ping, Service, Ssh, Tcp, Winrm};
use crate::time::Span;

/// Something that is looked at again and again: exactly one of ping, tcp, ssh, winrm, http, services and events.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(example = serde_json::json!({"http": {"url": "https://www.example.org/", "expires": "21d"}, "every": "1m", "severity": "critical"}))]
pub(super) struct MonitorDoc {
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// Devices it is for: group names or selectors, any of them; every device where absent.
    #[serde(default)]
    pub targets: Selectors,
    /// Devices it is not for, although targeted.
    #[serde(default)]
    pub exclude: Selectors,
    /// Whether the device answers echo requests.
    #[serde(default)]
    pub ping: Option<Ping>,
    /// Whether a port accepts connections.
    #[serde(default)]
    pub tcp: Option<Tcp>,
    /// Whether an SSH server greets.
    #[serde(default)]
    pub ssh: Option<Ssh>,
    /// Whether a WinRM endpoint answers.
    #[serde(default)]
    pub winrm: Option<Winrm>,
    /// What a web address answers.
    #[serde(default)]
    pub http: Option<Http>,
    /// Services by name that have to run.
    #[serde(default)]
    pub services: Option<BTreeMap<String, Option<Service>>>,
    /// What the log of the device says.
    #[serde(default)]
    pub events: Option<Events>,
    /// How often: 5m where absent.
    #[serde(default)]
    pub every: Option<Span>,
    /// How long one look may take: 5s where absent.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How often in a row before it counts.
    #[serde(default)]
    pub confirm: Confirm,
    /// How much it matters: high where absent.
    #[serde(default)]
    pub severity: Option<Severity>,
}
