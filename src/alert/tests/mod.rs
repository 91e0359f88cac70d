//! The room whole: repositories compiled from texts, a real database in a folder of its own, a clock that is passed in.

mod always;
mod day;
mod duty;
mod hidden;
mod life;
mod limits;
mod records;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Desk, DeviceSamples, Outcome, Remediation, SeriesName, kind};
use crate::model::alert::Subject;
use crate::model::run::Actor;
use crate::model::{Alert, AlertKey, AlertState, Delivery, Finding, Severity, Signal};
use crate::repo::{LoadOptions, PolicySet, World, compile};
use crate::store::{AlertFilter, DeliveryFilter, Store};
use crate::time::FixedClock;

/// A Saturday, in UTC.
const DAY: &str = "2026-11-21";

const CONFIG: &str = r#"
[general]
organization = "Example"

[notifications.channels.pager]
type = "pagerduty"
routing_key = {secret = "pager"}

[notifications.channels.sms]
type = "sms"
account = "AC0123456789abcdef0123456789abcdef"
token = {secret = "twilio"}
from = "+4930000000"
to = ["+4930111111"]

[notifications.channels.team]
type = "webhook"
url = "https://hooks.example.com/team"

[notifications.channels.mail]
type = "email"
server = "smtp.example.com"
from = "rmm@example.com"
to = ["ops@example.com"]
"#;

const DEVICES: &str = "
sites: {Berlin: {}, Lab: {}}
groups: {Servers: {}, Web: {parent: Servers}}
devices:
  web-1: {site: Berlin, groups: [Web]}
  web-2: {site: Berlin, groups: [Web]}
  db-1: {site: Berlin, groups: [Servers], tags: [big]}
  host-1: {site: Lab}
  vm-1: {site: Lab, host: host-1}
";

fn at(time: &str) -> DateTime<Utc> {
    let text = if time.len() > 12 { time.to_owned() } else { format!("{DAY}T{time}Z") };
    let text = if text.len() == 17 { text.replace('Z', ":00Z") } else { text };
    text.parse().unwrap()
}

/// A policy set with these notifications and thresholds.
fn set(notifications: &str, thresholds: &str) -> Arc<PolicySet> {
    set_with(DEVICES, notifications, thresholds)
}

fn set_with(devices: &str, notifications: &str, thresholds: &str) -> Arc<PolicySet> {
    let files = [("rmm.toml", CONFIG), ("devices.yaml", devices), ("notifications.yaml", notifications), ("thresholds/t.yaml", thresholds)];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: at("12:00") };
    let loaded = compile(files, &options, World::default());
    assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
    Arc::new(loaded.set.unwrap())
}

/// A desk with a database, and what it has sent so far.
struct Room {
    dir: tempfile::TempDir,
    store: Store,
    set: Arc<PolicySet>,
    desk: Desk,
    now: DateTime<Utc>,
    seen: BTreeSet<String>,
    /// What thresholds wanted done.
    remedies: Vec<Remediation>,
    /// Whether a new desk takes over before every call, as after a restart.
    restarts: bool,
}

impl Room {
    fn new(set: Arc<PolicySet>, now: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let now = at(now);
        let store = Store::open(&dir.path().join("rmm.db"), Arc::new(FixedClock::new(now))).unwrap();
        let desk = Desk::new(Arc::clone(&set), store.clone(), now).unwrap();
        Self { dir, store, set, desk, now, seen: BTreeSet::new(), remedies: Vec::new(), restarts: false }
    }

    fn restarting(mut self) -> Self {
        self.restarts = true;
        self
    }

    fn restart(&mut self) {
        self.desk = Desk::new(Arc::clone(&self.set), self.store.clone(), self.now).unwrap();
    }

    fn call(&mut self, work: impl FnOnce(&mut Desk, DateTime<Utc>) -> Outcome) {
        if self.restarts {
            self.restart();
        }
        let now = self.now;
        let before = self.store.deliveries(&DeliveryFilter::default()).unwrap().len();
        let outcome = work(&mut self.desk, now);
        // Nothing is decided twice: each id that is written is a new one.
        let after = self.store.deliveries(&DeliveryFilter::default()).unwrap().len();
        assert_eq!(after - before, outcome.deliveries);
        self.remedies.extend(self.desk.take_remediations());
    }

