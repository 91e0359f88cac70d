//! The circuit breaker: what fails three times, or does not last three times, is left alone on that device, with an alert that
//! says what was tried. A changed policy or a person gives it another try.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::blocking::audit;
use crate::apply::{Parts, Task};
use crate::model::alert::{AlertKey, Finding, Signal, Subject};
use crate::model::plan::{Change, Plan, State};
use crate::model::run::ChangeState;
use crate::model::suspension::{Suspension, SuspensionKind};
use crate::store::{ChangeOutcome, StoreError};

/// So often something may fail, or not last, one time after another.
const MOST: u32 = 3;
/// What was right for so long has lasted.
const LASTS: TimeDelta = TimeDelta::days(7);
/// Most runs that are looked through at the start.
const MOST_RUNS: usize = 500;
/// Most commands that an alert shows.
const MOST_SHOWN: usize = 5;

/// Type of the alerts.
pub const KIND: &str = "Suspended";

/// What was carried out lately, to notice what does not last.
#[derive(Debug, Default)]
pub struct Breaker {
    /// By device and label: when, and which value was brought about.
    applied: HashMap<(String, String), (DateTime<Utc>, Value)>,
}

impl Breaker {
    /// Reads from the journal what was carried out lately.
    pub fn load(parts: &Parts) -> Result<Self, StoreError> {
        let since = parts.clock.now() - LASTS;
        let mut breaker = Self::default();
        // Newest first: the last value that was brought about is the one that counts.
        for run in parts.store.runs(MOST_RUNS)?.into_iter().take_while(|run| run.started_at >= since) {
            for change in parts.store.run_changes(&run.id)?.into_iter().filter(|c| c.state == ChangeState::Done && !c.change.restart) {
                let key = (change.device, change.change.label());
                let at = change.finished_at.unwrap_or(run.started_at);
                breaker.applied.entry(key).or_insert((at, change.change.desired));
            }
        }
        Ok(breaker)
    }

    /// Looks at a plan before it is carried out: what was carried out before and is wanted again did not last. What is
    /// suspended now is left out of the plan by planning again.
    pub fn before(&mut self, parts: &Parts, plan: &Plan) -> Result<Vec<Signal>, StoreError> {
        let now = parts.clock.now();
        self.applied.retain(|_, (at, _)| now - *at < LASTS);
        let mut signals = Vec::new();
        for device in &plan.devices {
            for change in device.changes.iter().filter(|c| c.state == State::Change && !c.restart) {
                let key = (device.device.clone(), change.label());
                let Some((at, desired)) = self.applied.remove(&key) else { continue };
                if desired != change.desired {
                    continue;
                }
                let counters = parts.store.note_change_outcome(&device.device, &key.1, ChangeOutcome::Reverted)?;
                if counters.reverted >= MOST {
                    let why =
                        format!("did not last: it was carried out {} times, last at {}", counters.reverted, at.format("%F %H:%M UTC"));
                    signals.extend(trip(parts, &device.device, change, &why)?);
                }
            }
        }
        Ok(signals)
    }

    /// Looks at what came of these changes of a run. Those that it had come to the end of before, when it began or was gone on
    /// with, have been counted then.
    pub fn after(&mut self, parts: &Parts, run: &str, carried: &BTreeSet<i64>) -> Result<Vec<Signal>, StoreError> {
        let now = parts.clock.now();
        let mut signals = Vec::new();
        for change in parts.store.run_changes(run)?.into_iter().filter(|change| carried.contains(&change.seq)) {
            let label = change.change.label();
            match change.state {
                ChangeState::Done if !change.change.restart => {
                    parts.store.note_change_outcome(&change.device, &label, ChangeOutcome::Done)?;
                    self.applied.insert((change.device, label), (now, change.change.desired));
                }
                ChangeState::Failed | ChangeState::RolledBack => {
                    let counters = parts.store.note_change_outcome(&change.device, &label, ChangeOutcome::Failed)?;
                    if counters.failures >= MOST {
                        let error = change.error.as_deref().unwrap_or("no reason given");
                        let why = format!("failed {} times, last with: {error}", counters.failures);
                        signals.extend(trip(parts, &change.device, &change.change, &why)?);
                    }
                }
                _ => {}
            }
        }
        Ok(signals)
    }

    /// The changes that a task is about, for [`Self::after`].
    pub fn carried(task: &Task) -> BTreeSet<i64> {
        task.changes().iter().map(|change| change.seq).collect()
    }

    /// Forgets what was carried out on these devices: they are given another try.
    pub fn forgive(&mut self, devices: &BTreeSet<String>) {
        self.applied.retain(|(of, _), _| !devices.contains(of));
    }
}

