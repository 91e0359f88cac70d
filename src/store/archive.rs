//! The archive: what is older than the database keeps, a Parquet file a day in `archive/` beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::archive_file::{self, ArchiveRow};
use super::rollup::{HOUR, PAUSE, SLICE};
use super::series::{self, Layouts};
use super::{Failure, Store, StoreError, column, open};

/// Hours of a day.
const HOURS: i64 = 24;
/// Devices whose rows make a group of rows in a file.
const DEVICES: usize = 250;

/// A row of `MetricHours`: least, average, most, count, each in the order of the layout.
pub(super) type Lists = [Vec<f64>; 4];

impl Store {
    /// The folder of the archive.
    pub fn archive_folder(&self) -> PathBuf {
        self.inner.path.parent().unwrap_or(Path::new(".")).join("archive")
    }

    /// Moves the roll-ups of all whole days before `before` to the archive, a file a day. Returns the number of files written.
    /// A crash leaves either no file, or a whole one whose rows are still in the database too: the next call forgets those. What
    /// came for a day after its file was written joins it.
    pub fn archive_rollups(&self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        let end = before.timestamp_millis().div_euclid(HOUR * HOURS);
        let mut written = 0;
        loop {
            let oldest = self.read(|c| Ok(c.query_row("SELECT min(Hour) FROM MetricHours", [], |row| row.get::<_, Option<i64>>(0))?))?;
            let Some(day) = oldest.map(|hour| hour.div_euclid(HOURS)).filter(|day| *day < end) else { return Ok(written) };
            let folder = self.archive_folder();
            let path = folder.join(format!("{}.parquet", date(day)));
            open::create_folder(&folder).map_err(|e| StoreError::of_io(&e, &folder))?;
            written += usize::from(self.write_day(&path, day)?);
            // Whole, or nothing is forgotten.
            archive_file::count(&path)?;
            self.forget_hours((day + 1) * HOURS)?;
        }
    }

    /// Writes the file of a day. False where there is one that has everything already.
    fn write_day(&self, path: &Path, day: i64) -> Result<bool, StoreError> {
        if path.exists() {
            let (mut groups, mut news) = (Groups::new(self, path, day)?, false);
            while let (false, Some((_, new))) = (news, groups.next()?) {
                news = new;
            }
            if !news {
                return Ok(false);
            }
        }
        let mut groups = Groups::new(self, path, day)?;
        archive_file::write(path, || Ok(groups.next()?.map(|(rows, _)| rows)))?;
        Ok(true)
    }

    /// Forgets the roll-ups of the hours before `end`, a few devices at a time.
    pub(super) fn forget_hours(&self, end: i64) -> Result<usize, StoreError> {
        self.forget_per_device("DELETE FROM MetricHours WHERE Device = ?1 AND Hour < ?2", end)
    }

    /// Runs a deletion for every device, letting other writers through again and again.
    pub(super) fn forget_per_device(&self, delete: &str, before: i64) -> Result<usize, StoreError> {
        let devices = self.read(|c| {
            let mut statement = c.prepare("SELECT Id FROM Devices ORDER BY Id")?;
            Ok(statement.query_map([], |row| row.get::<_, i64>(0))?.collect::<Result<Vec<_>, rusqlite::Error>>()?)
        })?;
        let (mut next, mut removed) = (0, 0);
        while next < devices.len() {
            removed += self.write(|tx| {
                let begun = Instant::now();
                let mut statement = tx.prepare_cached(delete)?;
                let mut removed = 0;
                while next < devices.len() && (removed == 0 || begun.elapsed() < SLICE) {
                    removed += statement.execute([devices[next], before])?;
                    next += 1;
                }
                Ok(removed)
            })?;
            if next < devices.len() {
                std::thread::sleep(PAUSE);
            }
        }
        Ok(removed)
    }

    /// Removes the files of days before `before`. Returns how many.
    pub fn forget_archive(&self, before: DateTime<Utc>) -> Result<usize, StoreError> {
        let mut removed = 0;
        for (day, path) in self.archive_days()? {
            if day < before.date_naive() {
                std::fs::remove_file(&path).map_err(|e| StoreError::of_io(&e, &path))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// The days in the archive and their files, oldest first.
    pub fn archive_days(&self) -> Result<Vec<(NaiveDate, PathBuf)>, StoreError> {
        let folder = self.archive_folder();
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::of_io(&e, &folder)),
        };
        let mut days: Vec<_> = entries
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let day = path.file_name()?.to_str()?.strip_suffix(".parquet")?.parse().ok()?;
                Some((day, path))
            })
            .collect();
        days.sort();
        Ok(days)
    }
}

