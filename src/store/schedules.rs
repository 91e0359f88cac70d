//! Schedules: each due moment is claimed before its work begins, so that it runs once, whatever the clock does.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError, column, moment};
use crate::time::Ran;

/// The due moment of a schedule that was claimed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleRow {
    /// Name of the schedule.
    pub name: String,
    /// When it was due.
    pub due: DateTime<Utc>,
    /// When its work began.
    pub started_at: DateTime<Utc>,
    /// When its work ended; absent while it lasts, and where its process died.
    pub finished_at: Option<DateTime<Utc>>,
    /// What came of it.
    pub outcome: Option<String>,
    /// All moments that were claimed.
    pub ran: Ran,
}

impl Store {
    /// Claims a due moment. False where it was claimed already. `follows` is the moment of the schedule directly before it, where
    /// that was claimed. Moments that were claimed while the clock was ahead do not stand in the way of those before them.
    pub fn claim_schedule(
        &self,
        name: &str,
        due: DateTime<Utc>,
        follows: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let known = tx.prepare_cached("SELECT Due, Ran FROM Schedules WHERE Name = ?1")?.query_row([name], ran).optional()?;
            let mut ran = known.unwrap_or_default();
            if !ran.note(due, follows) {
                return Ok(false);
            }
            tx.prepare_cached(
                "INSERT INTO Schedules (Name, Due, StartedAt, Ran) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (Name) DO UPDATE SET Due = ?2, StartedAt = ?3, Ran = ?4, FinishedAt = NULL, Outcome = NULL",
            )?
            .execute(params![name, moment::millis(due), moment::text(now), column::to_json(&ran)])?;
            Ok(true)
        })
    }

    /// Records what came of a due moment. Nothing happens where a later one has been claimed since.
    pub fn finish_schedule(&self, name: &str, due: DateTime<Utc>, outcome: &str) -> Result<(), StoreError> {
        let now = moment::text(self.now());
        self.write(|tx| {
            tx.prepare_cached("UPDATE Schedules SET FinishedAt = ?3, Outcome = ?4 WHERE Name = ?1 AND Due = ?2")?.execute(params![
                name,
                moment::millis(due),
                now,
                super::clip(outcome, 4000)
            ])?;
            Ok(())
        })
    }

    /// All schedules that ever ran, by name.
    pub fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached("SELECT Due, Ran, Name, StartedAt, FinishedAt, Outcome FROM Schedules ORDER BY Name")?;
            let rows = statement.query_map([], |row| {
                Ok(ScheduleRow {
                    ran: ran(row)?,
                    due: moment::from_millis(row.get(0)?),
                    name: row.get(2)?,
                    started_at: column::time(row, 3)?,
                    finished_at: column::time_or_null(row, 4)?,
                    outcome: row.get(5)?,
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}

/// What has run, from a row that begins with Due and Ran. Rows of earlier versions know the latest moment alone.
fn ran(row: &rusqlite::Row<'_>) -> rusqlite::Result<Ran> {
    let known: Option<String> = row.get(1)?;
    let due = moment::from_millis(row.get(0)?);
    Ok(known.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_else(|| Ran::up_to(due)))
}
