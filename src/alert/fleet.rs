//! The fleet as alerts see it: who is meant by which selector, who stands at which site, who hangs on whom.
//!
//! Facts are put in from outside; nothing is read here.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::alert::Subject;
use crate::model::{Device, Facts, Selector};
use crate::plan::{Matcher, Membership, Targeting};
use crate::repo::PolicySet;

/// What is known of one device.
#[derive(Debug, Default)]
struct Known {
    facts: Facts,
    membership: Membership,
}

/// A policy set with the facts that its selectors ask for.
#[derive(Debug)]
pub(super) struct Fleet {
    matcher: Matcher,
    facts: HashMap<String, Facts>,
    known: RefCell<HashMap<String, Arc<Known>>>,
    sites: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    above: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    below: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}

impl Fleet {
    pub(super) fn new(set: Arc<PolicySet>) -> Self {
        let thresholds = set.thresholds.values().flat_map(|threshold| {
            let overrides = threshold.overrides.iter().flat_map(|o| &o.targets);
            threshold.targets.iter().chain(&threshold.exclude).chain(overrides)
        });
        let rules = set.notifications.values().flat_map(|rule| &rule.targets);
        let maintenance = set.maintenance.values().flat_map(|maintenance| &maintenance.targets);
        let selectors: Vec<Selector> = thresholds.chain(rules).chain(maintenance).cloned().collect();
        let mut this = Self {
            matcher: Matcher::new(Arc::clone(&set), &selectors),
            facts: HashMap::new(),
            known: RefCell::default(),
            sites: BTreeMap::new(),
            above: BTreeMap::new(),
            below: BTreeMap::new(),
        };
        let relays: BTreeMap<&str, &str> = set
            .devices
            .values()
            .flat_map(|device| {
                [Some(device.name.as_str()), device.address.as_deref()].into_iter().flatten().map(|a| (a, device.name.as_str()))
            })
            .collect();
        for device in set.devices.values() {
            let name: Arc<str> = device.name.as_str().into();
            let site = this.site_name(device);
            this.sites.entry(Arc::clone(&site)).or_default().push(Arc::clone(&name));
            let relay =
                set.sites.get(&*site).and_then(|site| site.relay_agent.as_deref()).and_then(|relay| relays.get(host_of(relay)).copied());
            let hangs_on = device.host.as_deref().into_iter().chain(device.depends_on.iter().map(String::as_str)).chain(relay);
            for other in hangs_on.filter(|other| **other != *device.name) {
                let other: Arc<str> = other.into();
                let above = this.above.entry(Arc::clone(&name)).or_default();
                if !above.contains(&other) {
                    above.push(Arc::clone(&other));
                    this.below.entry(other).or_default().push(Arc::clone(&name));
                }
            }
        }
        this
    }

    pub(super) fn set(&self) -> &Arc<PolicySet> {
        self.matcher.set()
    }

    /// One selector more that will be asked about.
    pub(super) fn add(&mut self, selector: &Selector) {
        self.matcher.add(selector);
    }

    /// The sections of facts that selectors may ask for; none where that may be any.
    pub(super) fn sections(&self) -> Option<Vec<String>> {
        self.matcher.sections()
    }

    /// What is known of a device now.
    pub(super) fn set_facts(&mut self, device: &str, facts: Facts) {
        self.known.borrow_mut().remove(device);
        self.facts.insert(device.to_owned(), facts);
    }

    /// What is known of all devices.
    pub(super) fn put_facts(&mut self, facts: HashMap<String, Facts>) {
        self.facts = facts;
        self.known.borrow_mut().clear();
    }

    pub(super) fn device(&self, name: &str) -> Option<&Arc<Device>> {
        self.set().devices.get(name)
    }

    /// Name of the site at which a device stands.
    pub(super) fn site_name(&self, device: &Device) -> Arc<str> {
        match self.set().site_of(device) {
            Some(site) => site.name.as_str().into(),
            None => device.site.as_deref().unwrap_or(&self.set().config.general.default_site).into(),
        }
    }

    /// The site that an alert is about or whose device it is about.
    pub(super) fn site_of(&self, subject: &Subject) -> Option<Arc<str>> {
        match subject {
            Subject::Device(name) => self.device(name).map(|device| self.site_name(device)),
            Subject::Site(name) => Some(Arc::clone(name)),
            Subject::System => None,
        }
    }

    pub(super) fn devices_at(&self, site: &str) -> &[Arc<str>] {
        self.sites.get(site).map_or(&[], Vec::as_slice)
    }

    /// What a device hangs on.
    pub(super) fn above(&self, device: &str) -> &[Arc<str>] {
        self.above.get(device).map_or(&[], Vec::as_slice)
    }

    /// What hangs on a device.
    pub(super) fn below(&self, device: &str) -> &[Arc<str>] {
        self.below.get(device).map_or(&[], Vec::as_slice)
    }

    /// Whether one of these selectors means a device.
    pub(super) fn any(&self, selectors: &[Selector], name: &str) -> Targeting {
        let Some(device) = self.device(name) else { return Targeting::No };
        let known = self.known(device);
        self.matcher.any(selectors, device, &known.facts, &known.membership)
    }

    fn known(&self, device: &Device) -> Arc<Known> {
        if let Some(known) = self.known.borrow().get(&device.name) {
            return Arc::clone(known);
        }
        let facts = self.facts.get(&device.name).cloned().unwrap_or_default();
        let membership = self.matcher.membership(device, &facts);
        let known = Arc::new(Known { facts, membership });
        self.known.borrow_mut().insert(device.name.clone(), Arc::clone(&known));
        known
    }
}

/// The host of `relay.example.com:8443` or `https://relay.example.com/`.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let host = rest.split('/').next().unwrap_or(rest);
    match host.rsplit_once(':') {
        Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) && !host.contains(':') => host,
        _ => host,
    }
}
