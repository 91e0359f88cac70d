//! Convergence: how often a setting on a device failed, or did not last, one time after another. What follows is decided above.

use chrono::{DateTime, TimeDelta, Utc};
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError, column, devices, moment};

/// What was not undone for so long has lasted: the next time that it is counts as the first.
const LASTED: TimeDelta = TimeDelta::days(7);

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Carried out: it no longer fails. Whether it lasts is not known yet.
    Done,
    /// It failed.
    Failed,
    /// It was carried out once, and is no longer so.
    Reverted,
}

/// The counters of a setting on a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Convergence {
    /// Failures, one after another.
    pub failures: u32,
    /// Times that it did not last, one after another.
    pub reverted: u32,
}

impl Store {
    /// Counts what became of a change. Returns the counters as they are now.
    pub fn note_change_outcome(&self, device: &str, setting: &str, outcome: ChangeOutcome) -> Result<Convergence, StoreError> {
        let now = self.now();
        self.write(|tx| {
            let id = devices::intern(tx, device, now)?;
            let row: Option<(Convergence, DateTime<Utc>)> = tx
                .prepare_cached("SELECT Failures, Reverted, At FROM Convergence WHERE Device = ?1 AND Setting = ?2")?
                .query_row(params![id, setting], |row| {
                    Ok((Convergence { failures: row.get(0)?, reverted: row.get(1)? }, column::time(row, 2)?))
                })
                .optional()?;
            let known = row.map(|(counters, _)| counters);
            let mut counters = known.unwrap_or_default();
            if row.is_some_and(|(_, at)| now - at > LASTED) {
                counters.reverted = 0;
            }
            match outcome {
                ChangeOutcome::Done => counters.failures = 0,
                ChangeOutcome::Failed => counters.failures = counters.failures.saturating_add(1),
                ChangeOutcome::Reverted => counters.reverted = counters.reverted.saturating_add(1),
            }
            if counters == Convergence::default() {
                if known.is_some() {
                    tx.prepare_cached("DELETE FROM Convergence WHERE Device = ?1 AND Setting = ?2")?.execute(params![id, setting])?;
                }
            } else if known != Some(counters) {
                tx.prepare_cached(
                    "INSERT INTO Convergence (Device, Setting, Failures, Reverted, At) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (Device, Setting) DO UPDATE SET Failures = ?3, Reverted = ?4, At = ?5",
                )?
                .execute(params![id, setting, counters.failures, counters.reverted, moment::text(now)])?;
            }
            Ok(counters)
        })
    }

    /// The counters of a setting on a device.
    pub fn convergence(&self, device: &str, setting: &str) -> Result<Convergence, StoreError> {
        self.read(|c| {
            let Some(id) = devices::find(c, device)? else { return Ok(Convergence::default()) };
            let mut statement = c.prepare_cached("SELECT Failures, Reverted FROM Convergence WHERE Device = ?1 AND Setting = ?2")?;
            let read = |row: &rusqlite::Row<'_>| Ok(Convergence { failures: row.get(0)?, reverted: row.get(1)? });
            Ok(statement.query_row(params![id, setting], read).optional()?.unwrap_or_default())
        })
    }
}
