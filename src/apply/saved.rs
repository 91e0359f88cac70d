//! A saved plan, before it is trusted: a file can be old, or altered. What it asks for must be what the policy set asks for.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use std::collections::{BTreeMap, BTreeSet};

use super::limits::Refused;
use super::stages::{self, Stage};
use crate::access::{SecretStore, Secrets as _};
use crate::model::Facts;
use crate::model::plan::{Change, Held, Plan, State};
use crate::model::run::{ChangeState, RunChange};
use crate::plan::{PlanOptions, Planner, Scope, UNCERTAIN, summarize};
use crate::repo::PolicySet;
use crate::store::{Store, StoreError};

/// Refuses a saved plan that was made from another policy set, or is too old.
pub fn check_fresh(plan: &Plan, set: &PolicySet, now: DateTime<Utc>) -> Result<(), Refused> {
    let shorten = |hash: &str| hash.chars().take(12).collect::<String>();
    if plan.policy_set != set.hash {
        return Err(Refused::PolicySetChanged { planned: shorten(&plan.policy_set), current: shorten(&set.hash) });
    }
    if now >= plan.expires_at {
        return Err(Refused::Expired { at: plan.expires_at.format("%F %H:%M UTC").to_string() });
    }
    Ok(())
}

/// The plan with everything that does not come from the person taken from the policy set again: risk, restarts, order.
/// Changes that a window, guard or exception holds back by now are held. [`Refused::Altered`] where it asks for
/// something that the policy set does not.
pub fn reassure(
    mut plan: Plan,
    set: &PolicySet,
    store: &Store,
    secrets: &Arc<SecretStore>,
    approve: bool,
    now: DateTime<Utc>,
) -> Result<Plan, super::ApplyError> {
    let lookup = |name: &str| secrets.resolve(name).ok();
    let planner = Planner::new(set, &lookup);
    let options = PlanOptions { approve, compliant: true, suspended: super::suspended(set, store)?, ..PlanOptions::default() };
    for device_plan in &mut plan.devices {
        let altered = |setting: String| Refused::Altered { device: device_plan.device.clone(), setting };
        let Some(device) = set.devices.get(&device_plan.device) else { return Err(altered("the device itself".into()).into()) };
        let facts = Arc::new(store.facts(&device_plan.device, None)?);
        let evaluated = planner.evaluate(device, &facts, &options, now);
        let mut labels = BTreeSet::new();
        if let Some(twice) = device_plan.changes.iter().map(Change::label).find(|label| !labels.insert(label.clone())) {
            return Err(altered(twice).into());
        }
        let mut wanted = evaluated.clone();
        // Ask the windows about every change of the plan, also about those whose facts have changed since.
        for change in &mut wanted.changes {
            if let Some(saved) = device_plan.changes.iter().find(|c| c.label() == change.label()) {
                change.state = saved.state;
                change.restart = saved.restart;
            }
        }
        let decided = planner.decide(device, wanted, &options, now);
        device_plan.groups.clone_from(&evaluated.groups);
        for change in device_plan.changes.iter_mut().filter(|c| c.state == State::Change) {
            let Some(asked) = evaluated.changes.iter().find(|c| c.label() == change.label()) else {
                return Err(altered(change.label()).into());
            };
            let remediates = set.policies.iter().any(|p| p.name == asked.policy && p.remediate != crate::model::Remediate::Report);
            // In conflict, or not certainly for this device any more: the policy set does not ask for it as it did.
            let certain = matches!(asked.state, State::Change | State::Report | State::Compliant) || !uncertain(asked);
            if asked.desired != change.desired || asked.policy != change.policy || !remediates || !certain {
                return Err(altered(change.label()).into());
            }
            (change.risk, change.reboot, change.phase) = (asked.risk, asked.reboot, asked.phase);
            change.restart_on.clone_from(&asked.restart_on);
            // What is confirmed and recorded are our words, not the file's.
            change.place = asked.place.clone();
            change.severity = asked.severity;
            if !change.restart {
                change.to.clone_from(&asked.to);
            }
            if super::hidden::alike(secrets.redactor(), &asked.observed, &change.observed) {
                change.from.clone_from(&asked.from);
            }
            match decided.changes.iter().find(|c| c.label() == change.label()) {
                Some(now) if now.state == State::Held => {
                    change.state = State::Held;
                    change.held.clone_from(&now.held);
                }
                Some(_) => {}
                // A restart whose causes are all held by now.
                None => change.state = State::Compliant,
            }
        }
        planner.show_commands(device_plan, &facts);
        device_plan.changes.sort_by(|a, b| (a.phase, &a.setting, &a.key).cmp(&(b.phase, &b.setting, &b.key)));
    }
    plan.summary = summarize(&plan.devices);
    Ok(plan)
}

