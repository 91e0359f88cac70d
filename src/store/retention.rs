//! Retention: forgets what is older than it is kept, and gives free pages back. Always a little at a time: other writers wait for
//! some 15 ms at a time. Never the audit.

use std::time::Instant;

use chrono::TimeDelta;
use rusqlite::{Connection, OptionalExtension};

use super::rollup::{HOUR, PAUSE, SLICE};
use super::{Failure, Owner, Store, StoreError, moment};

/// Rows that one statement forgets.
const ROWS: i64 = 500;
/// Pages that one statement gives back.
const PAGES: i64 = 64;
/// Free pages beyond this share are given back, in per cent of all; the rest is room for what comes next.
const SPARE: i64 = 5;
const DAY: i64 = 24 * HOUR;
/// So long the upkeep is left to a process that has begun with it. Where it has died, that shows at once.
const TURN: TimeDelta = TimeDelta::hours(2);
/// Files up to this size are rebuilt as a whole where they cannot give back pages one by one.
const REBUILT: u64 = 8 * 1024 * 1024;

/// How long what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Past facts, past verdicts, ended runs, archived alerts, deliveries, events.
    pub history: TimeDelta,
    /// Samples as they were measured.
    pub samples: TimeDelta,
    /// Hourly roll-ups in the database.
    pub rollups: TimeDelta,
    /// Hourly roll-ups in the archive.
    pub archive: TimeDelta,
}

impl Default for Retention {
    fn default() -> Self {
        Self { history: TimeDelta::days(90), samples: TimeDelta::days(7), rollups: TimeDelta::days(90), archive: TimeDelta::days(730) }
    }
}

/// What the upkeep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkept {
    /// Hours of devices that were summed up.
    pub rolled_up: usize,
    /// Rows that were forgotten.
    pub removed: usize,
    /// Files that the archive got.
    pub archived: usize,
    /// Pages that were given back.
    pub freed: i64,
}

impl Store {
    /// Does what is due: rolls samples up (whenever an hour has passed), archives and forgets (once a day), gives pages
    /// back (once a week). Cheap where nothing is due; call it every few minutes. One process at a time does it: what one archives,
    /// another must not add to at that moment. While somebody else is at it, nothing is done.
    pub fn upkeep(&self, keep: &Retention) -> Result<Upkept, StoreError> {
        let owner = Owner::this_process();
        match self.lease_upkeep(&owner, TURN) {
            Ok(()) => {}
            Err(StoreError::Leased { .. }) => return Ok(Upkept::default()),
            Err(error) => return Err(error),
        }
        let done = self.keep_up(keep);
        self.release_all(&owner)?;
        done
    }

    fn keep_up(&self, keep: &Retention) -> Result<Upkept, StoreError> {
        let mut done = Upkept { rolled_up: self.roll_up(keep.samples)?.hours, ..Upkept::default() };
        let now = moment::millis(self.now());
        let (pruned, vacuumed) = self.read(|c| {
            let mut statement = c.prepare_cached("SELECT PrunedAt, VacuumedAt FROM Upkeep WHERE Id = 1")?;
            Ok(statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?.unwrap_or((0, 0)))
        })?;
        // A moment ahead of now is one before the clock was set back.
        if !(0..DAY).contains(&(now - pruned)) {
            done.archived = self.archive_rollups(self.now() - keep.rollups)?;
            done.removed = self.forget_archive(self.now() - keep.archive)? + self.forget(keep)?;
            // Last: nothing refers any more to what was used last before all that is kept.
            done.removed += self.forget_series(keep)?;
            self.note("PrunedAt", now)?;
        }
        if !(0..7 * DAY).contains(&(now - vacuumed)) {
            // A new file has nothing to give back: its first week begins now.
            if vacuumed > 0 {
                done.freed = self.vacuum()?;
            }
            self.note("VacuumedAt", now)?;
        }
        Ok(done)
    }

