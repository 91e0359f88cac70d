//! Read-only connections, kept for the next reader. Each has a page cache of its own: 500 devices at work at the same time must
//! not open 500 of them, so whoever comes when many are on loan waits for one to come back.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, open};

/// On loan at the same time. Reading is short and two or more of them keep every core busy.
const MOST: usize = 16;
const KEPT: usize = 8;
/// How long one that comes back is waited for. Then one more is opened after all: a reader may call another from within, and
/// must not wait for itself.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Shelf {
    idle: Vec<Connection>,
    on_loan: usize,
}

pub(super) struct Readers {
    path: PathBuf,
    shelf: Mutex<Shelf>,
    returned: Condvar,
    patience: Duration,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, shelf: Mutex::default(), returned: Condvar::new(), patience: PATIENCE }
    }

    /// An idle reader, or a new one.
    pub(super) fn take(&self) -> Result<Reader<'_>, StoreError> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |shelf: &mut Shelf| shelf.on_loan >= MOST;
        let (mut shelf, _) = self.returned.wait_timeout_while(shelf, self.patience, full).unwrap_or_else(PoisonError::into_inner);
        shelf.on_loan += 1;
        let idle = shelf.idle.pop();
        drop(shelf);
        let mut reader = Reader { connection: idle, home: self };
        if reader.connection.is_none() {
            reader.connection = Some(connect(&self.path).map_err(|e| StoreError::of(&e, &self.path))?);
        }
        Ok(reader)
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
        let connection = self.connection.take();
        let mut shelf = self.home.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.on_loan -= 1;
        // Closed after the lock is given back.
        let surplus = match connection {
            Some(connection) if shelf.idle.len() < KEPT => {
                shelf.idle.push(connection);
                None
            }
            other => other,
        };
        drop(shelf);
        self.home.returned.notify_one();
        drop(surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(patience: Duration) -> (tempfile::TempDir, Readers) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
        (folder, Readers { patience, ..Readers::new(path) })
    }

    #[test]
    fn whoever_comes_late_takes_what_another_gives_back() {
        let (_folder, readers) = database(Duration::from_hours(1));
        let mut held: Vec<_> = (0..MOST).map(|_| readers.take().unwrap()).collect();
        std::thread::scope(|scope| {
            let late = scope.spawn(|| {
                let reader = readers.take().unwrap();
                let rows: i64 = reader.query_row("SELECT count(*) FROM a", [], |row| row.get(0)).unwrap();
                (rows, readers.shelf.lock().unwrap().on_loan)
            });
            held.pop();
            assert_eq!(late.join().unwrap(), (0, MOST));
        });
        drop(held);
        let shelf = readers.shelf.lock().unwrap();
        assert_eq!((shelf.on_loan, shelf.idle.len()), (0, KEPT));
    }

    #[test]
    fn a_reader_within_a_reader_never_waits_for_itself() {
        let (_folder, readers) = database(Duration::ZERO);
        let held: Vec<_> = (0..=MOST).map(|_| readers.take().unwrap()).collect();
        assert_eq!(readers.shelf.lock().unwrap().on_loan, MOST + 1);
        drop(held);
        assert_eq!(readers.shelf.lock().unwrap().on_loan, 0);
    }
}
