//! Rolls samples up: once an hour what the log holds of the hours before goes to its place, device by device, and each hour that
//! it belongs to is summed up anew from all its samples. Doing it twice, or again after a crash in the middle, gives the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rusqlite::{OptionalExtension, Transaction, params};

use super::samples::Raw;
use super::series::{Layouts, Numbers};
use super::{Failure, Store, StoreError, moment, values};

/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// How long one transaction of the upkeep holds the write lock, and how long others then go first. SQLite lets a writer that waits
/// look again only now and then: the pause has to be the longer one, or it would look in vain many times.
pub(super) const SLICE: Duration = Duration::from_millis(15);
/// See [`SLICE`].
pub(super) const PAUSE: Duration = Duration::from_millis(25);
/// Devices whose rows are read from the log at once.
const DEVICES: usize = 1000;
/// Rows of the log that are forgotten at once.
const ROWS: i64 = 5000;

/// What was rolled up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RolledUp {
    /// Rows that left the log.
    pub rows: usize,
    /// Hours of devices that were summed up.
    pub hours: usize,
}

/// Least, sum, most and count of the samples of an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sum {
    pub(super) min: f64,
    pub(super) sum: f64,
    pub(super) max: f64,
    pub(super) count: u32,
}

impl Sum {
    /// Of one sample.
    pub(super) fn of(value: f64) -> Self {
        Self { min: value, sum: value, max: value, count: 1 }
    }

    /// With one more.
    pub(super) fn add(&mut self, value: f64) {
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum += value;
        self.count += 1;
    }

    /// Their average, between the least and the most whatever rounding does.
    pub(super) fn avg(&self) -> f64 {
        (self.sum / f64::from(self.count)).clamp(self.min, self.max)
    }
}

