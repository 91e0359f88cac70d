//! The journal: every step of a change or a run is one transaction together with its audit row. Steps that the model
//! does not allow are refused, whatever the caller believed the state to be.

use rusqlite::params;
use serde_json::{Value, json};

use super::audit::{self, AuditEvent};
use super::{Store, StoreError, moment, runs};
use crate::model::run::{Actor, ChangeState, RunChange, RunState};

/// Most bytes of an error that are kept.
const MOST_ERROR: usize = 16 * 1024;

/// What is recorded with a step of a change. What is not given stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Step {
    /// Why it failed or waits; none clears an earlier one.
    pub error: Option<String>,
    /// Observed before.
    pub before: Option<Value>,
    /// Observed after.
    pub after: Option<Value>,
}

impl Store {
    /// Moves a change of a run on, and writes the audit row. Returns the change as it is now. *Started* counts an attempt.
    pub fn transition(&self, run: &str, seq: i64, next: ChangeState, step: &Step, actor: &Actor) -> Result<RunChange, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let mut change = runs::change_in(tx, run, seq)?;
            let from = change.state;
            let never_begun = from == ChangeState::Pending && next == ChangeState::Done && change.attempts == 0;
            if !from.may_become(next) || never_begun {
                return Err(StoreError::Transition { run: run.to_owned(), seq, from, to: next }.into());
            }
            change.state = next;
            change.error = step.error.as_deref().map(|error| super::clip(error, MOST_ERROR).to_owned());
            if step.before.is_some() {
                change.before.clone_from(&step.before);
            }
            if step.after.is_some() {
                change.after.clone_from(&step.after);
            }
            let now = moment::from_millis(moment::millis(now));
            if next == ChangeState::Started {
                change.attempts += 1;
                change.started_at = Some(now);
            }
            change.finished_at = next.is_final().then_some(now);
            tx.prepare_cached(
                "UPDATE RunChanges SET State = ?3, Attempts = ?4, Error = ?5, Before = ?6, After = ?7, StartedAt = ?8, FinishedAt = ?9
                 WHERE Run = ?1 AND Seq = ?2",
            )?
            .execute(params![
                run,
                seq,
                runs::state_name(next),
                change.attempts,
                change.error,
                change.before.as_ref().map(Value::to_string),
                change.after.as_ref().map(Value::to_string),
                change.started_at.map(moment::text),
                change.finished_at.map(moment::text),
            ])?;
            let failed = matches!(next, ChangeState::Failed | ChangeState::RolledBack | ChangeState::Interrupted);
            let event = AuditEvent {
                at: now,
                user: Some(actor.user.clone()),
                action: format!("change.{}", runs::state_name(next)),
                target: Some(change.device.clone()),
                details: json!({
                    "run": run, "seq": seq, "setting": change.change.label(), "policy": change.change.policy,
                    "place": change.change.place.to_string(), "was": runs::state_name(from), "attempt": change.attempts,
                    "from": change.change.from, "to": change.change.to, "error": change.error,
                }),
                ip: Some(actor.from.clone()),
                success: !failed,
            };
            audit::append(tx, &event)?;
            Ok(change)
        })
    }

    /// Takes a run up again that was interrupted, or whose process died, and writes the audit row. Returns in which state it
    /// was left. The caller holds the run's lease: nobody else carries it out.
    pub fn resume_run(&self, run: &str, actor: &Actor) -> Result<RunState, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let from = runs::run_state_in(tx, run)?;
            if from != RunState::Running && !from.may_become(RunState::Running) {
                return Err(StoreError::RunTransition { run: run.to_owned(), from, to: RunState::Running }.into());
            }
            tx.prepare_cached("UPDATE Runs SET State = ?2, FinishedAt = NULL WHERE Id = ?1")?
                .execute(params![run, runs::state_name(RunState::Running)])?;
            let event = AuditEvent {
                at: now,
                user: Some(actor.user.clone()),
                action: "run.resumed".into(),
                target: Some(run.to_owned()),
                details: json!({ "was": runs::state_name(from) }),
                ip: Some(actor.from.clone()),
                success: true,
            };
            audit::append(tx, &event)?;
            Ok(from)
        })
    }

    /// Moves a run on, and writes the audit row.
    pub fn set_run_state(&self, run: &str, next: RunState, actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            let from = runs::run_state_in(tx, run)?;
            if !from.may_become(next) {
                return Err(StoreError::RunTransition { run: run.to_owned(), from, to: next }.into());
            }
            let finished = (next != RunState::Running).then(|| moment::text(now));
            tx.prepare_cached("UPDATE Runs SET State = ?2, FinishedAt = ?3 WHERE Id = ?1")?.execute(params![
                run,
                runs::state_name(next),
                finished
            ])?;
            let event = AuditEvent {
                at: now,
                user: Some(actor.user.clone()),
                action: format!("run.{}", if next == RunState::Running { "resumed".into() } else { runs::state_name(next) }),
                target: Some(run.to_owned()),
                details: json!({ "was": runs::state_name(from) }),
                ip: Some(actor.from.clone()),
                success: next != RunState::Failed,
            };
            audit::append(tx, &event)?;
            Ok(())
        })
    }
}
