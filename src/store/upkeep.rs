//! Care for the file itself: backup, integrity, size.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::{Store, StoreError};

/// Pages that a backup copies before it lets writers through.
const PAGES_AT_ONCE: i32 = 1024;

/// How much is in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of the file, without what is still in the log.
    pub bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Schema version.
    pub version: i64,
    /// Devices, removed ones included.
    pub devices: i64,
    /// Sections that hold now.
    pub sections: i64,
    /// Sections that held once.
    pub past_sections: i64,
    /// Metric series.
    pub series: i64,
    /// Runs.
    pub runs: i64,
    /// Audit rows.
    pub audit_rows: i64,
}

impl Store {
    /// Checks every page and index. The list is empty where all is well, and holds at most a hundred findings.
    pub fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let mut found = rows.collect::<Result<Vec<_>, rusqlite::Error>>()?;
            found.retain(|finding| finding != "ok");
            Ok(found)
        })
    }

    /// Copies the database to a new file while others go on reading and writing. Refuses to overwrite a file.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        copy(&*self.inner.readers.take()?, to)
    }

    /// The same for a database that is not opened, since opening would bring it to this version.
    pub fn backup_of(path: &Path, to: &Path) -> Result<(), StoreError> {
        copy(&super::pool::connect(path).map_err(|e| StoreError::of(&e, path))?, to)
    }

    /// How much is in the database.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let mut log = self.inner.path.as_os_str().to_owned();
        log.push("-wal");
        self.read(|connection| {
            let count = |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0));
            Ok(Stats {
                bytes: size(&self.inner.path),
                log_bytes: size(Path::new(&log)),
                version: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
                devices: count("Devices")?,
                sections: count("Sections")?,
                past_sections: count("SectionHistory")?,
                series: count("MetricSeries")?,
                runs: count("Runs")?,
                audit_rows: connection.query_row("SELECT Rows FROM AuditHead", [], |row| row.get(0))?,
            })
        })
    }
}

/// Copies a database with what is still in its log, which copying the file alone would lose.
fn copy(source: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(to).map_err(|e| StoreError::of_io(&e, to))?;
    let copied = (|| {
        let mut target = Connection::open(to)?;
        {
            // One snapshot: a writer in between would make the copy begin again.
            let snapshot = source.unchecked_transaction()?;
            let backup = Backup::new(&snapshot, &mut target)?;
            while !matches!(backup.step(PAGES_AT_ONCE)?, StepResult::Done) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
        Ok(())
    })();
    copied.map_err(|e: rusqlite::Error| {
        // Half a copy is worse than none.
        let _ = std::fs::remove_file(to);
        StoreError::of(&e, to)
    })
}
