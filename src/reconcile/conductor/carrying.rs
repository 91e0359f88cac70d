//! From what has changed to what is carried out: planned in pieces, begun within limits, and what came of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::blocking::blocking;
use super::super::enforce::{self, Attempt};
use super::super::resume;
use super::{BACK_OFF, Conductor, GATHER, MOST_RUNS, PIECE, REFUSED};
use crate::apply::Waiting;
use crate::model::plan::{Change, State};
use crate::plan::{PlanOptions, Unattended};
use crate::store::StoreError;

impl Conductor {
    /// Goes on with what waits for these devices; without any, with everything that can go on.
    pub(super) async fn go_on(&mut self, devices: Option<BTreeSet<String>>) -> Result<(), StoreError> {
        // They are there again.
        for device in devices.iter().flatten() {
            self.patience.remove(device);
        }
        let parts = self.parts.clone();
        let waiting = blocking(move || crate::apply::waiting(&parts, devices.as_ref())).await?;
        let of = |run: &Waiting| run.changes.iter().map(|change| change.device.clone()).collect();
        let waiting = waiting.into_iter().map(|run| (of(&run), run)).collect();
        let turns = resume::choose(waiting, &self.running, MOST_RUNS.saturating_sub(self.runs.len()));
        self.put_off.extend(turns.put_off);
        for (devices, waiting) in turns.now {
            tracing::info!(run = waiting.run.id, devices = devices.len(), "goes on");
            self.running.extend(devices);
            let attempt = enforce::resume(self.parts.clone(), waiting, (self.stop.clone(), self.abort.clone()), Arc::clone(&self.breaker));
            self.runs.spawn(attempt);
        }
        Ok(())
    }

    /// Plans what has changed, in pieces, and remembers who wants something.
    pub(super) async fn plan(&mut self) -> Result<(), StoreError> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.dirty.iter().filter(|name| !self.running.contains(*name)).take(PIECE).cloned().collect();
        for name in &names {
            self.dirty.remove(name);
        }
        let devices: Vec<_> = names.iter().filter_map(|name| self.parts.set.devices.get(name).cloned()).collect();
        if devices.is_empty() {
            return Ok(());
        }
        let (parts, options) = (self.parts.clone(), self.options());
        let plans = blocking(move || parts.survey().plan_devices(&devices, &options)).await?;
        self.vitals.figures.planned.inc_by(plans.len() as u64);
        let steady = self.steady();
        for plan in plans {
            if plan.changes.iter().any(|change| change.held.as_ref().is_some_and(|held| held.by == "suspended")) {
                self.stopped.insert(plan.device.clone());
            } else {
                self.stopped.remove(&plan.device);
            }
            let unseen = |change: &Change| change.state == State::Unknown && change.observed_at.is_none();
            if plan.changes.iter().any(unseen) {
                self.look_soon(&plan.device, steady);
            } else {
                self.unseen.remove(&plan.device);
            }
            self.edges.extend(plan.changes.iter().filter_map(|c| c.held.as_ref()?.until).map(|until| (until, plan.device.clone())).take(4));
            if plan.changes.iter().any(|change| change.state == State::Change) {
                self.wanting.entry(plan.device).or_insert(steady);
            } else {
                self.wanting.remove(&plan.device);
            }
        }
        self.desk.facts(names).await;
        self.vitals.figures.wanting.set(self.wanting.len() as i64);
        Ok(())
    }

    pub(super) fn options(&self) -> PlanOptions {
        let daemon = &self.parts.set.config.daemon;
        let unattended = Unattended {
            destructive: daemon.allow_destructive,
            reboots: daemon.allow_reboots,
            due: self.due_policies.keys().cloned().collect(),
        };
        PlanOptions { commands: true, unattended: Some(unattended), ..PlanOptions::default() }
    }

    /// Carries out what policies allow, within limits.
    pub(super) async fn enforce(&mut self) -> Result<(), StoreError> {
        let steady = self.steady();
        let planning = self.dirty.iter().any(|name| !self.running.contains(name));
        if planning || self.runs.len() >= MOST_RUNS || self.refused_until.is_some_and(|until| steady < until) {
            return Ok(());
        }
        let patient = |name: &String| self.patience.get(name).is_none_or(|(until, _)| *until <= steady);
        let ready = |(name, since): &(&String, &Duration)| !self.running.contains(*name) && patient(name) && **since + GATHER <= steady;
        let devices: BTreeSet<String> = self.wanting.iter().filter(ready).map(|(name, _)| name.clone()).collect();
        if devices.is_empty() {
            return self.end_moments(steady).await;
        }
        let config = &self.parts.set.config;
        let fleet = self.parts.set.devices.len();
        if let Err(spent) = self.budget.allows(&devices, &config.limits, fleet, config.daemon.limit_window.duration(), steady) {
            tracing::warn!(devices = devices.len(), "nothing is carried out: {spent}");
            self.refused_until = Some(steady + REFUSED);
            self.say(vec![enforce::refused(&spent.to_string(), devices.len(), self.now())]).await;
            return Ok(());
        }
        self.say(vec![enforce::permitted(self.now())]).await;
        for name in &devices {
            self.wanting.remove(name);
        }
        self.vitals.figures.wanting.set(self.wanting.len() as i64);
        self.budget.begun(devices.iter().cloned(), steady);
        self.running.extend(devices.iter().cloned());
        self.vitals.figures.runs.inc();
        let attempt =
            enforce::begin(self.parts.clone(), devices, self.options(), (self.stop.clone(), self.abort.clone()), Arc::clone(&self.breaker));
        self.runs.spawn(attempt);
        Ok(())
    }

    /// A run has ended.
    pub(super) async fn attempted(&mut self, attempt: Result<Attempt, tokio::task::JoinError>) -> Result<(), StoreError> {
        let attempt = match attempt {
            Ok(attempt) => attempt,
            // A panic of ours: its devices stay leased to nobody and are looked at again at the next start.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => return Ok(()),
        };
        let steady = self.steady();
        for device in &attempt.devices {
            self.running.remove(device);
            self.dirty.insert(device.clone());
        }
        self.vitals.figures.changes_failed.inc_by(attempt.failed.len() as u64);
        self.budget.failed(attempt.failed.iter().cloned(), steady);
        let unwell: BTreeSet<&String> = attempt.failed.iter().chain(&attempt.unreachable).collect();
        for device in attempt.devices.iter().filter(|device| !unwell.contains(device)) {
            self.patience.remove(device);
        }
        // What waits for a device that is away is gone on with when it returns: until then another run would only add the same to the queue.
        for device in unwell {
            let times = self.patience.get(device).map_or(0, |(_, times)| *times);
            let wait = BACK_OFF * 3u32.pow(times.min(4));
            self.patience.insert(device.clone(), (steady + wait, times + 1));
        }
        if let Some(wait) = attempt.again {
            for device in &attempt.devices {
                self.patience.insert(device.clone(), (steady + wait, 0));
            }
        }
        self.say(attempt.signals).await;
        if let Some(error) = attempt.fatal {
            return Err(error);
        }
        // There is room for another one.
        if self.put_off.is_empty() || self.stop.is_cancelled() {
            return Ok(());
        }
        let devices = std::mem::take(&mut self.put_off);
        self.go_on(Some(devices)).await
    }
}
