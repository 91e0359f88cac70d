//! Devices, sites and groups as the repository declares them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Place, Selector};

/// The families of operating systems that a setting can be written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Linux of any distribution.
    Linux,
    /// Microsoft Windows.
    Windows,
    /// Apple macOS.
    Macos,
}

super::traits::lower_display! {
    Platform { Linux => "linux", Windows => "windows", Macos => "macos" }
    TransportKind { Local => "local", Ssh => "ssh", Simulated => "simulated" }
}

/// How a device is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// This machine itself, by starting processes.
    Local,
    /// SSH, the default.
    #[default]
    Ssh,
    /// Nothing is reached: answers are made up, for load tests and demonstrations.
    Simulated,
}

/// How simulated devices behave. What a device does follows from the seed, its name and the clock alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Simulation {
    /// Another seed is another fleet.
    #[serde(default, skip_serializing_if = "is_default")]
    pub seed: u64,
    /// Milliseconds that an answer takes, on average.
    #[serde(default, skip_serializing_if = "is_default")]
    pub latency_ms: u32,
    /// Share of attempts that are refused, in percent.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(max = 100))]
    pub failures: u8,
    /// Share of attempts that are never answered, in percent.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(max = 100))]
    pub hangs: u8,
    /// Share of devices whose processors are busy every other five minutes, in percent.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(range(max = 100))]
    pub flapping: u8,
    /// File that is read anew whenever it changes: lines such as `sim-0001 CPU=97` or `* offline`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
}

/// How commands that change something become root.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Elevate {
    /// Stay the user that signed in, the default.
    #[default]
    None,
    /// Through `sudo`, with `sudoPassword` where one is given and without a password else.
    Sudo,
}

/// What to do about an unknown host key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostKeyCheck {
    /// Refuse a key that `known_hosts` does not hold, the default.
    #[default]
    Strict,
    /// Record the first key seen; refuse a changed one.
    AcceptNew,
}

/// A name under which a secret is kept; never the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// Name of the secret.
    pub secret: String,
}

/// How to reach and sign in to a device. Stands on devices, groups and sites; the nearest that sets a member wins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    /// Transport; `ssh` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportKind>,
    /// User to sign in as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Private key files, tried in order; `~` is the home directory. A certificate is read from `FILE-cert.pub`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identity_files: Vec<String>,
    /// Passphrase of the key files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passphrase: Option<SecretRef>,
    /// Password to sign in with, tried after agent and keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretRef>,
    /// How commands become root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevate: Option<Elevate>,
    /// Password for `sudo`, where it asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_password: Option<SecretRef>,
    /// `user@host:port` hops through which the connection goes, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proxy_jump: Vec<String>,
    /// What to do about an unknown host key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_key: Option<HostKeyCheck>,
    /// File of known host keys; `~/.ssh/known_hosts` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_hosts: Option<String>,
    /// How a simulated device behaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

impl Connection {
    /// This connection with every member that it leaves open taken from `farther`.
    #[must_use]
    pub fn or(mut self, farther: &Self) -> Self {
        macro_rules! fill { ($($f:ident),+) => {$( if self.$f.is_none() { self.$f.clone_from(&farther.$f); } )+}; }
        fill!(transport, user, port, passphrase, password, elevate, sudo_password, host_key, known_hosts, simulation);
        if self.identity_files.is_empty() {
            self.identity_files.clone_from(&farther.identity_files);
        }
        if self.proxy_jump.is_empty() {
            self.proxy_jump.clone_from(&farther.proxy_jump);
        }
        self
    }
}

/// A managed computer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Device {
    /// Unique name within the repository: the key under `devices:`.
    #[serde(skip)]
    pub name: String,
    /// Name or address to connect to; the device's own name unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Operating system family, where it is to be known before the first collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<Platform>,
    /// Site by name; `general.default_site` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Groups that the device is a member of by declaration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Free labels, for selectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The device on which this one runs, a host of virtual machines: what is wrong here is not told while that one is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Devices without which this one cannot be reached or does not work: a switch, a router, a storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// Values for templates; nearer ones win over those of groups and sites.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// What the organisation wants to remember about the device: asset tag, owner, room.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_fields: BTreeMap<String, Value>,
    /// How to reach it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// A location, customer or branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Site {
    /// Unique name: the key under `sites:`.
    #[serde(skip)]
    pub name: String,
    /// Stable identifier, where it differs from the name.
    #[serde(default, alias = "SiteId", skip_serializing_if = "Option::is_none")]
    pub site_id: Option<String>,
    /// Postal or geographic location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// IANA time zone of the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Address of the relay that serves the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_agent: Option<String>,
    /// Whether devices are reached directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_connect: Option<bool>,
    /// Seconds between synchronisations with the relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_interval: Option<u64>,
    /// Whether actions wait in the relay's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_actions: Option<bool>,
    /// Whom to write to about the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_email: Option<String>,
    /// Values for templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// How the site's devices are reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// A named set of devices: by declaration, by list, by rule, or through its children.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Group {
    /// Unique name: the key under `groups:`.
    #[serde(skip)]
    pub name: String,
    /// What the group is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The group that contains this one: members of this group are members of the parent too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Members by device name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Members by rule.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    pub rule: Option<Selector>,
    /// Values for templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
    /// How the group's devices are reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub connection: Connection,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
