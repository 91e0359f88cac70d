//! Runs of workflows: begun with all their steps, moved on one transition at a time, each with its audit row.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use serde_json::{Value, json};

use super::audit::{self, AuditEvent};
use super::runs::{state, state_name};
use super::{Failure, Store, StoreError, column, moment};
use crate::model::run::Actor;
use crate::model::workflow::Concurrency;
use crate::model::workflow_run::Cause;
use crate::model::{WorkflowRun, WorkflowState};

/// Most bytes of a reason.
pub(super) const MOST_REASON: usize = 4000;
/// Most rows of one list.
const MOST_ROWS: usize = 100_000;

const RUN: &str = "SELECT Id, Workflow, Steps, Cause, ParentRun, ParentStep, User, Origin, PolicySet, CommitId, Scripts, Priority,
    CreatedAt, StartedAt, FinishedAt, State, Error, Cancel FROM WorkflowRuns";
const UNFINISHED: &str = "State IN ('queued', 'running', 'undoing')";

/// What came of a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It is there, running or queued.
    Begun(WorkflowState),
    /// What started it has started a run already.
    Known(String),
    /// A run of the workflow is unfinished, and the rule is to leave the new one out.
    Skipped(String),
}

/// Which runs are asked for; all members must hold. Newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Those that have not ended, or have work in the queue.
    pub open_only: bool,
    /// At most so many. 0 means as many as one list may have.
    pub limit: usize,
}

fn read(row: &Row<'_>) -> rusqlite::Result<WorkflowRun> {
    let parent: Option<String> = row.get(4)?;
    let parent_step: Option<u32> = row.get(5)?;
    Ok(WorkflowRun {
        id: row.get(0)?,
        workflow: row.get(1)?,
        steps: column::json(row, 2)?,
        cause: column::json(row, 3)?,
        parent: parent.zip(parent_step),
        actor: Actor { user: row.get(6)?, from: row.get(7)? },
        policy_set: row.get(8)?,
        commit: row.get(9)?,
        scripts: column::json(row, 10)?,
        priority: row.get(11)?,
        created_at: column::time(row, 12)?,
        started_at: column::time_or_null(row, 13)?,
        finished_at: column::time_or_null(row, 14)?,
        state: state(row, 15)?,
        error: row.get(16)?,
        cancel: row.get(17)?,
    })
}

/// A cause as the audit record keeps it. What somebody's run was told for each of its devices stands in its own row.
fn told(cause: &Cause) -> Value {
    let data = if cause.kind == "hand" { Value::Null } else { cause.data.clone() };
    json!(Cause { data, ..cause.clone() })
}

/// The audit row of something that happens to a run.
pub(super) fn event(at: DateTime<Utc>, action: &str, target: &str, details: Value, actor: &Actor, success: bool) -> AuditEvent {
    AuditEvent {
        at,
        user: Some(actor.user.clone()),
        action: action.into(),
        target: Some(target.into()),
        details,
        ip: Some(actor.from.clone()),
        success,
    }
}

/// A run within a transaction.
pub(super) fn run_in(tx: &Transaction<'_>, id: &str) -> Result<WorkflowRun, Failure> {
    tx.prepare_cached(&format!("{RUN} WHERE Id = ?1"))?
        .query_row([id], read)
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "run", name: id.to_owned() }.into())
}

/// Refuses a step that the model does not allow.
pub(super) fn legal(what: &'static str, name: &str, allowed: bool, from: impl ToString, to: impl ToString) -> Result<(), Failure> {
    if allowed {
        return Ok(());
    }
    // Words of closed vocabularies: there are only so many of them.
    let word = |text: String| -> &'static str { WORDS.iter().find(|word| **word == text).copied().unwrap_or("in another state") };
    Err(StoreError::Step { what, name: name.to_owned(), from: word(from.to_string()), to: word(to.to_string()) }.into())
}

const WORDS: [&str; 12] = [
    "queued",
    "pending",
    "waiting",
    "running",
    "undoing",
    "succeeded",
    "failed",
    "skipped",
    "cancelled",
    "expired",
    "interrupted",
    "decided",
];

