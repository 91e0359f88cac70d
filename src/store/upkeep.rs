//! Care for the file itself: integrity.

use super::{Store, StoreError};

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
}
