//! The circuit breaker: what fails three times, or does not last three times, is left alone on that device, with an alert that
//! says what was tried. A changed policy or a person gives it another try.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::blocking::audit;
use crate::apply::Parts;
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

    /// Looks at what came of a run.
    pub fn after(&mut self, parts: &Parts, run: &str) -> Result<Vec<Signal>, StoreError> {
        let now = parts.clock.now();
        let mut signals = Vec::new();
        for change in parts.store.run_changes(run)? {
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

    /// Forgets what was carried out on a device: it is given another try.
    pub fn forgive(&mut self, device: Option<&str>) {
        self.applied.retain(|(of, _), _| device.is_some_and(|device| device != of));
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
