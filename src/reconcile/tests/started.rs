//! What starts workflows, by a clock that is set by hand.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::access::{Redactor, SecretStore};
use crate::apply::Parts;
use crate::model::alert::{Subject, Suppression};
use crate::model::run::Actor;
use crate::model::{Alert, AlertKey, AlertState, Severity};
use crate::reconcile::Triggers;
use crate::repo::{LoadOptions, World, compile};
use crate::store::{AlertBatch, RunFilter, Store};
use crate::time::{Clock as _, FixedClock};

const STEPS: &str = "steps: [{name: End, end: succeeded}]";

struct House {
    parts: Parts,
    clock: Arc<FixedClock>,
    _folder: tempfile::TempDir,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

impl House {
    fn new(now: &str, workflows: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::new(at(now)));
        let workflows: String = workflows
            .iter()
            .map(|(name, trigger)| format!("{name}:\n  trigger: {trigger}\n  concurrency: parallel\n  {STEPS}\n"))
            .collect();
        let files = [("rmm.toml", ""), ("devices.yaml", "devices: {a: {os: linux}}\n"), ("workflows/w.yaml", workflows.as_str())];
        let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
        let options = LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now: clock.now() };
        let loaded = compile(files, &options, World::default());
        assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
        let (set, secrets) = (Arc::new(loaded.set.unwrap()), Arc::new(SecretStore::new(folder.path(), Redactor::new())));
        let parts = Parts {
            sessions: crate::apply::sessions(&set, &secrets),
            store: Store::open(&folder.path().join("rmm.db"), clock.clone()).unwrap(),
            redactor: Redactor::new(),
            actor: Actor { user: "rmm".into(), from: "test".into() },
            clock: clock.clone(),
            set,
            secrets,
        };
        Self { parts, clock, _folder: folder }
    }

    fn triggers(&self) -> Triggers {
        Triggers::begin(self.parts.clone()).unwrap()
    }

    /// Workflows that were started, and because of what, oldest first.
    fn started(&self) -> Vec<String> {
        let mut runs = self.parts.store.workflow_runs(&RunFilter::default()).unwrap();
        runs.sort_by_key(|run| (run.created_at, run.workflow.clone()));
        runs.into_iter().map(|run| format!("{} {}", run.workflow, run.cause.key.unwrap())).collect()
    }

    fn alert(&self, id: &str, kind: &str, instance: &str, severity: Severity, suppressed: Option<Suppression>) {
        let now = self.parts.clock.now();
        let state = if suppressed.is_some() { AlertState::Triggered } else { AlertState::Active };
        let alert = Alert {
            id: id.into(),
            key: AlertKey { subject: Subject::Device("a".into()), kind: kind.into(), instance: instance.into() },
            severity,
            title: kind.into(),
            message: String::new(),
            source: "test".into(),
            value: Some(7.0),
            unit: None,
            state,
            suppressed,
            count: 1,
            created_at: now,
            last_at: now,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            notes: Vec::new(),
            progress: Value::Null,
        };
        self.parts.store.commit_alerts(&AlertBatch { alerts: vec![alert], ..AlertBatch::default() }).unwrap();
    }
}

#[test]
fn a_schedule_has_one_run_for_each_moment_also_where_daylight_saving_skips_or_repeats_it() {
    let trigger = "{schedule: {cron: '30 2 * * *', timezone: Europe/Berlin}}";
    for (first, last, moments) in [("2026-03-28T12:00:00Z", "2026-03-30T12:00:00Z", 2), ("2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z", 2)]
    {
        let house = House::new(first, &[("Nightly", trigger)]);
        let mut triggers = house.triggers();
        let (mut now, mut minute) = (at(first), 0);
        while now < at(last) {
            now += chrono::TimeDelta::minutes(10);
            minute += 1;
            house.clock.set(now);
            // Another process takes over now and then.
            if minute % 7 == 0 {
                triggers = house.triggers();
            }
            triggers.look().unwrap();
        }
        assert_eq!(house.started().len(), moments, "{:?}", house.started());
    }
}

