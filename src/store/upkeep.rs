//! Care for the file itself: integrity and size.

use std::path::Path;

use super::{Store, StoreError};

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
