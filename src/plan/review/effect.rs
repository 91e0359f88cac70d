//! What a change of the policy set would do to the fleet: both sides are planned with the same facts at the same time, and
//! what differs is said per device. Only what can differ is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::delta::{Delta, Deltas, Own, named};
use crate::model::plan::{Change, State};
use crate::model::{Device, Facts, Place, Reboot, Risk};
use crate::plan::scope::section_of;
use crate::plan::{Planner, Resolution};
use crate::repo::PolicySet;

/// Gives the facts of many devices. A database or a file is behind it; this room does not know which.
pub trait FactsSource: Sync {
    /// Why it cannot.
    type Error;

    /// Hands the facts of devices to `visit`, from several threads where that helps. `sections` are names or their
    /// beginnings, none means all. Of a section in `members` only those are needed. Devices without facts are left out.
    fn each(
        &self,
        sections: &[&str],
        members: &BTreeMap<String, BTreeSet<String>>,
        devices: &[&str],
        visit: &(dyn Fn(&str, Facts) + Sync),
    ) -> Result<(), Self::Error>;

    /// Everything that is known of one device, where a script asks for it.
    fn whole(&self, device: &str) -> Option<Facts>;
}

/// What happens to one setting of one device, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Two policies disagree, and did not before.
    Conflict,
    /// It would be changed, and would not have been, or to something else.
    Change,
    /// It deviates and is only reported, and did not deviate before.
    Drifting,
    /// It is no longer managed: no policy asks for it any more.
    Released,
    /// It cannot be told, and could before.
    Unknown,
    /// It deviates, and something newly stands in the way.
    Held,
    /// It does not exist on the platform, and nobody asked before.
    Unsupported,
    /// Something else is wanted; the verdict is the same.
    Altered,
    /// It is as it should be, and was not, or nobody asked.
    Compliant,
}

crate::model::traits::lower_display! {
    Effect {
        Conflict => "conflict", Change => "change", Drifting => "drifting", Released => "released", Unknown => "unknown",
        Held => "held", Unsupported => "unsupported", Altered => "altered", Compliant => "compliant",
    }
}

/// One setting of one device whose verdict differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// `Services.sshd`.
    pub setting: String,
    /// What happens.
    pub effect: Effect,
    /// The verdict before; absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<State>,
    /// The verdict after; absent where nobody asks any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<State>,
    /// Observed, in a few words.
    pub from: String,
    /// Desired, in a few words.
    pub to: String,
    /// What was desired before, where that was something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// The policy that asks for it, or asked.
    pub policy: String,
    /// The line that asks for it; one of the old side where the setting is released.
    pub place: Place,
    /// How dangerous carrying it out is; only of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Whether carrying it out restarts the device; only of changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot: Option<Reboot>,
    /// What stands in the way, or why it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What happens to one device.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceEffect {
    /// By name.
    pub device: String,
    /// Site, of the new side where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Groups, of the new side where it is there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The new side declares it and the old one does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub added: bool,
    /// The old side declares it and the new one does not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// No policy is for it any more, and one was.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unmanaged: bool,
    /// Nothing has been observed of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_facts: bool,
    /// Settings whose verdict differs, worst first.
    pub settings: Vec<Impact>,
}

/// How much of a group or site is affected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// `group` or `site`.
    pub kind: &'static str,
    /// By name.
    pub name: String,
    /// Devices that are affected.
    pub affected: usize,
    /// Devices in it.
    pub devices: usize,
    /// In per cent, one decimal.
    pub percent: f64,
}

/// What a change would do to the fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effects {
    /// Devices of both sides together.
    pub devices: usize,
    /// Devices for which anything differs.
    pub affected: usize,
    /// The same in per cent, one decimal: the blast radius.
    pub percent: f64,
    /// Devices of which nothing is known, so that what would happen to them is not known either.
    pub without_facts: usize,
    /// Devices by what happens to at least one of their settings.
    pub by_effect: BTreeMap<Effect, usize>,
    /// Devices that the new side adds.
    pub added: usize,
    /// Devices that the new side does not have any more.
    pub removed: usize,
    /// Devices that no policy is for any more.
    pub unmanaged: usize,
    /// Devices that would newly be restarted.
    pub reboots: usize,
    /// Devices on which a newly made change would destroy data.
    pub destructive: usize,
    /// New changes by risk.
    pub risks: BTreeMap<Risk, usize>,
    /// How much of which group and site, most first.
    pub shares: Vec<Share>,
    /// Devices for which anything differs, by name.
    pub items: Vec<DeviceEffect>,
    /// When the oldest fact that mattered was observed.
    #[serde(skip)]
    pub oldest: Option<DateTime<Utc>>,
}

