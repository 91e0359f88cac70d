//! Looks at a database file before SQLite does, so that one that is newer, foreign or damaged is left as it was.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// Marks our files, in the header field that SQLite keeps for this: `rmm1`.
pub(super) const APPLICATION_ID: i32 = 0x726d_6d31;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// No file yet, or an empty one.
    New,
    /// A database that this program may use.
    Ours,
}

/// Reads the header and refuses what must not be touched. Writes nothing.
pub(super) fn inspect(path: &Path, known: i64) -> Result<Kind, StoreError> {
    let io = |e: std::io::Error| StoreError::of_io(&e, path);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Kind::New),
        Err(e) => return Err(io(e)),
    };
    if !metadata.is_file() {
        return Err(StoreError::Io { path: path.to_owned(), why: "it is not a file".into() });
    }
    if metadata.len() == 0 && wal_is_empty(path) {
        return Ok(Kind::New);
    }
    let damaged = |why: &str| StoreError::Damaged { path: path.to_owned(), why: why.into() };
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(io)?;
    file.read_exact(&mut header).map_err(|_| damaged("it is too short"))?;
    // After the header: another process may make the file longer in between, and then its header says so too.
    let length = file.metadata().map_err(io)?.len();
    if &header[..16] != b"SQLite format 3\0" {
        return Err(damaged("it does not begin like a database"));
    }
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let page_size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size if size >= 512 && size.is_power_of_two() => u64::from(size),
        _ => return Err(damaged("its header names an impossible page size")),
    };
    let (version, application) = if wal_is_empty(path) {
        // The page count in the header counts where the last writer was one that keeps it up to date.
        let pages = u64::from(number(28));
        if number(24) == number(92) && length < pages * page_size {
            return Err(damaged("its end is missing"));
        }
        (i64::from(number(60)), number(68) as i32)
    } else {
        // Somebody is at work, or was killed: the newest header may be in the log. Reading it changes nothing.
        read_through_log(path)?
    };
    if application != APPLICATION_ID {
        // An empty database of SQLite's own making, as `sqlite3 FILE` leaves behind, is as good as none.
        if application == 0 && version == 0 && number(28) <= 1 {
            return Ok(Kind::New);
        }
        return Err(StoreError::Foreign { path: path.to_owned() });
    }
    if version > known {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known });
    }
    Ok(Kind::Ours)
}

fn wal(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

fn wal_is_empty(path: &Path) -> bool {
    std::fs::metadata(wal(path)).map_or(true, |m| m.len() == 0)
}

fn read_through_log(path: &Path) -> Result<(i64, i32), StoreError> {
    let read = || {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(super::open::BUSY)?;
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        Ok((version, application))
    };
    read().map_err(|e: rusqlite::Error| StoreError::of(&e, path))
}
