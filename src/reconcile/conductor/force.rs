//! Which policy set is in force, and what follows from it: declarations, wheels, timers; everything is planned again.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use super::super::blocking::blocking;
use super::super::breaker::{self, Breaker};
use super::super::kinds::Kind;
use super::super::timers;
use super::super::wheel::{self, Wheel};
use super::{Conductor, PACE, POLICY};
use crate::repo::PolicySet;
use crate::store::StoreError;
use crate::time::Ran;

impl Conductor {
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        let parts = self.parts.clone();
        let breaker = blocking(move || Breaker::load(&parts)).await?;
        self.breaker = Arc::new(std::sync::Mutex::new(breaker));
        self.settle_set(true).await?;
        // What a process before this one had begun.
        self.go_on(None).await
    }

    /// Another policy set is in force. Runs that have begun keep theirs.
    pub(super) async fn take(&mut self, set: Arc<PolicySet>) -> Result<(), StoreError> {
        self.parts.take(set);
        self.budget.forgive();
        self.refused_until = None;
        self.settle_set(false).await
    }

    /// What follows from the set in force: declarations, wheels, timers; everything is planned again.
    pub(super) async fn settle_set(&mut self, first: bool) -> Result<(), StoreError> {
        let parts = self.parts.clone();
        let (rows, over) = blocking(move || {
            crate::apply::declare(&parts.set, &parts.store)?;
            Ok::<_, StoreError>((parts.store.schedules()?, breaker::resume_changed(&parts)?))
        })
        .await?;
        // The moment of a policy that a process before this one had begun and not ended goes on.
        let begun = rows.iter().filter(|row| row.finished_at.is_none()).filter_map(|row| Some((row.name.strip_prefix(POLICY)?, row.due)));
        let scheduled = |(name, due): (&str, DateTime<Utc>)| {
            let policy = self.parts.set.policies.iter().find(|policy| *policy.name == *name && policy.schedule.is_some())?;
            Some((Arc::clone(&policy.name), due))
        };
        self.due_policies = begun.filter_map(scheduled).collect();
        // What was begun and not ended, and may be done again.
        let broken_off: Vec<(String, DateTime<Utc>)> =
            rows.iter().filter(|row| first && row.finished_at.is_none()).map(|row| (row.name.clone(), row.due)).collect();
        let claimed: BTreeMap<String, Ran> = rows.into_iter().map(|row| (row.name, row.ran)).collect();
        self.say(over).await;
        self.desk.set(Arc::clone(&self.parts.set)).await;
        let (set, now, steady) = (Arc::clone(&self.parts.set), self.now(), self.steady());
        let schedules = &set.config.monitoring.schedules;
        let zone = schedules.timezone.0;
        self.most.store(set.config.connections.max_concurrent as usize, Ordering::Relaxed);
        let mut by_wall = BTreeMap::new();
        for kind in Kind::SAMPLED {
            let Some(schedule) = kind.schedule(schedules).schedule(zone) else {
                self.wheels.remove(kind.name());
                continue;
            };
            let known = self.wheels.remove(kind.name());
            if let Some(period) = timers::period(&schedule, now) {
                let known = known.filter(|(_, wheel)| wheel.period() == period);
                let (_, mut wheel) = known.unwrap_or_else(|| (kind, Wheel::new(period)));
                wheel.set(set.devices.keys().map(String::as_str), steady);
                self.wheels.insert(kind.name(), (kind, wheel));
            } else {
                by_wall.insert(kind.name().to_owned(), schedule);
            }
        }
        let named = [("cleanup", &schedules.cleanup), ("database", &schedules.database)];
        let daily = Kind::DAILY.iter().map(|kind| (kind.name(), kind.schedule(schedules)));
        by_wall.extend(daily.chain(named).filter_map(|(name, when)| Some((name.to_owned(), when.schedule(zone)?))));
        by_wall.extend(set.policies.iter().filter_map(|policy| Some((format!("{POLICY}{}", policy.name), policy.schedule.clone()?))));
        self.timers.set(by_wall, &claimed, now);
        self.needs.clear();
        self.edges.clear();
        self.wanting.clear();
        self.unseen.clear();
        self.wanted.retain(|name, _| set.devices.contains_key(&**name));
        self.later.retain(|(_, name, _)| set.devices.contains_key(&**name));
        self.patience.clear();
        self.missing.clear();
        self.dirty = set.devices.keys().cloned().collect();
        self.vitals.figures.devices.set(set.devices.len() as i64);
        for scan in self.scans.values_mut() {
            scan.1.retain(|name| set.devices.contains_key(&**name));
        }
        if first {
            self.make_up(broken_off, now).await?;
            // What has never been seen, or not for long, is not left to the next turn of the wheel.
            self.catch_up().await?;
        }
        Ok(())
    }

    /// At the start: devices whose inventory is older than it should be are asked for it, spread over a turn of the wheel.
    pub(super) async fn catch_up(&mut self) -> Result<(), StoreError> {
        let (store, oldest) = (self.parts.store.clone(), self.now() - self.parts.set.config.monitoring.inventory_interval.delta());
        let fresh: HashSet<String> = blocking(move || {
            let states = store.device_states()?;
            Ok::<_, StoreError>(states.into_iter().filter(|s| s.last_inventory.is_some_and(|at| at > oldest)).map(|s| s.name).collect())
        })
        .await?;
        let (names, steady) =
            (self.parts.set.devices.keys().filter(|name| !fresh.contains(*name)).cloned().collect::<Vec<_>>(), self.steady());
        let span = self.turn().min(PACE.saturating_mul(u32::try_from(names.len()).unwrap_or(u32::MAX)));
        for name in names {
            let at = steady + wheel::place(&name, span);
            for kind in Kind::DAILY {
                self.later.insert((at, name.as_str().into(), kind.name()));
            }
        }
        Ok(())
    }
}
