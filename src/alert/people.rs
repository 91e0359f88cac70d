//! From a tier to addresses: which person, through which channel.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::progress::Address;
use crate::model::duty::Person;
use crate::model::notification::{ChannelType, Tier};
use crate::repo::PolicySet;

/// Whom a tier tells now, and because of what: the words behind `escalation NAME, tier N`. Where nobody can be found through the
/// tier itself, the channels of the rule hear of it: somebody has to.
pub(super) fn of_tier(set: &PolicySet, tier: &Tier, rule_channels: &[Arc<str>], now: DateTime<Utc>) -> (Vec<Address>, String) {
    let duty = tier.on_call.as_ref().and_then(|rota| set.rotas.get(&**rota)).and_then(|rota| rota.on_duty(now));
    let mut people: Vec<&str> = duty.into_iter().chain(tier.people.iter().map(|name| &**name)).collect();
    people.dedup();
    let mut found: Vec<Address> = Vec::new();
    let mut unreached = Vec::new();
    let mut personal: Vec<&Arc<str>> = Vec::new();
    for person in &people {
        let mut addresses = through(set, person, tier.channels.iter());
        personal.extend(tier.channels.iter().filter(|channel| addresses.iter().any(|a| a.channel == **channel)));
        if addresses.is_empty() {
            let all: Vec<Arc<str>> = set.config.notifications.channels.keys().map(|name| name.as_str().into()).collect();
            addresses = through(set, person, all.iter());
        }
        if addresses.is_empty() {
            unreached.push(*person);
        }
        found.extend(addresses);
    }
    let whole = tier.channels.iter().filter(|channel| !personal.contains(channel));
    found.extend(whole.map(|channel| Address { channel: Arc::clone(channel), recipient: None }));
    if found.is_empty() {
        found.extend(rule_channels.iter().map(|channel| Address { channel: Arc::clone(channel), recipient: None }));
    }
    found.sort();
    found.dedup();
    let mut words = String::new();
    if !people.is_empty() {
        words.push_str(&format!(": {}", people.join(", ")));
    }
    if !unreached.is_empty() {
        words.push_str(&format!(" (no address known of {})", unreached.join(", ")));
    }
    (found, words)
}

/// The addresses of a person within these channels.
fn through<'a>(set: &PolicySet, person: &str, channels: impl Iterator<Item = &'a Arc<str>>) -> Vec<Address> {
    let known = set.people.get(person);
    let found = channels.filter_map(|name| {
        let channel = set.config.notifications.channels.get(&**name)?;
        let declared = |part: fn(&Person) -> &Option<String>| known.and_then(|person| part(person).clone());
        let literal = |holds: bool| (known.is_none() && holds).then(|| person.to_owned());
        let address = match channel.kind? {
            ChannelType::Email => declared(|p| &p.email).or_else(|| literal(person.contains('@') && !person.starts_with('@'))),
            ChannelType::Sms => declared(|p| &p.phone).or_else(|| literal(person.starts_with('+'))),
            ChannelType::Slack => declared(|p| &p.slack).or_else(|| literal(person.starts_with('#') || person.starts_with('@'))),
            _ => None,
        };
        // The channel itself may know the person by name.
        let listed = || {
            let people = channel.options.get("people").and_then(serde_json::Value::as_object)?;
            people.contains_key(person).then(|| person.to_owned())
        };
        Some(Address { channel: Arc::clone(name), recipient: Some(address.or_else(listed)?) })
    });
    found.collect()
}