    /// Lets the time pass as the daemon does: the desk is called when it wants to be. Says what was sent on the way.
    fn until(&mut self, time: &str) -> String {
        let end = at(time);
        assert!(end >= self.now, "{time} is in the past");
        let mut said = String::new();
        let mut calls = 0;
        while let Some(wake) = self.desk.next_wakeup().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.call(|desk, now| desk.tick(now).unwrap());
            said += &self.said();
            calls += 1;
            assert!(calls < 10_000, "the desk wants to be called again and again at {wake}");
        }
        self.now = end;
        said
    }

    fn signal(&mut self, signal: Signal) -> String {
        self.call(|desk, now| desk.signals(vec![signal], now).unwrap());
        self.said()
    }

    fn raise(&mut self, device: &str, kind: &str, severity: Severity) -> String {
        let finding = finding(device, kind, severity, self.now);
        self.signal(Signal::Raised(finding))
    }

    fn clear(&mut self, device: &str, kind: &str) -> String {
        let key = key(device, kind);
        let at = self.now;
        self.signal(Signal::Cleared { key, at, reason: "fine again".into() })
    }

    fn offline(&mut self, device: &str) -> String {
        self.raise(device, kind::OFFLINE, Severity::High)
    }

    fn online(&mut self, device: &str) -> String {
        self.clear(device, kind::OFFLINE)
    }

    fn measure(&mut self, device: &str, metric: &str, instance: &str, value: f64) -> String {
        let name = SeriesName { metric: metric.into(), instance: instance.into(), unit: None };
        let samples = [DeviceSamples { device: device.into(), at: self.now, values: vec![(name, value)] }];
        self.call(|desk, now| desk.samples(&samples, now).unwrap());
        self.store.put_samples(&samples).unwrap();
        self.said()
    }

    /// What has been decided since the last look: `occasion channel[>recipient] subject kind`, a line each.
    fn said(&mut self) -> String {
        let mut new: Vec<Delivery> = self.store.deliveries(&DeliveryFilter::default()).unwrap();
        new.retain(|delivery| self.seen.insert(delivery.id.clone()));
        let mut lines: Vec<String> = new.iter().map(line).collect();
        lines.sort();
        lines.concat()
    }

    fn alerts(&self) -> Vec<Alert> {
        let mut alerts = self.store.alerts(&AlertFilter::default()).unwrap();
        alerts.reverse();
        alerts
    }

    /// The only alert of a type.
    fn alert(&self, device: &str, kind: &str) -> Alert {
        let mut found: Vec<Alert> =
            self.alerts().into_iter().filter(|a| a.key.subject.to_string() == device && &*a.key.kind == kind).collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        found.remove(0)
    }

    fn state(&self, device: &str, kind: &str) -> AlertState {
        self.alert(device, kind).state
    }

    /// As a command of another process does it.
    fn by_hand(&mut self, device: &str, kind: &str, act: super::hand::Act) -> String {
        let id = self.alert(device, kind).id;
        self.hand(&id, act)
    }

    fn hand(&mut self, id: &str, act: super::hand::Act) -> String {
        let other = Store::open(&self.dir.path().join("rmm.db"), Arc::new(FixedClock::new(self.now))).unwrap();
        super::hand::act(&other, id, act, None, &kim(), self.now).unwrap();
        self.call(|desk, now| desk.external(now).unwrap());
        self.said()
    }
}

fn kim() -> Actor {
    Actor { user: "kim".into(), from: "cli@desk".into() }
}

fn line(delivery: &Delivery) -> String {
    let message = &delivery.message;
    let recipient = delivery.recipient.as_deref().map(|to| format!(">{to}")).unwrap_or_default();
    let mut line = format!("{} {} {}{recipient}", delivery.created_at.format("%H:%M"), message.occasion, delivery.channel);
    for alert in &message.alerts {
        let _ = write!(line, " {}/{}", alert.key.subject, alert.key.kind);
        if message.alerts.len() > 1 || delivery.alert.is_none() {
            let _ = write!(line, "={}", alert.state);
        }
    }
    line + "\n"
}

fn key(device: &str, kind: &str) -> AlertKey {
    let (kind, instance) = kind.split_once('@').unwrap_or((kind, ""));
    let subject = if device == "rmm" { Subject::System } else { Subject::Device(device.into()) };
    AlertKey { subject, kind: kind.into(), instance: instance.into() }
}

fn finding(device: &str, kind: &str, severity: Severity, at: DateTime<Utc>) -> Finding {
    Finding {
        key: key(device, kind),
        severity,
        title: format!("{kind} on {device}"),
        message: String::new(),
        source: "test".into(),
        value: None,
        unit: None,
        at,
    }
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}