/// Both sides made ready.
struct Comparison<'a> {
    old: Planner<'a>,
    new: Planner<'a>,
    deltas: Deltas,
    /// Something that every verdict depends on differs.
    everything: bool,
    now: DateTime<Utc>,
}

/// What has to be judged of one device.
struct Work {
    delta: std::sync::Arc<Delta>,
    added: bool,
    removed: bool,
    unmanaged: bool,
}

/// Compares what both sides would do to every device.
pub fn effects<S: FactsSource>(old: &PolicySet, new: &PolicySet, source: &S, now: DateTime<Utc>) -> Result<Effects, S::Error> {
    // Reviewing needs no secret, and what it says is read by many: values that hold one stay unknown.
    let secrets = |_: &str| None;
    let (a, b) = (Planner::new(old, &secrets), Planner::new(new, &secrets));
    let everything = old.config.monitoring.inventory_interval != new.config.monitoring.inventory_interval;
    let comparison = Comparison { old: a, new: b, deltas: Deltas::default(), everything, now };
    let names: BTreeSet<&str> = old.devices.keys().chain(new.devices.keys()).map(String::as_str).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut membership: Option<Vec<String>> = Some(vec!["software.os".into()]);
    for planner in [&comparison.old, &comparison.new] {
        let sections = planner.membership_sections(&crate::plan::Scope::default());
        membership = membership.filter(|_| !sections.is_empty()).map(|mut all| {
            all.extend(sections);
            all
        });
    }
    let by_facts = comparison.old.selects_by_facts() || comparison.new.selects_by_facts();
    let work: Mutex<BTreeMap<&str, Work>> = Mutex::default();
    let put = |name: &str, facts: &Facts| {
        if let Some(found) = comparison.work(name, facts)
            && let Ok(i) = names.binary_search(&name)
        {
            work.lock().unwrap_or_else(PoisonError::into_inner).insert(names[i], found);
        }
    };
    let nothing = Facts::default();
    let seen: Mutex<BTreeSet<String>> = Mutex::default();
    if by_facts {
        let sections: Vec<&str> = membership.iter().flatten().map(String::as_str).collect();
        source.each(&sections, &BTreeMap::new(), &names, &|name, facts| {
            put(name, &facts);
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        })?;
        let seen = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
        for name in names.iter().filter(|name| !seen.contains(**name)) {
            put(name, &nothing);
        }
    } else {
        for name in &names {
            put(name, &nothing);
        }
    }
    let work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
    let items: Mutex<Vec<DeviceEffect>> = Mutex::default();
    let oldest: Mutex<Option<DateTime<Utc>>> = Mutex::default();
    let judge = |name: &str, facts: &Facts, whole: &dyn Fn() -> Option<Facts>| {
        let Some(work) = work.get(name) else { return };
        let item = comparison.device(name, facts, whole, work);
        let mut oldest = oldest.lock().unwrap_or_else(PoisonError::into_inner);
        *oldest = [*oldest, facts.oldest()].into_iter().flatten().min();
        if item.added || item.removed || item.unmanaged || !item.settings.is_empty() {
            items.lock().unwrap_or_else(PoisonError::into_inner).push(item);
        }
    };
    if !work.is_empty() {
        let mut sections: BTreeSet<&str> = membership.iter().flatten().map(String::as_str).collect();
        for delta in work.values().map(|work| &work.delta) {
            sections.extend(delta.sections.iter().map(String::as_str));
        }
        let sections: Vec<&str> = if membership.is_some() { sections.into_iter().collect() } else { Vec::new() };
        let members = comparison.members(&work);
        // A script that names the facts which it asks for finds them in what was read; any other gets all there is.
        let found = |text: &str| named(text).is_some_and(|paths| paths.iter().all(|path| !members.contains_key(&section_of(path))));
        let deltas: BTreeMap<_, _> = work.values().map(|work| (std::sync::Arc::as_ptr(&work.delta), &work.delta)).collect();
        let complete = deltas.values().flat_map(|d| d.old.settings.iter().chain(&d.new.settings)).all(|s| found(s.def.program.text()));
        let affected: Vec<&str> = work.keys().copied().collect();
        source.each(&sections, &members, &affected, &|name, facts| {
            let whole = || if complete { None } else { source.whole(name) };
            judge(name, &facts, &whole);
            seen.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        })?;
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for name in affected.iter().filter(|name| !seen.contains(**name)) {
            judge(name, &nothing, &|| None);
        }
    }
    let mut items = items.into_inner().unwrap_or_else(PoisonError::into_inner);
    items.sort_by(|a, b| a.device.cmp(&b.device));
    let oldest = oldest.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(super::tally::tally(old, new, names.len(), items, oldest))
}