#[test]
fn of_what_was_missed_the_last_moment_has_its_run_and_one_that_was_claimed_and_not_started_too() {
    let house = House::new("2026-11-20T12:00:00Z", &[("Hourly", "'Schedule: Hourly'")]);
    house.triggers().look().unwrap();
    assert!(house.started().is_empty());
    house.clock.set(at("2026-11-21T12:10:00Z"));
    house.triggers().look().unwrap();
    house.triggers().look().unwrap();
    assert_eq!(house.started(), ["Hourly schedule:2026-11-21T12:00:00Z"]);
    house.clock.set(at("2026-11-21T13:10:00Z"));
    // Claimed by a process that was killed then.
    let now = house.parts.clock.now();
    assert!(house.parts.store.claim_schedule("workflow Hourly", at("2026-11-21T13:00:00Z"), None, now).unwrap());
    house.triggers().look().unwrap();
    assert_eq!(house.started(), ["Hourly schedule:2026-11-21T12:00:00Z", "Hourly schedule:2026-11-21T13:00:00Z"]);
}

#[test]
fn an_alert_starts_what_waits_for_it_once_somebody_is_told_of_it() {
    let workflows = [("All", "{alert: {}}"), ("Disk", "'Alert: DiskSpace severity >= High'"), ("Other", "'Alert: CPU'")];
    let house = House::new("2026-11-21T12:00:00Z", &workflows);
    house.alert("a-0", "DiskSpace", "/", Severity::Critical, None);
    let mut triggers = house.triggers();
    triggers.look().unwrap();
    assert!(house.started().is_empty(), "nothing is started for what was there before");
    house.alert("a-1", "DiskSpace", "/var", Severity::Critical, Some(Suppression::Maintenance("M".into())));
    triggers.look().unwrap();
    assert!(house.started().is_empty());
    house.alert("a-1", "DiskSpace", "/var", Severity::Medium, None);
    triggers.look().unwrap();
    assert_eq!(house.started(), ["All alert:a-1"]);
    house.alert("a-1", "DiskSpace", "/var", Severity::Critical, None);
    house.triggers().look().unwrap();
    house.triggers().look().unwrap();
    assert_eq!(house.started(), ["All alert:a-1", "Disk alert:a-1"]);
    let run = &house.parts.store.workflow_runs(&RunFilter { workflow: Some("Disk".into()), ..RunFilter::default() }).unwrap()[0];
    assert_eq!(run.cause.device.as_deref(), Some("a"));
    assert_eq!((&run.cause.data["severity"], &run.cause.data["instance"]), (&"critical".into(), &"/var".into()));
}

#[test]
fn a_workflow_that_fails_starts_only_what_names_that_and_never_itself() {
    let workflows = [("All", "{alert: {}}"), ("Named", "'Alert: WorkflowFailed'"), ("Too", "'Alert: WorkflowFailed'")];
    let house = House::new("2026-11-21T12:00:00Z", &workflows);
    let mut triggers = house.triggers();
    house.alert("a-1", "CPU", "", Severity::High, None);
    triggers.look().unwrap();
    assert_eq!(house.started(), ["All alert:a-1"]);
    let id = |workflow: &str| {
        house.parts.store.workflow_runs(&RunFilter { workflow: Some(workflow.into()), ..RunFilter::default() }).unwrap()[0].id.clone()
    };
    house.alert("a-2", "WorkflowFailed", &id("All"), Severity::High, None);
    triggers.look().unwrap();
    assert_eq!(house.started(), ["All alert:a-1", "Named alert:a-2", "Too alert:a-2"]);
    // One of those fails as well.
    house.alert("a-3", "WorkflowFailed", &id("Named"), Severity::High, None);
    triggers.look().unwrap();
    assert_eq!(house.started().len(), 3);
}
