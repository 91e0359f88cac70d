//! Steps of runs. A step begins together with the jobs of its devices, in one transaction.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::audit;
use super::jobs;
use super::runs::{state, state_name};
use super::workflow_runs::{self, MOST_REASON, event, legal};
use super::{Failure, Store, StoreError, column, moment};
use crate::model::run::Actor;
use crate::model::{Job, StepRun, StepState};

const STEP: &str = "SELECT Run, Step, Name, State, WakeAt, BegunAt, StartedAt, FinishedAt, Result, Reason FROM WorkflowSteps";

/// A transition of a step. What is not given stays as it was.
#[derive(Debug, Clone, PartialEq)]
pub struct StepChange {
    /// Run.
    pub run: String,
    /// Step, from 0.
    pub step: u32,
    /// Where it stands from now on.
    pub state: StepState,
    /// When its delay is over, or its approval expires.
    pub wake_at: Option<DateTime<Utc>>,
    /// What conditions of later steps see.
    pub result: Option<Value>,
    /// Why.
    pub reason: Option<String>,
}

fn read(row: &Row<'_>) -> rusqlite::Result<StepRun> {
    Ok(StepRun {
        run: row.get(0)?,
        step: row.get(1)?,
        name: row.get(2)?,
        state: state(row, 3)?,
        wake_at: column::time_or_null(row, 4)?,
        begun_at: column::time_or_null(row, 5)?,
        started_at: column::time_or_null(row, 6)?,
        finished_at: column::time_or_null(row, 7)?,
        result: column::json(row, 8)?,
        reason: row.get(9)?,
    })
}

impl Store {
    /// The steps of a run in their order.
    pub fn workflow_steps(&self, run: &str) -> Result<Vec<StepRun>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{STEP} WHERE Run = ?1 ORDER BY Step"))?;
            let rows = statement.query_map([run], read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Moves a step on.
    pub fn move_step(&self, change: &StepChange, actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| move_in(tx, change, now, actor))
    }

    /// A step begins on its devices: it is running, and their jobs wait for their turn. A job that is known already (the step is
    /// resumed) stays as it is.
    pub fn begin_step(&self, change: &StepChange, work: &[Job], actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            move_in(tx, change, now, actor)?;
            jobs::insert(tx, work)
        })
    }

    /// A person has decided on a step that waits for approval.
    pub fn decide_step(&self, run: &str, step: u32, approved: bool, reason: &str, actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            let known = step_in(tx, run, step)?;
            let name = format!("{run}/{}", known.name);
            legal("step", &name, known.state == StepState::Waiting, known.state, "decided")?;
            let next = if approved { StepState::Succeeded } else { StepState::Failed };
            let result = json!({ "approved": approved, "by": actor.user });
            let change =
                StepChange { run: run.into(), step, state: next, wake_at: None, result: Some(result), reason: Some(reason.into()) };
            move_in(tx, &change, now, actor)?;
            workflow_runs::bump(tx)
        })
    }
}

fn step_in(tx: &Transaction<'_>, run: &str, step: u32) -> Result<StepRun, Failure> {
    tx.prepare_cached(&format!("{STEP} WHERE Run = ?1 AND Step = ?2"))?
        .query_row(params![run, step], read)
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "step", name: format!("{run}/{step}") }.into())
}

fn move_in(tx: &Transaction<'_>, change: &StepChange, now: DateTime<Utc>, actor: &Actor) -> Result<(), Failure> {
    let known = step_in(tx, &change.run, change.step)?;
    let name = format!("{}/{}", change.run, known.name);
    legal("step", &name, known.state.may_become(change.state), known.state, change.state)?;
    let reason = change.reason.as_deref().map(|reason| super::clip(reason, MOST_REASON));
    let text = moment::text(now);
    tx.prepare_cached(
        "UPDATE WorkflowSteps SET State = ?3, WakeAt = ?4, Result = coalesce(?5, Result), Reason = ?6, BegunAt = coalesce(BegunAt, ?7),
             StartedAt = CASE WHEN ?8 THEN coalesce(StartedAt, ?7) ELSE StartedAt END, FinishedAt = CASE WHEN ?9 THEN ?7 END
         WHERE Run = ?1 AND Step = ?2",
    )?
    .execute(params![
        change.run,
        change.step,
        state_name(change.state),
        change.wake_at.map(moment::text),
        change.result.as_ref().map(Value::to_string),
        reason,
        text,
        change.state == StepState::Running,
        change.state.is_final(),
    ])?;
    tx.prepare_cached("UPDATE WorkflowRuns SET StartedAt = coalesce(StartedAt, ?2) WHERE Id = ?1")?.execute([&change.run, &text])?;
    let details = json!({
        "step": known.name, "was": state_name(known.state), "until": change.wake_at.map(moment::text), "reason": reason,
        "result": change.result,
    });
    let action = format!("workflow.step.{}", state_name(change.state));
    audit::append(tx, &event(now, &action, &change.run, details, actor, change.state != StepState::Failed))?;
    Ok(())
}
