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
    TransportKind { Local => "local", Ssh => "ssh", Winrm => "winrm", Share => "share", Simulated => "simulated" }
    WinrmAuth { Negotiate => "negotiate", Kerberos => "kerberos", Ntlm => "ntlm", Basic => "basic", Certificate => "certificate" }
    WinrmScheme { Https => "https", Http => "http" }
}

/// How a device is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// This machine itself, by starting processes.
    Local,
    /// SSH, the default of all that do not run Windows.
    #[default]
    Ssh,
    /// WinRM, the default where the device declares `os: windows`.
    Winrm,
    /// Signed files on a share that the device looks at: for devices that neither SSH nor WinRM reaches.
    Share,
    /// Nothing is reached: answers are made up, for load tests and demonstrations.
    Simulated,
}

/// How one signs in over WinRM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WinrmAuth {
    /// Kerberos where a realm is known, and NTLM else; the default.
    #[default]
    Negotiate,
    /// Kerberos and nothing else.
    Kerberos,
    /// NTLM and nothing else.
    Ntlm,
    /// User and password as they are; only over HTTPS.
    Basic,
    /// A client certificate that the device maps to a user; only over HTTPS.
    Certificate,
}

/// What carries WinRM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WinrmScheme {
    /// TLS, port 5986, the default.
    #[default]
    Https,
    /// Port 5985; every message is encrypted with the keys of the sign-in, never sent in clear.
    Http,
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
    /// Transport; `winrm` for devices with `os: windows` and `ssh` for all others unless told otherwise.
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
    /// How to sign in over WinRM; `negotiate` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<WinrmAuth>,
    /// What carries WinRM; `https` unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<WinrmScheme>,
    /// File in PEM with the certificates that may vouch for a device over HTTPS, in place of the system's; `~` is the home directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// SHA-256 fingerprint of the very certificate that the device shows over HTTPS; then nothing else need vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_fingerprint: Option<String>,
    /// File in PEM with the client certificate to sign in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// File in PEM with the private key of the client certificate, not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_key: Option<String>,
    /// Kerberos realm of the user, where the user does not say it: `EXAMPLE.COM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// Kerberos key distribution centre, `HOST` or `HOST:PORT`; else `krb5.conf` tells it, else the realm's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kdc: Option<String>,
    /// Keytab to sign in with in place of a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keytab: Option<String>,
    /// Ticket cache of `kinit` to sign in with in place of a password; without one of the three that of `KRB5CCNAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_cache: Option<String>,
    /// Directory of the share, as this machine has mounted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    /// How a simulated device behaves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub simulation: Option<Simulation>,
}

impl Connection {
    /// This connection with every member that it leaves open taken from `farther`.
    #[must_use]
    pub fn or(mut self, farther: &Self) -> Self {
        macro_rules! fill { ($($f:ident),+) => {$( if self.$f.is_none() { self.$f.clone_from(&farther.$f); } )+}; }
        fill!(transport, user, port, passphrase, password, elevate, sudo_password, host_key, known_hosts, share, simulation);
        fill!(auth, scheme, ca_file, certificate_fingerprint, certificate, certificate_key, realm, kdc, keytab, ticket_cache);
        if self.identity_files.is_empty() {
            self.identity_files.clone_from(&farther.identity_files);
        }
        if self.proxy_jump.is_empty() {
            self.proxy_jump.clone_from(&farther.proxy_jump);
        }
        self
    }

    /// What can never work, whatever a group or a site adds.
    pub fn contradiction(&self) -> Option<Contradiction> {
        let clear = self.scheme == Some(WinrmScheme::Http);
        match self.auth {
            Some(auth @ (WinrmAuth::Basic | WinrmAuth::Certificate)) if clear => {
                return Some(Contradiction {
                    member: "auth",
                    message: format!("auth: {auth} needs HTTPS: without it nothing keeps what is said from being read"),
                    advice: "leave out scheme: http, or sign in with auth: negotiate",
                });
            }
            _ => {}
        }
        let fingerprint = self.certificate_fingerprint.as_ref().filter(|text| fingerprint(text).is_none());
        fingerprint.map(|text| Contradiction {
            member: "certificateFingerprint",
            message: format!("'{}' is no SHA-256 fingerprint", text.escape_debug()),
            advice: "write its 64 hexadecimal digits, with or without colons; rmm doctor DEVICE shows the one of a device",
        })
    }

    /// The transport: the one that is named, else the usual one of the operating system.
    pub fn transport(&self, os: Option<Platform>) -> TransportKind {
        self.transport.unwrap_or(if os == Some(Platform::Windows) { TransportKind::Winrm } else { TransportKind::Ssh })
    }

    /// The port of a transport: the one that is named, else the usual one.
    pub fn port(&self, transport: TransportKind) -> u16 {
        self.port.unwrap_or(match (transport, self.scheme.unwrap_or_default()) {
            (TransportKind::Winrm, WinrmScheme::Https) => 5986,
            (TransportKind::Winrm, WinrmScheme::Http) => 5985,
            _ => 22,
        })
    }
}

/// Members of a connection that exclude one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The member to look at, as it is written.
    pub member: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub advice: &'static str,
}

/// The bytes of a SHA-256 fingerprint, written in hexadecimal digits with or without colons.
pub fn fingerprint(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|b| !matches!(b, b':' | b' ')).collect();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
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
