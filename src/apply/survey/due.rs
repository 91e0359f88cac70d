//! What of which device has to be asked: decided by what is known, and how old that is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::{Survey, as_strs, to_request};
use crate::collect::Request;
use crate::model::{Device, Facts};
use crate::plan::{Planner, Scope};
use crate::store::StoreError;

/// Whether devices are observed before they are planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Refresh {
    /// What is older than the health check interval.
    #[default]
    Auto,
    /// Everything that the plan looks at.
    Always,
    /// Nothing: from what is known.
    Never,
}

/// What an inventory asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ask {
    /// What is older than its interval.
    #[default]
    Due,
    /// That, and what changes by itself: performance, connections, what policies name one by one.
    Again,
    /// Everything.
    Everything,
}

/// What is asked of a device.
pub(super) type Asked = (Arc<Device>, Arc<Request>);

impl Survey<'_> {
    /// What has to be asked of which device. Decided while the facts pass by: those of a whole fleet are never held at once.
    pub(super) fn due(&self, scope: &Scope, refresh: Refresh) -> Result<Vec<Asked>, StoreError> {
        let now = self.clock.now();
        let fresh = now - self.set.config.monitoring.health_check_interval.delta();
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let devices = self.candidates(scope)?;
        let names: Vec<&str> = devices.iter().map(|d| &*d.name).collect();
        let due = |device: &Device, facts: &Facts| {
            let mut request = to_request(&planner.needs(device, facts));
            if facts.sections.is_empty() {
                // The first look takes everything in: scripts and selectors may ask for any of it.
                request.merge(Request::full());
            } else if refresh == Refresh::Auto {
                let is_fresh = |name: &str| facts.sections.get(name).is_some_and(|s| s.collected_at > fresh);
                request.sections.retain(|name| !is_fresh(name));
                request.probes.retain(|kind, all| {
                    let answered = |args: &Vec<String>| {
                        facts.sections.get(kind.as_str()).is_some_and(|s| s.data.get(crate::model::facts::probe_key(args)).is_some())
                    };
                    !(is_fresh(kind) && all.iter().all(answered))
                });
            }
            request
        };
        let mut known: HashMap<String, Arc<Request>> = HashMap::new();
        let mut alike = Alike::default();
        self.store.facts_fleet_map(
            &as_strs(&planner.sections()),
            &planner.members(),
            Some(&names),
            |name, facts| Some((name.to_owned(), due(self.set.devices.get(name)?, &facts))),
            |found| known.extend(found.map(|(name, request)| (name, alike.share(request)))),
        )?;
        let never = Facts::default();
        let mut work = Vec::new();
        for device in devices {
            let request = known.remove(&device.name).unwrap_or_else(|| alike.share(due(&device, &never)));
            if !request.is_empty() {
                work.push((device, request));
            }
        }
        Ok(work)
    }

    /// What planning these devices needs, by device; nothing is said of those of which nothing is known yet. Those want to be
    /// asked for everything.
    pub fn needs(&self, devices: &[Arc<Device>]) -> Result<HashMap<String, Arc<Request>>, StoreError> {
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let names: Vec<&str> = devices.iter().map(|d| &*d.name).collect();
        let mut found = HashMap::with_capacity(devices.len());
        let mut alike = Alike::default();
        let needs = |name: &str, facts: Facts| {
            let device = self.set.devices.get(name).filter(|_| !facts.sections.is_empty())?;
            Some((name.to_owned(), to_request(&planner.needs(device, &facts))))
        };
        self.store.facts_fleet_map(&as_strs(&planner.sections()), &planner.members(), Some(&names), needs, |answer| {
            found.extend(answer.map(|(name, request)| (name, alike.share(request))));
        })?;
        Ok(found)
    }

    /// Everything that is due, in one visit per device: what policies watch, and the inventory.
    pub(super) fn all_due(&self, scope: &Scope) -> Result<Vec<Asked>, StoreError> {
        let mut work: BTreeMap<String, Asked> = BTreeMap::new();
        let mut alike = Alike::default();
        for (device, request) in self.due(scope, Refresh::Auto)?.into_iter().chain(self.inventory_due(scope, &[], Ask::Due)?) {
            let both = match work.remove(&device.name) {
                Some((_, first)) => {
                    let mut both = (*first).clone();
                    both.merge((*request).clone());
                    alike.share(both)
                }
                None => request,
            };
            work.insert(device.name.clone(), (device, both));
        }
        Ok(work.into_values().collect())
    }

    /// What devices are judged by, however fresh it is: what policies look at, and these sections.
    pub(super) fn judged_by(&self, scope: &Scope, sections: &[String]) -> Result<Vec<Asked>, StoreError> {
        let mut alike = Alike::default();
        let mut known: HashMap<String, Arc<Request>> =
            self.due(scope, Refresh::Always)?.into_iter().map(|(device, request)| (device.name.clone(), request)).collect();
        let with = |request: Option<Arc<Request>>| {
            let mut whole = request.map_or_else(Request::default, |request| (*request).clone());
            whole.merge(Request::for_paths(sections));
            whole
        };
        let candidates = self.candidates(scope)?.into_iter();
        Ok(candidates
            .map(|device| (alike.share(with(known.remove(&device.name))), device))
            .map(|(request, device)| (device, request))
            .collect())
    }

    pub(super) fn inventory_due(&self, scope: &Scope, categories: &[crate::model::Category], ask: Ask) -> Result<Vec<Asked>, StoreError> {
        use crate::model::Category as Facet;
        let now = self.clock.now();
        let monitoring = &self.set.config.monitoring;
        let (inventory, status) = (now - monitoring.inventory_interval.delta(), now - monitoring.health_check_interval.delta());
        let wanted = if categories.is_empty() { Request::full() } else { Request::categories(categories) };
        let probes = categories.is_empty() || categories.contains(&Facet::Probe);
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let mut work = Vec::new();
        let mut alike = Alike::default();
        for device in self.candidates(scope)? {
            let facts = if ask == Ask::Everything && !probes { Facts::default() } else { self.store.facts(&device.name, None)? };
            let mut request = wanted.clone();
            if probes {
                request.probes = to_request(&planner.needs(&device, &facts)).probes;
            }
            if ask != Ask::Everything {
                let oldest = |name: &str| if name.starts_with("performance.") || !name.contains('.') { status } else { inventory };
                let again = |name: &str| {
                    ask == Ask::Again && (name.starts_with("performance.") || name == "network.connections" || !name.contains('.'))
                };
                let is_fresh = |name: &str| !again(name) && facts.sections.get(name).is_some_and(|s| s.collected_at > oldest(name));
                request.sections.retain(|name| !is_fresh(name));
                request.probes.retain(|kind, _| !is_fresh(kind));
            }
            if !request.is_empty() {
                work.push((device, alike.share(request)));
            }
        }
        Ok(work)
    }
}

/// Equal requests held once: in a fleet most devices are asked for the same.
#[derive(Default)]
struct Alike(Option<Arc<Request>>);

impl Alike {
    fn share(&mut self, request: Request) -> Arc<Request> {
        match &self.0 {
            Some(last) if **last == request => Arc::clone(last),
            _ => Arc::clone(self.0.insert(Arc::new(request))),
        }
    }
}
