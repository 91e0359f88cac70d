//! Counting effects: how many devices, how dangerous, and how much of which group and site.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::effect::{DeviceEffect, Effect, Effects, Share};
use crate::model::{Reboot, Risk};
use crate::repo::PolicySet;

/// Most groups and sites that are named.
const MOST_SHARES: usize = 50;

pub(super) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

pub(super) fn tally(old: &PolicySet, new: &PolicySet, devices: usize, items: Vec<DeviceEffect>, oldest: Option<DateTime<Utc>>) -> Effects {
    let mut all = Effects { devices, affected: items.len(), percent: percent(items.len(), devices), oldest, ..Effects::default() };
    let mut groups: BTreeMap<(&'static str, String), usize> = BTreeMap::new();
    for item in &items {
        all.added += usize::from(item.added);
        all.removed += usize::from(item.removed);
        all.unmanaged += usize::from(item.unmanaged);
        all.without_facts += usize::from(item.without_facts);
        let kinds: BTreeSet<Effect> = item.settings.iter().map(|s| s.effect).collect();
        for kind in kinds {
            *all.by_effect.entry(kind).or_default() += 1;
        }
        all.reboots += usize::from(item.settings.iter().any(|s| s.reboot == Some(Reboot::Always)));
        all.destructive += usize::from(item.settings.iter().any(|s| s.risk == Some(Risk::Destructive)));
        for risk in item.settings.iter().filter_map(|s| s.risk) {
            *all.risks.entry(risk).or_default() += 1;
        }
        for group in &item.groups {
            *groups.entry(("group", group.clone())).or_default() += 1;
        }
        if let Some(site) = &item.site {
            *groups.entry(("site", site.clone())).or_default() += 1;
        }
    }
    all.shares = shares(old, new, groups);
    all.items = items;
    all
}

/// Shares of groups and sites that can be counted from what is declared.
fn shares(old: &PolicySet, new: &PolicySet, affected: BTreeMap<(&'static str, String), usize>) -> Vec<Share> {
    let mut totals: BTreeMap<(&'static str, &str), usize> = BTreeMap::new();
    let gone = old.devices.iter().filter(|(name, _)| !new.devices.contains_key(*name)).map(|(_, device)| (old, device));
    for (set, device) in new.devices.values().map(|device| (new, device)).chain(gone) {
        for group in set.declared_groups(device) {
            *totals.entry(("group", group)).or_default() += 1;
        }
        if let Some(site) = &device.site {
            *totals.entry(("site", site)).or_default() += 1;
        }
    }
    let mut shares: Vec<Share> = affected
        .into_iter()
        .filter_map(|((kind, name), affected)| {
            // A group by facts has more members than those that are declared: what it has is not known here.
            let devices = *totals.get(&(kind, name.as_str()))?;
            (affected <= devices).then(|| Share { kind, affected, devices, percent: percent(affected, devices), name })
        })
        .collect();
    shares.sort_by(|a, b| b.percent.total_cmp(&a.percent).then(b.affected.cmp(&a.affected)).then_with(|| a.name.cmp(&b.name)));
    shares.truncate(MOST_SHARES);
    shares
}
