//! Monitors: what is looked at besides measured values, how often, and when it counts as wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Place, Selector, Severity};
use crate::time::Span;

/// Something that is looked at again and again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monitor {
    /// Unique name; the type of its alerts.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Devices it is for; every device where empty.
    pub targets: Vec<Selector>,
    /// Devices it is not for, although targeted.
    pub exclude: Vec<Selector>,
    /// What is looked at.
    pub check: Check,
    /// How often.
    pub every: Span,
    /// How long one look may take.
    pub timeout: Span,
    /// How often in a row before it counts.
    pub confirm: Confirm,
    /// How much it matters.
    pub severity: Severity,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// How often in a row something has to be so before it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Confirm {
    /// Failures in a row before it is down.
    #[schemars(range(min = 1, max = 100))]
    pub failures: u32,
    /// Successes in a row before it is up again.
    #[schemars(range(min = 1, max = 100))]
    pub successes: u32,
}

impl Default for Confirm {
    fn default() -> Self {
        Self { failures: 2, successes: 1 }
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Whether the device answers an echo request; where those are not permitted, a connection.
    Ping(Ping),
    /// Whether a port accepts connections.
    Tcp(Tcp),
    /// Whether an SSH server greets.
    Ssh(Ssh),
    /// Whether a WinRM endpoint answers.
    Winrm(Winrm),
    /// What a web address answers.
    Http(Http),
    /// Whether services run.
    Services(BTreeMap<String, Service>),
    /// What a log says.
    Events(Events),
}

impl Check {
    /// Its name in a file.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Ping(_) => "ping",
            Self::Tcp(_) => "tcp",
            Self::Ssh(_) => "ssh",
            Self::Winrm(_) => "winrm",
            Self::Http(_) => "http",
            Self::Services(_) => "services",
            Self::Events(_) => "events",
        }
    }

    /// Whether it is looked at from here, and not on the device.
    pub const fn is_from_here(&self) -> bool {
        !matches!(self, Self::Services(_) | Self::Events(_))
    }
}

/// Echo requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Ping {
    /// Packets of one look; it fails where all of them are lost.
    #[schemars(range(min = 1, max = 20))]
    pub count: u8,
    /// Port that is connected to where echo requests are not permitted; that of the device's connection where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Default for Ping {
    fn default() -> Self {
        Self { count: 3, port: None }
    }
}

/// A port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tcp {
    /// The port.
    #[schemars(range(min = 1))]
    pub port: u16,
}

/// An SSH server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Ssh {
    /// The port; that of the device's connection, or 22, where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A WinRM endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Winrm {
    /// The port; where absent that of the device's connection with the same scheme, else 5986 with TLS and 5985 without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl Default for Winrm {
    fn default() -> Self {
        Self { port: None, tls: true }
    }
}

/// A web address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Http {
    /// The address; {{ device.address }} and {{ device.hostname }} stand for the device's.
    pub url: String,
    /// Status codes that are right; 200 to 299 where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A text that the answer has to hold, within its first 256 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// How long the answer may take to count as right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// How long before the certificate expires it is a problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Span>,
    /// Whether a certificate has to be trusted, valid now and for this name.
    #[serde(default = "yes")]
    pub verify: bool,
    /// Redirects that are followed; never from https to http.
    #[serde(default)]
    #[schemars(range(max = 10))]
    pub redirects: u8,
}

const fn yes() -> bool {
    true
}

/// How a service is looked after.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Service {
    /// How often in 24 hours it is started again on a device; 0 is never.
    #[serde(rename = "restart")]
    #[schemars(range(max = 100))]
    pub restarts_per_day: u32,
    /// Services that have to run before this one is started.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// How it should be started with the device: enabled, disabled, static or masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<Startup>,
}

/// Whether a service starts with its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Startup {
    /// It does.
    Enabled,
    /// It does not.
    Disabled,
    /// Others start it.
    Static,
    /// It cannot be started.
    Masked,
}

super::traits::lower_display! {
    Startup { Enabled => "enabled", Disabled => "disabled", Static => "static", Masked => "masked" }
    Priority {
        Emergency => "emergency", Alert => "alert", Critical => "critical", Error => "error", Warning => "warning", Notice => "notice",
        Info => "info", Debug => "debug",
    }
}

/// Records of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Events {
    /// Units whose records count, without .service; all of them where empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// Records at least as bad as this count.
    pub priority: Priority,
    /// A regular expression that the message has to match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// How many within which time make an alert; each one where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
}

impl Default for Events {
    fn default() -> Self {
        Self { units: Vec::new(), priority: Priority::Error, matches: None, rate: None }
    }
}

/// So many within a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rate {
    /// How many.
    #[schemars(range(min = 1, max = 10000))]
    pub count: u32,
    /// Within which time.
    pub within: Span,
}

/// How bad a record is, in the words of syslog, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// 0
    Emergency,
    /// 1
    Alert,
    /// 2
    Critical,
    /// 3
    Error,
    /// 4
    Warning,
    /// 5
    Notice,
    /// 6
    Info,
    /// 7
    Debug,
}

impl Priority {
    /// As syslog numbers it: 0 is the worst.
    pub const fn number(self) -> u8 {
        self as u8
    }
}
