//! Measured values: series by integer keys, samples in batches, the latest value beside the series.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};
use serde_json::Value;

use super::{Store, StoreError, devices, moment};
use crate::model::facts::{Section, Status};

/// Most series that one section becomes.
const MOST_SERIES: usize = 1000;
/// Members that name the instance in a list of objects.
const INSTANCE: [&str; 2] = ["name", "mount"];

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Device by name.
    pub device: String,
    /// What was measured: `memory.used_percent`.
    pub metric: String,
    /// Which one of several: a mount point, an interface; empty where there is one alone.
    pub instance: String,
    /// The value. Those that are not finite are left out.
    pub value: f64,
    /// Unit, where known.
    pub unit: Option<String>,
    /// When it was measured.
    pub at: DateTime<Utc>,
}

impl Sample {
    /// The numbers of a `performance.*` section: `performance.volumes` → `volumes.used_percent` of each mount point.
    pub fn of_section(device: &str, name: &str, section: &Section) -> Vec<Self> {
        let mut samples = Vec::new();
        if section.status != Status::Ok {
            return samples;
        }
        let family = name.strip_prefix("performance.").unwrap_or(name);
        let mut push = |member: &str, instance: &str, value: &Value| {
            if let Some(value) = value.as_f64()
                && samples.len() < MOST_SERIES
            {
                samples.push(Self {
                    device: device.to_owned(),
                    metric: format!("{family}.{member}"),
                    instance: instance.to_owned(),
                    value,
                    unit: unit(member).map(str::to_owned),
                    at: section.collected_at,
                });
            }
        };
        match &*section.data {
            Value::Object(members) => {
                for (member, value) in members {
                    match value {
                        Value::Array(values) => values.iter().enumerate().for_each(|(i, value)| push(member, &i.to_string(), value)),
                        value => push(member, "", value),
                    }
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let named = INSTANCE.iter().find_map(|key| item.get(key)?.as_str());
                    let instance = named.map_or_else(|| i.to_string(), str::to_owned);
                    item.as_object().into_iter().flatten().for_each(|(member, value)| push(member, &instance, value));
                }
            }
            _ => {}
        }
        samples
    }
}

fn unit(member: &str) -> Option<&'static str> {
    [("_percent", "%"), ("bytes", "B"), ("_ms", "ms"), ("_c", "C"), ("seconds", "s"), ("mhz", "MHz")]
        .into_iter()
        .find_map(|(end, unit)| member.ends_with(end).then_some(unit))
}

impl Store {
    /// Keeps samples, all in one transaction. A sample that is there already (same series, same time) is replaced.
    pub fn put_metrics(&self, samples: &[Sample]) -> Result<(), StoreError> {
        let now = self.now();
        self.write(|tx| {
            let mut devices_by_name: HashMap<&str, i64> = HashMap::new();
            for sample in samples.iter().filter(|sample| sample.value.is_finite()) {
                let device = if let Some(id) = devices_by_name.get(sample.device.as_str()) {
                    *id
                } else {
                    let id = devices::intern(tx, &sample.device, now)?;
                    devices_by_name.insert(&sample.device, id);
                    id
                };
                let at = moment::millis(sample.at);
                let series: i64 = tx
                    .prepare_cached(
                        "INSERT INTO MetricSeries (Device, Metric, Instance, Unit, LastAt, LastValue) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                         ON CONFLICT (Device, Metric, Instance) DO UPDATE SET Unit = ?4, LastAt = max(LastAt, ?5),
                             LastValue = CASE WHEN ?5 >= LastAt THEN ?6 ELSE LastValue END
                         RETURNING Id",
                    )?
                    .query_row(params![device, sample.metric, sample.instance, sample.unit, at, sample.value], |row| row.get(0))?;
                tx.prepare_cached("INSERT OR REPLACE INTO MetricSamples (Series, At, Value) VALUES (?1, ?2, ?3)")?.execute(params![
                    series,
                    at,
                    sample.value
                ])?;
            }
            Ok(())
        })
    }

    /// The latest sample of every series of a device.
    pub fn latest_metrics(&self, device: &str) -> Result<Vec<Sample>, StoreError> {
        self.read(|connection| {
            let Some(id) = devices::find(connection, device)? else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT Metric, Instance, LastValue, Unit, LastAt FROM MetricSeries WHERE Device = ?1 ORDER BY Metric, Instance",
            )?;
            let rows = statement.query_map([id], |row| sample(device, row))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }

    /// The samples of one series from `from` on, oldest first, at most `limit`.
    pub fn metric_samples(
        &self,
        device: &str,
        metric: &str,
        instance: &str,
        from: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Sample>, StoreError> {
        self.read(|connection| {
            let Some(id) = devices::find(connection, device)? else { return Ok(Vec::new()) };
            let series: Option<i64> = connection
                .prepare_cached("SELECT Id FROM MetricSeries WHERE Device = ?1 AND Metric = ?2 AND Instance = ?3")?
                .query_row(params![id, metric, instance], |row| row.get(0))
                .optional()?;
            let Some(series) = series else { return Ok(Vec::new()) };
            let mut statement = connection.prepare_cached(
                "SELECT s.Metric, s.Instance, m.Value, s.Unit, m.At FROM MetricSamples m JOIN MetricSeries s ON s.Id = m.Series
                 WHERE m.Series = ?1 AND m.At >= ?2 ORDER BY m.At LIMIT ?3",
            )?;
            let rows = statement.query_map(params![series, moment::millis(from), limit as i64], |row| sample(device, row))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })
    }
}

fn sample(device: &str, row: &rusqlite::Row<'_>) -> rusqlite::Result<Sample> {
    Ok(Sample {
        device: device.to_owned(),
        metric: row.get(0)?,
        instance: row.get(1)?,
        value: row.get(2)?,
        unit: row.get(3)?,
        at: moment::from_millis(row.get(4)?),
    })
}
