//! Samples: what was measured of a device at one moment is one row. Rows are added at the end of a log, from where
//! [`super::rollup`] puts them in their places hour by hour.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rusqlite::{Row, params};

use super::series::{self, Numbers, SeriesName};
use super::{Store, StoreError, devices, moment, values};

/// Most values of one device at one moment.
const MOST_VALUES: usize = 1000;
/// Rows among which the latest value of each series is looked for.
const RECENT: i64 = 120;

/// What was measured of a device at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSamples {
    /// Device by name.
    pub device: Arc<str>,
    /// When.
    pub at: DateTime<Utc>,
    /// What. Values that are not finite are left out; of a series that is named twice the last counts.
    pub values: Vec<(SeriesName, f64)>,
}

/// One value, as it is read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Device by name.
    pub device: String,
    /// What was measured: `memory.used_percent`.
    pub metric: String,
    /// Which one of several: a mount point, an interface; empty where there is one alone.
    pub instance: String,
    /// The value.
    pub value: f64,
    /// Unit, where known.
    pub unit: Option<String>,
    /// When it was measured.
    pub at: DateTime<Utc>,
}

/// A row as it is kept: moment, number of its layout, values.
pub(super) struct Raw {
    pub(super) at: i64,
    pub(super) layout: i64,
    pub(super) values: Vec<f64>,
}

impl Raw {
    /// From three columns in this order, the first of them at `column`.
    pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        Ok(Self { at: row.get(column)?, layout: row.get(column + 1)?, values: super::column::json(row, column + 2)? })
    }
}

impl Store {
    /// Keeps samples, all in one transaction: one small row each. Whole numbers are kept exactly, others to six digits.
    pub fn put_samples(&self, batch: &[DeviceSamples]) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let learned = self.write(|tx| {
            let mut numbers = Numbers::new(tx, &self.inner.series, now)?;
            let mut insert = tx.prepare_cached("INSERT INTO MetricLog (Device, At, Layout, Vals) VALUES (?1, ?2, ?3, ?4)")?;
            for samples in batch {
                let mut by_series = BTreeMap::new();
                for (name, value) in samples.values.iter().filter(|(_, value)| value.is_finite()).take(MOST_VALUES) {
                    by_series.insert(numbers.series(name)?, *value);
                }
                if by_series.is_empty() {
                    continue;
                }
                let (series, found): (Vec<i64>, Vec<f64>) = by_series.into_iter().unzip();
                let device = devices::intern(tx, &samples.device, now)?;
                let layout = numbers.layout(&series, moment::millis(samples.at))?;
                insert.execute(params![device, moment::millis(samples.at), layout, values::to_text(&found)])?;
            }
            Ok(numbers.finish())
        })?;
        learned.remember(&self.inner.series);
        Ok(())
    }

    /// The latest value of every series of a device that was measured lately, by metric and instance.
    pub fn latest_metrics(&self, device: &str) -> Result<Vec<Sample>, StoreError> {
        self.read(|c| {
            let Some(id) = devices::find(c, device)? else { return Ok(Vec::new()) };
            let mut rows = Vec::new();
            for which in [
                "SELECT At, Layout, Vals FROM MetricLog WHERE Device = ?1 ORDER BY Id DESC LIMIT ?2",
                "SELECT At, Layout, Vals FROM MetricSamples WHERE Device = ?1 ORDER BY At DESC LIMIT ?2",
            ] {
                let mut statement = c.prepare_cached(which)?;
                for row in statement.query_map([id, RECENT], |row| Raw::read(row, 0))? {
                    rows.push(row?);
                }
            }
            rows.sort_by_key(|row| row.at);
            let mut layouts = series::Layouts::default();
            let mut latest: HashMap<i64, (i64, f64)> = HashMap::new();
            for row in &rows {
                let series = layouts.get(c, row.layout)?;
                latest.extend(series.iter().copied().zip(row.values.iter().map(|value| (row.at, *value))));
            }
            let mut name = c.prepare_cached("SELECT Metric, Instance, nullif(Unit, '') FROM MetricSeries WHERE Id = ?1")?;
            let mut samples = latest
                .into_iter()
                .map(|(series, (at, value))| {
                    name.query_row([series], |row| {
                        Ok(Sample {
                            device: device.to_owned(),
                            metric: row.get(0)?,
                            instance: row.get(1)?,
                            unit: row.get(2)?,
                            value,
                            at: moment::from_millis(at),
                        })
                    })
                })
                .collect::<Result<Vec<_>, rusqlite::Error>>()?;
            samples.sort_by(|a, b| (&a.metric, &a.instance, a.at).cmp(&(&b.metric, &b.instance, b.at)));
            // A series whose unit has changed counts with the one that it has now.
            samples.reverse();
            samples.dedup_by(|later, kept| (&later.metric, &later.instance) == (&kept.metric, &kept.instance));
            samples.reverse();
            Ok(samples)
        })
    }
}