/// The rows of a day, some devices at a time: those of its file with what the database has of the same devices, then devices that
/// the file does not have.
struct Groups<'a> {
    store: &'a Store,
    day: i64,
    file: Option<archive_file::Reader>,
    read: usize,
    devices: BTreeMap<Arc<str>, i64>,
}

impl<'a> Groups<'a> {
    fn new(store: &'a Store, path: &Path, day: i64) -> Result<Self, StoreError> {
        let devices = store.read(|c| {
            let mut statement = c.prepare("SELECT DeviceId, Id FROM Devices ORDER BY DeviceId")?;
            let rows = statement.query_map([], |row| Ok((row.get::<_, Arc<str>>(0)?, row.get::<_, i64>(1)?)))?;
            Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
        })?;
        let file = if path.exists() { Some(archive_file::Reader::open(path)?) } else { None };
        Ok(Self { store, day, file, read: 0, devices })
    }

    /// The next rows, and whether the file does not have all of them. None where there are no more.
    fn next(&mut self) -> Result<Option<(Vec<ArchiveRow>, bool)>, StoreError> {
        let day = self.day;
        if let Some(file) = self.file.as_ref().filter(|file| self.read < file.groups()) {
            let old = file.group(self.read)?;
            self.read += 1;
            let names: BTreeSet<&Arc<str>> = old.iter().map(|row| &row.device).collect();
            let devices: Vec<_> = names.into_iter().filter_map(|name| self.devices.remove_entry(name)).collect();
            let new = self.store.read(|c| rows_of_day(c, &devices, day))?;
            return Ok(Some(join(old, new)));
        }
        while !self.devices.is_empty() {
            let rest = self.devices.keys().nth(DEVICES).cloned().map(|name| self.devices.split_off(&name)).unwrap_or_default();
            let devices: Vec<_> = std::mem::replace(&mut self.devices, rest).into_iter().collect();
            let rows = self.store.read(|c| rows_of_day(c, &devices, day))?;
            if !rows.is_empty() {
                return Ok(Some((rows, true)));
            }
        }
        Ok(None)
    }
}

/// Rows of the same devices from the file and from the database. Of an hour that is in both, the one that has more samples counts:
/// it was summed up later. Whether the file does not have all of them.
fn join(old: Vec<ArchiveRow>, new: Vec<ArchiveRow>) -> (Vec<ArchiveRow>, bool) {
    type Place = (Arc<str>, Arc<str>, Arc<str>, i64, Arc<str>);
    let place = |row: &ArchiveRow| -> Place {
        (Arc::clone(&row.device), Arc::clone(&row.metric), Arc::clone(&row.instance), row.hour, Arc::clone(&row.unit))
    };
    let mut rows: BTreeMap<Place, ArchiveRow> = old.into_iter().map(|row| (place(&row), row)).collect();
    let mut news = false;
    for row in new {
        let at = place(&row);
        if rows.get(&at).is_none_or(|known| row.count >= known.count && row != *known) {
            rows.insert(at, row);
            news = true;
        }
    }
    (rows.into_values().collect(), news)
}

fn date(day: i64) -> NaiveDate {
    (DateTime::<Utc>::UNIX_EPOCH + TimeDelta::try_days(day).unwrap_or_default()).date_naive()
}

fn rows_of_day(c: &rusqlite::Connection, devices: &[(Arc<str>, i64)], day: i64) -> Result<Vec<ArchiveRow>, Failure> {
    let names = series::names(c)?;
    let mut layouts = Layouts::default();
    let mut out = Vec::new();
    let mut statement = c.prepare_cached("SELECT Hour, Layout, Vals FROM MetricHours WHERE Device = ?1 AND Hour >= ?2 AND Hour < ?3")?;
    for (device, id) in devices {
        let first = out.len();
        let mut rows = statement.query([*id, day * HOURS, (day + 1) * HOURS])?;
        while let Some(row) = rows.next()? {
            let hour: i64 = row.get(0)?;
            let series = layouts.get(c, row.get(1)?)?;
            let [min, avg, max, count]: Lists = column::json(row, 2)?;
            for (i, series) in series.iter().enumerate() {
                let (Some(name), Some(min), Some(avg), Some(max), Some(count)) =
                    (names.get(series), min.get(i), avg.get(i), max.get(i), count.get(i))
                else {
                    continue;
                };
                out.push(ArchiveRow {
                    device: Arc::clone(device),
                    metric: Arc::clone(&name.metric),
                    instance: Arc::clone(&name.instance),
                    unit: name.unit.clone().unwrap_or_default(),
                    hour: hour * HOUR,
                    min: *min,
                    avg: *avg,
                    max: *max,
                    count: *count as i32,
                });
            }
        }
        out[first..].sort_by(|a, b| (&a.metric, &a.instance, a.hour).cmp(&(&b.metric, &b.instance, b.hour)));
    }
    Ok(out)
}
