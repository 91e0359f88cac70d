//! Copies of the whole database: made while others write, checked, and put back.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::inspect::{Kind, inspect};
use super::{Failure, Lease, Owner, Store, StoreError, chain, moment, open, pool};
use crate::time::Clock;

/// Pages that are copied at once.
const PAGES_AT_ONCE: i32 = 1024;

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the file.
    pub bytes: u64,
    /// Schema version.
    pub version: i64,
    /// Devices, removed ones included.
    pub devices: i64,
    /// Audit rows.
    pub audit_rows: i64,
    /// When the last of them was written.
    pub latest: Option<DateTime<Utc>>,
}

impl Store {
    /// Copies the database to a new file while others go on reading and writing. Refuses to overwrite a file.
    pub fn backup(&self, to: &Path) -> Result<(), StoreError> {
        copy(&*self.inner.readers.take()?, to)
    }

    /// The same for a database that is not opened, since opening would bring it to this version.
    pub fn backup_of(path: &Path, to: &Path) -> Result<(), StoreError> {
        existing(path)?;
        copy(&pool::connect(path).map_err(|e| StoreError::of(&e, path))?, to)
    }

    /// Whether opening the database would leave it as it is: it has this program's version.
    pub fn is_current(path: &Path) -> Result<bool, StoreError> {
        existing(path)?;
        let version = pool::connect(path).and_then(|c| open::version(&c)).map_err(|e| StoreError::of(&e, path))?;
        Ok(version == open::newest())
    }

    /// What a database holds. It is neither opened for writing nor upgraded; a newer or foreign one is refused.
    pub fn look_at(path: &Path) -> Result<Copied, StoreError> {
        existing(path)?;
        let read = || -> Result<Copied, Failure> {
            let c = pool::connect(path)?;
            let version = open::version(&c)?;
            let number = |sql: &str| c.query_row(sql, [], |row| row.get::<_, i64>(0));
            let (mut devices, mut audit_rows, mut latest) = (0, 0, None);
            if version > 0 {
                devices = number("SELECT count(*) FROM Devices")?;
                audit_rows = number("SELECT coalesce(max(LogId), 0) FROM AuditLog")?;
                latest = c.query_row("SELECT max(Timestamp) FROM AuditLog", [], |row| row.get::<_, Option<String>>(0))?;
            }
            let latest = latest.as_deref().and_then(moment::from_text);
            Ok(Copied { bytes: std::fs::metadata(path).map_or(0, |m| m.len()), version, devices, audit_rows, latest })
        };
        read().map_err(|failure| failure.at(path))
    }

    /// Checks every page and index of a database, and the chain of its audit. [`StoreError::Damaged`] where something is wrong.
    pub fn check(path: &Path) -> Result<(), StoreError> {
        existing(path)?;
        let read = || -> Result<Option<String>, Failure> {
            let c = pool::connect(path)?;
            let found: String = c.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Ok(Some(found));
            }
            if open::version(&c)? == 0 {
                return Ok(Some("it holds no tables".into()));
            }
            Ok(chain::verify(&c, None)?.err().map(|broken| format!("the audit record is broken at row {}: {}", broken.row, broken.why)))
        };
        match read().map_err(|failure| failure.at(path))? {
            None => Ok(()),
            Some(why) => Err(StoreError::Damaged { path: path.to_owned(), why }),
        }
    }

    /// The leases that somebody holds in a database that is not opened; none where there is no such file. One that cannot be read
    /// is an error.
    pub fn leases_of(path: &Path, now: DateTime<Utc>) -> Result<Vec<Lease>, StoreError> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        let read = || -> Result<Vec<Lease>, Failure> {
            let c = pool::connect(path)?;
            let mut statement =
                c.prepare("SELECT Name, Owner, Run, AcquiredAt, ExpiresAt FROM Leases WHERE ExpiresAt > ?1 ORDER BY Name")?;
            let rows = statement.query_map([moment::millis(now)], |row| {
                Ok(Lease {
                    name: row.get(0)?,
                    owner: Owner::named(row.get::<_, String>(1)?),
                    run: row.get(2)?,
                    acquired_at: moment::from_millis(row.get(3)?),
                    expires_at: moment::from_millis(row.get(4)?),
                })
            })?;
            let mut leases = rows.collect::<Result<Vec<_>, rusqlite::Error>>()?;
            leases.retain(|lease| !lease.owner.is_gone());
            Ok(leases)
        };
        read().map_err(|failure| failure.at(path))
    }

    /// Puts a copy in the place of the database at `path`, brought to this version, and opens it. What was there is kept beside it:
    /// its path is returned. The caller has checked the copy, and that nobody holds a lease; where some process has the
    /// database open nevertheless, nothing is done ([`StoreError::Locked`]). What channels have taken (`-taken` beside it) stays where
    /// it is: it holds for the messages of the copy, too.
    pub fn restore(from: &Path, path: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Option<PathBuf>), StoreError> {
        let beside = with_suffix(path, &format!(".restoring-{}", std::process::id()));
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(&beside, suffix));
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            open::create_folder(folder).map_err(|e| StoreError::of_io(&e, path))?;
        }
        let placed = (|| {
            Self::backup_of(from, &beside)?;
            // Upgraded before it is in its place: what fails here has changed nothing.
            let store = Self::open(&beside, Arc::clone(&clock))?;
            store.write(|tx| {
                // Whoever held a lease when the copy was made does not hold one now.
                tx.execute("DELETE FROM Leases", [])?;
                Ok(())
            })?;
            drop(store);
            let aside = put_aside(path, clock.now())?;
            std::fs::rename(&beside, path).map_err(|e| StoreError::of_io(&e, path))?;
            sync_folder(path)?;
            Ok(aside)
        })();
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(with_suffix(&beside, suffix));
        }
        let aside = placed?;
        Ok((Self::open(path, clock)?, aside))
    }
}

