//! What channels have taken, before the database says so: a line in a file beside it, written the moment a channel has answered. A
//! process that dies before it has made its record is succeeded by one that finds the line, and sends nothing twice. Of a machine that
//! loses its power the line may be lost, too: such a message goes again, with the same key.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::store::DeliveryResult;

/// No more of the file is read; it is emptied whenever nothing waits for its record.
const MOST: u64 = 16 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
struct Line<T> {
    id: String,
    result: T,
}

#[derive(Default)]
struct Open {
    file: Option<File>,
    /// Lines whose record has not been made.
    waiting: usize,
}

/// The file.
pub(super) struct Taken {
    path: PathBuf,
    open: Mutex<Open>,
}

impl Taken {
    /// Beside this database. Nothing is written yet.
    pub(super) fn beside(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-taken");
        Self { path: path.into(), open: Mutex::default() }
    }

    /// A channel has taken this delivery. Where that cannot be written, it is as if there were no file.
    pub(super) fn note(&self, id: &str, result: &DeliveryResult) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.waiting += 1;
        if let Err(error) = self.write(&mut open, id, result) {
            tracing::warn!(delivery = id, file = %self.path.display(), "that it was taken cannot be written down at once: {error}");
        }
    }

    fn write(&self, open: &mut Open, id: &str, result: &DeliveryResult) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Line { id: id.to_owned(), result })?;
        line.push(b'\n');
        let file = match &mut open.file {
            Some(file) => file,
            none => none.insert(private().append(true).create(true).open(&self.path)?),
        };
        // In one piece: whoever dies within it leaves half a line at the most, and that is not read.
        file.write_all(&line)
    }

    /// The database says so now.
    pub(super) fn recorded(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.waiting = open.waiting.saturating_sub(1);
        if open.waiting == 0
            && let Some(file) = &open.file
            && let Err(error) = file.set_len(0)
        {
            tracing::warn!(file = %self.path.display(), "cannot be emptied: {error}");
        }
    }

    /// What stands there of the process before this one.
    pub(super) fn read(&self) -> io::Result<BTreeMap<String, DeliveryResult>> {
        let file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            file => file?,
        };
        let mut text = Vec::new();
        file.take(MOST).read_to_end(&mut text)?;
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        Ok(lines.filter_map(|line| serde_json::from_slice::<Line<DeliveryResult>>(line).ok()).map(|line| (line.id, line.result)).collect())
    }
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}
