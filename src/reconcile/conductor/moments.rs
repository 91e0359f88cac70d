//! Moments that have come by the clock on the wall: claimed, begun, and ended when all that they were for has been done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::blocking::blocking;
use super::super::kinds::Kind;
use super::super::{upkeep, wheel};
use super::{Conductor, POLICY};
use crate::store::StoreError;

impl Conductor {
    /// Schedules whose time has come.
    pub(super) async fn fire(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        for due in self.timers.due(now) {
            let (store, name, at) = (self.parts.store.clone(), due.name.clone(), due.at);
            if !blocking(move || store.claim_schedule(&name, at, now)).await? {
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
            let outcome = self.scheduled(&due.name).await?;
            let (store, name) = (self.parts.store.clone(), due.name);
            blocking(move || store.finish_schedule(&name, at, &outcome)).await?;
        }
        while self.edges.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, device)) = self.edges.pop_first()
        {
            self.dirty.insert(device);
        }
        Ok(())
    }

    pub(super) async fn scheduled(&mut self, name: &str) -> Result<String, StoreError> {
        let set = Arc::clone(&self.parts.set);
        let parts = self.parts.clone();
        match name {
            "cleanup" => {
                let removed = blocking(move || {
                    crate::apply::waiting(&parts, Some(&BTreeSet::new()))?;
                    parts.store.forget(&crate::apply::survey::retention(&parts.set.config))
                });
                Ok(format!("{} rows removed", removed.await?))
            }
            "database" => {
                blocking(move || upkeep::weekly(&parts.store)).await?;
                Ok("done".into())
            }
            _ => {
                let kind = Kind::DAILY.into_iter().chain(Kind::SAMPLED).find(|kind| kind.name() == name);
                let (steady, spread) = (self.steady(), set.config.monitoring.schedules.spread.duration());
                for device in set.devices.keys() {
                    let at = steady + wheel::place(device, spread);
                    self.later.extend(kind.map(|kind| (at, device.as_str().into(), kind.name())));
                }
                Ok(format!("{} devices asked", set.devices.len()))
            }
        }
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
