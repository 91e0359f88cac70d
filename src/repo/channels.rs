//! `[notifications.channels.NAME]`: the keys of each type of channel, in every layer and in what the environment sets.
//!
//! What is misspelt or has a wrong form is an error; a channel that lacks something and could not send is a warning, so
//! that an overlay or a machine of its own may bring it.

use std::sync::Arc;

use serde_json::Value;

use super::decode::{self, EMAIL, EVENTLOG, Kind, PAGERDUTY, SLACK, SMS, SYSLOG, TEAMS, WEBHOOK};
use super::tree::{Entry, Node, Spot, Tree};
use super::{codes, toml};
use crate::diagnose::{Diagnostic, Level};
use crate::model::channel::{Email, EventLog, Options, PagerDuty, Slack, Sms, Syslog, Teams, Webhook, bad_url};
use crate::model::config::Channel;
use crate::model::notification::ChannelType;
use crate::model::{Config, Place};

/// The schema of the keys of a type of channel.
pub(super) fn kind_of(channel: ChannelType) -> &'static Kind {
    match channel {
        ChannelType::Email => &EMAIL,
        ChannelType::Teams => &TEAMS,
        ChannelType::Slack => &SLACK,
        ChannelType::PagerDuty => &PAGERDUTY,
        ChannelType::Sms => &SMS,
        ChannelType::Webhook => &WEBHOOK,
        ChannelType::EventLog => &EVENTLOG,
        ChannelType::Syslog => &SYSLOG,
    }
}

/// All types.
pub(super) const TYPES: [ChannelType; 8] = [
    ChannelType::Email,
    ChannelType::Teams,
    ChannelType::Slack,
    ChannelType::PagerDuty,
    ChannelType::Sms,
    ChannelType::Webhook,
    ChannelType::EventLog,
    ChannelType::Syslog,
];

type Layers = [(Arc<str>, Node)];

/// Checks every channel of the configuration that the layers and the environment give.
pub(super) fn check(config: &Config, layers: &Layers, problems: &mut Vec<Diagnostic>) {
    if let Some(url) = &config.notifications.base_url
        && let Some(why) = bad_url(url)
    {
        let at = place(layers, &["notifications", "base_url"]);
        problems.push(codes::wrong_value(format!("base_url cannot be used: {why}"), &at));
    }
    for (name, channel) in &config.notifications.channels {
        if let Some(kind) = channel.kind {
            Checking { name, kind, layers, problems }.channel(channel);
        }
    }
}

struct Checking<'a> {
    name: &'a str,
    kind: ChannelType,
    layers: &'a Layers,
    problems: &'a mut Vec<Diagnostic>,
}

