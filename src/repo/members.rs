//! Which devices a selector can mean, as far as the declarations tell: certainly, perhaps (facts decide), or not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::fleet::Fleet;
use crate::model::selector::Match;
use crate::model::{Device, Selector};

/// The devices with the groups that they are in for certain.
pub(super) struct Members<'a> {
    devices: Vec<(&'a Device, BTreeSet<&'a str>)>,
    /// Devices by their tags, so that a selector by tag does not look at every device.
    tagged: HashMap<&'a str, Vec<usize>>,
    /// Groups whose members a rule decides, or that of a group below.
    ruled: BTreeSet<&'a str>,
    site_ids: &'a BTreeMap<String, String>,
    default_site: &'a str,
}

/// A set of devices, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Devices(Vec<u64>);

impl Devices {
    /// The first device that both have.
    pub(super) fn common(&self, other: &Self) -> Option<usize> {
        let words = self.0.iter().zip(&other.0).enumerate();
        { words }.find_map(|(i, (a, b))| (a & b != 0).then(|| i * 64 + (a & b).trailing_zeros() as usize))
    }
}

impl<'a> Members<'a> {
    pub(super) fn new(fleet: &'a Fleet, site_ids: &'a BTreeMap<String, String>, default_site: &'a str) -> Self {
        let above = |name: &'a str, into: &mut BTreeSet<&'a str>| {
            let mut next = Some(name);
            while let Some(name) = next.filter(|name| !into.contains(*name)) {
                into.insert(name);
                next = fleet.groups.get(name).and_then(|group| group.value.parent.as_deref());
            }
        };
        let mut listed: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut ruled = BTreeSet::new();
        for (name, group) in &fleet.groups {
            group.value.members.iter().for_each(|member| listed.entry(member).or_default().push(name));
            if group.value.rule.is_some() {
                above(name, &mut ruled);
            }
        }
        let devices = fleet.devices.values().map(|device| {
            let device = &device.value;
            let mut groups = BTreeSet::new();
            device.groups.iter().for_each(|name| above(name, &mut groups));
            listed.get(device.name.as_str()).into_iter().flatten().for_each(|name| above(name, &mut groups));
            (device, groups)
        });
        let devices: Vec<_> = devices.collect();
        let mut tagged: HashMap<&str, Vec<usize>> = HashMap::new();
        for (i, (device, _)) in devices.iter().enumerate() {
            device.tags.iter().for_each(|tag| tagged.entry(tag).or_default().push(i));
        }
        Self { devices, tagged, ruled, site_ids, default_site }
    }

    pub(super) fn name(&self, number: usize) -> &str {
        self.devices.get(number).map_or("", |(device, _)| device.name.as_str())
    }

    /// Whether there are devices, and none of them can be meant.
    pub(super) fn none(&self, selector: &Selector) -> bool {
        let found = match selector {
            Selector::Match(Match { tag: Some(tag), .. }) => {
                self.tagged.get(tag.as_str()).is_some_and(|numbers| numbers.iter().any(|i| self.holds(selector, *i, true)))
            }
            _ => (0..self.devices.len()).any(|i| self.holds(selector, i, true)),
        };
        !self.devices.is_empty() && !found
    }

    /// The devices that are certainly meant by one of these and certainly not by those, but for `without`.
    pub(super) fn certain(&self, targets: &[Selector], exclude: &[Selector], without: &BTreeSet<&str>) -> Devices {
        let mut words = vec![0; self.devices.len().div_ceil(64)];
        for i in 0..self.devices.len() {
            let meant = targets.iter().any(|selector| self.holds(selector, i, false));
            if meant && !exclude.iter().any(|selector| self.holds(selector, i, true)) && !without.contains(self.name(i)) {
                words[i / 64] |= 1 << (i % 64);
            }
        }
        Devices(words)
    }

    /// Whether a selector means a device; `perhaps` where only facts can tell.
    fn holds(&self, selector: &Selector, number: usize, perhaps: bool) -> bool {
        let (device, groups) = &self.devices[number];
        let in_group = |name: &str| groups.contains(name) || (perhaps && self.ruled.contains(name));
        match selector {
            Selector::Name(name) => name == "*" || in_group(name),
            Selector::Match(Match { group, tag, site, os, device: name, condition }) => {
                let here = device.site.as_deref().unwrap_or(self.default_site);
                let same = |name: &str| {
                    self.site_ids.get(name).map_or(name, String::as_str) == self.site_ids.get(here).map_or(here, String::as_str)
                };
                group.as_deref().is_none_or(in_group)
                    && tag.as_ref().is_none_or(|tag| device.tags.contains(tag))
                    && site.as_deref().is_none_or(same)
                    && os.is_none_or(|os| device.os.map_or(perhaps, |own| own == os))
                    && name.as_ref().is_none_or(|name| *name == device.name)
                    && (condition.is_none() || perhaps)
            }
        }
    }
}
