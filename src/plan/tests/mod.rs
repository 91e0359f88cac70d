//! The planner whole: repositories compiled from texts, facts built by hand, time passed in.

mod determinism;
mod states;
mod targets;
mod time;
mod updates;
mod values;
mod windows;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{PlanOptions, Planner, Scope};
use crate::model::Facts;
use crate::model::facts::{Section, Status};
use crate::model::plan::{Change, DevicePlan, State};
use crate::repo::{LoadOptions, PolicySet, World, compile};

/// A Saturday, noon in UTC: 13:00 in Berlin, 07:00 in New York.
const NOON: &str = "2026-11-21T12:00:00Z";

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// Two servers and a laptop, and these policies.
fn fleet(policies: &str) -> PolicySet {
    with_devices(
        "groups:
  Servers: {vars: {greeting: hello}}
  Web: {parent: Servers}
  Small: {match: {where: 'facts.hardware.memory.total_gb < 8'}}
devices:
  web-1: {groups: [Web], os: linux, tags: [lab], vars: {slot: 7}}
  db-1: {groups: [Servers], os: linux}
  laptop-1: {os: linux}
",
        policies,
    )
}

fn with_devices(devices: &str, policies: &str) -> PolicySet {
    let files = [("rmm.toml", "[general]\norganization = \"Example\"\n"), ("devices.yaml", devices), ("policies/p.yaml", policies)];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: at(NOON) };
    let loaded = compile(files, &options, World::default());
    assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
    loaded.set.unwrap()
}

/// Facts of a Debian server, observed an hour before noon, with these sections over them.
fn facts(more: &[(&str, Value)]) -> Facts {
    let mut facts = Facts::default();
    put(
        &mut facts,
        "software.os",
        json!({"family": "linux", "id": "debian", "pretty_name": "Debian 12", "hostname": "web-1.example.org", "timezone": "UTC", "init": "systemd", "package_manager": "apt"}),
    );
    for (name, data) in more {
        put(&mut facts, name, data.clone());
    }
    facts
}

fn put(facts: &mut Facts, name: &str, data: Value) {
    facts.sections.insert(name.into(), Section::new(data, Status::Ok, at("2026-11-21T11:00:00Z")));
}

fn failed(facts: &mut Facts, name: &str, status: Status) {
    facts.sections.insert(name.into(), Section::new(Value::Null, status, at("2026-11-21T11:00:00Z")));
}

fn no_secrets(_: &str) -> Option<secrecy::SecretString> {
    None
}

/// The plan of one device at a time.
fn plan_at(set: &PolicySet, device: &str, facts: &Facts, time: &str, options: &PlanOptions) -> DevicePlan {
    let planner = Planner::new(set, &no_secrets);
    let device = &set.devices[device];
    planner.decide(device, planner.evaluate(device, facts, options, at(time)), options, at(time))
}

fn plan(set: &PolicySet, device: &str, facts: &Facts) -> DevicePlan {
    plan_at(set, device, facts, NOON, &PlanOptions::default())
}

/// `label state` of everything that is not simply compliant.
fn states(plan: &DevicePlan) -> Vec<String> {
    plan.changes.iter().map(|c| format!("{} {}", c.label(), c.state)).collect()
}

fn only(plan: &DevicePlan) -> &Change {
    assert_eq!(plan.changes.len(), 1, "{:?}", states(plan));
    &plan.changes[0]
}
