//! Silences: who is not told of what, and until when.

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, params};

use super::audit::{self, AuditEvent};
use super::{Store, StoreError, alerts, column, moment};
use crate::model::alert::Silence;

impl Store {
    /// Keeps a silence. One of that id is replaced.
    pub fn put_silence(&self, silence: &Silence, event: AuditEvent) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.prepare_cached(
                "INSERT INTO Silences (Id, Targets, Kinds, StartsAt, EndsAt, Reason, CreatedBy) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (Id) DO UPDATE SET Targets = ?2, Kinds = ?3, StartsAt = ?4, EndsAt = ?5, Reason = ?6, CreatedBy = ?7",
            )?
            .execute(params![
                silence.id,
                column::to_json(&silence.targets),
                column::to_json(&silence.kinds),
                moment::text(silence.starts_at),
                moment::text(silence.ends_at),
                super::clip(&silence.reason, 4000),
                silence.by
            ])?;
            alerts::next_revision(tx, "silences")?;
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// Ends a silence at `at`. One that is over already is refused.
    pub fn end_silence(&self, id: &str, at: DateTime<Utc>, event: AuditEvent) -> Result<(), StoreError> {
        self.write(|tx| {
            let until = tx
                .prepare_cached("SELECT EndsAt FROM Silences WHERE Id = ?1")?
                .query_row([id], |row| column::time(row, 0))
                .optional()?
                .ok_or_else(|| StoreError::Missing { what: "silence", name: id.to_owned() })?;
            if until <= at {
                return Err(StoreError::Step { what: "silence", name: id.to_owned(), from: "over", to: "ended" }.into());
            }
            tx.prepare_cached("UPDATE Silences SET EndsAt = max(StartsAt, ?2) WHERE Id = ?1")?.execute(params![id, moment::text(at)])?;
            alerts::next_revision(tx, "silences")?;
            audit::append(tx, &event)?;
            Ok(())
        })
    }

    /// Silences, those that end last first: that hold at a moment, or all of them.
    pub fn silences(&self, active_at: Option<DateTime<Utc>>) -> Result<Vec<Silence>, StoreError> {
        self.read(|c| {
            let mut statement = c.prepare_cached(
                "SELECT Id, Targets, Kinds, StartsAt, EndsAt, Reason, CreatedBy FROM Silences
                 WHERE ?1 IS NULL OR (StartsAt <= ?1 AND EndsAt > ?1) ORDER BY EndsAt DESC, Id",
            )?;
            Ok(statement.query_map([active_at.map(moment::text)], read)?.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// Grows with every write of a silence.
    pub fn silences_revision(&self) -> Result<i64, StoreError> {
        self.read(|c| alerts::revision(c, "silences"))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Silence> {
    Ok(Silence {
        id: row.get(0)?,
        targets: column::json(row, 1)?,
        kinds: column::json(row, 2)?,
        starts_at: column::time(row, 3)?,
        ends_at: column::time(row, 4)?,
        reason: row.get(5)?,
        by: row.get(6)?,
    })
}