impl Store {
    /// Keeps a new run with its steps, all pending, as `rule` says where another one of the workflow (about the same device) is
    /// unfinished. What has started a run before starts none.
    pub fn start_workflow(&self, run: &WorkflowRun, rule: Concurrency) -> Result<Started, StoreError> {
        let now = self.now();
        self.write(|tx| {
            if let Some(key) = &run.cause.key {
                let known = "SELECT Id FROM WorkflowRuns WHERE Workflow = ?1 AND CauseKey = ?2";
                let known: Option<String> = tx.prepare_cached(known)?.query_row([&*run.workflow, key], |row| row.get(0)).optional()?;
                if let Some(known) = known {
                    return Ok(Started::Known(known));
                }
            }
            let other = format!("SELECT Id FROM WorkflowRuns WHERE Workflow = ?1 AND Device IS ?2 AND {UNFINISHED} ORDER BY CreatedAt");
            let mut statement = tx.prepare_cached(&other)?;
            let others = statement.query_map(params![run.workflow, run.cause.device], |row| row.get::<_, String>(0))?;
            let others: Vec<String> = others.collect::<Result<_, _>>()?;
            let mut begins = WorkflowState::Running;
            match (rule, others.first()) {
                (_, None) | (Concurrency::Parallel, _) => {}
                (Concurrency::Skip, Some(first)) => {
                    let details =
                        json!({ "workflow": run.workflow, "cause": told(&run.cause), "because": format!("run {first} is unfinished") });
                    audit::append(tx, &event(now, "workflow.left-out", first, details, &run.actor, true))?;
                    return Ok(Started::Skipped(first.clone()));
                }
                (Concurrency::Queue, Some(_)) => begins = WorkflowState::Queued,
                (Concurrency::Replace, Some(_)) => {
                    begins = WorkflowState::Queued;
                    for other in &others {
                        cancel_in(tx, other, &format!("replaced by run {}", run.id), now, &run.actor)?;
                    }
                }
            }
            insert(tx, run, begins)?;
            bump(tx)?;
            let details = json!({
                "workflow": run.workflow, "cause": told(&run.cause), "policySet": run.policy_set, "commit": run.commit,
                "steps": run.steps.len(), "state": begins.to_string(), "parent": run.parent,
                "notBefore": run.steps.iter().find_map(|step| step.not_before),
            });
            audit::append(tx, &event(now, "workflow.started", &run.id, details, &run.actor, true))?;
            Ok(Started::Begun(begins))
        })
    }

    /// A run by its id.
    pub fn workflow_run(&self, id: &str) -> Result<Option<WorkflowRun>, StoreError> {
        self.read(|c| Ok(c.prepare_cached(&format!("{RUN} WHERE Id = ?1"))?.query_row([id], read).optional()?))
    }

    /// A run that was read before, as it stands now; the same one where nothing has changed. Of its row only what changes is read: the
    /// steps of a run over many devices are long.
    pub fn workflow_run_now(&self, known: &Arc<WorkflowRun>) -> Result<Arc<WorkflowRun>, StoreError> {
        self.read(|c| {
            let sql = "SELECT StartedAt, FinishedAt, State, Error, Cancel FROM WorkflowRuns WHERE Id = ?1";
            let row = c.prepare_cached(sql)?.query_row([&known.id], |row| {
                Ok((column::time_or_null(row, 0)?, column::time_or_null(row, 1)?, state(row, 2)?, row.get(3)?, row.get(4)?))
            });
            let Some((started_at, finished_at, state, error, cancel)) = row.optional()? else { return Ok(Arc::clone(known)) };
            let then = (known.started_at, known.finished_at, known.state, &known.error, &known.cancel);
            if then == (started_at, finished_at, state, &error, &cancel) {
                return Ok(Arc::clone(known));
            }
            Ok(Arc::new(WorkflowRun { started_at, finished_at, state, error, cancel, ..WorkflowRun::clone(known) }))
        })
    }

    /// The run that a step of another one waits for.
    pub fn child_run(&self, parent: &str, step: u32) -> Result<Option<WorkflowRun>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{RUN} WHERE ParentRun = ?1 AND ParentStep = ?2"))?;
            Ok(statement.query_row(params![parent, step], read).optional()?)
        })
    }

    /// Runs, newest first.
    pub fn workflow_runs(&self, filter: &RunFilter) -> Result<Vec<WorkflowRun>, StoreError> {
        let limit = if filter.limit == 0 { MOST_ROWS } else { filter.limit.min(MOST_ROWS) };
        let open = if filter.open_only {
            format!("AND ({UNFINISHED} OR Id IN (SELECT Run FROM Jobs WHERE State IN ('pending', 'waiting', 'running')))")
        } else {
            String::new()
        };
        self.read(|c| {
            let which = format!("{RUN} WHERE (?1 IS NULL OR Workflow = ?1) {open} ORDER BY CreatedAt DESC, Id DESC LIMIT ?2");
            let mut statement = c.prepare_cached(&which)?;
            let rows = statement.query_map(params![filter.workflow, limit as i64], read)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Grows when a run is started, resumed, cancelled or decided upon, or a device returns: then whoever drives looks again.
    pub fn workflow_revision(&self) -> Result<i64, StoreError> {
        self.read(|c| Ok(c.prepare_cached("SELECT Value FROM Revisions WHERE Name = 'workflows'")?.query_row([], |row| row.get(0))?))
    }

    /// Ids of the runs that somebody has to drive: unfinished ones, and those with work in the queue. Oldest first.
    pub fn runs_to_drive(&self) -> Result<Vec<String>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!(
                "SELECT Id FROM WorkflowRuns WHERE {UNFINISHED}
                 UNION SELECT Run FROM Jobs WHERE State IN ('pending', 'waiting', 'running') ORDER BY 1"
            ))?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Moves a run on.
    pub fn move_run(&self, id: &str, next: WorkflowState, error: Option<&str>, actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| move_in(tx, id, next, error, now, actor))
    }

    /// Lets the oldest queued run of a workflow begin where nothing of it (about the same device) is under way. Returns the ids of
    /// those that began.
    pub fn dequeue_runs(&self, actor: &Actor) -> Result<Vec<String>, StoreError> {
        let now = self.now();
        let waiting = self.read(|c| {
            Ok(c.prepare_cached("SELECT EXISTS (SELECT 1 FROM WorkflowRuns WHERE State = 'queued')")?
                .query_row([], |row| row.get::<_, bool>(0))?)
        })?;
        if !waiting {
            return Ok(Vec::new());
        }
        self.write(|tx| {
            let first = "SELECT Id FROM WorkflowRuns q WHERE State = 'queued' AND NOT EXISTS (
                SELECT 1 FROM WorkflowRuns o WHERE o.Workflow = q.Workflow AND o.Device IS q.Device AND o.Id <> q.Id
                  AND (o.State IN ('running', 'undoing') OR o.State = 'queued' AND (o.CreatedAt, o.Id) < (q.CreatedAt, q.Id)))";
            let ids: Vec<String> = tx.prepare_cached(first)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for id in &ids {
                move_in(tx, id, WorkflowState::Running, None, now, actor)?;
            }
            Ok(ids)
        })
    }

    /// Writes down that somebody wants a run to end. Whoever drives it ends it.
    pub fn ask_to_cancel(&self, id: &str, reason: &str, actor: &Actor) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| cancel_in(tx, id, reason, now, actor))
    }
}

