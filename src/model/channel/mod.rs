//! What a channel of `rmm.toml` needs, by its type. The keys are checked when the repository is read (`repo/channels.rs`);
//! `notify/` sends with them. Secrets are names here, never values.

mod common;
mod direct;
mod hosted;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub use common::{Common, Hidden, OneOrMany};
pub use direct::{Attach, Email, EventLog, Facility, MailTls, Method, Syslog, SyslogAddress, Webhook};
pub use hosted::{PagerDuty, Slack, Sms, Teams};

use super::Severity;
use super::config::Channel;
use super::notification::ChannelType;

/// The options of one channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    /// Mail.
    Email(Box<Email>),
    /// Microsoft Teams.
    Teams(Box<Teams>),
    /// Slack.
    Slack(Box<Slack>),
    /// PagerDuty.
    PagerDuty(Box<PagerDuty>),
    /// Text messages.
    Sms(Box<Sms>),
    /// A request of your own.
    Webhook(Box<Webhook>),
    /// The event log of Windows.
    EventLog(Box<EventLog>),
    /// The system log.
    Syslog(Box<Syslog>),
}

impl Options {
    /// Reads the options of a channel; `Err` says what does not fit, without any value. `None` where it has no type.
    pub fn of(channel: &Channel) -> Option<Result<Self, String>> {
        Some(match channel.kind? {
            ChannelType::Email => read(&channel.options).map(Self::Email),
            ChannelType::Teams => read(&channel.options).map(Self::Teams),
            ChannelType::Slack => read(&channel.options).map(Self::Slack),
            ChannelType::PagerDuty => read(&channel.options).map(Self::PagerDuty),
            ChannelType::Sms => read(&channel.options).map(Self::Sms),
            ChannelType::Webhook => read(&channel.options).map(Self::Webhook),
            ChannelType::EventLog => read(&channel.options).map(Self::EventLog),
            ChannelType::Syslog => read(&channel.options).map(Self::Syslog),
        })
    }

    /// What all channels have.
    pub fn common(&self) -> &Common {
        match self {
            Self::Email(o) => &o.common,
            Self::Teams(o) => &o.common,
            Self::Slack(o) => &o.common,
            Self::PagerDuty(o) => &o.common,
            Self::Sms(o) => &o.common,
            Self::Webhook(o) => &o.common,
            Self::EventLog(o) => &o.common,
            Self::Syslog(o) => &o.common,
        }
    }

    /// What it is.
    pub const fn kind(&self) -> ChannelType {
        match self {
            Self::Email(_) => ChannelType::Email,
            Self::Teams(_) => ChannelType::Teams,
            Self::Slack(_) => ChannelType::Slack,
            Self::PagerDuty(_) => ChannelType::PagerDuty,
            Self::Sms(_) => ChannelType::Sms,
            Self::Webhook(_) => ChannelType::Webhook,
            Self::EventLog(_) => ChannelType::EventLog,
            Self::Syslog(_) => ChannelType::Syslog,
        }
    }

    /// The least severity that is sent: a text message wakes people, so it takes critical alerts only unless told otherwise.
    pub fn min_severity(&self) -> Severity {
        self.common().min_severity.unwrap_or(if self.kind() == ChannelType::Sms { Severity::Critical } else { Severity::Info })
    }

    /// Most messages in a minute; `None` where there is no limit. Channels that people read have one.
    pub fn rate(&self) -> Option<u32> {
        let usual = match self.kind() {
            ChannelType::Email | ChannelType::Teams | ChannelType::Slack => 30,
            ChannelType::Sms => 10,
            ChannelType::PagerDuty | ChannelType::Webhook | ChannelType::EventLog | ChannelType::Syslog => 0,
        };
        Some(self.common().rate_per_minute.unwrap_or(usual)).filter(|rate| *rate > 0)
    }

    /// What keeps it from sending, each with the key that is meant: missing keys, and keys that do not go together.
    pub fn gaps(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Email(o) => o.gaps(),
            Self::Teams(o) => o.gaps(),
            Self::Slack(o) => o.gaps(),
            Self::PagerDuty(o) => o.gaps(),
            Self::Sms(o) => o.gaps(),
            Self::Webhook(o) => o.gaps(),
            Self::EventLog(_) | Self::Syslog(_) => Vec::new(),
        }
    }
}

fn read<T: DeserializeOwned>(options: &BTreeMap<String, Value>) -> Result<Box<T>, String> {
    let map = options.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(map)).map(Box::new).map_err(|error| match error.classify() {
        // The message of a wrong type repeats the value, and that may be a secret in the wrong place.
        serde_json::error::Category::Data => "a key has a value of the wrong form".to_owned(),
        _ => "the options cannot be read".to_owned(),
    })
}

/// A gap: `key` is missing, and what it is.
fn missing(key: &'static str, what: &str) -> (&'static str, String) {
    (key, format!("'{key}' is missing: {what}"))
}

/// Whether a name is this machine itself.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Why an address of the web cannot be used; `None` where it can.
pub fn bad_url(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Some("it does not begin with https://") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.chars().all(|c| c.is_ascii_digit())).map_or(host, |(name, _)| name);
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Some("it holds a space or a control character")
    } else if host.contains('@') {
        Some("it holds a user or a password: give them in a header, as a secret")
    } else if name.is_empty() {
        Some("it names no host")
    } else if scheme == "https" || (scheme == "http" && is_loopback(name)) {
        None
    } else if scheme == "http" {
        Some("it is not encrypted: http:// is for this machine alone, use https://")
    } else {
        Some("it does not begin with https://")
    }
}
