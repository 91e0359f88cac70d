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

/// No more of the file is read, and it is never longer for long.
const MOST: u64 = 16 * 1024 * 1024;
/// From here on only what still waits for its record is kept.
const TIDY: usize = 1024 * 1024;
/// A longer line is not written: nearly all are a few hundred bytes.
const LONGEST: usize = 256 * 1024;

#[derive(Serialize, Deserialize)]
struct Line<T> {
    id: String,
    result: T,
}

#[derive(Default)]
struct Open {
    file: Option<File>,
    /// Bytes that were written since it was last empty.
    length: usize,
    /// Lines of deliveries whose record has not been made.
    waiting: BTreeMap<String, Vec<u8>>,
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
        if let Err(error) = self.write(&mut open, id, result) {
            tracing::warn!(delivery = id, file = %self.path.display(), "that it was taken cannot be written down at once: {error}");
        }
    }

    fn write(&self, open: &mut Open, id: &str, result: &DeliveryResult) -> io::Result<()> {
        // Half a line may stand before it, of a process that died or a disk that was full.
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, &Line { id: id.to_owned(), result })?;
        line.push(b'\n');
        if line.len() > LONGEST {
            return Ok(());
        }
        let file = match &mut open.file {
            Some(file) => file,
            none => none.insert(private().append(true).create(true).open(&self.path)?),
        };
        file.write_all(&line)?;
        open.length += line.len();
        open.waiting.insert(id.to_owned(), line);
        Ok(())
    }

    /// The database says so now.
    pub(super) fn recorded(&self, id: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.waiting.remove(id).is_none() || !open.waiting.is_empty() && open.length < TIDY {
            return;
        }
        let rest: Vec<u8> = open.waiting.values().flatten().copied().collect();
        open.length = rest.len();
        let Some(file) = &mut open.file else { return };
        let emptied = if rest.is_empty() { file.set_len(0) } else { self.replace(&rest).map(|new| *file = new) };
        if let Err(error) = emptied {
            tracing::warn!(file = %self.path.display(), "cannot be emptied: {error}");
        }
    }

    /// Another file in its place, in one step: what has no record is in one of the two at every moment.
    fn replace(&self, rest: &[u8]) -> io::Result<File> {
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        // Of a process that died.
        let _ = std::fs::remove_file(&beside);
        let mut file = private().append(true).create_new(true).open(&beside)?;
        let placed = file.write_all(rest).and_then(|()| std::fs::rename(&beside, &self.path));
        if placed.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
        placed.map(|()| file)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeliveryState;

    fn result(receipt: &str) -> DeliveryResult {
        let (state, receipt) = (DeliveryState::Sent, Some(receipt.to_owned()));
        DeliveryResult { state, error: None, receipt, due_at: None, sent_at: None, rest: Vec::new() }
    }

    #[test]
    fn the_next_process_reads_what_had_no_record_although_half_a_line_stands_before_it() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("rmm.db");
        let file = folder.path().join("rmm.db-taken");
        assert!(Taken::beside(&database).read().unwrap().is_empty());
        std::fs::write(&file, "{\"id\":\"d-0\",\"resu").unwrap();
        let taken = Taken::beside(&database);
        taken.note("d-1", &result("r-1"));
        taken.note("d-2", &result("r-2"));
        taken.recorded("d-1");
        let read = Taken::beside(&database).read().unwrap();
        assert_eq!(read.get("d-2"), Some(&result("r-2")));
        assert!(!read.contains_key("d-0"));
        taken.recorded("d-2");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
    }

    #[test]
    fn one_that_never_gets_its_record_does_not_let_the_file_grow() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("rmm.db");
        let taken = Taken::beside(&database);
        taken.note("stuck", &result("r"));
        for i in 0..40 {
            let id = format!("d-{i}");
            taken.note(&id, &result(&"x".repeat(64 * 1024)));
            taken.recorded(&id);
        }
        assert!(std::fs::metadata(folder.path().join("rmm.db-taken")).unwrap().len() < 2 * TIDY as u64);
        assert_eq!(taken.read().unwrap().get("stuck"), Some(&result("r")));
    }

    #[test]
    fn what_has_no_record_is_never_out_of_the_file_while_that_is_made_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rmm.db-taken");
        let taken = Taken::beside(&folder.path().join("rmm.db"));
        taken.note("stuck", &result("r"));
        let mut first = File::open(&path).unwrap();
        let long = result(&"x".repeat(64 * 1024));
        for i in 0..20 {
            let id = format!("d-{i}");
            taken.note(&id, &long);
            taken.recorded(&id);
        }
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert!(text.contains("\"stuck\"") && text.len() > TIDY / 2, "the file that was there is not emptied: {} bytes", text.len());
        assert!(std::fs::metadata(&path).unwrap().len() < text.len() as u64, "another one is in its place");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "and nothing beside it");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap()) & 0o777, 0o600);
        taken.note("later", &result("r"));
        let read = taken.read().unwrap();
        assert!(read.contains_key("stuck") && read.contains_key("later"), "{:?}", read.keys());
    }
}
