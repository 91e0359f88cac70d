//! `rmm.toml`: settings of the product itself, all with defaults.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::notification::ChannelType;
use crate::time::{Recurring, Span, Zone};

/// `rmm.toml`. Section names and keys are `snake_case` as in the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Organisation-wide matters.
    pub general: General,
    /// How devices are spoken to.
    pub connections: Connections,
    /// How often what is observed.
    pub monitoring: Monitoring,
    /// What one apply may touch at most.
    pub limits: Limits,
    /// Security of the product itself.
    pub security: Security,
    /// Following a Git branch.
    pub repository: Repository,
    /// How `rmm reconcile` runs.
    pub daemon: Daemon,
    /// What a review lets pass.
    pub review: Review,
    /// Where notifications go.
    pub notifications: Notifications,
}

/// `[general]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct General {
    /// Name of the organisation, for reports.
    pub organization: String,
    /// Site of devices that name none.
    pub default_site: String,
    /// Days for which history is kept.
    pub data_retention_days: u32,
    /// What is logged.
    pub log_level: LogLevel,
}

impl Default for General {
    fn default() -> Self {
        Self { organization: String::new(), default_site: "Main".into(), data_retention_days: 90, log_level: LogLevel::Info }
    }
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Everything, commands included.
    Debug,
    /// What happens.
    #[default]
    Info,
    /// What may be wrong.
    Warning,
    /// What is wrong.
    Error,
}

/// `[connections]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connections {
    /// Time for connecting and signing in over WinRM, and for one look of a `winrm` monitor that names none.
    pub winrm_timeout: Span,
    /// How long a device behind a share may take to fetch a job.
    pub share_timeout: Span,
    /// Time for connecting and signing in over SSH.
    pub ssh_timeout: Span,
    /// Time for one command.
    pub command_timeout: Span,
    /// Devices spoken to at once, 1 to 500.
    #[schemars(range(min = 1, max = 500))]
    pub max_concurrent: u32,
    /// How long an idle session is kept.
    pub session_ttl: Span,
    /// Most bytes read from one command.
    pub max_output_bytes: u64,
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            winrm_timeout: Span::seconds(30),
            share_timeout: Span::seconds(300),
            ssh_timeout: Span::seconds(30),
            command_timeout: Span::seconds(300),
            max_concurrent: 25,
            session_ttl: Span::seconds(300),
            max_output_bytes: 16 * 1024 * 1024,
        }
    }
}

/// `[monitoring]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitoring {
    /// Inventory younger than this is not asked again; older than twice this it is no evidence.
    pub inventory_interval: Span,
    /// What policies watch is asked again after this.
    pub health_check_interval: Span,
    /// How long metrics are kept at full resolution.
    pub metrics_retention: Span,
    /// When `rmm reconcile` does what.
    pub schedules: Schedules,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self {
            inventory_interval: Span::seconds(86_400),
            health_check_interval: Span::seconds(300),
            metrics_retention: Span::seconds(7 * 86_400),
            schedules: Schedules::default(),
        }
    }
}

/// `[monitoring.schedules]`: when `rmm reconcile` does what; `never` leaves it out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Schedules {
    /// Time zone in which they are understood.
    pub timezone: Zone,
    /// What policies watch, and whether devices answer.
    pub status: Recurring,
    /// Load, memory, disks, network.
    pub metrics: Recurring,
    /// Hardware, software and network, whole.
    pub inventory: Recurring,
    /// Which updates are to be had, and whether a restart is pending.
    pub updates: Recurring,
    /// Firewall, encryption, accounts, whole.
    pub security: Recurring,
    /// Forgetting what is older than its retention.
    pub cleanup: Recurring,
    /// Upkeep of the database.
    pub database: Recurring,
    /// Over how long the devices of a daily schedule are spread, so that not all are asked at once.
    pub spread: Span,
}

impl Default for Schedules {
    fn default() -> Self {
        let at = Recurring::known;
        Self {
            timezone: Zone::default(),
            status: at("every 5 min"),
            metrics: at("every 5 min"),
            inventory: at("Daily 02:00"),
            updates: at("Daily 03:00"),
            security: at("Daily 04:00"),
            cleanup: at("Daily 05:00"),
            database: at("Weekly Sun 3AM"),
            spread: Span::seconds(1800),
        }
    }
}