impl Comparison<'_> {
    /// What has to be judged of a device, where anything can differ.
    fn work(&self, name: &str, facts: &Facts) -> Option<Work> {
        let (was, is) = (self.old.set.devices.get(name), self.new.set.devices.get(name));
        let before = was.map(|device| self.old.resolve(device, facts));
        let after = is.map(|device| self.new.resolve(device, facts));
        let own = match (was, is, &before, &after) {
            (Some(a), Some(b), Some(x), Some(y)) => self.own((a, x), (b, y), facts),
            _ => Own::default(),
        };
        let delta = self.deltas.of((&self.old, &self.new), before.as_ref(), after.as_ref(), own);
        let has = |r: &Option<Resolution>| r.as_ref().is_some_and(|r| !r.policies.is_empty() || !r.uncertain.is_empty());
        let work = Work { added: was.is_none(), removed: is.is_none(), unmanaged: is.is_some() && has(&before) && !has(&after), delta };
        let uncertain = |r: &Option<Resolution>| r.as_ref().is_some_and(|r| !r.uncertain.is_empty());
        let nothing = work.delta.labels.is_empty() && !uncertain(&before) && !uncertain(&after);
        (!nothing || work.added || work.removed || work.unmanaged).then_some(work)
    }

    fn own(&self, (a, x): (&Device, &Resolution), (b, y): (&Device, &Resolution), facts: &Facts) -> Own {
        let everything = self.everything || a.os != b.os && facts.platform().is_none();
        let templated = |r: &Resolution| r.set.settings.iter().any(|s| s.templated);
        let templates = (templated(x) || templated(y))
            && ((&a.address, &a.site, &a.tags, &a.groups, &a.custom_fields) != (&b.address, &b.site, &b.tags, &b.groups, &b.custom_fields)
                || self.old.vars(a, &x.membership) != self.new.vars(b, &y.membership));
        Own { templates, everything }
    }

    /// Members of long sections that judging looks at, where both sides look at no more of them.
    fn members(&self, work: &BTreeMap<&str, Work>) -> BTreeMap<String, BTreeSet<String>> {
        let sections: BTreeSet<&str> = work.values().flat_map(|work| &work.delta.sections).map(String::as_str).collect();
        let (mut old, mut new) = (self.old.members(), self.new.members());
        let reads = |planner: &Planner<'_>| -> BTreeSet<String> { planner.sections().into_iter().collect() };
        let (reads_old, reads_new) = (reads(&self.old), reads(&self.new));
        let mut members = BTreeMap::new();
        for section in sections {
            // Where a side does not limit itself it either reads all of it, or none.
            let both = match (old.remove(section), new.remove(section)) {
                (Some(mut a), Some(b)) => {
                    a.extend(b);
                    Some(a)
                }
                (Some(a), None) => Some(a).filter(|_| !reads_new.is_empty() && !reads_new.contains(section)),
                (None, Some(b)) => Some(b).filter(|_| !reads_old.is_empty() && !reads_old.contains(section)),
                (None, None) => None,
            };
            if let Some(both) = both {
                members.insert(section.to_owned(), both);
            }
        }
        members
    }

    fn device(&self, name: &str, facts: &Facts, whole: &dyn Fn() -> Option<Facts>, work: &Work) -> DeviceEffect {
        let side = |planner: &Planner<'_>, narrowed: &std::sync::Arc<crate::plan::resolve::ResolvedSet>| {
            let device = planner.set.devices.get(name)?;
            let resolution = planner.resolve(device, facts);
            let part = Resolution { set: std::sync::Arc::clone(narrowed), ..resolution.clone() };
            let mut evaluated = planner.evaluate_part(device, (facts, whole), &part, self.now);
            // What a policy that is certain decides is not unknown because another one is uncertain.
            let decided = |c: &Change| {
                !work.delta.labels.contains(c.label().as_str()) && resolution.set.settings.iter().any(|s| *s.label == *c.label())
            };
            evaluated.changes.retain(|c| !decided(c));
            let plan = planner.decide(device, evaluated, &crate::plan::PlanOptions::default(), self.now);
            Some(plan)
        };
        let before = side(&self.old, &work.delta.old);
        let after = side(&self.new, &work.delta.new);
        let mut item = DeviceEffect {
            device: name.to_owned(),
            added: work.added,
            removed: work.removed,
            unmanaged: work.unmanaged,
            without_facts: facts.sections.is_empty(),
            ..DeviceEffect::default()
        };
        if let Some(plan) = after.as_ref().or(before.as_ref()) {
            item.site.clone_from(&plan.site);
            item.groups.clone_from(&plan.groups);
        }
        let by_label = |side: Option<crate::model::DevicePlan>| -> BTreeMap<String, Change> {
            side.into_iter().flat_map(|plan| plan.changes).map(|c| (c.label(), c)).collect()
        };
        let (mut before, after) = (by_label(before), by_label(after));
        for (label, change) in after {
            let was = before.remove(&label);
            item.settings.extend(impact(label, was.as_ref(), Some(&change)));
        }
        for (label, was) in before {
            item.settings.extend(impact(label, Some(&was), None));
        }
        item.settings.sort_by(|a, b| (a.effect, &a.setting).cmp(&(b.effect, &b.setting)));
        item
    }
}

