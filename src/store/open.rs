//! Opens the database: looks first, then creates or migrates it, then hands out the [`Store`].

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use super::inspect::{APPLICATION_ID, Kind, inspect};
use super::series::Memory;
use super::{Inner, Owner, Store, StoreError, pool};
use crate::time::Clock;

/// How long a writer waits for another process.
pub(super) const BUSY: Duration = Duration::from_secs(5);
/// How long opening waits before it tries again.
const AGAIN: Duration = Duration::from_millis(10);
/// Up to this size the whole file is checked on opening; beyond, damage shows where it is read, and in `rmm audit verify`.
const CHECKED_ON_OPEN: u64 = 1024 * 1024;
/// Statements kept compiled per connection.
const STATEMENTS: usize = 128;

/// The schema, step by step. Steps are added at the end; none is ever changed.
const STEPS: &[M<'static>] = &[
    M::up(include_str!("migrations/0001_fleet.sql")),
    M::up(include_str!("migrations/0002_metrics.sql")),
    M::up(include_str!("migrations/0003_verdicts.sql")),
    M::up(include_str!("migrations/0004_runs.sql")),
    M::up(include_str!("migrations/0005_audit.sql")),
    M::up(include_str!("migrations/0006_alerts.sql")),
    M::up(include_str!("migrations/0007_daemon.sql")),
    M::up(include_str!("migrations/0008_samples.sql")),
    M::up(include_str!("migrations/0009_workflows.sql")),
    M::up(include_str!("migrations/0010_series.sql")),
    M::up(include_str!("migrations/0011_steady.sql")),
    M::up(include_str!("migrations/0012_updates.sql")),
    M::up(include_str!("migrations/0013_membership.sql")),
    M::up(include_str!("migrations/0014_away.sql")),
];

/// The newest version that is understood.
pub(super) fn newest() -> i64 {
    STEPS.len() as i64
}

impl Store {
    /// Opens the database at `path`, creating or upgrading it where needed. One that is newer, foreign or damaged is
    /// refused and left as it was.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let begun = Instant::now();
        loop {
            match Self::try_open(path, Arc::clone(&clock)) {
                // Who is the first to open the log, or the last to close it, holds everybody else off for a moment, and
                // SQLite does not wait for that as it waits for a writer.
                Err(StoreError::Locked { .. }) if begun.elapsed() < BUSY => std::thread::sleep(AGAIN),
                opened => return opened,
            }
        }
    }

    fn try_open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        if inspect(path, STEPS.len() as i64)? == Kind::New {
            create_file(path)?;
        }
        refuse_read_only(path)?;
        let mut connection = connect(path).map_err(|e| StoreError::of(&e, path))?;
        if version(&connection).map_err(|e| StoreError::of(&e, path))? < STEPS.len() as i64 {
            let _one_at_a_time = lock_directory(path)?;
            upgrade(&mut connection, path)?;
        }
        let size = std::fs::metadata(path).map_or(0, |m| m.len());
        if size <= CHECKED_ON_OPEN
            && let Some(why) = quick_check(&connection).map_err(|e| StoreError::of(&e, path))?
        {
            return Err(StoreError::Damaged { path: path.to_owned(), why });
        }
        let (readers, writer) = (pool::Readers::new(path.to_owned()), Mutex::new(connection));
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                clock,
                owner: Owner::this_process(),
                series: Memory::default(),
                readers,
                writer,
            }),
        })
    }
}

fn create_file(path: &Path) -> Result<(), StoreError> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // Facts and the audit are nobody else's business; the files beside the database inherit its mode.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let made = path.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), create_folder);
    made.and_then(|()| options.open(path).map(drop)).map_err(|e| match e.kind() {
        std::io::ErrorKind::PermissionDenied => StoreError::ReadOnly { path: path.to_owned() },
        _ => StoreError::of_io(&e, path),
    })
}

/// Creates a folder that is for its owner alone.
pub(super) fn create_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A mode without any write bit is respected by root too: somebody has set it on purpose.
fn refuse_read_only(path: &Path) -> Result<(), StoreError> {
    let read_only = std::fs::metadata(path).is_ok_and(|m| m.permissions().readonly())
        || OpenOptions::new()
            .append(true)
            .open(path)
            .is_err_and(|e| matches!(e.kind(), std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem));
    if read_only { Err(StoreError::ReadOnly { path: path.to_owned() }) } else { Ok(()) }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    tune(&connection)?;
    // Takes effect in a new file alone. Sections are one to a few kilobytes: larger pages waste less of them.
    connection.pragma_update(None, "page_size", 8192)?;
    // So too; free pages can then be given back a few at a time.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // FULL, not NORMAL: NORMAL survives the death of the process, but loses the last commits with the power. An intent
    // or an audit row that was promised has to be there afterwards; batches make the price one sync each.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "recursive_triggers", true)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(connection)
}

/// What readers and the writer have in common.
pub(super) fn tune(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "cache_size", -1_024)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn quick_check(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Two processes that open a new database at once must not both create its tables. The directory serves as the lock,
/// so that no further file lies about.
fn lock_directory(path: &Path) -> Result<File, StoreError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = File::open(parent).map_err(|e| StoreError::of_io(&e, path))?;
    let begun = Instant::now();
    loop {
        match directory.try_lock() {
            Err(TryLockError::WouldBlock) if begun.elapsed() < BUSY => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::WouldBlock) => return Err(StoreError::Locked { path: path.to_owned() }),
            // On a file system without locks, SQLite's own lock still keeps the file whole.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(directory),
        }
    }
}

fn upgrade(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let sql = |e: rusqlite::Error| StoreError::of(&e, path);
    let migrations = Migrations::from_slice(STEPS);
    connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(sql)?;
    for step in version(connection).map_err(sql)?..STEPS.len() as i64 {
        migrations.to_version(connection, usize::try_from(step + 1).unwrap_or_default()).map_err(|e| match e {
            rusqlite_migration::Error::RusqliteError { err, .. } => sql(err),
            other => StoreError::Statement(other.to_string()),
        })?;
    }
    Ok(())
}
