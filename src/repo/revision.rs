//! Reads revisions of the policy repository out of Git, without touching the working tree: two commands of `git` for any
//! number of files. Also from a bare repository, a shallow clone, and a policy repository that is a folder of a larger one.
//!
//! What a revision holds is judged as files on disk are: the same limits, no symbolic links, nothing outside of the folder.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codes;
use super::compile::{FileKind, LoadOptions, Loaded, World, compile_after, kind_of};
use super::git::Git;
use super::load::{self, MAX_FILES, MAX_FOLDERS, MAX_TOTAL};
use super::yaml::MAX_BYTES;
use crate::diagnose::{Category, Diagnose, Diagnostic};
use crate::model::Place;

/// Why a revision cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RevisionError {
    /// The program is missing or was stopped.
    #[error("git cannot be run: {reason}")]
    Program {
        /// What the system says.
        reason: String,
    },
    /// The folder is not part of a Git repository.
    #[error("{dir} is not in a Git repository{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    NotGit {
        /// The folder.
        dir: String,
        /// What Git says, where that is something else.
        reason: String,
    },
    /// A revision that could be taken for an option, or holds control characters.
    #[error("'{name}' cannot be the name of a revision")]
    BadName {
        /// As given, made harmless.
        name: String,
    },
    /// There is no such commit here.
    #[error("there is no revision '{name}' in this {}", if *shallow { "shallow clone" } else { "repository" })]
    Missing {
        /// As given.
        name: String,
        /// Whether the clone is shallow.
        shallow: bool,
    },
    /// No common ancestor of two revisions.
    #[error("{first} and {second} have no common ancestor in this {}", if *shallow { "shallow clone" } else { "repository" })]
    NoMergeBase {
        /// One side.
        first: String,
        /// The other.
        second: String,
        /// Whether the clone is shallow.
        shallow: bool,
    },
    /// No branch to compare with could be found.
    #[error("there is no upstream branch, main or master to compare with")]
    NoUpstream,
    /// The revision has no rmm.toml, or several folders with one.
    #[error("{}", if folders.is_empty() { format!("the revision '{name}' holds no rmm.toml") } else { format!("the revision '{name}' holds several policy repositories: {}", folders.join(", ")) })]
    NoRepository {
        /// The revision.
        name: String,
        /// Folders that hold one.
        folders: Vec<String>,
    },
    /// A bare repository has no working tree to compare with.
    #[error("a bare repository has no working tree; name both revisions")]
    Bare,
    /// Git answered with more than can be a policy repository.
    #[error("the revision is larger than a policy repository may be")]
    TooLarge,
    /// An object is missing or damaged.
    #[error("git cannot read the revision '{name}': {reason}")]
    Unreadable {
        /// The revision.
        name: String,
        /// What Git says.
        reason: String,
    },
}

impl Diagnose for RevisionError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } | Self::NoMergeBase { .. } | Self::BadName { .. } | Self::NoUpstream | Self::Bare => "RMM0551",
            _ => "RMM0550",
        }
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Program { .. } => "install git, and see that it is in PATH".into(),
            Self::NotGit { .. } => "-C DIR names the repository; a bare one is named by its own folder".into(),
            Self::BadName { .. } => "write a branch, a tag or a commit, such as main..HEAD".into(),
            Self::Missing { name, shallow: true } => {
                let name = name.trim_start_matches("origin/");
                format!("fetch it: git fetch --depth=1 origin {name}, or the whole history: git fetch --unshallow")
            }
            Self::Missing { .. } => "git branch --all lists the branches; git fetch brings what is missing".into(),
            Self::NoMergeBase { shallow: true, .. } => {
                "fetch more of the history: git fetch --unshallow; or compare the two as they are: A..B instead of A...B".into()
            }
            Self::NoMergeBase { .. } => "compare the two as they are: A..B instead of A...B".into(),
            Self::NoUpstream => "name what to compare with: rmm review main".into(),
            Self::NoRepository { folders, .. } if !folders.is_empty() => "name the folder of the one that is meant with --folder".into(),
            Self::NoRepository { .. } => "rmm init writes a repository; --folder names the folder that holds it".into(),
            Self::Bare => "write rmm review BASE..HEAD".into(),
            Self::TooLarge => "a policy repository has at most 50,000 files and 512 MiB".into(),
            Self::Unreadable { .. } => {
                "git fsck tells whether the repository is damaged; git fetch brings what a partial clone left out".into()
            }
        })
    }
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The commit that is compared with, in full.
    pub base: String,
    /// As it was asked for.
    pub base_name: String,
    /// The commit that is reviewed; `None` for the working tree.
    pub head: Option<String>,
    /// As it was asked for; `working tree` where it is that.
    pub head_name: String,
}