/// Suspends a setting on a device, and says so. Nothing where it is suspended already.
fn trip(parts: &Parts, device: &str, change: &Change, why: &str) -> Result<Option<Signal>, StoreError> {
    let (now, label) = (parts.clock.now(), change.label());
    let suspension = Suspension {
        kind: SuspensionKind::Setting,
        name: label.clone(),
        device: Some(device.to_owned()),
        since: now,
        by: "rmm".into(),
        reason: why.to_owned(),
        automatic: true,
        policy_set: Some(parts.set.hash.clone()),
    };
    let details = json!({ "device": device, "setting": label, "policy": change.policy, "reason": why });
    if !parts.store.suspend(&suspension, audit(&parts.actor, now, "suspension.added", device, details))? {
        return Ok(None);
    }
    tracing::warn!(device, setting = label, "suspended: {why}");
    let commands = change.commands.iter().take(MOST_SHOWN).map(|command| format!("  {}", command.line)).collect::<Vec<_>>().join("\n");
    let tried = if commands.is_empty() { String::new() } else { format!("\nWhat was tried:\n{commands}") };
    let message = format!(
        "{label} on {device}, asked for by policy {} ({}), from {} to {}, {why}. It is left alone until the policy changes, or: rmm resume setting {label} --device {device}{tried}",
        change.policy, change.place, change.from, change.to
    );
    Ok(Some(Signal::Raised(Finding {
        key: key(device, &label),
        severity: change.severity,
        title: format!("{label} on {device} is suspended: it does not converge"),
        message,
        source: "reconcile".into(),
        value: None,
        unit: None,
        at: now,
    })))
}

/// What an alert about a suspended setting is the same as.
pub fn key(device: &str, label: &str) -> AlertKey {
    AlertKey { subject: Subject::Device(device.into()), kind: KIND.into(), instance: label.into() }
}

/// Gives another try to what a change of the policies has put an end to. Says which alerts are over.
pub fn resume_changed(parts: &Parts) -> Result<Vec<Signal>, StoreError> {
    let now = parts.clock.now();
    let (_, over) = crate::apply::holding_and_over(&parts.set, &parts.store)?;
    let mut signals = Vec::new();
    for one in over {
        let device = one.device.as_deref().unwrap_or_default();
        let details = json!({ "device": device, "setting": one.name, "reason": "the policy has changed" });
        let event = audit(&parts.actor, now, "suspension.removed", device, details);
        match parts.store.resume_suspension(one.kind, &one.name, one.device.as_deref(), event) {
            // Somebody was faster.
            Ok(()) | Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        signals.push(Signal::Cleared { key: key(device, &one.name), at: now, reason: "the policy has changed: it is tried again".into() });
    }
    Ok(signals)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::access::{Redactor, SecretStore};
    use crate::model::run::{Actor, RunChange};
    use crate::repo::{LoadOptions, World, compile};
    use crate::store::{Step, Store};
    use crate::time::{Clock as _, FixedClock};

    fn parts(folder: &std::path::Path) -> Parts {
        let clock = Arc::new(FixedClock::new("2026-11-21T12:00:00Z".parse().unwrap()));
        let options = LoadOptions { root: folder.into(), env: None, environment: Vec::new(), now: clock.now() };
        let files =
            [("rmm.toml", "[general]\norganization = \"Example\"\n"), ("devices.yaml", "devices: {a: {os: linux}, b: {os: linux}}\n")];
        let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
        let set = Arc::new(compile(files, &options, World::default()).set.unwrap());
        let secrets = Arc::new(SecretStore::new(folder, Redactor::new()));
        Parts {
            sessions: crate::apply::sessions(&set, &secrets),
            store: Store::open(&folder.join("rmm.db"), clock.clone()).unwrap(),
            redactor: Redactor::new(),
            actor: Actor { user: "kim".into(), from: "test".into() },
            set,
            secrets,
            clock,
        }
    }

    fn change(run: &str, seq: i64, device: &str) -> RunChange {
        let change = json!({
            "setting": "Timezone", "state": "change", "desired": "UTC", "observed": "CET", "from": "CET", "to": "UTC", "policy": "P",
            "place": {"file": "p.yaml", "line": 1, "column": 1}, "severity": "medium", "risk": "low", "reboot": "never", "phase": "system",
        });
        let value = json!({
            "run": run, "seq": seq, "device": device, "change": change, "state": "pending", "attempts": 0, "error": null, "before": null,
            "after": null, "startedAt": null, "finishedAt": null,
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_failed_once_counts_once_however_often_its_run_goes_on_with_others() {
        let folder = tempfile::tempdir().unwrap();
        let parts = parts(folder.path());
        let mut breaker = Breaker::default();
        crate::apply::declare(&parts.set, &parts.store).unwrap();
        let run = crate::apply::new_run(&parts.set, &parts.actor, parts.clock.now(), 7, json!({}));
        let changes = [change(&run.id, 1, "a"), change(&run.id, 2, "b")];
        parts.store.create_run(&run, &changes).unwrap();
        let step = |seq, state| parts.store.transition(&run.id, seq, state, &Step::default(), &parts.actor).unwrap();
        step(1, ChangeState::Started);
        step(1, ChangeState::Failed);
        step(2, ChangeState::Queued);
        breaker.after(&parts, &run.id, &BTreeSet::from([1, 2])).unwrap();
        // The other device comes and goes.
        for _ in 0..5 {
            assert_eq!(breaker.after(&parts, &run.id, &BTreeSet::from([2])).unwrap(), []);
        }
        assert_eq!(parts.store.convergence("a", "Timezone").unwrap().failures, 1);
        assert_eq!(parts.store.suspensions().unwrap(), []);
    }
}
