//! Keeps the health of the devices: one about which something has changed is judged again, and each of them now and then, since
//! health depends on the time too. How it is judged is `report`'s business.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::vitals::Vitals;
use crate::apply::Parts;
use crate::model::Device;
use crate::plan::PlanOptions;
use crate::repo::PolicySet;
use crate::report::health::{self, Condition};
use crate::store::{HealthRow, StoreError};

/// Devices about which something has changed are judged together, so far apart: what changes several times in between costs
/// once.
const MOMENT: Duration = Duration::from_secs(5);
/// Most devices that are judged together; the others wait for the next moment.
const TOGETHER: usize = 500;
/// Each device is judged at least so often: the time itself takes points, and gives them back.
const ROUND: Duration = Duration::from_mins(30);

/// Devices to be judged. There is room for each device once.
#[derive(Debug, Clone, Default)]
pub(super) struct Marks(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl Marks {
    /// Something about these devices has changed.
    pub(super) fn put(&self, devices: impl IntoIterator<Item = Arc<str>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(devices);
    }

    /// Some of them, each once.
    fn take(&self, most: usize) -> BTreeSet<Arc<str>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter().nth(most).cloned() {
            Some(first_left) => {
                let left = all.split_off(&first_left);
                std::mem::replace(&mut all, left)
            }
            None => std::mem::take(&mut all),
        }
    }
}

/// See the module.
pub(super) struct Judge {
    parts: Parts,
    marks: Marks,
    vitals: Arc<Vitals>,
    /// The last device of the round that has been judged.
    last: Option<String>,
    /// How each device was when it was judged last.
    known: HashMap<String, Condition>,
}

impl Judge {
    pub(super) fn new(parts: Parts, marks: Marks, vitals: Arc<Vitals>) -> Self {
        Self { parts, marks, vitals, last: None, known: HashMap::new() }
    }

    /// Works until `stop`. Where the database cannot be read or written now, it is tried again.
    pub(super) async fn run(mut self, mut sets: watch::Receiver<Arc<PolicySet>>, stop: CancellationToken) {
        let mut begun = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(MOMENT) => {}
            }
            if sets.has_changed().unwrap_or(false) {
                self.parts.take(Arc::clone(&sets.borrow_and_update()));
                let set = Arc::clone(&self.parts.set);
                self.known.retain(|name, _| set.devices.contains_key(name));
            }
            let passed = begun.elapsed();
            begun = Instant::now();
            self.step(passed).await;
        }
    }

    /// Judges what is marked, and as many of the others as their turn has come in this time.
    async fn step(&mut self, passed: Duration) {
        let mut names = self.marks.take(TOGETHER);
        let share = (self.parts.set.devices.len() as f64 * passed.as_secs_f64() / ROUND.as_secs_f64()).ceil() as usize;
        names.extend(self.turn(share.min(TOGETHER.saturating_sub(names.len()))));
        let devices: Vec<Arc<Device>> = names.iter().filter_map(|name| self.parts.set.devices.get(&**name).cloned()).collect();
        if devices.is_empty() {
            return;
        }
        let parts = self.parts.clone();
        match blocking(move || judge(&parts, &devices)).await {
            Ok(judged) => self.known.extend(judged),
            Err(error) => {
                tracing::warn!(%error, devices = names.len(), "their health cannot be judged now");
                self.marks.put(names);
                return;
            }
        }
        let mut counts: BTreeMap<Condition, i64> = Condition::ALL.into_iter().map(|condition| (condition, 0)).collect();
        for condition in self.known.values() {
            *counts.entry(*condition).or_default() += 1;
        }
        for (condition, count) in counts {
            self.vitals.figures.labelled.by_health(condition, count);
        }
    }

    /// The next devices of the round.
    fn turn(&mut self, most: usize) -> Vec<Arc<str>> {
        let devices = &self.parts.set.devices;
        let after = self.last.take();
        let later = devices.keys().skip_while(|name| after.as_ref().is_some_and(|after| *name <= after));
        let mut names: Vec<String> = later.take(most).cloned().collect();
        if names.len() < most {
            // The round is over; another begins.
            names.extend(devices.keys().take(most.min(devices.len()) - names.len()).cloned());
        }
        self.last = names.last().cloned().or(after);
        names.into_iter().map(Arc::from).collect()
    }
}

/// Judges devices and keeps what comes of it.
fn judge(parts: &Parts, devices: &[Arc<Device>]) -> Result<Vec<(String, Condition)>, StoreError> {
    let now = parts.clock.now();
    let verdicts = parts.survey().plan_devices(devices, &PlanOptions::default())?;
    let judged = health::of_fleet(&parts.store, &verdicts, now)?;
    let rows: Vec<(Arc<str>, Option<HealthRow>)> =
        judged.iter().map(|(name, health)| (Arc::from(name.as_str()), health::row(health, now))).collect();
    parts.store.put_health(&rows)?;
    Ok(judged.into_iter().map(|(name, health)| (name, health.condition)).collect())
}

#[cfg(test)]
mod tests;