/// The Git repository that a policy repository lives in.
#[derive(Debug, Clone)]
pub struct Repository {
    git: Git,
    /// The folder of the policy repository within the Git repository, `fleet/` or empty.
    prefix: String,
    /// The folder on disk; for a bare repository its own.
    root: PathBuf,
    bare: bool,
    shallow: bool,
}

impl Repository {
    /// Finds the Git repository around `dir`. `folder` says where in it the policy repository is, where there is no
    /// working tree that shows it.
    pub fn open(dir: &Path, folder: Option<&str>) -> Result<Self, RevisionError> {
        let git = Git::new(dir);
        let answer = git.ask(&["rev-parse", "--is-bare-repository", "--is-shallow-repository", "--show-prefix"])?;
        let text = String::from_utf8_lossy(&answer.out).into_owned();
        let mut lines = text.lines();
        let (Some(bare), Some(shallow)) = (lines.next(), lines.next()) else {
            let reason = if answer.err.contains("not a git repository") { String::new() } else { first_line(&answer.err) };
            return Err(RevisionError::NotGit { dir: dir.display().to_string(), reason });
        };
        let mut prefix = lines.next().unwrap_or_default().to_owned();
        if let Some(folder) = folder {
            prefix.push_str(folder.trim_matches('/'));
        }
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        let root = match folder {
            Some(folder) => dir.join(folder),
            None => dir.to_path_buf(),
        };
        Ok(Self { git, prefix, root, bare: bare == "true", shallow: shallow == "true" })
    }

    /// The folder of the policy repository within the Git repository: `fleet/`, or empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The folder of the policy repository on disk; of a bare repository its own.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Reads `BASE..HEAD`, `BASE...HEAD`, `BASE` (against the working tree) or nothing (where the branch began, against the
    /// working tree).
    pub fn range(&self, text: Option<&str>) -> Result<Range, RevisionError> {
        let whole = |name: &str| if name.is_empty() { "HEAD".to_owned() } else { name.to_owned() };
        let (base, head, merge) = match text {
            None => (self.upstream()?, None, true),
            Some(text) => match text.split_once("...").map(|pair| (pair, true)).or_else(|| Some((text.split_once("..")?, false))) {
                Some(((base, head), merge)) => (whole(base), Some(whole(head)), merge),
                None => (text.to_owned(), None, false),
            },
        };
        if head.is_none() && self.bare {
            return Err(RevisionError::Bare);
        }
        let base_commit = self.commit(&base)?;
        let head_commit = head.as_deref().map(|head| self.commit(head)).transpose()?;
        let base_commit = if merge {
            let other = match &head_commit {
                Some(commit) => commit.clone(),
                None => self.commit("HEAD")?,
            };
            self.git.line(&["merge-base", &base_commit, &other]).ok_or_else(|| RevisionError::NoMergeBase {
                first: base.clone(),
                second: head.clone().unwrap_or_else(|| "HEAD".into()),
                shallow: self.shallow,
            })?
        } else {
            base_commit
        };
        Ok(Range { base: base_commit, base_name: base, head: head_commit, head_name: head.unwrap_or_else(|| "working tree".into()) })
    }

    /// The branch that this one goes back to.
    fn upstream(&self) -> Result<String, RevisionError> {
        let candidates = ["@{upstream}", "origin/HEAD", "origin/main", "origin/master", "main", "master"];
        let known = candidates.into_iter().find(|name| self.commit(name).is_ok()).ok_or(RevisionError::NoUpstream)?;
        let named = self.git.line(&["rev-parse", "--abbrev-ref", known]);
        Ok(named.filter(|name| self.commit(name).is_ok()).unwrap_or_else(|| known.to_owned()))
    }

