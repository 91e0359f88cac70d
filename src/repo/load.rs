//! The part of this room that touches the disk: finding the repository, reading its files, asking Git for the commit.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::compile::{FileKind, LoadOptions, Loaded, World, compile_after, kind_of};
use super::git::Git;
use super::{codes, yaml};
use crate::diagnose::{Category, Diagnose, Diagnostic};
use crate::model::Place;

/// Most files that a repository may have, and most bytes in all of them.
pub(super) const MAX_FILES: usize = 50_000;
pub(super) const MAX_TOTAL: u64 = 512 * 1024 * 1024;
/// How deep folders are followed below the root.
pub(super) const MAX_FOLDERS: usize = 8;

/// Why there is no repository to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoError {
    /// Neither the folder nor any above it holds `rmm.toml`.
    #[error("{start} is not in a policy repository: no rmm.toml here or in a folder above")]
    NotFound {
        /// Where the search began.
        start: String,
    },
}

impl Diagnose for RepoError {
    fn code(&self) -> &'static str {
        "RMM0100"
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some("rmm init writes a repository; -C DIR names one".into())
    }
}

/// The nearest folder, from `start` upwards, that holds `rmm.toml`.
pub fn find_root(start: &Path) -> Result<PathBuf, RepoError> {
    let full = std::path::absolute(start).unwrap_or_else(|_| start.to_owned());
    let found = full.ancestors().find(|folder| folder.join("rmm.toml").is_file());
    found.map(Path::to_owned).ok_or_else(|| RepoError::NotFound { start: start.display().to_string() })
}

/// Reads the repository at `options.root`.
pub fn load(options: &LoadOptions) -> Loaded {
    let mut options = options.clone();
    options.root = std::path::absolute(&options.root).unwrap_or(options.root);
    let overlay = options.env.as_deref().map(|env| format!("rmm.{env}.toml"));
    std::thread::scope(|scope| {
        // Git looks at every file on its own; meanwhile they are read.
        let commit = scope.spawn(|| commit(&options.root));
        let mut reader = Reader { overlay, ..Reader::new(&options.root) };
        reader.folder("", 0);
        let Reader { files, problems, .. } = reader;
        let mut loaded = compile_after(files, &options, World::default(), problems);
        let commit = commit.join().unwrap_or_default();
        if let Some(set) = &mut loaded.set {
            set.commit = commit;
        }
        loaded.lay_over();
        loaded
    })
}

/// The folder of the policy repository within its Git repository, `fleet/`; empty at the top and outside of Git.
pub fn git_prefix(root: &Path) -> String {
    let full = root.canonicalize().or_else(|_| std::path::absolute(root)).unwrap_or_else(|_| root.to_owned());
    let top = full.ancestors().find(|folder| folder.join(".git").exists());
    let below = top.and_then(|top| full.strip_prefix(top).ok()).map(|below| below.to_string_lossy().into_owned());
    below.filter(|below| !below.is_empty()).map(|below| format!("{below}/")).unwrap_or_default()
}

/// Reads files below a root one by one, with a bound on each and on all of them.
pub(super) struct Reader<'a> {
    root: &'a Path,
    overlay: Option<String>,
    /// What was read: path from the root, and text.
    pub(super) files: Vec<(Arc<str>, String)>,
    total: u64,
    /// What could not be read.
    pub(super) problems: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    pub(super) fn new(root: &'a Path) -> Self {
        Self { root, overlay: None, files: Vec::new(), total: 0, problems: Vec::new() }
    }
}

