//! The same effect on many devices is one line: a reviewer reads settings, not devices.

use std::collections::BTreeMap;

use crate::model::{Place, Reboot, Risk};
use crate::plan::review::{Effect, Effects, Impact};

/// Most devices that a line names.
pub(super) const NAMED: usize = 3;

/// One effect on one setting, and the devices that it happens to.
pub(super) struct Group<'a> {
    pub(super) effect: Effect,
    pub(super) setting: &'a str,
    pub(super) policy: &'a str,
    pub(super) place: &'a Place,
    pub(super) to: &'a str,
    pub(super) was: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) risk: Option<Risk>,
    pub(super) reboot: Option<Reboot>,
    pub(super) devices: Vec<&'a str>,
    /// What was observed, and on how many devices.
    froms: BTreeMap<&'a str, usize>,
}

impl Group<'_> {
    /// What was observed: most often first, and how many other values there are.
    pub(super) fn from(&self) -> String {
        let mut froms: Vec<_> = self.froms.iter().collect();
        froms.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        match froms.as_slice() {
            [] => String::new(),
            [(only, _)] => (**only).to_owned(),
            [(first, _), _] => format!("{first} (and another value)"),
            [(first, _), rest @ ..] => format!("{first} (and {} other values)", rest.len()),
        }
    }

    /// The first devices, and how many more.
    pub(super) fn names(&self) -> String {
        let more = if self.devices.len() > NAMED { format!(" and {} more", self.devices.len() - NAMED) } else { String::new() };
        format!("{}{more}", self.devices.iter().take(NAMED).copied().collect::<Vec<_>>().join(", "))
    }
}

/// The groups, worst first: by effect, then risk, then how many devices.
pub(super) fn groups(effects: &Effects) -> Vec<Group<'_>> {
    let mut found: BTreeMap<_, Group<'_>> = BTreeMap::new();
    for item in &effects.items {
        for impact in &item.settings {
            let Impact { setting, effect, policy, place, to, was, reason, risk, reboot, from, .. } = impact;
            let key = (*effect, setting.as_str(), policy.as_str(), to.as_str(), was.as_deref(), reason.as_deref());
            let group = found.entry(key).or_insert_with(|| Group {
                effect: *effect,
                setting,
                policy,
                place,
                to,
                was: was.as_deref(),
                reason: reason.as_deref(),
                risk: *risk,
                reboot: *reboot,
                devices: Vec::new(),
                froms: BTreeMap::new(),
            });
            group.devices.push(&item.device);
            group.risk = group.risk.max(*risk);
            group.reboot = group.reboot.max(*reboot);
            *group.froms.entry(from).or_default() += 1;
        }
    }
    let mut groups: Vec<Group<'_>> = found.into_values().collect();
    groups.sort_by(|a, b| {
        let rank =
            |g: &Group<'_>| (g.risk != Some(Risk::Destructive), g.effect, std::cmp::Reverse(g.risk), std::cmp::Reverse(g.devices.len()));
        rank(a).cmp(&rank(b)).then_with(|| a.setting.cmp(b.setting))
    });
    groups
}

/// What an effect is called for people.
pub(super) fn title(effect: Effect) -> &'static str {
    match effect {
        Effect::Conflict => "policies newly disagree",
        Effect::Change => "newly changed",
        Effect::Drifting => "newly deviates",
        Effect::Released => "no longer managed",
        Effect::Unknown => "cannot be told",
        Effect::Held => "newly held back",
        Effect::Unsupported => "not supported",
        Effect::Altered => "wanted differently",
        Effect::Compliant => "newly compliant",
    }
}

/// The whole in one sentence.
pub(super) fn verdict(effects: &Effects) -> String {
    let devices = |n: usize| super::super::style::count(n, "device", "devices");
    if effects.affected == 0 {
        return format!("No effect on any of {}.", devices(effects.devices));
    }
    let mut parts = Vec::new();
    let mut add = |n: usize, what: &str| {
        if n > 0 {
            parts.push(format!("{what} on {}", devices(n)));
        }
    };
    for (effect, n) in &effects.by_effect {
        add(*n, title(*effect));
    }
    let mut alone = Vec::new();
    for (n, what) in [
        (effects.unmanaged, "fall out of every policy"),
        (effects.removed, "removed"),
        (effects.added, "added"),
        (effects.reboots, "restarted"),
        (effects.destructive, "with destructive changes"),
        (effects.without_facts, "of which nothing is known"),
    ] {
        if n > 0 {
            alone.push(format!("{} {what}", devices(n)));
        }
    }
    parts.extend(alone);
    format!("{} of {} affected ({} %): {}.", effects.affected, devices(effects.devices), effects.percent, parts.join(", "))
}