    fn commit(&self, name: &str) -> Result<String, RevisionError> {
        if name.is_empty() || name.starts_with('-') || name.len() > 1024 || name.chars().any(char::is_control) {
            let shown = name.chars().take(80).map(|c| if c.is_control() { '?' } else { c }).collect();
            return Err(RevisionError::BadName { name: shown });
        }
        let wanted = format!("{name}^{{commit}}");
        let found = self.git.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]);
        found
            .filter(|commit| commit.bytes().all(|b| b.is_ascii_hexdigit()))
            .ok_or_else(|| RevisionError::Missing { name: name.to_owned(), shallow: self.shallow })
    }

    /// Takes the folder of the policy repository from what a revision holds, where the working tree does not show it.
    pub fn find_folder(&mut self, commit: &str, name: &str) -> Result<(), RevisionError> {
        let entries = self.list(commit, name)?;
        if entries.iter().any(|entry| entry.path == "rmm.toml") {
            return Ok(());
        }
        let mut folders: Vec<String> = entries.iter().filter_map(|e| e.path.strip_suffix("/rmm.toml")).map(str::to_owned).collect();
        folders.sort_by_key(|folder| (folder.matches('/').count(), folder.clone()));
        match folders.as_slice() {
            [only] => {
                self.prefix = format!("{}{only}/", self.prefix);
                self.root = self.root.join(only);
                Ok(())
            }
            _ => Err(RevisionError::NoRepository { name: name.to_owned(), folders }),
        }
    }

    /// Reads and compiles both sides. What they have in common is read once, and they are compiled side by side.
    pub fn load(&self, range: &Range, options: &LoadOptions) -> Result<(Loaded, Loaded), RevisionError> {
        let mut options = options.clone();
        options.root = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let base = self.list(&range.base, &range.base_name)?;
        let head = range.head.as_deref().map(|head| self.list(head, &range.head_name)).transpose()?;
        let overlay = options.env.as_deref().map(|env| format!("rmm.{env}.toml"));
        let base = Selected::new(base, overlay.as_deref());
        let head = head.map(|head| Selected::new(head, overlay.as_deref()));
        let blobs = self.blobs(base.files.iter().chain(head.iter().flat_map(|head| &head.files)), &range.base_name)?;
        let world = |commit: &str| World { commit: Some(commit.chars().take(7).collect()), ..World::default() };
        Ok(std::thread::scope(|scope| {
            let before = scope.spawn(|| {
                let (files, problems) = base.texts(&blobs);
                compile_after(files, &options, world(&range.base), problems)
            });
            let after = match (&head, &range.head) {
                (Some(head), Some(commit)) => {
                    let (files, problems) = head.texts(&blobs);
                    compile_after(files, &options, world(commit), problems)
                }
                _ => load::load(&options),
            };
            // A panic while compiling is one of this program: it goes on as one.
            let before = before.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (before, after)
        }))
    }

    /// Reads and compiles one commit as if it lay in `options.root`.
    pub fn load_commit(&self, commit: &str, options: &LoadOptions) -> Result<Loaded, RevisionError> {
        let overlay = options.env.as_deref().map(|env| format!("rmm.{env}.toml"));
        let selected = Selected::new(self.list(commit, commit)?, overlay.as_deref());
        let blobs = self.blobs(selected.files.iter(), commit)?;
        let world = World { commit: Some(commit.chars().take(7).collect()), ..World::default() };
        let (files, problems) = selected.texts(&blobs);
        Ok(compile_after(files, options, world, problems))
    }

    /// Every file of a commit below the folder of the policy repository.
    pub(super) fn list(&self, commit: &str, name: &str) -> Result<Vec<Entry>, RevisionError> {
        let folder = self.prefix.trim_end_matches('/');
        let tree = if folder.is_empty() { commit.to_owned() } else { format!("{commit}:{folder}") };
        if !folder.is_empty() && self.git.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &tree]).is_none() {
            // The folder did not exist at that time: an empty repository.
            return Ok(Vec::new());
        }
        let answer = self.git.ask(&["ls-tree", "-r", "-z", "-l", "--full-tree", "--end-of-options", &tree])?;
        if !answer.success {
            return Err(RevisionError::Unreadable { name: name.to_owned(), reason: first_line(&answer.err) });
        }
        Ok(answer.out.split(|b| *b == 0).filter_map(|line| Entry::read(std::str::from_utf8(line).ok()?)).collect())
    }

    /// The contents of every file that is wanted, by object.
    pub(super) fn blobs<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
        name: &str,
    ) -> Result<HashMap<String, Vec<u8>>, RevisionError> {
        let mut wanted: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in entries {
            wanted.insert(&entry.object, entry.size);
        }
        if wanted.is_empty() {
            return Ok(HashMap::new());
        }
        let input: String = wanted.keys().map(|object| format!("{object}\n")).collect();
        let most: u64 = wanted.values().map(|size| size + 128).sum();
        let answer = self.git.exchange(&["cat-file", "--batch", "--buffer"], input.into_bytes(), most)?;
        let unreadable = |reason: String| RevisionError::Unreadable { name: name.to_owned(), reason };
        let mut found = HashMap::with_capacity(wanted.len());
        let mut rest = answer.out.as_slice();
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let parts: Vec<&str> = head.split(' ').collect();
            let [object, "blob", size] = parts[..] else { return Err(unreadable(format!("an object is missing ({head})"))) };
            let size: usize = size.parse().map_err(|_| unreadable("an answer that is none".into()))?;
            let bytes = rest.get(end + 1..end + 1 + size).ok_or_else(|| unreadable(first_line(&answer.err)))?;
            found.insert(object.to_owned(), bytes.to_vec());
            rest = rest.get(end + 2 + size..).unwrap_or_default();
        }
        if found.len() < wanted.len() {
            return Err(unreadable(first_line(&answer.err)));
        }
        Ok(found)
    }
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or("no reason given");
    line.trim_start_matches("fatal: ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}

/// One line of `git ls-tree -l`.
pub(super) struct Entry {
    pub(super) mode: String,
    pub(super) object: String,
    pub(super) size: u64,
    pub(super) path: String,
}

impl Entry {
    fn read(line: &str) -> Option<Self> {
        let (head, path) = line.split_once('\t')?;
        let mut words = head.split_whitespace();
        let (mode, _kind, object, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        Some(Self { mode: mode.into(), object: object.into(), size: size.parse().unwrap_or(0), path: path.into() })
    }
}

/// The files of a revision that count, and what is wrong with the others.
struct Selected {
    files: Vec<Entry>,
    problems: Vec<Diagnostic>,
}

impl Selected {
    fn new(entries: Vec<Entry>, overlay: Option<&str>) -> Self {
        let mut selected = Self { files: Vec::new(), problems: Vec::new() };
        let mut total = 0;
        for entry in entries {
            let path = entry.path.as_str();
            let place = || Place::file(path);
            if path.split('/').any(|name| name.starts_with('.')) || path.matches('/').count() > MAX_FOLDERS {
                continue;
            }
            let counts = load::counts(path);
            let kind = kind_of(path);
            match entry.mode.as_str() {
                "160000" if counts => {
                    let problem =
                        Diagnostic::warning("RMM0106", "is not read: it is a submodule; only files of the repository itself are read");
                    selected.problems.push(problem.at(&place()));
                }
                "120000" if kind.is_some() => {
                    let why = "it is a symbolic link; only files of the repository itself are read";
                    selected.problems.push(codes::unreadable(&place(), why));
                }
                "120000" if counts => selected.problems.push(codes::linked_folder(&place())),
                "100644" | "100755" | "100664" => match kind {
                    None => {}
                    Some(FileKind::Overlay) if overlay != Some(path) => {}
                    Some(_) if selected.files.len() >= MAX_FILES || total > MAX_TOTAL => {
                        let why = "the repository has more than 50,000 files or 512 MiB";
                        if !selected.problems.iter().any(|problem| problem.message.contains(why)) {
                            selected.problems.push(codes::unreadable(&place(), why));
                        }
                    }
                    Some(_) if entry.size > MAX_BYTES => {
                        let problem = codes::too_large(&place(), &format!("{} MiB large", entry.size / (1024 * 1024)));
                        selected.problems.push(problem);
                    }
                    Some(_) => {
                        total += entry.size;
                        selected.files.push(entry);
                    }
                },
                _ => {}
            }
        }
        selected
    }

    /// The texts, and every problem of the reading.
    fn texts(&self, blobs: &HashMap<String, Vec<u8>>) -> (Vec<(Arc<str>, String)>, Vec<Diagnostic>) {
        let mut problems = self.problems.clone();
        let mut files = Vec::with_capacity(self.files.len());
        for entry in &self.files {
            let Some(bytes) = blobs.get(&entry.object) else { continue };
            match load::utf8(&entry.path, bytes.clone()) {
                Ok(text) => files.push((Arc::from(entry.path.as_str()), text)),
                Err(problem) => problems.push(*problem),
            }
        }
        (files, problems)
    }
}
