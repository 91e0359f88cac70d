//! Moments that have come by the clock on the wall: claimed, begun, and ended when all that they were for has been done.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::super::blocking::blocking;
use super::super::kinds::{Kind, Kinds};
use super::super::{upkeep, wheel};
use super::{Conductor, POLICY};
use crate::store::StoreError;

impl Conductor {
    /// Schedules whose time has come.
    pub(super) async fn fire(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        for due in self.timers.due(now) {
            let (store, name, at, follows) = (self.parts.store.clone(), due.name.clone(), due.at, due.follows);
            if !blocking(move || store.claim_schedule(&name, at, follows, now)).await? {
                tracing::info!(schedule = due.name, due = %due.at, "has run already");
                continue;
            }
            tracing::info!(schedule = due.name, due = %due.at, "begins");
            if let Some(policy) = due.name.strip_prefix(POLICY) {
                // Its moment is over when everything that follows from it has begun.
                self.due_policies.insert(policy.into(), at);
                self.dirty = self.parts.set.devices.keys().cloned().collect();
                continue;
            }
            self.scheduled(&due.name, at).await?;
        }
        while self.edges.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, device)) = self.edges.pop_first()
        {
            self.dirty.insert(device);
        }
        self.end_scans().await
    }

    /// Moments that a process before this one had begun and not ended: all of this may be done again (what policies want goes on
    /// with the next plan). Where the next moment has come already, that one is enough.
    pub(super) async fn make_up(&mut self, broken_off: Vec<(String, DateTime<Utc>)>, now: DateTime<Utc>) -> Result<(), StoreError> {
        for (name, due) in broken_off {
            if !name.starts_with(POLICY) && self.timers.rests(&name, now) {
                tracing::info!(schedule = name, due = %due, "was broken off: once more");
                self.scheduled(&name, due).await?;
            }
        }
        Ok(())
    }

    /// Begins what a schedule is for; ends its moment where that is all.
    async fn scheduled(&mut self, name: &str, due: DateTime<Utc>) -> Result<(), StoreError> {
        let set = Arc::clone(&self.parts.set);
        let parts = self.parts.clone();
        match name {
            "cleanup" => {
                let removed = blocking(move || {
                    crate::apply::waiting(&parts, Some(&BTreeSet::new()))?;
                    parts.store.forget(&crate::apply::survey::retention(&parts.set.config))
                });
                let outcome = format!("{} rows removed", removed.await?);
                self.finish(name, due, outcome).await
            }
            "database" => {
                blocking(move || upkeep::weekly(&parts.store)).await?;
                self.finish(name, due, "done".into()).await
            }
            _ => {
                let Some(kind) = Kind::DAILY.into_iter().chain(Kind::SAMPLED).find(|kind| kind.name() == name) else { return Ok(()) };
                let (steady, spread) = (self.steady(), set.config.monitoring.schedules.spread.duration());
                let devices: HashSet<Arc<str>> = set.devices.keys().map(|name| name.as_str().into()).collect();
                for device in &devices {
                    self.later.insert((steady + wheel::place(device, spread), Arc::clone(device), kind.name()));
                }
                self.scans.insert(kind.name(), (due, devices));
                Ok(())
            }
        }
    }

    async fn finish(&self, name: &str, due: DateTime<Utc>, outcome: String) -> Result<(), StoreError> {
        let (store, name) = (self.parts.store.clone(), name.to_owned());
        blocking(move || store.finish_schedule(&name, due, &outcome)).await
    }

    /// A device has been asked for this.
    pub(super) fn scanned(&mut self, device: &str, kinds: Kinds) {
        for kind in Kind::DAILY.into_iter().chain(Kind::SAMPLED).filter(|kind| kinds.has(*kind)) {
            if let Some((_, left)) = self.scans.get_mut(kind.name()) {
                left.remove(device);
            }
        }
    }

    /// The moment of a scan is over once every device has been asked: one that is broken off is made up for.
    async fn end_scans(&mut self) -> Result<(), StoreError> {
        let over: Vec<_> = self.scans.extract_if(.., |_, (_, left)| left.is_empty()).collect();
        for (name, (due, _)) in over {
            self.finish(name, due, format!("{} devices asked", self.parts.set.devices.len())).await?;
        }
        Ok(())
    }

    /// The moments of policies are over once everything that they were for has been looked at and begun.
    pub(super) async fn end_moments(&mut self, steady: Duration) -> Result<(), StoreError> {
        let open = !self.wanting.is_empty() || !self.running.is_empty() || self.unseen.values().any(|until| *until > steady);
        if open || self.due_policies.is_empty() {
            return Ok(());
        }
        let (store, over) = (self.parts.store.clone(), std::mem::take(&mut self.due_policies));
        blocking(move || over.into_iter().try_for_each(|(name, due)| store.finish_schedule(&format!("{POLICY}{name}"), due, "carried out")))
            .await
    }
}
