//! A series over any range of time: samples as far back as they are kept, then hours from the database, then from the archive.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::archive::Lists;
use super::rollup::{HOUR, Sum};
use super::samples::Raw;
use super::series::{self, Layouts};
use super::{Failure, Sample, Store, StoreError, archive_file, column, devices, moment};

/// Most points of one answer.
const MOST_POINTS: usize = 100_000;

/// An hour of a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    /// Its beginning.
    pub at: DateTime<Utc>,
    /// The least value.
    pub min: f64,
    /// The average of all values.
    pub avg: f64,
    /// The most.
    pub max: f64,
    /// How many there were.
    pub count: u32,
    /// Their unit.
    pub unit: Option<String>,
}

/// One series of one device, from when to when (both inclusive, in milliseconds).
struct Wanted<'a> {
    device: &'a str,
    metric: &'a str,
    instance: &'a str,
    from: i64,
    to: i64,
}

type Points = BTreeMap<i64, (f64, Option<String>)>;
type Hours = BTreeMap<i64, Rollup>;

impl Store {
    /// The values of a series between two moments, oldest first; where there are more than `limit`, the newest. Where samples are
    /// no longer kept, a point is the average of an hour and stands at its beginning.
    pub fn metric_samples(
        &self,
        device: &str,
        metric: &str,
        instance: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<Sample>, StoreError> {
        let wanted = Wanted { device, metric, instance, from: moment::millis(from), to: moment::millis(to) };
        let (mut points, first) = self.raw(&wanted)?;
        // Samples are forgotten by whole hours: before the first of the device there are only roll-ups.
        let raw_from = first.map_or(i64::MAX, |first| first.div_euclid(HOUR) * HOUR);
        if wanted.from < raw_from {
            let hours = self.hours(&Wanted { to: wanted.to.min(raw_from.saturating_sub(1)), ..wanted })?;
            points.extend(hours.into_iter().filter(|(at, _)| *at < raw_from).map(|(at, hour)| (at, (hour.avg, hour.unit))));
        }
        let skip = points.len().saturating_sub(limit.min(MOST_POINTS));
        let samples = points.into_iter().skip(skip).map(|(at, (value, unit))| Sample {
            device: device.to_owned(),
            metric: metric.to_owned(),
            instance: instance.to_owned(),
            value,
            unit,
            at: moment::from_millis(at),
        });
        Ok(samples.collect())
    }

    /// The hours of a series that begin between two moments, oldest first; those whose samples are still in the log included.
    pub fn metric_rollups(
        &self,
        device: &str,
        metric: &str,
        instance: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<Rollup>, StoreError> {
        let wanted = Wanted { device, metric, instance, from: moment::millis(from), to: moment::millis(to) };
        let mut hours = self.hours(&wanted)?;
        let mut live: BTreeMap<i64, (Sum, Option<String>)> = BTreeMap::new();
        let last = hours.keys().next_back().map_or(wanted.from, |last| last + HOUR);
        if last <= wanted.to {
            // Whole hours, whatever minute was asked for.
            let begin = last.div_euclid(HOUR) * HOUR;
            let begin = if begin < wanted.from { begin + HOUR } else { begin };
            let end = wanted.to.div_euclid(HOUR).saturating_add(1).saturating_mul(HOUR) - 1;
            for (at, (value, unit)) in self.raw(&Wanted { from: begin, to: end, ..wanted })?.0 {
                live.entry(at.div_euclid(HOUR) * HOUR).and_modify(|(sum, _)| sum.add(value)).or_insert_with(|| (Sum::of(value), unit));
            }
        }
        for (at, (sum, unit)) in live {
            let hour = Rollup { at: moment::from_millis(at), min: sum.min, avg: sum.avg(), max: sum.max, count: sum.count, unit };
            hours.entry(at).or_insert(hour);
        }
        Ok(hours.into_values().collect())
    }

    /// Samples of the log and of the table, and when the first sample of the device was that is kept.
    fn raw(&self, wanted: &Wanted<'_>) -> Result<(Points, Option<i64>), StoreError> {
        self.read(|c| {
            let mut points = Points::new();
            let Some(device) = devices::find(c, wanted.device)? else { return Ok((points, None)) };
            let series = series::find(c, wanted.metric, wanted.instance)?;
            let mut layouts = Layouts::default();
            for which in [
                "SELECT At, Layout, Vals FROM MetricSamples WHERE Device = ?1 AND At BETWEEN ?2 AND ?3",
                "SELECT At, Layout, Vals FROM MetricLog WHERE Device = ?1 AND At BETWEEN ?2 AND ?3 ORDER BY Id",
            ] {
                let mut statement = c.prepare_cached(which)?;
                for row in statement.query_map([device, wanted.from, wanted.to], |row| Raw::read(row, 0))? {
                    let row = row?;
                    for (id, value) in layouts.get(c, row.layout)?.iter().zip(&row.values) {
                        if let Some(unit) = series.get(id) {
                            points.insert(row.at, (*value, unit.clone()));
                        }
                    }
                }
            }
            let first = c
                .prepare_cached("SELECT min(At) FROM MetricSamples WHERE Device = ?1")?
                .query_row([device], |row| row.get::<_, Option<i64>>(0))?;
            Ok((points, first))
        })
    }

    /// Hours of the archive and of the database.
    fn hours(&self, wanted: &Wanted<'_>) -> Result<Hours, StoreError> {
        let mut hours = self.read(|c| stored_hours(c, wanted))?;
        let (from, to) = (moment::from_millis(wanted.from).date_naive(), moment::from_millis(wanted.to).date_naive());
        for (day, path) in self.archive_days()? {
            if wanted.from > wanted.to || day < from || day > to {
                continue;
            }
            for row in archive_file::read(&path, wanted.device, wanted.metric, wanted.instance)? {
                if (wanted.from..=wanted.to).contains(&row.hour) {
                    hours.entry(row.hour).or_insert_with(|| Rollup {
                        at: moment::from_millis(row.hour),
                        min: row.min,
                        avg: row.avg,
                        max: row.max,
                        count: u32::try_from(row.count).unwrap_or_default(),
                        unit: (!row.unit.is_empty()).then(|| row.unit.to_string()),
                    });
                }
            }
        }
        Ok(hours)
    }
}

fn stored_hours(c: &rusqlite::Connection, wanted: &Wanted<'_>) -> Result<Hours, Failure> {
    let mut hours = Hours::new();
    let Some(device) = devices::find(c, wanted.device)? else { return Ok(hours) };
    let series = series::find(c, wanted.metric, wanted.instance)?;
    let mut layouts = Layouts::default();
    let mut statement =
        c.prepare_cached("SELECT Hour, Layout, Vals FROM MetricHours WHERE Device = ?1 AND Hour BETWEEN ?2 AND ?3 ORDER BY Hour")?;
    // The first hour that begins in the range, and the last.
    let first = wanted.from.div_euclid(HOUR) + i64::from(wanted.from.rem_euclid(HOUR) > 0);
    let mut rows = statement.query([device, first, wanted.to.div_euclid(HOUR)])?;
    while let Some(row) = rows.next()? {
        let (hour, layout): (i64, i64) = (row.get(0)?, row.get(1)?);
        let layout = layouts.get(c, layout)?;
        let Some((place, unit)) = layout.iter().enumerate().find_map(|(i, id)| Some((i, series.get(id)?))) else { continue };
        let [min, avg, max, count]: Lists = column::json(row, 2)?;
        if let (Some(min), Some(avg), Some(max), Some(count)) = (min.get(place), avg.get(place), max.get(place), count.get(place)) {
            let at = moment::from_millis(hour * HOUR);
            let hour = Rollup { at, min: *min, avg: *avg, max: *max, count: *count as u32, unit: unit.clone() };
            hours.insert(at.timestamp_millis(), hour);
        }
    }
    Ok(hours)
}
