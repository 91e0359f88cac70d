//! What other processes have written: suspensions, answers of people.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::time::Instant;

use super::super::blocking::blocking;
use super::{Conductor, LOOK, Suspended};
use crate::model::suspension::SuspensionKind;
use crate::store::StoreError;

impl Conductor {
    /// Another process has written: suspensions may have come or gone, people may have answered alerts.
    pub(super) async fn external(&mut self) -> Result<(), StoreError> {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK) {
            return Ok(());
        }
        self.looked = Some(Instant::now());
        let (store, known) = (self.parts.store.clone(), self.data_version);
        let read = blocking(move || {
            let version = store.data_version()?;
            if version == known {
                return Ok(None);
            }
            let all: BTreeSet<Suspended> = store.suspensions()?.into_iter().map(|one| (one.kind, one.name, one.device)).collect();
            Ok::<_, StoreError>(Some((version, all)))
        });
        let Some((version, suspensions)) = read.await? else { return Ok(()) };
        self.data_version = version;
        self.vitals.figures.suspended.set(suspensions.len() as i64);
        self.desk.external().await;
        self.heed(suspensions).await;
        Ok(())
    }

    /// What is suspended now. Another try is given to what no longer is, and to nothing else: what is suspended here for one
    /// device says nothing of how often the others have failed.
    pub(super) async fn heed(&mut self, now: BTreeSet<Suspended>) {
        let before = std::mem::replace(&mut self.suspensions, now);
        // One that came and went between two looks shows by what is held because of nothing.
        let many = self.suspensions.iter().any(|(kind, ..)| matches!(kind, SuspensionKind::Group | SuspensionKind::Policy));
        if !many {
            let named: BTreeSet<&str> = self.suspensions.iter().map(|(_, name, device)| device.as_deref().unwrap_or(name)).collect();
            self.dirty.extend(self.stopped.extract_if(.., |device| !named.contains(device.as_str())));
        }
        if before == self.suspensions {
            return;
        }
        tracing::info!(suspensions = self.suspensions.len(), "something else is suspended now");
        let over: Vec<&Suspended> = before.difference(&self.suspensions).collect();
        let mut touched = Some(BTreeSet::new());
        for (kind, name, device) in over.iter().copied().chain(self.suspensions.difference(&before)) {
            let one = device.as_deref().or_else(|| (*kind == SuspensionKind::Device).then_some(name.as_str()));
            // Groups and policies are for many devices.
            touched = touched.zip(one).map(|(mut touched, one)| {
                touched.insert(one.to_owned());
                touched
            });
        }
        let devices = &self.parts.set.devices;
        let touched = touched.unwrap_or_else(|| devices.keys().cloned().collect());
        if !over.is_empty() {
            let (breaker, forgiven) = (Arc::clone(&self.breaker), touched.clone());
            // A run that ends may hold it while it writes.
            blocking(move || breaker.lock().unwrap_or_else(std::sync::PoisonError::into_inner).forgive(&forgiven)).await;
            self.patience.retain(|device, _| !touched.contains(device));
        }
        self.dirty.extend(touched.into_iter().filter(|device| devices.contains_key(device)));
    }
}