/// `[limits]`: what one apply may touch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Most devices changed by one apply, as a number.
    pub max_devices: Option<u32>,
    /// Most devices changed by one apply, in per cent of the fleet (100 = no limit). Never below one device.
    #[schemars(range(min = 1, max = 100))]
    pub max_percent: u32,
    /// Failed devices after which no further one is begun: `3`, or `5%` of those with changes.
    pub max_failures: Amount,
    /// How long a saved plan may be applied.
    pub plan_expires: Span,
    /// How long a change waits for an offline device.
    pub queue_expires: Span,
    /// Devices changed at once at one site.
    pub max_per_site: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_devices: None,
            max_percent: 20,
            max_failures: Amount::Percent(20),
            plan_expires: Span::seconds(86_400),
            queue_expires: Span::seconds(7 * 86_400),
            max_per_site: None,
        }
    }
}

/// A count or a share: `3` or `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// That many.
    Count(u32),
    /// That share, 0 to 100.
    Percent(u32),
}

impl Amount {
    /// How many of `total` that is; a share is rounded up.
    pub fn of(self, total: usize) -> usize {
        match self {
            Self::Count(n) => n as usize,
            Self::Percent(p) => (total * p as usize).div_ceil(100),
        }
    }
}

impl std::str::FromStr for Amount {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let bad = || format!("'{s}' is neither a count such as 3 nor a share such as 5%");
        match s.trim().strip_suffix('%') {
            Some(p) => p.trim().parse().ok().filter(|p| *p <= 100).map(Self::Percent).ok_or_else(bad),
            None => s.trim().parse().map(Self::Count).map_err(|_| bad()),
        }
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Count(n) => write!(f, "{n}"),
            Self::Percent(p) => write!(f, "{p}%"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(n) => s.serialize_u32(*n),
            Self::Percent(_) => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Number(u32),
            Text(String),
        }
        match Raw::deserialize(d)? {
            Raw::Number(n) => Ok(Self::Count(n)),
            Raw::Text(s) => s.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Amount".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A count such as 3, or a share such as \"5%\".",
            "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^ *[0-9]+ *%? *$"}]
        })
    }
}

/// `[security]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Security {
    /// Refuse WinRM without TLS, of connections and of monitors.
    pub require_https: bool,
    /// How long a session goes on with the credentials with which it was opened; then it signs in anew.
    pub credential_cache_ttl: Span,
    /// Write reads to the audit too, not only changes.
    pub audit_all_actions: bool,
    /// What to do about unknown host keys, where a device does not say.
    pub host_key: super::device::HostKeyCheck,
    /// Roles by the name of the account: Viewer, Operator or Admin. While nobody is named everybody who can open the database may do
    /// everything; once somebody is, whoever is not named may look. No environment variable can set it.
    pub roles: BTreeMap<String, super::action::Role>,
}

impl Default for Security {
    fn default() -> Self {
        Self {
            require_https: false,
            credential_cache_ttl: Span::seconds(3600),
            audit_all_actions: true,
            host_key: super::device::HostKeyCheck::Strict,
            roles: BTreeMap::new(),
        }
    }
}

/// `[repository]`: what `rmm reconcile` follows. Read from the files of this machine alone, never from what is followed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Repository {
    /// Address of the Git repository that is followed, as `git fetch` takes it. Without one the files here are watched.
    pub remote: Option<String>,
    /// Branch that is followed.
    pub branch: String,
    /// Folder of the policy repository within it; the one that holds `rmm.toml` where absent.
    pub folder: Option<String>,
    /// How often the remote is asked.
    pub interval: Span,
    /// Time for one fetch.
    pub timeout: Span,
    /// Most bytes that what is fetched may take on disk, with its history. A fetch that brings more is stopped.
    #[schemars(range(min = 1_048_576))]
    pub max_bytes: u64,
    /// Take only commits signed by a trusted key.
    pub require_signed_commits: bool,
    /// File of trusted SSH keys, in the form of `ssh-keygen -Y verify`: outside of what is followed.
    pub allowed_signers: Option<String>,
    /// File with the trusted OpenPGP public keys: outside of what is followed.
    pub trusted_keys: Option<String>,
    /// Fingerprints of the OpenPGP keys that are trusted among them, in full.
    pub trusted_fingerprints: Vec<String>,
}

