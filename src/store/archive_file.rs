//! One file of the archive: the hourly roll-ups of a day as Parquet, sorted by device, metric, instance and hour, which DuckDB,
//! pandas, Spark and the like read. Written whole beside its place, then renamed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::reader::get_typed_column_reader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, RowGroupReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::StoreError;

const SCHEMA: &str = "message rollups {
    required binary device (UTF8); required binary metric (UTF8); required binary instance (UTF8); required binary unit (UTF8);
    required int64 hour (TIMESTAMP(MILLIS,true));
    required double min; required double avg; required double max; required int32 count;
}";

/// An hour of a series of a device.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ArchiveRow {
    pub(super) device: Arc<str>,
    pub(super) metric: Arc<str>,
    pub(super) instance: Arc<str>,
    pub(super) unit: Arc<str>,
    /// Milliseconds since 1970.
    pub(super) hour: i64,
    pub(super) min: f64,
    pub(super) avg: f64,
    pub(super) max: f64,
    pub(super) count: i32,
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> StoreError {
    StoreError::Archive { path: path.to_owned(), why: why.to_string() }
}

/// Writes a file: `groups` hands out rows, some devices at a time, until there are none.
pub(super) fn write(path: &Path, mut groups: impl FnMut() -> Result<Option<Vec<ArchiveRow>>, StoreError>) -> Result<usize, StoreError> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&beside).map_err(|e| StoreError::of_io(&e, &beside))?;
        let schema = parse_message_type(SCHEMA).map_err(|e| wrong(path, e))?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_created_by("rmm".into()).build();
        let mut writer = SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(|e| wrong(path, e))?;
        let mut rows = 0;
        while let Some(group) = groups()? {
            rows += group.len();
            let row_group = writer.next_row_group().map_err(|e| wrong(path, e))?;
            write_group(row_group, &group).map_err(|e| wrong(path, e))?;
        }
        let file = writer.into_inner().map_err(|e| wrong(path, e))?;
        file.sync_all().map_err(|e| StoreError::of_io(&e, &beside))?;
        std::fs::rename(&beside, path).map_err(|e| StoreError::of_io(&e, path))?;
        if let Some(folder) = path.parent() {
            // Only now does the new name outlive the power.
            File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| StoreError::of_io(&e, path))?;
        }
        Ok(rows)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    written
}

type RowGroup<'a> = SerializedRowGroupWriter<'a, File>;

fn write_group(mut group: RowGroup<'_>, rows: &[ArchiveRow]) -> Result<(), ParquetError> {
    fn column<T: DataType>(group: &mut RowGroup<'_>, values: &[T::T]) -> Result<(), ParquetError> {
        let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".into()))?;
        column.typed::<T>().write_batch(values, None, None)?;
        column.close()
    }
    let text = |of: fn(&ArchiveRow) -> &Arc<str>| rows.iter().map(|row| ByteArray::from(of(row).as_bytes().to_vec())).collect::<Vec<_>>();
    let number = |of: fn(&ArchiveRow) -> f64| rows.iter().map(of).collect::<Vec<_>>();
    for texts in [text(|r| &r.device), text(|r| &r.metric), text(|r| &r.instance), text(|r| &r.unit)] {
        column::<ByteArrayType>(&mut group, &texts)?;
    }
    column::<Int64Type>(&mut group, &rows.iter().map(|row| row.hour).collect::<Vec<_>>())?;
    for numbers in [number(|r| r.min), number(|r| r.avg), number(|r| r.max)] {
        column::<DoubleType>(&mut group, &numbers)?;
    }
    column::<Int32Type>(&mut group, &rows.iter().map(|row| row.count).collect::<Vec<_>>())?;
    group.close().map(drop)
}

/// The rows of one series of a device. Only the groups of rows in which the device can be are read.
pub(super) fn read(path: &Path, device: &str, metric: &str, instance: &str) -> Result<Vec<ArchiveRow>, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::of_io(&e, path))?;
    read_file(file, device, metric, instance).map_err(|e| wrong(path, e))
}

/// How many rows a file has; an error where it is not whole.
pub(super) fn count(path: &Path) -> Result<i64, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::of_io(&e, path))?;
    let reader = SerializedFileReader::new(file).map_err(|e| wrong(path, e))?;
    Ok(reader.metadata().file_metadata().num_rows())
}

/// A file that is read group by group.
pub(super) struct Reader {
    file: SerializedFileReader<File>,
    path: PathBuf,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::of_io(&e, path))?;
        Ok(Self { file: SerializedFileReader::new(file).map_err(|e| wrong(path, e))?, path: path.to_owned() })
    }

    /// How many groups of rows there are.
    pub(super) fn groups(&self) -> usize {
        self.file.num_row_groups()
    }

    /// All rows of a group.
    pub(super) fn group(&self, index: usize) -> Result<Vec<ArchiveRow>, StoreError> {
        let mut found = Vec::new();
        let read = self.file.get_row_group(index).and_then(|group| read_group(&*group, None, &mut found));
        read.map_err(|e| wrong(&self.path, e))?;
        Ok(found)
    }
}

