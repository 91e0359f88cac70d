//! Which settings can have another verdict, for all devices that the same policies apply to. Everything else is not judged:
//! that is what makes the cost of a review follow the change and not the fleet.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Policy;
use crate::plan::resolve::ResolvedSet;
use crate::plan::scope::section_of;
use crate::plan::{Planner, Resolution, ResolvedSetting};

/// The settings of one kind of device that can differ, on both sides.
pub(super) struct Delta {
    pub(super) labels: BTreeSet<Arc<str>>,
    pub(super) old: Arc<ResolvedSet>,
    pub(super) new: Arc<ResolvedSet>,
    /// Sections that judging them looks at.
    pub(super) sections: BTreeSet<String>,
}

/// What of a device differs besides the policies that apply to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Own {
    /// Values that templates are filled in with.
    pub(super) templates: bool,
    /// Something that every verdict depends on.
    pub(super) everything: bool,
}

type Key = (Option<Arc<[usize]>>, Option<Arc<[usize]>>, Own);

/// Deltas by the policies that apply on both sides.
#[derive(Default)]
pub(super) struct Deltas(Mutex<HashMap<Key, Arc<Delta>>>);

impl Deltas {
    pub(super) fn of(
        &self,
        (old, new): (&Planner<'_>, &Planner<'_>),
        before: Option<&Resolution>,
        after: Option<&Resolution>,
        own: Own,
    ) -> Arc<Delta> {
        let key = (before.map(|r| Arc::clone(&r.policies)), after.map(|r| Arc::clone(&r.policies)), own);
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(known);
        }
        let made = Arc::new(delta((old, new), before, after, own));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&made));
        made
    }
}

fn delta((old, new): (&Planner<'_>, &Planner<'_>), before: Option<&Resolution>, after: Option<&Resolution>, own: Own) -> Delta {
    let empty = Arc::new(ResolvedSet::default());
    let was = before.map_or_else(|| Arc::clone(&empty), |r| Arc::clone(&r.set));
    let is = after.map_or_else(|| Arc::clone(&empty), |r| Arc::clone(&r.set));
    let by_label = |set: &Arc<ResolvedSet>| -> BTreeMap<Arc<str>, ResolvedSetting> {
        set.settings.iter().map(|s| (Arc::clone(&s.label), s.clone())).collect()
    };
    let (a, b) = (by_label(&was), by_label(&is));
    let everything = own.everything || before.is_none() || after.is_none() || guards(old, before) != guards(new, after);
    let mut labels: BTreeSet<Arc<str>> = BTreeSet::new();
    for label in a.keys().chain(b.keys()) {
        let differs = match (a.get(label), b.get(label)) {
            (Some(x), Some(y)) => everything || own.templates && (x.templated || y.templated) || !same(old, x, new, y),
            _ => true,
        };
        if differs {
            labels.insert(Arc::clone(label));
        }
    }
    restarts(&[(old, &a), (new, &b)], &mut labels);
    let narrowed = |set: &Arc<ResolvedSet>| {
        let settings: Vec<ResolvedSetting> = set.settings.iter().filter(|s| labels.contains(&s.label)).cloned().collect();
        let mut observes: Vec<Arc<str>> = settings.iter().flat_map(|s| s.def.observes().map(Arc::from)).collect();
        observes.sort();
        observes.dedup();
        Arc::new(ResolvedSet { settings, observes, hash: [0; 16] })
    };
    let (narrow_old, narrow_new) = (narrowed(&was), narrowed(&is));
    let mut sections = BTreeSet::new();
    for setting in narrow_old.settings.iter().chain(&narrow_new.settings) {
        sections.extend(setting.def.observes().map(section_of));
        sections.extend(named(setting.def.program.text()).into_iter().flatten().map(|path| section_of(&path)));
    }
    Delta { labels, old: narrow_old, new: narrow_new, sections }
}

/// Whether two sides ask for the same in every respect that a verdict depends on.
fn same(old: &Planner<'_>, before: &ResolvedSetting, new: &Planner<'_>, after: &ResolvedSetting) -> bool {
    let (was, is) = (&old.set.policies[before.policy], &new.set.policies[after.policy]);
    let (wanted_before, wanted_after) = (&was.settings[before.index], &is.settings[after.index]);
    let other = |planner: &Planner<'_>, setting: &ResolvedSetting| {
        setting.conflict.map(|(policy, index)| {
            let policy = &planner.set.policies[policy];
            (Arc::clone(&policy.name), Arc::clone(&policy.settings[index].value))
        })
    };
    wanted_before.value == wanted_after.value
        && wanted_before.restart_on == wanted_after.restart_on
        && was.remediate == is.remediate
        && was.active == is.active
        && exceptions(was) == exceptions(is)
        && other(old, before) == other(new, after)
        // The head of a definition is part of its text.
        && (Arc::ptr_eq(&before.def, &after.def) || before.def.program.text() == after.def.program.text())
}

fn exceptions(policy: &Policy) -> Vec<(&str, Option<&str>, Option<chrono::NaiveDate>, &str)> {
    policy.exceptions.iter().map(|e| (e.device.as_str(), e.setting.as_deref(), e.until, e.reason.as_str())).collect()
}

/// What forbids changes, by the name of the policy and when.
fn guards(planner: &Planner<'_>, resolution: Option<&Resolution>) -> Vec<String> {
    let policies = resolution.into_iter().flat_map(|r| r.policies.iter()).map(|i| &planner.set.policies[*i]);
    policies
        .filter(|policy| policy.guards.iter().any(|guard| !guard.allow))
        .map(|policy| {
            let kinds: Vec<_> = policy.guards.iter().filter(|guard| !guard.allow).map(|guard| guard.kind).collect();
            format!("{} {kinds:?} {:?}", policy.name, policy.active)
        })
        .collect()
}

/// A restart depends on its causes, and is caused by them: both are judged where one is.
fn restarts(sides: &[(&Planner<'_>, &BTreeMap<Arc<str>, ResolvedSetting>)], labels: &mut BTreeSet<Arc<str>>) {
    loop {
        let known = labels.len();
        for (planner, settings) in sides {
            for (label, setting) in *settings {
                let causes = &planner.set.policies[setting.policy].settings[setting.index].restart_on;
                if causes.iter().any(|cause| labels.contains(cause.as_str())) {
                    labels.insert(Arc::clone(label));
                }
                if !causes.is_empty() && labels.contains(label) {
                    labels.extend(causes.iter().filter_map(|cause| settings.get_key_value(cause.as_str()).map(|(l, _)| Arc::clone(l))));
                }
            }
        }
        if labels.len() == known {
            return;
        }
    }
}

/// The facts that a script asks for by name. `None` where it asks for one that it puts together.
pub(super) fn named(text: &str) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(".fact(") {
        rest = &rest[at + ".fact(".len()..];
        let path = rest.trim_start().strip_prefix('"')?.split('"').next()?;
        found.push(path.to_owned());
    }
    Some(found)
}