impl Reader<'_> {
    fn refuse(&mut self, path: &str, why: &str) {
        self.problems.push(codes::unreadable(&Place::file(path), why));
    }

    fn folder(&mut self, path: &str, depth: usize) {
        let entries = match std::fs::read_dir(self.root.join(path)) {
            Ok(entries) => entries,
            Err(error) => {
                let shown = if path.is_empty() { self.root.display().to_string() } else { path.to_owned() };
                return self.refuse(&shown, &error.to_string());
            }
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
            let child = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let kind = entry.file_type().ok();
            let counts = counts(&child);
            // A link to a folder is not followed: it may lead in a circle, or out of the repository.
            if counts && kind_of(&child).is_none() && kind.is_some_and(|k| k.is_symlink()) && entry.path().is_dir() {
                self.problems.push(codes::linked_folder(&Place::file(child)));
                continue;
            }
            if kind.is_some_and(|kind| kind.is_dir()) {
                if counts && depth < MAX_FOLDERS {
                    self.folder(&child, depth + 1);
                }
                continue;
            }
            match kind_of(&child) {
                None => {}
                Some(FileKind::Overlay) if self.overlay.as_deref() != Some(&child) => {}
                Some(_) if self.files.len() >= MAX_FILES || self.total > MAX_TOTAL => {
                    let why = "the repository has more than 50,000 files or 512 MiB";
                    if !self.problems.iter().any(|problem| problem.message.contains(why)) {
                        self.refuse(&child, why);
                    }
                }
                Some(_) => self.file(&child),
            }
        }
    }

    /// Reads one file, named by its path from the root.
    pub(super) fn file(&mut self, path: &str) {
        // A link could lead to a secret, which a message would then quote. Opening refuses it, so nothing can be put in the
        // file's place after the look; without waiting, so that a pipe does not hold everything up.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(self.root.join(path), flags, Mode::empty()) {
            Ok(file) => std::fs::File::from(file),
            Err(rustix::io::Errno::LOOP) => {
                return self.refuse(path, "it is a symbolic link; only files of the repository itself are read");
            }
            Err(error) => return self.refuse(path, &std::io::Error::from(error).to_string()),
        };
        match file.metadata() {
            Err(error) => return self.refuse(path, &error.to_string()),
            Ok(data) if !data.is_file() => return self.refuse(path, "it is not a regular file"),
            Ok(data) if data.len() > yaml::MAX_BYTES => {
                let problem = codes::too_large(&Place::file(path), &format!("{} MiB large", data.len() / (1024 * 1024)));
                self.problems.push(problem);
                return;
            }
            Ok(_) => {}
        }
        let mut bytes = Vec::new();
        if let Err(error) = file.take(yaml::MAX_BYTES + 1).read_to_end(&mut bytes) {
            return self.refuse(path, &error.to_string());
        }
        self.total += bytes.len() as u64;
        match utf8(path, bytes) {
            Ok(text) => self.files.push((path.into(), text)),
            Err(problem) => self.problems.push(*problem),
        }
    }
}

/// The folders that are read.
const FOLDERS: [&str; 6] = ["devices", "monitors", "policies", "scripts", "thresholds", "workflows"];

/// The folders below the root that are read, besides the files in it.
pub fn folders() -> &'static [&'static str] {
    &FOLDERS
}

/// Whether a path from the root may be, or hold, a file that is read.
pub fn is_read(path: &str) -> bool {
    counts(path) || kind_of(path).is_some()
}

/// Whether a path is in, or is, one of the folders that are read.
pub(super) fn counts(path: &str) -> bool {
    path.split('/').next().is_some_and(|first| FOLDERS.contains(&first))
}

/// The text of a file, or where it stops being one.
pub(super) fn utf8(path: &str, bytes: Vec<u8>) -> Result<String, Box<Diagnostic>> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = String::from_utf8_lossy(good).matches('\n').count() + 1;
        let start = good.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        let column = String::from_utf8_lossy(&good[start..]).chars().count() + 1;
        let place = Place { file: path.into(), line: line as u32, column: column as u32, length: 1 };
        Box::new(codes::unreadable(&place, "it is not UTF-8 from here on").advice("save the file as UTF-8"))
    })
}

/// The short commit of the working tree, with `-dirty` where something below the root differs from it.
fn commit(root: &Path) -> Option<String> {
    let git = Git::new(root);
    let head = git.line(&["rev-parse", "--short", "HEAD"])?;
    let status = git.ask(&["status", "--porcelain", "--", "."]).ok().filter(|status| status.success);
    let dirty = status.is_none_or(|status| !status.out.is_empty());
    Some(if dirty { format!("{head}-dirty") } else { head })
}
