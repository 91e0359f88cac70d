//! Policies of equal priority that ask for different things on a device that both are certainly for.

use std::collections::{BTreeMap, BTreeSet};

use super::members::{Devices, Members};
use crate::diagnose::Diagnostic;
use crate::model::{Policy, Setting};

/// Most conflicts that are told one by one.
const MOST: usize = 100;

/// Warns of conflicts. The planner changes nothing where there is one.
pub(super) fn check(policies: &[&Policy], members: &Members<'_>, problems: &mut Vec<Diagnostic>) {
    let mut wanted: BTreeMap<(String, i64), Vec<(usize, &Setting)>> = BTreeMap::new();
    for (number, policy) in policies.iter().enumerate() {
        for setting in policy.settings.iter().filter(|setting| !has_template(&setting.value)) {
            wanted.entry((setting.label(), policy.priority)).or_default().push((number, setting));
        }
    }
    let mut sets: BTreeMap<usize, Devices> = BTreeMap::new();
    let mut told = 0;
    for ((label, _), all) in wanted {
        for (i, (second, setting)) in all.iter().enumerate() {
            for (first, other) in &all[..i] {
                if other.value == setting.value || first == second || apart(policies[*first], policies[*second]) {
                    continue;
                }
                for number in [*first, *second] {
                    sets.entry(number).or_insert_with(|| certain(policies[number], members));
                }
                let Some(device) = sets[first].common(&sets[second]) else { continue };
                let (a, b) = (&policies[*first].name, &policies[*second].name);
                let message = format!("the policies '{a}' and '{b}' disagree about {label}, on '{}' among others", members.name(device));
                let problem = Diagnostic::warning("RMM0151", message).at(&setting.place).label("one value here");
                let advice = "nothing is changed there until one has a higher priority, or their targets are kept apart with exclude";
                problems.push(problem.related(&other.place, "another one here").advice(advice));
                told += 1;
                if told == MOST {
                    return;
                }
                break;
            }
        }
    }
}

fn certain(policy: &Policy, members: &Members<'_>) -> Devices {
    let excepted: BTreeSet<&str> = policy.exceptions.iter().map(|exception| exception.device.as_str()).collect();
    members.certain(&policy.targets, &policy.exclude, &excepted)
}

/// Two that hold at different times of the day need not meet.
fn apart(a: &Policy, b: &Policy) -> bool {
    matches!((&a.active, &b.active), (Some(a), Some(b)) if a != b)
}

fn has_template(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.contains("{{"),
        serde_json::Value::Array(items) => items.iter().any(has_template),
        serde_json::Value::Object(map) => map.values().any(has_template),
        _ => false,
    }
}