/// What the step from one verdict to the other means; nothing where it means nothing.
fn impact(setting: String, was: Option<&Change>, is: Option<&Change>) -> Option<Impact> {
    let (before, after) = (was.map(|c| c.state), is.map(|c| c.state));
    let wants_other = was.zip(is).is_some_and(|(a, b)| a.desired != b.desired || a.restart != b.restart);
    let reason = |c: &Change| c.held.as_ref().map(|h| h.reason.clone()).or_else(|| c.reason.clone());
    let effect = match (before, after) {
        (None, None) => return None,
        (Some(_), None) => Effect::Released,
        (Some(State::Change), Some(State::Change)) if wants_other => Effect::Change,
        (Some(a), Some(b)) if a == b => {
            let same_reason = was.and_then(reason) == is.and_then(reason);
            // What is as it should be, and was, needs no line although something else is asked for now.
            if a == State::Compliant || !wants_other && (same_reason || a != State::Held) {
                return None;
            }
            Effect::Altered
        }
        (_, Some(State::Conflict)) => Effect::Conflict,
        (_, Some(State::Change)) => Effect::Change,
        (_, Some(State::Report)) => Effect::Drifting,
        (_, Some(State::Unknown)) => Effect::Unknown,
        (_, Some(State::Held)) => Effect::Held,
        (_, Some(State::Unsupported)) => Effect::Unsupported,
        (_, Some(State::Compliant)) => Effect::Compliant,
    };
    let shown = is.or(was)?;
    let carried_out = effect == Effect::Change;
    Some(Impact {
        setting,
        effect,
        before,
        after,
        from: shown.from.clone(),
        to: if is.is_some() { shown.to.clone() } else { "(not managed)".into() },
        was: was.filter(|a| is.is_none() || wants_other && a.to != shown.to).map(|a| a.to.clone()),
        policy: shown.policy.to_string(),
        place: shown.place.clone(),
        risk: carried_out.then_some(shown.risk),
        reboot: carried_out.then_some(shown.reboot),
        reason: is.and_then(reason),
    })
}
