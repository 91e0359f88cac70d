//! What `rmm devices` shows: the devices, one of them, groups and sites.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::devices::{chosen, find};
use super::exit::Exit;
use super::failure::Failure;
use super::style::ago;
use super::table::{Output, Table, document};
use crate::apply::survey::Survey;
use crate::model::Facts;
use crate::model::device::Connection;
use crate::plan::{Planner, Scope};
use crate::report::health::Health;
use crate::store::Store;

/// Groups of devices, by what is known of them.
fn memberships(context: &Context, store: &Store) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let secrets = |_: &str| None;
    let planner = Planner::new(&context.set, &secrets);
    let mut all = BTreeMap::new();
    let sections = planner.membership_sections(&Scope::default());
    let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
    store.facts_fleet(&sections, None, |name, facts| {
        if let Some(device) = context.set.devices.get(name) {
            all.insert(name.to_owned(), planner.membership(device, &facts).groups.into_iter().collect());
        }
    })?;
    let none = Facts::default();
    for device in context.set.devices.values() {
        all.entry(device.name.clone()).or_insert_with(|| planner.membership(device, &none).groups.into_iter().collect());
    }
    Ok(all)
}

pub(super) fn list(global: &Global, context: &Context, selectors: &[String]) -> Result<Exit, Failure> {
    let store = context.store()?;
    let states: BTreeMap<String, _> = store.device_states()?.into_iter().map(|s| (s.name.clone(), s)).collect();
    let groups = memberships(context, &store)?;
    let mut systems = BTreeMap::new();
    store.facts_fleet(&["software.os"], None, |name, facts| {
        if let Some(os) = facts.value("software.os.pretty_name").and_then(Value::as_str) {
            systems.insert(name.to_owned(), os.to_owned());
        }
    })?;
    let now = context.clock.now();
    let health = health(context, &store, selectors)?;
    let mut table = Table::new("rmm.devices/1", &["DEVICE", "STATUS", "HEALTH", "SYSTEM", "SITE", "ADDRESS", "GROUPS", "LAST SEEN"]);
    for device in chosen(context, &store, selectors)? {
        let state = states.get(&device.name);
        let seen = state.and_then(|s| s.last_seen);
        let seen =
            if global.output == Output::Table { json!(seen.map(|t| format!("{} ago", ago((now - t).num_seconds())))) } else { json!(seen) };
        table.push(vec![
            json!(device.name),
            json!(state.map_or_else(|| "unknown".to_owned(), |s| s.status.to_string())),
            json!(health.get(&device.name).and_then(|health| health.score)),
            json!(systems.get(&device.name)),
            json!(device.site.as_deref().unwrap_or(&context.set.config.general.default_site)),
            json!(device.address.as_deref().unwrap_or(&device.name)),
            json!(groups.get(&device.name)),
            seen,
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

/// How the chosen devices are.
fn health(context: &Context, store: &Store, selectors: &[String]) -> Result<BTreeMap<String, Health>, Failure> {
    let scope = Scope::parse(&context.set, selectors, &[])?;
    let survey = Survey::new(&context.set, store, &context.secrets, &context.clock);
    let devices = survey.devices(&scope)?;
    Ok(crate::report::health::current(store, &devices, |devices| survey.verdicts(devices), context.clock.now())?)
}

pub(super) fn show(global: &Global, context: &Context, name: &str) -> Result<Exit, Failure> {
    let device = find(context, name)?;
    let store = context.store()?;
    let state = store.device_states()?.into_iter().find(|s| s.name == name);
    let groups = memberships(context, &store)?.remove(name).unwrap_or_default();
    let connection: Connection = context.set.connection(device);
    let value = json!({
        "schema": "rmm.device/1",
        "device": name,
        "declared": device.place.to_string(),
        "site": device.site.as_deref().unwrap_or(&context.set.config.general.default_site),
        "address": device.address.as_deref().unwrap_or(name),
        "groups": groups,
        "tags": device.tags,
        "vars": context.set.vars(device, []),
        "customFields": device.custom_fields,
        "connection": connection,
        "status": state.as_ref().map_or_else(|| "unknown".to_owned(), |s| s.status.to_string()),
        "reason": state.as_ref().and_then(|s| s.reason.clone()),
        "since": state.as_ref().and_then(|s| s.since),
        "lastSeen": state.as_ref().and_then(|s| s.last_seen),
        "health": health(context, &store, &[name.to_owned()])?.remove(name),
    });
    let output = if global.output == Output::Table { Output::Yaml } else { global.output };
    super::print(&document(&value, output)?)?;
    Ok(Exit::Done)
}

pub(super) fn groups(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let memberships = memberships(context, &store)?;
    let mut table = Table::new("rmm.groups/1", &["GROUP", "PARENT", "DEVICES", "RULE", "DESCRIPTION", "DECLARED"]);
    for group in context.set.groups.values() {
        let members = memberships.values().filter(|g| g.contains(&group.name)).count();
        table.push(vec![
            json!(group.name),
            json!(group.parent),
            json!(members),
            json!(group.rule.as_ref().map(ToString::to_string)),
            json!(group.description),
            json!(group.place.to_string()),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}

pub(super) fn sites(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let default = &context.set.config.general.default_site;
    let mut table = Table::new("rmm.sites/1", &["SITE", "ID", "DEVICES", "LOCATION", "TIMEZONE", "DECLARED"]);
    for site in context.set.sites.values() {
        let members = context.set.devices.values().filter(|d| d.site.as_ref().unwrap_or(default) == &site.name).count();
        table.push(vec![
            json!(site.name),
            json!(site.site_id),
            json!(members),
            json!(site.location),
            json!(site.timezone),
            json!(site.place.to_string()),
        ]);
    }
    super::print(&table.render(global.output)?)?;
    Ok(Exit::Done)
}