fn read_file(file: File, device: &str, metric: &str, instance: &str) -> Result<Vec<ArchiveRow>, ParquetError> {
    let reader = SerializedFileReader::new(file)?;
    let mut found = Vec::new();
    for i in 0..reader.num_row_groups() {
        let bounds = reader.metadata().row_group(i).column(0).statistics();
        let below = bounds.and_then(|b| b.min_bytes_opt()).is_some_and(|least| device.as_bytes() < least);
        let above = bounds.and_then(|b| b.max_bytes_opt()).is_some_and(|most| device.as_bytes() > most);
        if !below && !above {
            read_group(&*reader.get_row_group(i)?, Some([device, metric, instance]), &mut found)?;
        }
    }
    Ok(found)
}

/// The rows of one device, metric and instance; without these, all.
fn read_group(group: &dyn RowGroupReader, which: Option<[&str; 3]>, found: &mut Vec<ArchiveRow>) -> Result<(), ParquetError> {
    fn column<T: DataType>(group: &dyn RowGroupReader, index: usize) -> Result<Vec<T::T>, ParquetError> {
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        let mut values = Vec::with_capacity(rows.min(1 << 20));
        let mut reader = get_typed_column_reader::<T>(group.get_column_reader(index)?);
        while values.len() < rows {
            let (records, _, _) = reader.read_records(rows - values.len(), None, None, &mut values)?;
            if records == 0 {
                return Err(ParquetError::General("its end is missing".into()));
            }
        }
        Ok(values)
    }
    let texts = [0, 1, 2, 3].map(|index| column::<ByteArrayType>(group, index));
    let [devices, metrics, instances, units] = texts;
    let texts = [devices?, metrics?, instances?, units?];
    let is_wanted = |i: usize| which.is_none_or(|which| which.iter().zip(&texts).all(|(text, column)| column[i].data() == text.as_bytes()));
    let places: Vec<usize> = (0..texts[0].len()).filter(|i| is_wanted(*i)).collect();
    if places.is_empty() {
        return Ok(());
    }
    let hours = column::<Int64Type>(group, 4)?;
    let (min, avg, max) = (column::<DoubleType>(group, 5)?, column::<DoubleType>(group, 6)?, column::<DoubleType>(group, 7)?);
    let counts = column::<Int32Type>(group, 8)?;
    for i in places {
        let [device, metric, instance, unit] = [0, 1, 2, 3].map(|column| String::from_utf8_lossy(texts[column][i].data()).into());
        let (min, avg, max) = (min[i], avg[i], max[i]);
        found.push(ArchiveRow { device, metric, instance, unit, hour: hours[i], min, avg, max, count: counts[i] });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &str, hour: i64) -> ArchiveRow {
        ArchiveRow {
            device: device.into(),
            metric: "CPU".into(),
            instance: "".into(),
            unit: "%".into(),
            hour,
            min: 1.0,
            avg: 2.5,
            max: 4.0,
            count: 12,
        }
    }

    #[test]
    fn what_was_written_is_read_back_device_by_device() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("2026-08-23.parquet");
        let mut groups = vec![vec![row("c", 0)], vec![row("a", 0), row("a", 3_600_000), row("b", 0)]];
        assert_eq!(write(&path, || Ok(groups.pop())).unwrap(), 4);
        assert_eq!(read(&path, "a", "CPU", "").unwrap(), [row("a", 0), row("a", 3_600_000)]);
        assert_eq!(read(&path, "c", "CPU", "").unwrap(), [row("c", 0)]);
        assert_eq!(read(&path, "c", "CPU", "x").unwrap(), []);
        assert_eq!(read(&path, "zz", "CPU", "").unwrap(), []);
        assert_eq!(count(&path).unwrap(), 4);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_could_not_be_written_whole_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("2026-08-23.parquet");
        let mut calls = 0;
        let broken = write(&path, || {
            calls += 1;
            if calls == 1 { Ok(Some(vec![row("a", 0)])) } else { Err(StoreError::Statement("broken".into())) }
        });
        assert!(broken.is_err());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_was_cut_off_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("2026-08-23.parquet");
        let mut groups = vec![vec![row("a", 0)]];
        write(&path, || Ok(groups.pop())).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(matches!(read(&path, "a", "CPU", ""), Err(StoreError::Archive { .. })));
        assert!(count(&path).is_err());
    }
}