impl Default for Repository {
    fn default() -> Self {
        Self {
            remote: None,
            branch: "main".into(),
            folder: None,
            interval: Span::seconds(60),
            timeout: Span::seconds(120),
            max_bytes: 1024 * 1024 * 1024,
            require_signed_commits: false,
            allowed_signers: None,
            trusted_keys: None,
            trusted_fingerprints: Vec::new(),
        }
    }
}

/// `[daemon]`: how `rmm reconcile` runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    /// Address on which `/livez`, `/readyz`, `/metrics` and webhooks answer; on none where empty.
    pub listen: String,
    /// Carry out changes that destroy data too.
    pub allow_destructive: bool,
    /// Carry out changes that always restart a device too.
    pub allow_reboots: bool,
    /// Time within which what is in flight ends after a request to stop.
    pub drain: Span,
    /// Within this time no more devices are changed than `[limits]` allows one apply.
    pub limit_window: Span,
    /// How changes of files are noticed.
    pub watch: Watch,
    /// How often files are looked at where nothing tells of changes.
    pub poll_interval: Span,
    /// Form of the log.
    pub log_format: LogFormat,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            listen: String::new(),
            allow_destructive: false,
            allow_reboots: false,
            drain: Span::seconds(60),
            limit_window: Span::seconds(3600),
            watch: Watch::Auto,
            poll_interval: Span::seconds(2),
            log_format: LogFormat::Text,
        }
    }
}

/// How changes of files are noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Watch {
    /// The system tells, but on network file systems, which do not: there they are looked at.
    #[default]
    Auto,
    /// The system tells.
    Events,
    /// They are looked at again and again.
    Poll,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// An object per line.
    Json,
}

/// `[review]`: what `rmm review` lets pass. Read from the old side, so that a change cannot switch off its own check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Review {
    /// Effects that fail the review where they happen to any device.
    pub fail_on: Vec<FailOn>,
    /// Most devices that a change may affect, in per cent of all; no limit where absent.
    #[schemars(range(min = 0, max = 100))]
    pub max_percent: Option<u32>,
}

impl Default for Review {
    fn default() -> Self {
        Self { fail_on: vec![FailOn::Conflict, FailOn::Destructive, FailOn::Unmanaged], max_percent: None }
    }
}

/// An effect that fails a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailOn {
    /// Two policies newly disagree.
    Conflict,
    /// A newly made change destroys data.
    Destructive,
    /// A newly made change restarts the device.
    Reboot,
    /// A newly made change is of high risk, or destroys data.
    HighRisk,
    /// No policy is for a device any more.
    Unmanaged,
    /// A device is no longer declared.
    Removed,
    /// A setting is no longer managed.
    Released,
    /// Something newly deviates and is only reported.
    Drift,
    /// Something would newly be changed.
    Change,
    /// Something can no longer be told.
    Unknown,
    /// A change is newly held back.
    Held,
    /// Nothing is known of an affected device.
    WithoutFacts,
}

super::traits::lower_display! {
    FailOn {
        Conflict => "conflict", Destructive => "destructive", Reboot => "reboot", HighRisk => "high-risk", Unmanaged => "unmanaged",
        Removed => "removed", Released => "released", Drift => "drift", Change => "change", Unknown => "unknown", Held => "held",
        WithoutFacts => "without-facts",
    }
}

/// `[notifications]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notifications {
    /// Address under which people reach the dashboard: messages link to it. Without it they name the command.
    pub base_url: Option<String>,
    /// Channels by name.
    pub channels: std::collections::BTreeMap<String, Channel>,
}

/// `[notifications.channels.NAME]`: where notifications go.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// What it is. An overlay need not repeat it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ChannelType>,
    /// What that type needs: server, address, key.
    #[serde(flatten)]
    pub options: std::collections::BTreeMap<String, serde_json::Value>,
}