    fn note(&self, column: &'static str, at: i64) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("INSERT INTO Upkeep (Id, PrunedAt) VALUES (1, 0) ON CONFLICT DO NOTHING", [])?;
            Ok(tx.execute(&format!("UPDATE Upkeep SET {column} = ?1 WHERE Id = 1"), [at]).map(drop)?)
        })
    }

    /// Forgets what is older than it is kept. Returns the number of rows.
    pub fn forget(&self, keep: &Retention) -> Result<usize, StoreError> {
        let now = self.now();
        let history = now - keep.history;
        let (millis, text) = (moment::millis(history), moment::text(history));
        let mut removed = 0;
        for (table, which) in [
            ("SectionHistory", "ValidTo < ?1"),
            ("VerdictHistory", "ValidTo < ?1"),
            ("VerdictScopes", "ValidTo < ?1"),
            ("Events", "At < ?1"),
            ("UpdateHistory", "At < ?1"),
        ] {
            removed += self.forget_rows(table, "Id", which, &millis)?;
        }
        let ended = "State IN ('done', 'failed') AND FinishedAt < ?1";
        removed += self.forget_rows("RunChanges", "rowid", &format!("Run IN (SELECT Id FROM Runs WHERE {ended})"), &text)?;
        // Children end before their parents, and are forgotten with them.
        let over = "(SELECT Id FROM WorkflowRuns r WHERE State IN ('succeeded', 'failed', 'cancelled') AND FinishedAt < ?1
            AND NOT EXISTS (SELECT 1 FROM Jobs j WHERE j.Run = r.Id AND j.State IN ('pending', 'waiting', 'running'))
            AND NOT EXISTS (SELECT 1 FROM WorkflowRuns c WHERE c.ParentRun = r.Id))";
        for (table, which) in [
            ("JobOutputs", format!("Job IN (SELECT Id FROM Jobs WHERE Run IN {over})")),
            ("Jobs", format!("Run IN {over}")),
            ("WorkflowSteps", format!("Run IN {over}")),
            ("WorkflowRuns", format!("Id IN {over}")),
        ] {
            removed += self.forget_rows(table, "rowid", &which, &text)?;
        }
        for (table, which) in [
            ("Runs", ended),
            ("Deliveries", "State IN ('Sent', 'Cancelled', 'Dead') AND CreatedAt < ?1"),
            ("Alerts", "State = 'Archived' AND LastAt < ?1 AND coalesce(ResolvedAt, LastAt) < ?1"),
            ("Silences", "EndsAt < ?1"),
        ] {
            removed += self.forget_rows(table, "rowid", which, &text)?;
        }
        // A schedule that has not been due for more than a year is no longer one.
        let long_ago = moment::text(now - keep.history.max(TimeDelta::days(400)));
        removed += self.write(|tx| {
            let mut removed = tx.execute("DELETE FROM Leases WHERE ExpiresAt < ?1", [millis])?;
            removed += tx.execute("DELETE FROM Schedules WHERE StartedAt < ?1", [&long_ago])?;
            // Longer than anything is deferred: what is forgotten and offered again would count as new.
            removed += tx.execute("DELETE FROM UpdatesSeen WHERE FirstSeen < ?1", [&long_ago])?;
            removed += tx.execute("DELETE FROM UpdateDecisions WHERE Until < ?1", [&text])?;
            // The last change before stays: what held when the time that is kept began.
            removed += tx.execute(
                "DELETE FROM CheckHistory WHERE At < ?1 AND EXISTS (SELECT 1 FROM CheckHistory l
                     WHERE l.Device = CheckHistory.Device AND l.Name = CheckHistory.Name AND l.At > CheckHistory.At AND l.At <= ?1)",
                [millis],
            )?;
            Ok(removed)
        })?;
        // By whole hours, so that an hour is never summed up from a part of its samples.
        let samples = moment::millis(now - keep.samples).div_euclid(HOUR) * HOUR;
        removed += self.forget_per_device("DELETE FROM MetricSamples WHERE Device = ?1 AND At < ?2", samples)?;
        Ok(removed)
    }

    /// Forgets rows of a table in many short transactions. Table, key and condition are words of this program.
    fn forget_rows(&self, table: &str, key: &str, which: &str, value: &dyn rusqlite::ToSql) -> Result<usize, StoreError> {
        let mut removed = 0;
        loop {
            let (slice, more) = self.write(|tx| {
                let begun = Instant::now();
                let delete = format!("DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {which} LIMIT {ROWS})");
                let mut statement = tx.prepare_cached(&delete)?;
                let mut slice = 0;
                loop {
                    let rows = statement.execute([value])?;
                    slice += rows;
                    if (rows as i64) < ROWS {
                        return Ok((slice, false));
                    }
                    if begun.elapsed() >= SLICE {
                        return Ok((slice, true));
                    }
                }
            })?;
            removed += slice;
            if !more {
                return Ok(removed);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Gives free pages back to the disk where there are many, a few at a time. Returns how many.
    ///
    /// Page by page, not by `VACUUM INTO`: a new file could not be put in the place of one that other processes have open, and a
    /// full `VACUUM` would hold the write lock until it has copied everything.
    pub fn vacuum(&self) -> Result<i64, StoreError> {
        let before = self.read(free_pages)?;
        let mut connection = self.writer();
        let mode: i64 = connection.pragma_query_value(None, "auto_vacuum", |row| row.get(0)).map_err(|e| self.failed(&e))?;
        if mode == 0 && std::fs::metadata(&self.inner.path).is_ok_and(|m| m.len() <= REBUILT) {
            // Made before pages could be given back one by one. Small enough to do it at once; where others read, next week.
            let _ = connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM");
        }
        drop(connection);
        loop {
            connection = self.writer();
            let begun = Instant::now();
            let mut moved = true;
            while moved && begun.elapsed() < SLICE {
                let (free, all) = free_and_all(&connection).map_err(|e| self.failed(&e))?;
                moved = mode != 0 && free > all * SPARE / 100 && free > PAGES;
                if moved {
                    give_back(&connection).map_err(|e| self.failed(&e))?;
                    moved = free_and_all(&connection).map_err(|e| self.failed(&e))?.0 < free;
                }
            }
            drop(connection);
            if !moved {
                return Ok((before - self.read(free_pages)?).max(0));
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        StoreError::of(error, &self.inner.path)
    }
}

fn free_pages(connection: &Connection) -> Result<i64, Failure> {
    Ok(free_and_all(connection)?.0)
}

fn free_and_all(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let value = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((value("freelist_count")?, value("page_count")?))
}

/// Gives up to [`PAGES`] pages back, in a transaction of its own.
fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES})"))?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
