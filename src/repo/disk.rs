//! How much the repository that a branch is fetched into takes on disk: never more than it may, and packed now and then.
//!
//! Git has no limit of its own for what a fetch may bring (`receive.maxInputSize` is for pushes), so the folder is watched
//! while it grows. `follow.rs` calls this.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::git::Git;
use super::revision::RevisionError;

/// So often the folder is looked at while it grows.
const LOOK: Duration = Duration::from_millis(50);
/// Each fetch that brings something leaves a pack; from so many on they become one.
const MOST_PACKS: usize = 20;
/// What nobody needs any more stays so long: another process may be about to need it.
const KEEP: &str = "--prune=10.minutes.ago";
/// Beginning of the names of what a fetch has not finished.
const UNFINISHED: &str = "tmp_";

/// The folder of objects of a bare repository.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    objects: PathBuf,
    most: u64,
}

/// What is there.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) bytes: u64,
    pub(super) packs: usize,
}

impl Disk {
    /// Of the repository in `dir`, which may take `most` bytes.
    pub(super) fn new(dir: &Path, most: u64) -> Self {
        Self { objects: dir.join("objects"), most }
    }

    /// What is there now. What goes while one looks counts as gone.
    pub(super) fn used(&self) -> Used {
        let mut used = Used::default();
        for (path, bytes) in self.files() {
            used.bytes += bytes;
            used.packs += usize::from(path.extension().is_some_and(|extension| extension == "pack"));
        }
        used
    }

    /// All files, which are at most one folder below.
    fn files(&self) -> impl Iterator<Item = (PathBuf, u64)> {
        let entries = |path: &Path| std::fs::read_dir(path).into_iter().flatten().filter_map(Result::ok);
        let below: Vec<PathBuf> = entries(&self.objects).map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        let files = below.into_iter().flat_map(move |folder| entries(&folder).collect::<Vec<_>>());
        files.filter_map(|entry| entry.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| (entry.path(), data.len())))
    }

    /// Whether there is more than there may be.
    pub(super) fn is_full(&self) -> bool {
        self.used().bytes > self.most
    }

    /// Says, whenever it is asked, whether it has become too much. Looks at the disk now and then only.
    pub(super) fn watch(&self) -> impl Fn() -> bool + '_ {
        let (looked, full) = (Cell::new(Instant::now()), Cell::new(false));
        move || {
            if !full.get() && looked.get().elapsed() >= LOOK {
                full.set(self.is_full());
                looked.set(Instant::now());
            }
            full.get()
        }
    }

    /// Packs what has gathered, where it is worth that.
    pub(super) fn tidy(&self, git: &Git, most: Duration, cancelled: &dyn Fn() -> bool) -> Result<(), RevisionError> {
        let used = self.used();
        if used.packs >= MOST_PACKS || (used.bytes > self.most / 2 && used.packs > 2) {
            collect(git, KEEP, most, cancelled)?;
        }
        Ok(())
    }

    /// Takes away what a fetch has brought that was too much: what is unfinished, and what no name leads to.
    pub(super) fn throw_away(&self, git: &Git, most: Duration, cancelled: &dyn Fn() -> bool) -> Result<(), RevisionError> {
        let unfinished = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UNFINISHED));
        for (path, _) in self.files().filter(|(path, _)| unfinished(path)) {
            // Gone already, or seen again in what is used.
            let _ = std::fs::remove_file(path);
        }
        collect(git, "--prune=now", most, cancelled)
    }
}

fn collect(git: &Git, prune: &str, most: Duration, cancelled: &dyn Fn() -> bool) -> Result<(), RevisionError> {
    let answer = git.wait(&["gc", "--quiet", prune], most, cancelled)?;
    if answer.success { Ok(()) } else { Err(RevisionError::Program { reason: answer.err }) }
}