impl Checking<'_> {
    fn channel(&mut self, channel: &Channel) {
        let before = self.problems.len();
        for (file, node) in self.layers {
            if let Some(node) = node.get("notifications").and_then(|n| n.get("channels")).and_then(|n| n.get(self.name)) {
                self.keys(file, node);
            }
        }
        // What stands in no layer was set by the environment.
        let set: Vec<Entry> = { channel.options.iter() }
            .filter(|(key, _)| self.written(key).is_none())
            .map(|(key, value)| Entry { key: key.clone(), spot: Spot::default(), node: toml::node_of(value) })
            .collect();
        if !set.is_empty() {
            self.keys(&"environment".into(), &Node::new(Spot::default(), Tree::Map(set)));
        }
        if self.problems[before..].iter().any(|p| p.level == Level::Error) {
            return;
        }
        match Options::of(channel) {
            Some(Ok(options)) => self.gaps(&options),
            Some(Err(why)) => {
                let at = place(self.layers, &["notifications", "channels", self.name]);
                self.problems.push(codes::wrong_value(format!("the channel '{}' cannot be used: {why}", self.name.escape_debug()), &at));
            }
            None => {}
        }
    }

    /// Where a key stands; the last layer counts.
    fn written(&self, key: &str) -> Option<Place> {
        self.layers.iter().rev().find_map(|(file, node)| {
            let channel = node.get("notifications")?.get("channels")?.get(self.name)?;
            Some(channel.get(key)?.spot.of(file))
        })
    }

    /// The keys of one layer.
    fn keys(&mut self, file: &Arc<str>, node: &Node) {
        let kind = kind_of(self.kind);
        let mut entries = Vec::new();
        for entry in node.entries().iter().filter(|entry| entry.key != "type") {
            // A text where only the name of a secret may stand is one, and never repeated.
            if takes_secret(kind, &entry.key) && matches!(entry.node.value, Tree::Text(_) | Tree::Number(_)) {
                self.exposed(&entry.key, &entry.node.spot.of(file));
            } else if entry.key == "headers" && self.kind == ChannelType::Webhook {
                let plain = |header: &&Entry| Webhook::expects_secret(&header.key) && matches!(header.node.value, Tree::Text(_));
                for header in entry.node.entries().iter().filter(plain) {
                    self.exposed(&header.key, &header.node.spot.of(file));
                }
                entries.push(entry.clone());
            } else {
                entries.push(entry.clone());
            }
        }
        let node = Node::new(node.spot, Tree::Map(entries));
        let problems = &mut *self.problems;
        let _ = match self.kind {
            ChannelType::Email => decode::decode::<Email>(kind, file, &node, problems).map(drop),
            ChannelType::Teams => decode::decode::<Teams>(kind, file, &node, problems).map(drop),
            ChannelType::Slack => decode::decode::<Slack>(kind, file, &node, problems).map(drop),
            ChannelType::PagerDuty => decode::decode::<PagerDuty>(kind, file, &node, problems).map(drop),
            ChannelType::Sms => decode::decode::<Sms>(kind, file, &node, problems).map(drop),
            ChannelType::Webhook => decode::decode::<Webhook>(kind, file, &node, problems).map(drop),
            ChannelType::EventLog => decode::decode::<EventLog>(kind, file, &node, problems).map(drop),
            ChannelType::Syslog => decode::decode::<Syslog>(kind, file, &node, problems).map(drop),
        };
    }

    fn exposed(&mut self, key: &str, at: &Place) {
        if self.problems.iter().any(|p| p.level == Level::Error && p.code == "RMM0152" && p.place.as_ref() == Some(at)) {
            return;
        }
        let problem = Diagnostic::error("RMM0152", format!("'{}' stands in plain text", key.escape_debug())).at(at);
        let advice = format!(
            "write {key} = {{ secret = \"NAME\" }} and keep the value in RMM_SECRET_NAME or .rmm/secrets/NAME; change it where it was committed"
        );
        self.problems.push(problem.advice(advice));
    }

    /// Whether what is there suffices for sending, and goes together.
    fn gaps(&mut self, options: &Options) {
        for (key, why) in options.gaps() {
            let at = self.written(key);
            let is_set = at.is_some();
            let at = at.unwrap_or_else(|| place(self.layers, &["notifications", "channels", self.name]));
            let problem = if is_set && !why.contains("is missing") {
                codes::wrong_value(why, &at)
            } else {
                let message = format!("the channel '{}' cannot send: {why}", self.name.escape_debug());
                Diagnostic::warning("RMM0620", message).at(&at).advice("`rmm notify test` tries a channel; `rmm explain RMM0620` says more")
            };
            self.problems.push(problem);
        }
        if let Options::Webhook(webhook) = options
            && let Some(body) = &webhook.body
            && let Err(error) = minijinja::Environment::new().template_from_str(body)
        {
            let at = self.written("body").unwrap_or_else(|| Place::file("environment"));
            self.problems.push(codes::wrong_value(format!("the template cannot be read: {error}"), &at));
        }
    }
}

/// Whether a key takes the name of a secret and nothing else.
fn takes_secret(kind: &Kind, key: &str) -> bool {
    let text = |schema: &Value| schema.to_string();
    kind.schema().pointer(&format!("/properties/{key}")).is_some_and(|schema| text(schema).contains("#/$defs/SecretRef"))
}

/// Where something is declared, in the first layer that does.
fn place(layers: &Layers, path: &[&str]) -> Place {
    let find = |node: &Node| {
        let (last, most) = path.split_last()?;
        let mut node = node;
        for step in most {
            node = node.get(step)?;
        }
        Some(node.entry(last)?.spot)
    };
    layers.iter().find_map(|(file, node)| Some(find(node)?.of(file))).unwrap_or_else(|| Place::file("environment"))
}
