//! Whether a change may pass: `[review]` of the old side decides, so that a change cannot switch off its own check.

use serde::Serialize;

use super::effect::{Effect, Effects};
use crate::model::config::{FailOn, Review as Rule};

/// Why a change may not pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reason {
    /// A word of `fail_on`, `max-percent`, `invalid` or `base-invalid`.
    pub rule: String,
    /// In words.
    pub message: String,
}

/// Every reason against these effects.
pub fn judge(rule: &Rule, effects: &Effects) -> Vec<Reason> {
    let devices = |n: usize, what: &str| format!("{n} device{} {what}", if n == 1 { "" } else { "s" });
    let count = |effect: Effect| effects.by_effect.get(&effect).copied().unwrap_or(0);
    let mut reasons = Vec::new();
    let mut seen = Vec::new();
    for on in &rule.fail_on {
        if seen.contains(on) {
            continue;
        }
        seen.push(*on);
        let (n, what) = match on {
            FailOn::Conflict => (count(Effect::Conflict), "on which policies would newly disagree"),
            FailOn::Destructive => (effects.destructive, "on which data would be destroyed"),
            FailOn::Reboot => (effects.reboots, "that would newly be restarted"),
            FailOn::HighRisk => (
                effects.items.iter().filter(|i| i.settings.iter().any(|s| s.risk.is_some_and(|r| r >= crate::model::Risk::High))).count(),
                "on which something of high risk would newly be changed",
            ),
            FailOn::Unmanaged => (effects.unmanaged, "that no policy would be for any more"),
            FailOn::Removed => (effects.removed, "that would no longer be declared"),
            FailOn::Released => (count(Effect::Released), "with settings that would no longer be managed"),
            FailOn::Drift => (count(Effect::Drifting), "that would newly deviate"),
            FailOn::Change => (count(Effect::Change), "that would newly be changed"),
            FailOn::Unknown => (count(Effect::Unknown), "with settings that cannot be told"),
            FailOn::Held => (count(Effect::Held), "with changes that would newly be held back"),
            FailOn::WithoutFacts => (effects.without_facts, "of which nothing is known"),
        };
        if n > 0 {
            reasons.push(Reason { rule: on.to_string(), message: devices(n, what) });
        }
    }
    // Counted exactly: a rounded figure would let 10.04 per cent pass as 10.
    if let Some(most) = rule.max_percent
        && effects.affected * 100 > effects.devices * most as usize
    {
        let message =
            format!("{} affected, {} per cent, and at most {most} per cent may be", devices(effects.affected, "would be"), effects.percent);
        reasons.push(Reason { rule: "max-percent".into(), message });
    }
    reasons
}