/// Refuses what is no database of ours, and what is newer than this program.
fn existing(path: &Path) -> Result<(), StoreError> {
    if inspect(path, open::newest())? == Kind::New {
        let why = if path.exists() { "it is empty" } else { "there is no such file" };
        return Err(StoreError::Io { path: path.to_owned(), why: why.into() });
    }
    Ok(())
}

/// Gives what is at `path` a second name, and leaves it there to be replaced in one step. A damaged one is kept as it is, its log too.
fn put_aside(path: &Path, now: DateTime<Utc>) -> Result<Option<PathBuf>, StoreError> {
    if !path.exists() {
        return Ok(None);
    }
    let aside = with_suffix(path, &format!(".before-restore-{}", now.format("%Y%m%d-%H%M%S")));
    // Alone with it: the log goes back into the file, which only the last one that has it open may do.
    let alone = (|| {
        let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    })()
    .map_err(|e: rusqlite::Error| StoreError::of(&e, path));
    let io = |e: std::io::Error| StoreError::of_io(&e, path);
    match alone {
        Err(locked @ StoreError::Locked { .. }) => return Err(locked),
        Ok(_) => {}
        Err(_) => {
            for suffix in ["-wal", "-shm"] {
                let log = with_suffix(path, suffix);
                if log.exists() {
                    std::fs::rename(&log, with_suffix(&aside, suffix)).map_err(io)?;
                }
            }
        }
    }
    // A file system without hard links has no second names: there it is away for a moment.
    std::fs::hard_link(path, &aside).or_else(|_| std::fs::rename(path, &aside)).map_err(io)?;
    Ok(Some(aside))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sync_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| StoreError::of_io(&e, path))
}

/// Copies a database with what is still in its log, which copying the file alone would lose. The new file is whole or not there.
fn copy(source: &Connection, to: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let taken = || StoreError::Io { path: to.to_owned(), why: "there is a file of that name already".into() };
    if to.exists() {
        return Err(taken());
    }
    let part = with_suffix(to, &format!(".part-{}", std::process::id()));
    options.open(&part).map_err(|e| StoreError::of_io(&e, to))?;
    let copied = (|| {
        let mut target = Connection::open(&part)?;
        {
            // One snapshot: a writer in between would make the copy begin again. It begins with the first row that is read.
            let snapshot = source.unchecked_transaction()?;
            snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))?;
            let backup = Backup::new(&snapshot, &mut target)?;
            while !matches!(backup.step(PAGES_AT_ONCE)?, StepResult::Done) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
        Ok(())
    })();
    let placed = copied.map_err(|e: rusqlite::Error| StoreError::of(&e, to)).and_then(|()| {
        File::open(&part).and_then(|file| file.sync_all()).map_err(|e| StoreError::of_io(&e, to))?;
        // A link does not replace a file that somebody has made in the meantime; where there are none, a rename has to do.
        match std::fs::hard_link(&part, to) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(taken()),
            Err(_) => std::fs::rename(&part, to).map_err(|e| StoreError::of_io(&e, to))?,
            Ok(()) => {}
        }
        sync_folder(to)
    });
    // Its second name, or half a copy, which is worse than none.
    let _ = std::fs::remove_file(&part);
    placed
}
