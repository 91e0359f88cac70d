//! Channels of vendors: Teams, Slack, PagerDuty, Twilio. `api_url` replaces the vendor's address by that of a gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Common, OneOrMany, bad_url, missing};
use crate::model::device::SecretRef;

/// `type = "teams"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Teams {
    /// Address of the workflow ("When a Teams webhook request is received"): whoever knows it can post.
    pub url: Option<SecretRef>,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

impl Teams {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        if self.url.is_none() { vec![missing("url", "the address of the workflow, as a secret")] } else { Vec::new() }
    }
}

/// `type = "slack"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Slack {
    /// Token of the bot (xoxb-...): messages about one alert form a thread.
    pub token: Option<SecretRef>,
    /// Channel that the bot posts to: its id, or #name.
    pub channel: Option<String>,
    /// Address of an incoming webhook, the simpler form without threads.
    pub url: Option<SecretRef>,
    /// Address of the API, where it is not Slack's own.
    pub api_url: Option<String>,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

impl Slack {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        let mut gaps = Vec::new();
        match (&self.token, &self.url) {
            (None, None) => gaps.push(missing("token", "the token of the bot as a secret, or 'url' with that of an incoming webhook")),
            (Some(_), Some(_)) => gaps.push(("url", "either 'token' or 'url', not both".to_owned())),
            (Some(_), None) if self.channel.is_none() => gaps.push(missing("channel", "where the bot posts, such as #ops")),
            _ => {}
        }
        gaps.extend(bad_api(self.api_url.as_deref()));
        gaps
    }
}

/// `type = "pagerduty"`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct PagerDuty {
    /// Integration key of the service (Events API v2).
    pub routing_key: Option<SecretRef>,
    /// Address of the API, where it is not PagerDuty's own (such as that of the EU region).
    pub api_url: Option<String>,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

impl PagerDuty {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        let mut gaps = Vec::new();
        if self.routing_key.is_none() {
            gaps.push(missing("routing_key", "the integration key, as a secret"));
        }
        gaps.extend(bad_api(self.api_url.as_deref()));
        gaps
    }
}

/// `type = "sms"`: text messages through Twilio.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("additionalProperties" = false))]
pub struct Sms {
    /// Account SID (AC...).
    pub account: String,
    /// Auth token, or the secret of the API key.
    pub token: Option<SecretRef>,
    /// SID of the API key (SK...), where the account's own token is not used.
    pub api_key: Option<String>,
    /// Number that the messages come from: +4930123456.
    pub from: Option<String>,
    /// SID of a messaging service (MG...), instead of a number.
    pub messaging_service: Option<String>,
    /// Numbers that the messages go to.
    pub to: OneOrMany,
    /// Address of the API, where it is not Twilio's own.
    pub api_url: Option<String>,
    /// File with certificates of authorities to trust besides those of the system.
    pub ca_file: Option<String>,
    /// What all channels have.
    #[serde(flatten)]
    pub common: Common,
}

impl Sms {
    pub(super) fn gaps(&self) -> Vec<(&'static str, String)> {
        let mut gaps = Vec::new();
        let plain = |id: &str| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric());
        if self.account.is_empty() {
            gaps.push(missing("account", "the account SID"));
        } else if !plain(&self.account) {
            gaps.push(("account", "an account SID has letters and digits only".to_owned()));
        }
        if self.token.is_none() {
            gaps.push(missing("token", "the auth token, as a secret"));
        }
        if self.from.is_none() && self.messaging_service.is_none() {
            gaps.push(missing("from", "the number that messages come from, or 'messaging_service'"));
        }
        if self.to.0.is_empty() && self.common.people.is_empty() {
            gaps.push(missing("to", "the numbers that messages go to"));
        }
        gaps.extend(bad_api(self.api_url.as_deref()));
        gaps
    }
}

fn bad_api(url: Option<&str>) -> Option<(&'static str, String)> {
    url.and_then(bad_url).map(|why| ("api_url", format!("the address cannot be used: {why}")))
}
