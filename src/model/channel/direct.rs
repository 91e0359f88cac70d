//! Channels that go to a server of one's own: mail, webhook, system log, event log.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Common, Hidden, OneOrMany, bad_url, is_loopback, missing};
use crate::model::device::SecretRef;

/// `type = "email"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Email {
    /// Name of the SMTP server.
    pub server: String,
    /// Its port; 587 with starttls, 465 with tls, 25 without either.
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: MailTls,
    /// Allows tls = "none" to a server that is not this machine.
    pub allow_plaintext: bool,
    /// User to sign in as.
    pub user: Option<String>,
    /// Password to sign in with.
    pub password: Option<SecretRef>,
    /// Sender: rmm@example.com, or Name <rmm@example.com>.
    pub from: String,
    /// Recipients.
    pub to: OneOrMany,
    /// Recipients of a copy.
    pub cc: OneOrMany,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// When the alerts are attached as a file.
    pub attach: Attach,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

impl Email {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        let mut gaps = Vec::new();
        if self.server.is_empty() {
            gaps.push(missing("server", "the name of the SMTP server"));
        }
        if self.from.is_empty() {
            gaps.push(missing("from", "the sender, such as rmm@example.com"));
        }
        if self.to.0.is_empty() && self.common.people.is_empty() {
            gaps.push(missing("to", "the recipients"));
        }
        if self.user.is_some() != self.password.is_some() {
            gaps.push(("user", "'user' and 'password' go together".to_owned()));
        }
        if self.tls == MailTls::None && !self.allow_plaintext && !self.server.is_empty() && !is_loopback(&self.server) {
            let why = "without encryption everybody on the way can read the messages and the password; allow_plaintext = true accepts that";
            gaps.push(("tls", why.to_owned()));
        }
        gaps
    }
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// In the open until STARTTLS, without which nothing is sent.
    #[default]
    StartTls,
    /// From the first byte.
    Tls,
    /// Not at all; for a server on this machine.
    None,
}

/// When the alerts go along as a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Attach {
    /// Never.
    Never,
    /// With summaries: alerts.csv.
    #[default]
    Summaries,
    /// Always.
    Always,
}

/// `type = "webhook"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Webhook {
    /// Address that is asked; as a secret where it holds one.
    pub url: Option<Hidden>,
    /// How.
    pub method: Method,
    /// Headers, as they are or as secrets.
    pub headers: BTreeMap<String, Hidden>,
    /// Body as a template; a JSON document where absent.
    #[schemars(length(max = 65536))]
    pub body: Option<String>,
    /// Type of the body; application/json unless told otherwise.
    pub content_type: Option<String>,
    /// Key that the body is signed with (HMAC-SHA256).
    pub signing_key: Option<SecretRef>,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

/// Headers that hold a secret.
const SECRET_HEADERS: [&str; 6] = ["authorization", "proxy-authorization", "cookie", "x-api-key", "api-key", "x-auth-token"];

impl Webhook {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        let mut gaps = Vec::new();
        match &self.url {
            None => gaps.push(missing("url", "the address that is asked")),
            Some(Hidden::Plain(url)) => gaps.extend(bad_url(url).map(|why| ("url", format!("the address cannot be used: {why}")))),
            Some(Hidden::Secret(_)) => {}
        }
        for name in self.headers.keys() {
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(token) {
                gaps.push(("headers", format!("'{}' is not the name of a header", name.escape_debug())));
            }
        }
        gaps
    }

    /// Headers that stand in plain text although they hold a secret.
    pub fn exposed(headers: &BTreeMap<String, Hidden>) -> impl Iterator<Item = &str> {
        headers
            .iter()
            .filter(|(name, value)| Self::expects_secret(name) && matches!(value, Hidden::Plain(_)))
            .map(|(name, _)| name.as_str())
    }

    /// Whether a header of this name holds a secret.
    pub fn expects_secret(header: &str) -> bool {
        SECRET_HEADERS.iter().any(|name| header.eq_ignore_ascii_case(name)) || header.to_ascii_lowercase().ends_with("-token")
    }
}

/// How a webhook is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// POST
    #[default]
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
}

/// `type = "syslog"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Syslog {
    /// Where: unix:/dev/log, udp:HOST:514, tcp:HOST:601.
    pub address: SyslogAddress,
    /// Facility.
    pub facility: Facility,
    /// Name that the messages bear.
    #[schemars(regex(pattern = r"^[!-~]{1,48}$"))]
    pub app_name: Option<String>,
    /// Identifier of the structured data: rmm@32473 unless told otherwise.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,16}@[0-9.]{1,15}$"))]
    pub sd_id: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

/// Where the system log listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SyslogAddress {
    /// A socket of this machine, stream or datagram.
    Unix(String),
    /// A datagram for each message: host and port.
    Udp(String, u16),
    /// A connection, each message with its length: host and port.
    Tcp(String, u16),
}

impl Default for SyslogAddress {
    fn default() -> Self {
        Self::Unix("/dev/log".to_owned())
    }
}

impl TryFrom<String> for SyslogAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bad = || format!("'{}' is not an address: write unix:/dev/log, udp:HOST:514 or tcp:HOST:601", text.escape_debug());
        let (kind, rest) = text.split_once(':').ok_or_else(bad)?;
        let remote = |usual: u16| {
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !rest.ends_with(']') => (host, port.parse().ok()?),
                _ => (rest, usual),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            (!host.is_empty() && !host.contains(char::is_whitespace) && port > 0).then(|| (host.to_owned(), port))
        };
        match kind {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.to_owned())),
            "udp" => remote(514).map(|(host, port)| Self::Udp(host, port)).ok_or_else(bad),
            "tcp" => remote(601).map(|(host, port)| Self::Tcp(host, port)).ok_or_else(bad),
            _ => Err(bad()),
        }
    }
}

impl From<SyslogAddress> for String {
    fn from(address: SyslogAddress) -> Self {
        match address {
            SyslogAddress::Unix(path) => format!("unix:{path}"),
            SyslogAddress::Udp(host, port) => format!("udp:[{host}]:{port}"),
            SyslogAddress::Tcp(host, port) => format!("tcp:[{host}]:{port}"),
        }
    }
}

impl JsonSchema for SyslogAddress {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SyslogAddress".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "An address such as unix:/dev/log, udp:HOST:514 or tcp:HOST:601.",
            "type": "string",
            "pattern": "^(unix:/.+|(udp|tcp):[^ ]+)$"
        })
    }
}

/// Facility of the system log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Facility {
    /// Programs of users.
    User,
    /// Services.
    #[default]
    Daemon,
    /// For own use.
    Local0,
    /// For own use.
    Local1,
    /// For own use.
    Local2,
    /// For own use.
    Local3,
    /// For own use.
    Local4,
    /// For own use.
    Local5,
    /// For own use.
    Local6,
    /// For own use.
    Local7,
}

impl Facility {
    /// Its number in RFC 5424.
    pub const fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::Daemon => 3,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

/// `type = "eventlog"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct EventLog {
    /// Source that the records bear; rmm unless told otherwise.
    #[schemars(regex(pattern = r"^[A-Za-z0-9 _.-]{1,64}$"))]
    pub source: Option<String>,
    /// Log that they are written to; Application unless told otherwise.
    #[schemars(regex(pattern = r"^[A-Za-z0-9 _./-]{1,64}$"))]
    pub log: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}
