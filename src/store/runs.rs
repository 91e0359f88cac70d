//! Runs and their changes: created with everything that is to be done, and read back.

use rusqlite::{OptionalExtension, Row, params};
use serde_json::{Value, json};

use super::audit::{self, AuditEvent};
use super::{Failure, Store, StoreError, moment};
use crate::model::run::{Actor, ChangeState, Run, RunChange, RunState};

const RUN: &str = "SELECT Id, User, Origin, PolicySet, CommitId, StartedAt, FinishedAt, ExpiresAt, State, Options FROM Runs";
const CHANGE: &str = "SELECT Run, Seq, Device, Data, State, Attempts, Error, Before, After, StartedAt, FinishedAt FROM RunChanges";

/// States are kept as their camelCase names, as in JSON.
pub(super) fn state_name(state: impl serde::Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(Value::String(name)) => name,
        _ => String::new(),
    }
}

fn wrong(column: usize, what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}

/// The state in a column.
pub(super) fn state<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_value(Value::String(row.get(column)?)).map_err(|e| wrong(column, e))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<chrono::DateTime<chrono::Utc>>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| moment::from_text(&text).ok_or_else(|| wrong(column, "not a time"))).transpose()
}

fn json_column<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| serde_json::from_str(&text).map_err(|e| wrong(column, e))).transpose()
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<Run> {
    Ok(Run {
        id: row.get(0)?,
        actor: Actor { user: row.get(1)?, from: row.get(2)? },
        policy_set: row.get(3)?,
        commit: row.get(4)?,
        started_at: time(row, 5)?.unwrap_or_default(),
        finished_at: time(row, 6)?,
        expires_at: time(row, 7)?.unwrap_or_default(),
        state: state(row, 8)?,
        options: json_column(row, 9)?.unwrap_or_default(),
    })
}

fn read_change(row: &Row<'_>) -> rusqlite::Result<RunChange> {
    Ok(RunChange {
        run: row.get(0)?,
        seq: row.get(1)?,
        device: row.get(2)?,
        change: json_column(row, 3)?.ok_or_else(|| wrong(3, "no change"))?,
        state: state(row, 4)?,
        attempts: row.get(5)?,
        error: row.get(6)?,
        before: json_column(row, 7)?,
        after: json_column(row, 8)?,
        started_at: time(row, 9)?,
        finished_at: time(row, 10)?,
    })
}

impl Store {
    /// Keeps a new run with all that is to be done, and its audit row: all or nothing. Changes begin as *pending*, or
    /// in the state that they bring where that is *queued*, *stale* or *cancelled* from the start.
    pub fn create_run(&self, run: &Run, changes: &[RunChange]) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            tx.execute(
                "INSERT INTO Runs (Id, User, Origin, PolicySet, CommitId, StartedAt, FinishedAt, ExpiresAt, State, Options)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                params![
                    run.id,
                    run.actor.user,
                    run.actor.from,
                    run.policy_set,
                    run.commit,
                    moment::text(run.started_at),
                    run.finished_at.map(moment::text),
                    moment::text(run.expires_at),
                    state_name(run.state),
                    run.options.to_string()
                ],
            )?;
            for change in changes {
                let begins = change.state == ChangeState::Pending || ChangeState::Pending.may_become(change.state);
                if !begins || change.state == ChangeState::Started {
                    let (run, seq) = (run.id.clone(), change.seq);
                    return Err(StoreError::Transition { run, seq, from: ChangeState::Pending, to: change.state }.into());
                }
                tx.prepare_cached(
                    "INSERT INTO RunChanges (Run, Seq, Device, Setting, Data, State, Attempts, Error, Before, After, FinishedAt)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    run.id,
                    change.seq,
                    change.device,
                    change.change.label(),
                    serde_json::to_string(&change.change).unwrap_or_default(),
                    state_name(change.state),
                    change.error,
                    change.before.as_ref().map(Value::to_string),
                    change.after.as_ref().map(Value::to_string),
                    change.finished_at.map(moment::text),
                ])?;
            }
            let devices: std::collections::BTreeSet<&str> = changes.iter().map(|c| c.device.as_str()).collect();
            let event = AuditEvent {
                at: now,
                user: Some(run.actor.user.clone()),
                action: "run.started".into(),
                target: Some(run.id.clone()),
                details: json!({
                    "policySet": run.policy_set, "commit": run.commit, "changes": changes.len(),
                    "devices": devices.len(), "options": run.options,
                }),
                ip: Some(run.actor.from.clone()),
                success: true,
            };
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// A run by its id.
    pub fn run(&self, id: &str) -> Result<Option<Run>, StoreError> {
        self.read(|c| Ok(c.prepare_cached(&format!("{RUN} WHERE Id = ?1"))?.query_row([id], read_run).optional()?))
    }

    /// The latest runs, newest first.
    pub fn runs(&self, limit: usize) -> Result<Vec<Run>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{RUN} ORDER BY StartedAt DESC, Id DESC LIMIT ?1"))?;
            let rows = statement.query_map([limit as i64], read_run)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Runs that are *running* (or whose process died) or *interrupted*, oldest first.
    pub fn unfinished_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{RUN} WHERE State IN ('running', 'interrupted') ORDER BY StartedAt, Id"))?;
            let rows = statement.query_map([], read_run)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// The changes of a run in their order.
    pub fn run_changes(&self, run: &str) -> Result<Vec<RunChange>, StoreError> {
        self.changes("WHERE Run = ?1 ORDER BY Seq", run)
    }

    fn changes(&self, which: &str, value: &str) -> Result<Vec<RunChange>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(&format!("{CHANGE} {which}"))?;
            let rows = statement.query_map([value], read_change)?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}

/// The change as it stands within a transaction.
pub(super) fn change_in(tx: &rusqlite::Transaction<'_>, run: &str, seq: i64) -> Result<RunChange, Failure> {
    tx.prepare_cached(&format!("{CHANGE} WHERE Run = ?1 AND Seq = ?2"))?
        .query_row(params![run, seq], read_change)
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "change", name: format!("{run}/{seq}") }.into())
}

/// The state of a run within a transaction.
pub(super) fn run_state_in(tx: &rusqlite::Transaction<'_>, run: &str) -> Result<RunState, Failure> {
    tx.prepare_cached("SELECT State FROM Runs WHERE Id = ?1")?
        .query_row([run], |row| state(row, 0))
        .optional()?
        .ok_or_else(|| StoreError::Missing { what: "run", name: run.to_owned() }.into())
}
