//! Schedules: each due moment is claimed before its work begins, so that it runs once, whatever the clock does.

use chrono::{DateTime, Utc};
use rusqlite::params;

use super::{Store, StoreError, column, moment};

/// The latest due moment of a schedule that was claimed.
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
}

impl Store {
    /// Claims a due moment. False where this or a later one of that name was claimed already.
    pub fn claim_schedule(&self, name: &str, due: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        self.write(|tx| {
            let claimed = tx
                .prepare_cached(
                    "INSERT INTO Schedules (Name, Due, StartedAt) VALUES (?1, ?2, ?3)
                     ON CONFLICT (Name) DO UPDATE SET Due = ?2, StartedAt = ?3, FinishedAt = NULL, Outcome = NULL WHERE Due < ?2",
                )?
                .execute(params![name, moment::millis(due), moment::text(now)])?;
            Ok(claimed == 1)
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
            let mut statement = c.prepare_cached("SELECT Name, Due, StartedAt, FinishedAt, Outcome FROM Schedules ORDER BY Name")?;
            let rows = statement.query_map([], |row| {
                Ok(ScheduleRow {
                    name: row.get(0)?,
                    due: moment::from_millis(row.get(1)?),
                    started_at: column::time(row, 2)?,
                    finished_at: column::time_or_null(row, 3)?,
                    outcome: row.get(4)?,
                })
            })?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}