fn insert(tx: &Transaction<'_>, run: &WorkflowRun, begins: WorkflowState) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO WorkflowRuns (Id, Workflow, Steps, Cause, CauseKey, Device, ParentRun, ParentStep, User, Origin, PolicySet, CommitId,
             Scripts, Priority, CreatedAt, State)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?
    .execute(params![
        run.id,
        run.workflow,
        column::to_json(&run.steps),
        column::to_json(&run.cause),
        run.cause.key,
        run.cause.device,
        run.parent.as_ref().map(|(run, _)| run),
        run.parent.as_ref().map(|(_, step)| step),
        run.actor.user,
        run.actor.from,
        run.policy_set,
        run.commit,
        column::to_json(&run.scripts),
        run.priority,
        moment::text(run.created_at),
        state_name(begins),
    ])?;
    let mut statement = tx.prepare_cached("INSERT INTO WorkflowSteps (Run, Step, Name, State) VALUES (?1, ?2, ?3, 'pending')")?;
    for (i, step) in run.steps.iter().enumerate() {
        statement.execute(params![run.id, i as i64, Arc::clone(&step.name)])?;
    }
    Ok(())
}

/// Whoever drives runs looks again.
pub(super) fn bump(tx: &Transaction<'_>) -> Result<(), Failure> {
    tx.prepare_cached("UPDATE Revisions SET Value = Value + 1 WHERE Name = 'workflows'")?.execute([])?;
    Ok(())
}

fn move_in(
    tx: &Transaction<'_>,
    id: &str,
    next: WorkflowState,
    error: Option<&str>,
    now: DateTime<Utc>,
    actor: &Actor,
) -> Result<(), Failure> {
    let from: WorkflowState = tx
        .prepare_cached("SELECT State FROM WorkflowRuns WHERE Id = ?1")?
        .query_row([id], |row| state(row, 0))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "run", name: id.to_owned() })?;
    legal("run", id, from.may_become(next), from, next)?;
    let error = error.map(|error| super::clip(error, MOST_REASON));
    tx.prepare_cached("UPDATE WorkflowRuns SET State = ?2, Error = coalesce(?3, Error), FinishedAt = ?4 WHERE Id = ?1")?
        .execute(params![id, state_name(next), error, next.is_final().then(|| moment::text(now))])?;
    let details = json!({ "was": state_name(from), "error": error });
    let success = !matches!(next, WorkflowState::Failed | WorkflowState::Undoing);
    audit::append(tx, &event(now, &format!("workflow.{}", state_name(next)), id, details, actor, success))?;
    Ok(())
}

fn cancel_in(tx: &Transaction<'_>, id: &str, reason: &str, now: DateTime<Utc>, actor: &Actor) -> Result<(), Failure> {
    let run = run_in(tx, id)?;
    let open = "SELECT EXISTS (SELECT 1 FROM Jobs WHERE Run = ?1 AND State IN ('pending', 'waiting', 'running'))";
    let open: bool = tx.prepare_cached(open)?.query_row([id], |row| row.get(0))?;
    legal("run", id, !run.state.is_final() || open, run.state, WorkflowState::Cancelled)?;
    tx.prepare_cached("UPDATE WorkflowRuns SET Cancel = coalesce(Cancel, ?2) WHERE Id = ?1")?
        .execute(params![id, super::clip(reason, MOST_REASON)])?;
    bump(tx)?;
    audit::append(tx, &event(now, "workflow.cancel", id, json!({ "reason": reason }), actor, true))?;
    Ok(())
}
