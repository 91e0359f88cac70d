//! One device of a run: a session, then its changes one after another.

use std::collections::BTreeMap;

use super::change::{After, Work};
use super::events::Event;
use super::executor::{DeviceOutcome, Executor};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::plan::Held;
use crate::model::run::{ChangeState, RunChange};
use crate::store::{Merge, Observation, Status, Step, StoreError};
use crate::transport::TransportError;

/// How long an answer of windows and guards holds.
const ASK_AGAIN: chrono::TimeDelta = chrono::TimeDelta::seconds(1);

impl Executor {
    /// Carries out what is left to do on one device, of which `changes` are all in this run. Only a failing database is
    /// an error.
    pub(super) async fn device(&self, name: &str, mut changes: Vec<RunChange>) -> Result<DeviceOutcome, StoreError> {
        let mut outcome = DeviceOutcome::default();
        let begun = changes.iter().any(|c| c.attempts > 0);
        let done = changes.iter().filter(|c| c.state == ChangeState::Done && !c.change.restart).map(|c| c.change.label()).collect();
        changes.retain(|c| !c.state.is_final());
        if changes.is_empty() {
            return Ok(outcome);
        }
        if self.stop.is_cancelled() {
            self.cancel_rest(&changes, super::waiting::STOPPED)?;
            return Ok(outcome);
        }
        self.requeue(&mut changes)?;
        let Some(device) = self.set.devices.get(name).cloned() else {
            for change in &changes {
                self.step(change, ChangeState::Failed, Step { error: Some("the device is no longer declared".into()), ..Step::default() })?;
            }
            outcome.failed = true;
            return Ok(outcome);
        };
        (self.on)(Event::Device { device: name.to_owned(), changes: changes.len() });
        let target = super::survey::target(&self.set, &device);
        let session = match self.sessions.open(&target, &self.abort).await {
            Ok(session) => session,
            Err(error) => return self.unopened(name, &changes, &error),
        };
        let facts = self.store.facts(name, None)?;
        let mut work = Work::new(self, &device, session, facts, done);
        // What this run has done may change what its other changes see. Where its process died, what it saw last is not
        // known, and whether somebody else has been at work cannot be told any more.
        let lost = begun && self.crashed.load(std::sync::atomic::Ordering::SeqCst);
        if !lost && !self.stop.is_cancelled() {
            changes = match work.leave_out_stale(changes, begun).await? {
                Ok(fresh) => fresh,
                Err((changes, error)) => return self.unopened(name, &changes, &error),
            };
        }
        let mut asked_at = self.clock.now();
        let mut held = self.held(&changes)?;
        let mut rest = changes.into_iter();
        while let Some(change) = rest.next() {
            // Windows close while a run goes on.
            if self.clock.now() - asked_at >= ASK_AGAIN {
                asked_at = self.clock.now();
                held = self.held(std::slice::from_ref(&change))?;
                held.extend(self.held(rest.as_slice())?);
            }
            if change.attempts == 0
                && let Some(held) = held.get(&change.seq)
            {
                self.step(&change, ChangeState::Cancelled, Step { error: Some(format!("held: {}", held.reason)), ..Step::default() })?;
                continue;
            }
            if self.stop.is_cancelled() {
                let left: Vec<RunChange> = std::iter::once(change).chain(rest).collect();
                self.cancel_rest(&left, super::waiting::STOPPED)?;
                break;
            }
            match work.carry_out(change).await? {
                After::Fine => {}
                After::Failed => outcome.failed = true,
                After::DeviceLost(error) => {
                    outcome.unreachable = true;
                    let left: Vec<RunChange> = rest.collect();
                    self.queue(&left, &error)?;
                    self.store.set_status(name, Status::Offline, Some(&error), self.clock.now())?;
                    break;
                }
            }
        }
        let sections = work.into_observed();
        if !sections.is_empty() {
            self.store.put_observations(&[Observation { device: name.to_owned(), sections, merge: Merge::Probes }])?;
        }
        Ok(outcome)
    }

    /// What a window, guard or exception holds back by now.
    fn held(&self, changes: &[RunChange]) -> Result<BTreeMap<i64, Held>, StoreError> {
        super::saved::held_now(&self.set, &self.store, &self.secrets, self.clock.now(), changes)
    }

    /// What waited or was cancelled before gets its turn again.
    fn requeue(&self, changes: &mut [RunChange]) -> Result<(), StoreError> {
        for change in changes.iter_mut().filter(|c| matches!(c.state, ChangeState::Queued | ChangeState::Cancelled)) {
            *change = self.step(change, ChangeState::Pending, Step::default())?;
        }
        Ok(())
    }

    /// The session could not be opened: the category decides.
    fn unopened(&self, name: &str, changes: &[RunChange], error: &TransportError) -> Result<DeviceOutcome, StoreError> {
        if *error == TransportError::Cancelled {
            self.cancel_rest(changes, super::waiting::STOPPED)?;
            return Ok(DeviceOutcome::default());
        }
        let text = error.to_string();
        let away = matches!(error.category(), Category::Device | Category::Transient);
        let status = if away { Status::Offline } else { Status::Error };
        self.store.set_status(name, status, Some(&text), self.clock.now())?;
        if away {
            self.queue(changes, &text)?;
            return Ok(DeviceOutcome { unreachable: true, failed: false });
        }
        for change in changes {
            let next = if change.state == ChangeState::Started { ChangeState::Interrupted } else { ChangeState::Failed };
            self.step(change, next, Step { error: Some(text.clone()), ..Step::default() })?;
        }
        Ok(DeviceOutcome { failed: true, unreachable: false })
    }

    /// Changes wait for the device's return.
    fn queue(&self, changes: &[RunChange], why: &str) -> Result<(), StoreError> {
        for change in changes.iter().filter(|c| matches!(c.state, ChangeState::Pending | ChangeState::Started)) {
            self.step(change, ChangeState::Queued, Step { error: Some(why.to_owned()), ..Step::default() })?;
        }
        Ok(())
    }
}
