//! One device of a run: a session, then its changes one after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::blocking::blocking;
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
    pub(super) async fn device(self: &Arc<Self>, name: &str, mut changes: Vec<RunChange>) -> Result<DeviceOutcome, StoreError> {
        let mut outcome = DeviceOutcome::default();
        let begun = changes.iter().any(|c| c.attempts > 0);
        let done = changes.iter().filter(|c| c.state == ChangeState::Done && !c.change.restart).map(|c| c.change.label()).collect();
        changes.retain(|c| !c.state.is_final());
        if changes.is_empty() {
            return Ok(outcome);
        }
        if self.stop.is_cancelled() {
            self.cancel_rest(&changes, super::waiting::STOPPED).await?;
            return Ok(outcome);
        }
        self.requeue(&mut changes).await?;
        let Some(device) = self.set.devices.get(name).cloned() else {
            for change in &changes {
                self.step(change, ChangeState::Failed, Step { error: Some("the device is no longer declared".into()), ..Step::default() })
                    .await?;
            }
            outcome.failed = true;
            return Ok(outcome);
        };
        (self.on)(Event::Device { device: name.to_owned(), changes: changes.len() });
        let target = super::survey::target(&self.set, &device);
        let session = match self.sessions.open(&target, &self.abort).await {
            Ok(session) => session,
            Err(error) => return self.unopened(name, &changes, &error).await,
        };
        let (store, of) = (self.store.clone(), name.to_owned());
        let facts = blocking(move || store.facts(&of, None)).await?;
        let mut work = Work::new(Arc::clone(self), &device, session, facts, done);
        // What this run has done may change what its other changes see. Where its process died, what it saw last is not
        // known, and whether somebody else has been at work cannot be told any more.
        let lost = begun && self.crashed.load(std::sync::atomic::Ordering::SeqCst);
        if !lost && !self.stop.is_cancelled() {
            changes = match work.leave_out_stale(changes, begun).await? {
                Ok(fresh) => fresh,
                Err((changes, error)) => return self.unopened(name, &changes, &error).await,
            };
        }
        let mut asked_at = self.clock.now();
        let mut held = self.held(changes.clone()).await?;
        let mut rest = changes.into_iter();
        while let Some(change) = rest.next() {
            // Windows close while a run goes on.
            if self.clock.now() - asked_at >= ASK_AGAIN {
                asked_at = self.clock.now();
                held = self.held(std::iter::once(&change).chain(rest.as_slice()).cloned().collect()).await?;
            }
            if change.attempts == 0
                && let Some(held) = held.get(&change.seq)
            {
                self.step(&change, ChangeState::Cancelled, Step { error: Some(format!("held: {}", held.reason)), ..Step::default() })
                    .await?;
                continue;
            }
            if self.stop.is_cancelled() {
                let left: Vec<RunChange> = std::iter::once(change).chain(rest).collect();
                self.cancel_rest(&left, super::waiting::STOPPED).await?;
                break;
            }
            match work.carry_out(change).await? {
                After::Fine => {}
                After::Failed => outcome.failed = true,
                After::DeviceLost(error) => {
                    outcome.unreachable = true;
                    let left: Vec<RunChange> = rest.collect();
                    self.queue(&left, &error).await?;
                    self.status(name, Status::Offline, error).await?;
                    break;
                }
            }
        }
        let mut sections = work.into_observed();
        super::hide_in_sections(&self.redactor, &mut sections);
        if !sections.is_empty() {
            let (store, device) = (self.store.clone(), name.to_owned());
            blocking(move || store.put_observations(&[Observation { device, sections, merge: Merge::Probes }])).await?;
        }
        Ok(outcome)
    }

    /// What a window, guard or exception holds back by now.
    async fn held(self: &Arc<Self>, changes: Vec<RunChange>) -> Result<BTreeMap<i64, Held>, StoreError> {
        let this = Arc::clone(self);
        blocking(move || super::saved::held_now(&this.set, &this.store, &this.secrets, this.clock.now(), &changes)).await
    }

    async fn status(&self, name: &str, status: Status, why: String) -> Result<(), StoreError> {
        let (store, name, now) = (self.store.clone(), name.to_owned(), self.clock.now());
        let why = self.redactor.redact(&why).into_owned();
        blocking(move || store.set_status(&name, status, Some(&why), now)).await.map(drop)
    }

    /// What waited or was cancelled before gets its turn again.
    async fn requeue(self: &Arc<Self>, changes: &mut [RunChange]) -> Result<(), StoreError> {
        for change in changes.iter_mut().filter(|c| matches!(c.state, ChangeState::Queued | ChangeState::Cancelled)) {
            *change = self.step(change, ChangeState::Pending, Step::default()).await?;
        }
        Ok(())
    }

    /// The session could not be opened: the category decides.
    async fn unopened(self: &Arc<Self>, name: &str, changes: &[RunChange], error: &TransportError) -> Result<DeviceOutcome, StoreError> {
        if *error == TransportError::Cancelled {
            self.cancel_rest(changes, super::waiting::STOPPED).await?;
            return Ok(DeviceOutcome::default());
        }
        let text = error.to_string();
        let away = matches!(error.category(), Category::Device | Category::Transient);
        let status = if away { Status::Offline } else { Status::Error };
        self.status(name, status, text.clone()).await?;
        if away {
            self.queue(changes, &text).await?;
            return Ok(DeviceOutcome { unreachable: true, failed: false });
        }
        for change in changes {
            let next = if change.state == ChangeState::Started { ChangeState::Interrupted } else { ChangeState::Failed };
            self.step(change, next, Step { error: Some(text.clone()), ..Step::default() }).await?;
        }
        Ok(DeviceOutcome { failed: true, unreachable: false })
    }

    /// Changes wait for the device's return.
    async fn queue(self: &Arc<Self>, changes: &[RunChange], why: &str) -> Result<(), StoreError> {
        for change in changes.iter().filter(|c| matches!(c.state, ChangeState::Pending | ChangeState::Started)) {
            self.step(change, ChangeState::Queued, Step { error: Some(why.to_owned()), ..Step::default() }).await?;
        }
        Ok(())
    }
}