impl Store {
    /// Moves the samples of past hours from the log to their places, and sums the hours up. Samples that are older than
    /// `keep` came too late for their hour and are dropped. Other writers wait for some 15 ms at a time.
    pub fn roll_up(&self, keep: TimeDelta) -> Result<RolledUp, StoreError> {
        let now = self.now();
        let hour = moment::millis(now).div_euclid(HOUR) * HOUR;
        let oldest = moment::millis(now - keep).div_euclid(HOUR) * HOUR;
        let Some(mark) = self.read(|c| {
            let mut statement = c.prepare_cached("SELECT max(Id) FROM MetricLog WHERE At < ?1")?;
            Ok(statement.query_row([hour], |row| row.get::<_, Option<i64>>(0))?)
        })?
        else {
            return Ok(RolledUp::default());
        };
        let mut done = RolledUp::default();
        let mut after = 0;
        loop {
            let waiting = self.waiting(mark, after, oldest)?;
            let Some(last) = waiting.keys().next_back().copied() else { break };
            after = last;
            let mut waiting = waiting.into_iter().peekable();
            while waiting.peek().is_some() {
                let (hours, learned) = self.write(|tx| {
                    let begun = Instant::now();
                    let mut numbers = Numbers::new(tx, &self.inner.series, now)?;
                    let mut layouts = Layouts::default();
                    let mut hours = 0;
                    while let Some((device, rows)) = waiting.next_if(|_| hours == 0 || begun.elapsed() < SLICE) {
                        hours += place(tx, &mut numbers, &mut layouts, device, &rows)?;
                    }
                    Ok((hours, numbers.finish()))
                })?;
                learned.remember(&self.inner.series);
                done.hours += hours;
                std::thread::sleep(PAUSE);
            }
        }
        loop {
            let forgotten = self.write(|tx| {
                let mut statement =
                    tx.prepare_cached("DELETE FROM MetricLog WHERE Id IN (SELECT Id FROM MetricLog WHERE Id <= ?1 ORDER BY Id LIMIT ?2)")?;
                Ok(statement.execute([mark, ROWS])?)
            })?;
            done.rows += forgotten;
            if (forgotten as i64) < ROWS {
                return Ok(done);
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Rows of the log of the next devices, up to a mark, in the order in which they came.
    fn waiting(&self, mark: i64, after: i64, oldest: i64) -> Result<BTreeMap<i64, Vec<Raw>>, StoreError> {
        self.read(|c| {
            let mut statement =
                c.prepare_cached("SELECT DISTINCT Device FROM MetricLog WHERE Id <= ?1 AND Device > ?2 ORDER BY Device LIMIT ?3")?;
            let devices = statement
                .query_map([mark, after, DEVICES as i64], |row| row.get::<_, i64>(0))?
                .collect::<Result<Vec<_>, rusqlite::Error>>()?;
            let mut rows: BTreeMap<i64, Vec<Raw>> = devices.iter().map(|device| (*device, Vec::new())).collect();
            if let (Some(first), Some(last)) = (devices.first(), devices.last()) {
                let mut statement = c.prepare_cached(
                    "SELECT Device, At, Layout, Vals FROM MetricLog WHERE Id <= ?1 AND Device BETWEEN ?2 AND ?3 AND At >= ?4 ORDER BY Id",
                )?;
                let mut found = statement.query([mark, *first, *last, oldest])?;
                while let Some(row) = found.next()? {
                    rows.entry(row.get(0)?).or_default().push(Raw::read(row, 1)?);
                }
            }
            Ok(rows)
        })
    }
}

/// Puts rows of a device in their places. Returns how many hours were summed up.
fn place(tx: &Transaction<'_>, numbers: &mut Numbers<'_>, layouts: &mut Layouts, device: i64, rows: &[Raw]) -> Result<usize, Failure> {
    let mut hours = std::collections::BTreeSet::new();
    let mut insert =
        tx.prepare_cached("INSERT INTO MetricSamples (Device, At, Layout, Vals) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?;
    for row in rows {
        hours.insert(row.at.div_euclid(HOUR));
        if insert.execute(params![device, row.at, row.layout, values::to_text(&row.values)])? == 1 {
            continue;
        }
        // Something else was measured at the same moment, or this is the second time.
        let known: Option<Raw> = tx
            .prepare_cached("SELECT At, Layout, Vals FROM MetricSamples WHERE Device = ?1 AND At = ?2")?
            .query_row([device, row.at], |row| Raw::read(row, 0))
            .optional()?;
        let mut both: BTreeMap<i64, f64> = BTreeMap::new();
        for raw in known.iter().chain([row]) {
            both.extend(layouts.get(tx, raw.layout)?.iter().copied().zip(raw.values.iter().copied()));
        }
        let (series, found): (Vec<i64>, Vec<f64>) = both.into_iter().unzip();
        tx.prepare_cached("UPDATE MetricSamples SET Layout = ?3, Vals = ?4 WHERE Device = ?1 AND At = ?2")?.execute(params![
            device,
            row.at,
            numbers.layout(&series, row.at)?,
            values::to_text(&found)
        ])?;
    }
    for hour in &hours {
        sum_up(tx, numbers, layouts, device, *hour)?;
    }
    Ok(hours.len())
}

fn sum_up(tx: &Transaction<'_>, numbers: &mut Numbers<'_>, layouts: &mut Layouts, device: i64, hour: i64) -> Result<(), Failure> {
    let mut sums: BTreeMap<i64, Sum> = BTreeMap::new();
    let mut statement =
        tx.prepare_cached("SELECT At, Layout, Vals FROM MetricSamples WHERE Device = ?1 AND At >= ?2 AND At < ?3 ORDER BY At")?;
    for row in statement.query_map([device, hour * HOUR, (hour + 1) * HOUR], |row| Raw::read(row, 0))? {
        let row = row?;
        let series = layouts.get(tx, row.layout)?;
        for (series, value) in series.iter().zip(&row.values) {
            sums.entry(*series).and_modify(|sum| sum.add(*value)).or_insert_with(|| Sum::of(*value));
        }
    }
    let series: Vec<i64> = sums.keys().copied().collect();
    let column = |of: fn(&Sum) -> f64| sums.values().map(of).collect::<Vec<f64>>();
    let (min, avg, max) = (column(|s| s.min), column(Sum::avg), column(|s| s.max));
    let count = column(|s| f64::from(s.count));
    tx.prepare_cached(
        "INSERT INTO MetricHours (Device, Hour, Layout, Vals) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (Device, Hour) DO UPDATE SET Layout = ?3, Vals = ?4",
    )?
    .execute(params![device, hour, numbers.layout(&series, hour * HOUR)?, values::lists_to_text([&min, &avg, &max, &count])])?;
    Ok(())
}
