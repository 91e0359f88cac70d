//! Forgets layouts that no row can refer to any more, and names of series that are in no layout: those of devices that are gone,
//! of disks that were taken out, of containers.
//!
//! Rows do not know who refers to them, and nobody could look through all of them. But a layout knows when it was last used,
//! and a row that is older than everything that is kept is gone.

use std::collections::HashSet;

use chrono::TimeDelta;

use super::alerts::next_revision;
use super::rollup::{HOUR, PAUSE};
use super::{Retention, Store, StoreError, column, moment};

/// Rows that one transaction forgets.
const ROWS: usize = 500;
/// Milliseconds of a day.
const DAY: i64 = 24 * HOUR;

impl Store {
    /// To be called when what is too old has been archived and forgotten. Returns the number of rows.
    pub(super) fn forget_series(&self, keep: &Retention) -> Result<usize, StoreError> {
        // By whole days, and one more: what is forgotten is so by whole hours and days too.
        let oldest = self.now() - keep.samples.max(keep.rollups) - TimeDelta::days(2);
        let before = moment::millis(oldest).div_euclid(DAY);
        let mut removed = 0;
        loop {
            let rows = self.write(|tx| {
                let mut statement =
                    tx.prepare_cached("DELETE FROM MetricLayouts WHERE Id IN (SELECT Id FROM MetricLayouts WHERE UsedDay < ?1 LIMIT ?2)")?;
                let rows = statement.execute([before, ROWS as i64])?;
                if rows > 0 {
                    next_revision(tx, "series")?;
                }
                Ok(rows)
            })?;
            removed += rows;
            if rows < ROWS {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(removed + self.forget_names()?)
    }

    fn forget_names(&self) -> Result<usize, StoreError> {
        // Looked for without holding others up. Where a layout comes meanwhile, one of the names may be in it: then tomorrow.
        let (newest, unused) = self.read(|c| {
            let newest = layouts(c)?;
            let mut used: HashSet<i64> = HashSet::new();
            let mut statement = c.prepare("SELECT Series FROM MetricLayouts")?;
            for series in statement.query_map([], |row| column::json::<Vec<i64>>(row, 0))? {
                used.extend(series?);
            }
            let mut statement = c.prepare("SELECT Id FROM MetricSeries ORDER BY Id")?;
            let all = statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, rusqlite::Error>>()?;
            Ok((newest, all.into_iter().filter(|id| !used.contains(id)).collect::<Vec<_>>()))
        })?;
        let mut removed = 0;
        for some in unused.chunks(ROWS) {
            let rows = self.write(|tx| {
                if layouts(tx)? != newest {
                    return Ok(0);
                }
                let mut statement = tx.prepare_cached("DELETE FROM MetricSeries WHERE Id = ?1")?;
                for id in some {
                    statement.execute([id])?;
                }
                next_revision(tx, "series")?;
                Ok(some.len())
            })?;
            if rows == 0 {
                break;
            }
            removed += rows;
            std::thread::sleep(PAUSE);
        }
        Ok(removed)
    }
}

/// Tells whether layouts have come or gone.
fn layouts(connection: &rusqlite::Connection) -> Result<(i64, i64), super::Failure> {
    let mut statement = connection.prepare_cached("SELECT count(*), coalesce(max(Id), 0) FROM MetricLayouts")?;
    Ok(statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}
