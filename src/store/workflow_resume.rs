//! Taking up a run again that has failed or was cancelled: what is left of it waits for its turn anew, each device at the moment that
//! was planned for it.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{Transaction, params};
use serde_json::json;

use super::audit;
use super::runs::state_name;
use super::workflow_runs::{bump, event, legal, run_in};
use super::{Failure, Store, StoreError, column, moment};
use crate::model::run::Actor;
use crate::model::{WorkflowRun, WorkflowState};

impl Store {
    /// Takes a run up again that has failed or was cancelled: what failed or never began waits for its turn anew, what succeeded
    /// stays. What a person has asked for at a moment that comes waits for it. Returns how many jobs wait again.
    pub fn resume_workflow(&self, id: &str, actor: &Actor) -> Result<usize, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let run = run_in(tx, id)?;
            legal("run", id, run.state.may_become(WorkflowState::Running), run.state, WorkflowState::Running)?;
            let undone: bool = tx
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM Jobs WHERE Run = ?1 AND Part = 'rollback')")?
                .query_row([id], |row| row.get(0))?;
            legal("run", id, !undone, "undoing", WorkflowState::Running)?;
            tx.prepare_cached("UPDATE WorkflowRuns SET State = 'running', FinishedAt = NULL, Error = NULL, Cancel = NULL WHERE Id = ?1")?
                .execute([id])?;
            tx.prepare_cached(
                "UPDATE WorkflowSteps SET State = 'pending', WakeAt = NULL, BegunAt = NULL, StartedAt = NULL, FinishedAt = NULL, Reason = NULL,
                     Result = 'null'
                 WHERE Run = ?1 AND State IN ('failed', 'cancelled')",
            )?
            .execute([id])?;
            let jobs = again(tx, &run, now)?;
            bump(tx)?;
            let details = json!({ "was": state_name(run.state), "jobs": jobs });
            audit::append(tx, &event(now, "workflow.resumed", id, details, actor, true))?;
            Ok(jobs)
        })
    }
}

/// What has not succeeded waits for its turn anew. Returns how many jobs.
fn again(tx: &Transaction<'_>, run: &WorkflowRun, now: DateTime<Utc>) -> Result<usize, Failure> {
    let totals: BTreeMap<u32, i32> = tx
        .prepare_cached("SELECT Step, count(*) FROM Jobs WHERE Run = ?1 GROUP BY Step")?
        .query_map([&run.id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let left = "SELECT Id, Step, CreatedAt FROM Jobs
        WHERE Run = ?1 AND State IN ('failed', 'cancelled', 'expired', 'interrupted') ORDER BY N";
    let left: Vec<(String, u32, DateTime<Utc>)> = tx
        .prepare_cached(left)?
        .query_map([&run.id], |row| Ok((row.get(0)?, row.get(1)?, column::time(row, 2)?)))?
        .collect::<Result<_, _>>()?;
    let mut statement = tx.prepare_cached(
        "UPDATE Jobs SET State = 'pending', WaitsFor = NULL, WakeAt = ?2, FinishedAt = NULL, Reason = NULL, Retries = 0,
             Attempt = Attempt + (State IN ('failed', 'interrupted')), Phase = 'act',
             Memo = CASE WHEN Device = '' THEN Memo ELSE 'null' END, ExpiresAt = ?3
         WHERE Id = ?1",
    )?;
    let lifetime = lifetime(run);
    let mut before: BTreeMap<u32, i32> = BTreeMap::new();
    for (id, step, created) in &left {
        let total = totals.get(step).copied().unwrap_or(1).max(1);
        let wake_at = planned(run, (id, *step, *created), total, before.entry(*step).or_default(), now);
        let expires_at = wake_at.unwrap_or(now) + lifetime;
        statement.execute(params![id, wake_at.map(moment::text), moment::text(expires_at)])?;
    }
    Ok(left.len())
}

/// When a job that waits anew may begin: at the moment that was planned for it. Where that is over it is now, but those of a step that
/// begin one by one still do. Nothing where it need not wait.
fn planned(
    run: &WorkflowRun,
    (id, step, created): (&str, u32, DateTime<Utc>),
    total: i32,
    before: &mut i32,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let step = run.steps.get(step as usize)?;
    let spread = step.stagger.map_or(TimeDelta::zero(), |stagger| stagger.delta() / total);
    if spread.is_zero() && step.not_before.is_none() {
        return None;
    }
    // `RUN.STEP.N`, from 1.
    let place = id.rsplit('.').next().and_then(|n| n.parse::<i32>().ok()).map_or(0, |n| n.saturating_sub(1));
    let at = step.not_before.unwrap_or(created) + spread * place;
    let earliest = now + spread * *before;
    *before += 1;
    Some(at.max(earliest))
}

/// How long a job that waits anew is kept for a device that is away.
fn lifetime(run: &WorkflowRun) -> TimeDelta {
    let longest = run.steps.iter().filter_map(|step| step.expires).max();
    longest.map_or(TimeDelta::days(1), crate::time::Span::delta)
}
