//! Names of series and layouts of rows, as numbers. They are few, and known by heart once seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::alerts::revision;
use super::rollup::HOUR;
use super::{Failure, clip, column, moment};

/// Most names or layouts that are remembered; beyond, all are looked up again.
const REMEMBERED: usize = 100_000;
/// Most bytes of a name.
const MOST_NAME: usize = 200;

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesName {
    /// `CPU`, `DiskSpace`: a name of [`crate::model::threshold::METRICS`].
    pub metric: Arc<str>,
    /// Which one of several: a mount point, an interface; empty where there is one alone.
    pub instance: Arc<str>,
    /// Its unit.
    pub unit: Option<Arc<str>>,
}

#[derive(Debug, Default)]
struct Known {
    /// Grows whenever somebody forgets names or layouts: what is remembered from before does not count.
    generation: i64,
    names: HashMap<SeriesName, i64>,
    layouts: HashMap<Vec<i64>, Layout>,
}

/// A layout by number, and the day for which it is noted as used.
#[derive(Debug, Clone, Copy)]
struct Layout {
    id: i64,
    used: i64,
}

/// What a store has learned.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Known>);

impl Memory {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Numbers within a transaction. What it adds is remembered only once the transaction is committed.
pub(super) struct Numbers<'a> {
    tx: &'a Transaction<'a>,
    memory: &'a Memory,
    added: Known,
    today: i64,
}

impl<'a> Numbers<'a> {
    pub(super) fn new(tx: &'a Transaction<'a>, memory: &'a Memory, now: DateTime<Utc>) -> Result<Self, Failure> {
        let added = Known { generation: revision(tx, "series")?, ..Known::default() };
        let mut known = memory.known();
        if known.generation != added.generation {
            *known = Known { generation: added.generation, ..Known::default() };
        }
        drop(known);
        Ok(Self { tx, memory, added, today: day(moment::millis(now)) })
    }

    /// The number of a series, given one where it has none.
    pub(super) fn series(&mut self, name: &SeriesName) -> Result<i64, Failure> {
        if let Some(id) = self.added.names.get(name) {
            return Ok(*id);
        }
        if let Some(id) = self.memory.known().names.get(name) {
            return Ok(*id);
        }
        let short = |text: &str| clip(text, MOST_NAME).to_owned();
        let values = [short(&name.metric), short(&name.instance), short(name.unit.as_deref().unwrap_or_default())];
        let known: Option<i64> = self
            .tx
            .prepare_cached("SELECT Id FROM MetricSeries WHERE Metric = ?1 AND Instance = ?2 AND Unit = ?3")?
            .query_row(params![values[0], values[1], values[2]], |row| row.get(0))
            .optional()?;
        let id = if let Some(id) = known {
            id
        } else {
            self.tx
                .prepare_cached("INSERT INTO MetricSeries (Metric, Instance, Unit) VALUES (?1, ?2, ?3)")?
                .insert(params![values[0], values[1], values[2]])?
        };
        self.added.names.insert(name.clone(), id);
        Ok(id)
    }

    /// The number of a layout for a row of that moment, given one where it has none.
    pub(super) fn layout(&mut self, series: &[i64], at: i64) -> Result<i64, Failure> {
        let used = self.today.max(day(at));
        let remembered = self.added.layouts.get(series).copied().or_else(|| self.memory.known().layouts.get(series).copied());
        if let Some(layout) = remembered
            && layout.used >= used
        {
            return Ok(layout.id);
        }
        let known = match remembered {
            Some(layout) => Some(layout.id),
            None => self
                .tx
                .prepare_cached("SELECT Id FROM MetricLayouts WHERE Series = ?1")?
                .query_row([column::to_json(&series)], |row| row.get(0))
                .optional()?,
        };
        let id = if let Some(id) = known {
            self.tx.prepare_cached("UPDATE MetricLayouts SET UsedDay = ?2 WHERE Id = ?1 AND UsedDay < ?2")?.execute([id, used])?;
            id
        } else {
            self.tx
                .prepare_cached("INSERT INTO MetricLayouts (Series, UsedDay) VALUES (?1, ?2)")?
                .insert(params![column::to_json(&series), used])?
        };
        self.added.layouts.insert(series.to_vec(), Layout { id, used });
        Ok(id)
    }

    /// What is to be remembered after the commit.
    pub(super) fn finish(self) -> Learned {
        Learned(self.added)
    }
}

/// What a transaction added.
pub(super) struct Learned(Known);

impl Learned {
    /// The transaction is committed.
    pub(super) fn remember(self, memory: &Memory) {
        let mut known = memory.known();
        if known.generation != self.0.generation {
            return;
        }
        if known.names.len() + known.layouts.len() > REMEMBERED {
            *known = Known { generation: known.generation, ..Known::default() };
        }
        known.names.extend(self.0.names);
        known.layouts.extend(self.0.layouts);
    }
}

/// Layouts by number, read as they are needed.
#[derive(Default)]
pub(super) struct Layouts(HashMap<i64, Arc<[i64]>>);

impl Layouts {
    /// The series of a layout; none where there is no such layout.
    pub(super) fn get(&mut self, connection: &Connection, id: i64) -> Result<Arc<[i64]>, Failure> {
        if let Some(series) = self.0.get(&id) {
            return Ok(Arc::clone(series));
        }
        let series: Option<Vec<i64>> = connection
            .prepare_cached("SELECT Series FROM MetricLayouts WHERE Id = ?1")?
            .query_row([id], |row| column::json(row, 0))
            .optional()?;
        let series: Arc<[i64]> = series.unwrap_or_default().into();
        self.0.insert(id, Arc::clone(&series));
        Ok(series)
    }
}

/// The day of a moment in milliseconds, since 1970.
fn day(at: i64) -> i64 {
    at.div_euclid(24 * HOUR)
}

/// All names by number.
pub(super) fn names(connection: &Connection) -> Result<HashMap<i64, SeriesName>, Failure> {
    let mut statement = connection.prepare_cached("SELECT Id, Metric, Instance, Unit FROM MetricSeries")?;
    let rows = statement.query_map([], |row| {
        let unit: Arc<str> = row.get(3)?;
        Ok((row.get(0)?, SeriesName { metric: row.get(1)?, instance: row.get(2)?, unit: (!unit.is_empty()).then_some(unit) }))
    })?;
    Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
}

/// The series of that metric and instance; several where its unit has changed.
pub(super) fn find(connection: &Connection, metric: &str, instance: &str) -> Result<HashMap<i64, Option<String>>, Failure> {
    let mut statement = connection.prepare_cached("SELECT Id, nullif(Unit, '') FROM MetricSeries WHERE Metric = ?1 AND Instance = ?2")?;
    let rows = statement.query_map([metric, instance], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
}
