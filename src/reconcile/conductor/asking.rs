//! Asking devices: whose turn it is, for what, and what is heard of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::super::blocking::blocking;
use super::super::keeper::Seen;
use super::super::kinds::{self, Kind, Kinds};
use super::super::visits::Visit;
use super::super::wheel;
use super::{BACK_OFF, Conductor, MOST_LOOKS, PACE, PATIENT};
use crate::model::device::TransportKind;
use crate::store::StoreError;

impl Conductor {
    /// How long one turn of the quickest wheel is.
    pub(super) fn turn(&self) -> Duration {
        self.wheels.values().map(|(_, wheel)| wheel.period()).min().unwrap_or(BACK_OFF)
    }

    /// Asks the devices whose turn it is. A visit is for everything that is due then.
    pub(super) async fn visit(&mut self) -> Result<(), StoreError> {
        let steady = self.steady();
        for (kind, wheel) in self.wheels.values_mut() {
            for name in wheel.due(steady, usize::MAX) {
                let kinds = self.wanted.entry(name).or_default();
                *kinds = kinds.with(Kinds::of(*kind));
            }
        }
        let all = Kind::SAMPLED.into_iter().chain(Kind::DAILY);
        let by_name: BTreeMap<&str, Kind> = all.map(|kind| (kind.name(), kind)).collect();
        while self.later.first().is_some_and(|(at, ..)| *at <= steady)
            && let Some((_, name, kind)) = self.later.pop_first()
        {
            let kinds = self.wanted.entry(name).or_default();
            *kinds = by_name.get(kind).map_or(*kinds, |kind| kinds.with(Kinds::of(*kind)));
        }
        let ready: Vec<Arc<str>> = self.wanted.keys().filter(|name| !self.asked.contains_key(*name)).cloned().collect();
        if ready.is_empty() {
            return Ok(());
        }
        self.learn_needs(&ready).await?;
        let (shares, mut full) = (self.parts.set.has_shares(), BTreeSet::new());
        for name in ready {
            let Some(device) = self.parts.set.devices.get(&*name) else {
                self.wanted.remove(&name);
                continue;
            };
            let behind = shares && self.parts.set.transport(device) == TransportKind::Share;
            if full.contains(&behind) {
                continue;
            }
            let kinds = self.wanted.get(&name).copied().unwrap_or_default();
            let mut request = kinds::request(kinds, self.needs.get(&name).map(|needs| &**needs));
            if kinds.has(Kind::Status) && self.watched.of(&name).services {
                request.add_path("software.services");
            }
            if request.is_empty() {
                self.wanted.remove(&name);
                self.scanned(&name, kinds);
                continue;
            }
            let visit = Visit {
                set: Arc::clone(&self.parts.set),
                sessions: Arc::clone(&self.parts.sessions),
                device: Arc::clone(device),
                request: Arc::new(request),
            };
            let desk = if behind { &self.visits.behind_shares } else { &self.visits.direct };
            if desk.try_send(visit).is_err() {
                // The others wait for the next round; nothing is lost.
                self.vitals.figures.visits_late.inc();
                full.insert(behind);
                if !shares {
                    break;
                }
                continue;
            }
            self.wanted.remove(&name);
            self.asked.insert(name, kinds);
        }
        Ok(())
    }

    /// What the policies of these devices look at, kept until something changes.
    pub(super) async fn learn_needs(&mut self, names: &[Arc<str>]) -> Result<(), StoreError> {
        let wanted = |name: &&Arc<str>| {
            !self.needs.contains_key(*name) && self.wanted.get(*name).is_some_and(|k| k.wants_needs() || *k != Kinds::default())
        };
        let devices: Vec<_> = names.iter().filter(wanted).filter_map(|name| self.parts.set.devices.get(&**name).cloned()).collect();
        if devices.is_empty() {
            return Ok(());
        }
        let parts = self.parts.clone();
        let found = blocking(move || parts.survey().needs(&devices)).await?;
        self.needs.extend(found.into_iter().map(|(name, request)| (Arc::from(name), request)));
        Ok(())
    }

    /// What was seen.
    pub(super) async fn heard(&mut self, group: Vec<Seen>) -> Result<(), StoreError> {
        let mut returned = BTreeSet::new();
        for seen in group {
            if let Some(kinds) = self.asked.remove(&seen.device) {
                self.scanned(&seen.device, kinds);
            }
            if seen.changed {
                self.needs.remove(&seen.device);
            }
            if seen.changed || seen.returned {
                self.dirty.insert(seen.device.to_string());
            }
            if let Some(at) = seen.again {
                let wait = (at - self.parts.clock.now()).to_std().unwrap_or_default();
                self.later.insert((self.steady() + wait, Arc::clone(&seen.device), Kind::Status.name()));
            }
            if seen.returned {
                // What could not be looked at while it was away is looked at now.
                self.missing.remove(&*seen.device);
                returned.insert(seen.device.to_string());
            }
        }
        if returned.is_empty() { Ok(()) } else { self.go_on(Some(returned)).await }
    }

    /// What a policy looks at has not been observed yet: the device is asked now and not when the wheel comes round, but not in
    /// a circle.
    pub(super) fn look_soon(&mut self, device: &str, steady: Duration) {
        let asked = self.missing.entry(device.to_owned()).or_default();
        if *asked >= MOST_LOOKS {
            self.unseen.remove(device);
            return;
        }
        *asked += 1;
        let fleet = u32::try_from(self.parts.set.devices.len()).unwrap_or(u32::MAX);
        let span = self.turn().min(PACE.saturating_mul(fleet));
        let at = steady + wheel::place(device, span);
        self.unseen.insert(device.to_owned(), at + PATIENT);
        self.later.insert((at, device.into(), Kind::Status.name()));
    }
}
