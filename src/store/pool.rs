//! Read-only connections, kept for the next reader. As many as are asked for at once, so that a reader may call
//! another from within without waiting for itself; only a few are kept idle.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, open};

const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, idle: Mutex::new(Vec::new()) }
    }

    /// An idle reader, or a new one.
    pub(super) fn take(&self) -> Result<Reader<'_>, StoreError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path).map_err(|e| StoreError::of(&e, &self.path))?,
        };
        Ok(Reader { connection: Some(connection), home: self })
    }
}

/// A connection that only reads.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    open::tune(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A reader on loan.
pub(super) struct Reader<'a> {
    connection: Option<Connection>,
    home: &'a Readers,
}

impl Deref for Reader<'_> {
    type Target = Connection;
    #[allow(clippy::expect_used)] // taken out in drop alone
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a reader on loan has its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut idle = self.home.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = self.connection.take()
            && idle.len() < KEPT
        {
            idle.push(connection);
        }
    }
}