/// Which of the open changes of a run a window, guard or exception holds back by now, by their place in the run. Those
/// that were begun already are not among them: half a change helps nobody.
pub fn held_now(
    set: &PolicySet,
    store: &Store,
    secrets: &Arc<SecretStore>,
    now: DateTime<Utc>,
    changes: &[RunChange],
) -> Result<BTreeMap<i64, Held>, StoreError> {
    let lookup = |name: &str| secrets.resolve(name).ok();
    let planner = Planner::new(set, &lookup);
    // The run was approved when it began.
    let options = PlanOptions { approve: true, compliant: true, suspended: super::suspended(set, store)?, ..PlanOptions::default() };
    let mut held = BTreeMap::new();
    for of_device in changes.chunk_by(|a, b| a.device == b.device) {
        let Some(device) = set.devices.get(&of_device[0].device) else { continue };
        let facts = store.facts(&device.name, None)?;
        let mut evaluated = planner.evaluate(device, &facts, &options, now);
        let asked: BTreeSet<String> = evaluated.changes.iter().filter(|c| !uncertain(c)).map(Change::label).collect();
        for change in &mut evaluated.changes {
            change.state = State::Change;
        }
        let decided = planner.decide(device, evaluated, &options, now);
        for change in of_device.iter().filter(|c| !matches!(c.state, ChangeState::Started | ChangeState::Interrupted)) {
            let of_plan = decided.changes.iter().find(|c| c.label() == change.change.label());
            if let Some(reason) = of_plan.and_then(|c| c.held.clone()) {
                held.insert(change.seq, reason);
            } else if !asked.contains(&change.change.label()) {
                let reason = "the policy set does not certainly ask for it any more".to_owned();
                held.insert(change.seq, Held { by: "policy".into(), until: None, reason });
            }
        }
    }
    Ok(held)
}

/// Whether it is not certain any more that, and what, the policy set asks: a conflict, or a target that is not known.
/// An observation that is merely old says nothing about that.
fn uncertain(change: &Change) -> bool {
    matches!(change.state, State::Conflict | State::Unsupported)
        || change.state == State::Unknown && change.reason.as_deref().is_some_and(|r| r.starts_with(UNCERTAIN))
}

/// The stages of a run's devices, by their groups as they are known now.
pub fn stages_of(set: &PolicySet, store: &Store, stages: &[String], changes: &[RunChange]) -> Result<Vec<Stage>, StoreError> {
    let mut names: Vec<&str> = changes.iter().map(|c| &*c.device).collect();
    names.sort_unstable();
    names.dedup();
    let secrets = |_: &str| None;
    let planner = Planner::new(set, &secrets);
    let mut facts = std::collections::HashMap::new();
    if !stages.is_empty() {
        let sections = planner.membership_sections(&Scope::default());
        let sections: Vec<&str> = sections.iter().map(String::as_str).collect();
        store.facts_fleet(&sections, Some(&names), |device, known| {
            facts.insert(device.to_owned(), known);
        })?;
    }
    let none = Facts::default();
    let groups = |name: &str| match set.devices.get(name) {
        Some(device) if !stages.is_empty() => planner.membership(device, facts.get(name).unwrap_or(&none)).groups,
        _ => std::collections::BTreeSet::new(),
    };
    Ok(stages::split(names.iter().map(|name| ((*name).to_owned(), groups(name))), stages))
}
