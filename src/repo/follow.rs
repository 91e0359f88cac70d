//! Follows a branch of a remote: fetches into a bare repository of its own, refuses what is not a continuation of what is in
//! force or not signed by a trusted key, and compiles commits straight from there. No working tree is ever written.
//!
//! What is followed has no say in what is trusted: remote, branch and keys come from the files of this machine.
//! `reconcile/` asks again and again; every other command reads the commit that is in force.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::compile::{LoadOptions, Loaded};
use super::disk::Disk;
use super::git::Git;
use super::revision::{Repository, RevisionError};
use super::signed::{Signers, verify};
use crate::diagnose::{Category, Diagnose};
use crate::model::config;

/// The commit that is in force.
const GOOD: &str = "refs/rmm/good";
/// What was fetched last.
const INCOMING: &str = "refs/rmm/incoming";
/// Most commits that are taken, and verified, in one step.
const MOST_COMMITS: usize = 2_000;

/// Why a step is not taken. What is in force stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// The settings cannot be meant.
    #[error("[repository] cannot be followed: {reason}")]
    Settings {
        /// Why.
        reason: String,
    },
    /// The remote did not answer, or has no such branch.
    #[error("branch {branch} cannot be fetched from {remote}: {reason}")]
    Remote {
        /// Its address, without what may be a password in it.
        remote: String,
        /// The branch.
        branch: String,
        /// What Git says.
        reason: String,
    },
    /// The branch no longer contains what is in force.
    #[error("branch {branch} was rewritten: {from} is no longer part of it, {to} is its head")]
    Rewritten {
        /// The branch.
        branch: String,
        /// In force.
        from: String,
        /// Offered.
        to: String,
    },
    /// A commit without a signature that counts.
    #[error("commit {commit} is refused: {reason}")]
    Unsigned {
        /// The commit.
        commit: String,
        /// Why.
        reason: String,
    },
    /// What it brings is more than the repository here may take on disk.
    #[error("branch {branch} of {remote} is too large: with it the repository here takes more than {most} bytes (repository.max_bytes)")]
    TooLarge {
        /// Its address, without what may be a password in it.
        remote: String,
        /// The branch.
        branch: String,
        /// Most bytes.
        most: u64,
    },
    /// More than is taken at once.
    #[error("branch {branch} is more than {MOST_COMMITS} commits ahead of what is in force")]
    TooMany {
        /// The branch.
        branch: String,
    },
    /// The repository here cannot be used.
    #[error(transparent)]
    Git(#[from] RevisionError),
}

impl Diagnose for FollowError {
    fn code(&self) -> &'static str {
        match self {
            Self::Settings { .. } => "RMM0662",
            Self::Remote { .. } => "RMM0663",
            Self::Rewritten { .. } | Self::TooMany { .. } => "RMM0664",
            Self::Unsigned { .. } => "RMM0665",
            Self::TooLarge { .. } => "RMM0669",
            Self::Git(error) => error.code(),
        }
    }

    fn category(&self) -> Category {
        if matches!(self, Self::Remote { .. }) { Category::Transient } else { Category::Configuration }
    }

    fn advice(&self) -> Option<String> {
        match self {
            Self::Remote { .. } => Some("git ls-remote with the same address, as the same user, tells more".into()),
            Self::Rewritten { to, .. } => Some(format!("if that was meant: rmm reconcile --accept-history {to}")),
            Self::TooMany { .. } => Some("if that is right, name its head: rmm reconcile --accept-history COMMIT".into()),
            Self::Unsigned { .. } => Some("sign it with a trusted key, or add the key on this machine".into()),
            Self::TooLarge { .. } => Some("take large files out of the branch, or allow more on this machine".into()),
            Self::Settings { .. } => None,
            Self::Git(error) => error.advice(),
        }
    }
}

/// A branch that is followed.
#[derive(Debug, Clone)]
pub struct Follower {
    dir: PathBuf,
    git: Git,
    remote: String,
    branch: String,
    folder: Option<String>,
    timeout: Duration,
    most: u64,
    disk: Disk,
    signers: Option<Signers>,
}

impl Follower {
    /// Prepares following as `[repository]` says; `None` where it names no remote. `root` holds `rmm.toml`, `state` is the
    /// folder of the database; paths of keys are understood from `root`.
    pub fn open(settings: &config::Repository, root: &Path, state: &Path) -> Result<Option<Self>, FollowError> {
        let refuse = |reason: &str| Err(FollowError::Settings { reason: reason.to_owned() });
        let Some(remote) = settings.remote.clone() else {
            if settings.require_signed_commits {
                return refuse("require_signed_commits needs a remote: files of a folder carry no signature");
            }
            return Ok(None);
        };
        let hostile = |text: &str| text.is_empty() || text.starts_with('-') || text.len() > 2048 || text.chars().any(char::is_control);
        if hostile(&remote) || remote.contains("::") {
            return refuse("remote is not an address");
        }
        let odd = |c: char| c.is_whitespace() || "~^:?*[\\".contains(c);
        if hostile(&settings.branch) || settings.branch.contains(odd) || settings.branch.contains("..") {
            return refuse("branch is not the name of a branch");
        }
        let signers = if settings.require_signed_commits { Some(Signers::new(settings, root)?) } else { None };
        // A folder of this machine is meant from where rmm.toml stands.
        let remote =
            if remote.contains(':') || Path::new(&remote).is_absolute() { remote } else { root.join(remote).display().to_string() };
        let dir = std::path::absolute(state.join("repository.git")).unwrap_or_else(|_| state.join("repository.git"));
        let follower = Self {
            git: Git::new(&dir),
            most: settings.max_bytes,
            disk: Disk::new(&dir, settings.max_bytes),
            dir,
            remote,
            branch: settings.branch.clone(),
            folder: settings.folder.clone(),
            timeout: settings.timeout.duration(),
            signers,
        };
        follower.create()?;
        Ok(Some(follower))
    }

    fn create(&self) -> Result<(), FollowError> {
        if self.dir.join("HEAD").is_file() {
            return Ok(());
        }
        let failed = |reason: String| FollowError::Git(RevisionError::Program { reason });
        std::fs::create_dir_all(&self.dir).map_err(|error| failed(format!("{}: {error}", self.dir.display())))?;
        let made = self.git.ask(&["init", "--quiet", "--bare", "--template="])?;
        if made.success { Ok(()) } else { Err(failed(made.err)) }
    }

    /// The commit that is in force, where there is one yet.
    pub fn good(&self) -> Option<String> {
        self.git.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{GOOD}^{{commit}}")])
    }

    /// The remote's address as it may be shown: without what stands before an `@` in it.
    pub fn shown(&self) -> String {
        match (self.remote.split_once("://"), self.remote.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
            _ => self.remote.clone(),
        }
    }

    /// Fetches the branch. Says which commit is its head now.
    pub fn fetch(&self, cancelled: &dyn Fn() -> bool) -> Result<String, FollowError> {
        let refused = |reason: String| {
            let reason = reason.replace(&self.remote, &self.shown());
            FollowError::Remote { remote: self.shown(), branch: self.branch.clone(), reason }
        };
        // Of the ways to speak to a remote, those that name a program to be run stay forbidden.
        let git =
            ["https", "ssh", "git", "http", "file"].iter().fold(self.git.clone(), |git, p| git.with(format!("protocol.{p}.allow=always")));
        let git = git
            .with("fetch.fsckObjects=true")
            .with("fetch.recurseSubmodules=false")
            // One file for each fetch: many small ones would be many places on the disk.
            .with("fetch.unpackLimit=1")
            .with("core.askPass=")
            .variable("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20");
        let refspec = format!("+refs/heads/{}:{INCOMING}", self.branch);
        let arguments = ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--prune", "--end-of-options", &self.remote, &refspec];
        if let Err(error) = self.disk.tidy(&self.git, self.timeout, cancelled) {
            // It is tried again next time, and what is too much is noticed without.
            tracing::warn!(%error, "what was fetched cannot be packed");
        }
        let full = self.disk.watch();
        let answer = git.wait(&arguments, self.timeout, &|| full() || cancelled());
        if self.disk.is_full() {
            return Err(self.too_large(cancelled));
        }
        let answer = answer.map_err(|error| refused(error.to_string()))?;
        if !answer.success {
            let said = answer.err.lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:"));
            return Err(refused(said.or_else(|| answer.err.lines().next()).unwrap_or("git says nothing").to_owned()));
        }
        let head = self.git.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{INCOMING}^{{commit}}")]);
        head.ok_or_else(|| refused("it has no such branch".into()))
    }

    /// It brought too much: what is not in force is taken away again.
    fn too_large(&self, cancelled: &dyn Fn() -> bool) -> FollowError {
        let forgotten = self.git.ask(&["update-ref", "-d", "--end-of-options", INCOMING]);
        let done = forgotten.and_then(|_| self.disk.throw_away(&self.git, self.timeout, cancelled));
        if let Err(error) = done {
            tracing::warn!(%error, "what was fetched cannot be taken away");
        }
        FollowError::TooLarge { remote: self.shown(), branch: self.branch.clone(), most: self.most }
    }

    /// Whether `to` may follow what is in force: it contains that, and every commit between them is signed as it has to be.
    /// `accepted` is a commit whose history a person has accepted as a new beginning.
    pub fn check(&self, to: &str, accepted: Option<&str>) -> Result<(), FollowError> {
        let good = self.good();
        let short = |commit: &str| commit.chars().take(12).collect::<String>();
        let begins = accepted.is_some_and(|wanted| wanted.len() >= 7 && to.starts_with(wanted));
        let from = match &good {
            Some(good) if good == to => return Ok(()),
            Some(good) if !begins => {
                if !self.git.ask(&["merge-base", "--is-ancestor", "--end-of-options", good, to])?.success {
                    return Err(FollowError::Rewritten { branch: self.branch.clone(), from: short(good), to: short(to) });
                }
                Some(good)
            }
            _ => None,
        };
        let Some(signers) = &self.signers else { return Ok(()) };
        let commits = match from {
            // The first one vouches for what came before it.
            None => vec![to.to_owned()],
            Some(good) => {
                let most = format!("--max-count={}", MOST_COMMITS + 1);
                let listed = self.git.ask(&["rev-list", &most, "--end-of-options", &format!("{good}..{to}")])?;
                String::from_utf8_lossy(&listed.out).lines().map(str::to_owned).collect()
            }
        };
        if commits.len() > MOST_COMMITS {
            return Err(FollowError::TooMany { branch: self.branch.clone() });
        }
        // A range that could not be listed is not one without commits.
        if !commits.iter().any(|commit| commit == to) {
            return Err(FollowError::Unsigned { commit: short(to), reason: "its history cannot be listed".into() });
        }
        verify(&self.git, signers, &self.dir, &commits)
    }

    /// Compiles a commit. `[repository]` in it counts for nothing: `settings` are those of this machine.
    pub fn load(&self, commit: &str, options: &LoadOptions, settings: &config::Repository) -> Result<Loaded, FollowError> {
        let mut repository = Repository::open(&self.dir, self.folder.as_deref())?;
        if self.folder.is_none() {
            repository.find_folder(commit, commit)?;
        }
        let mut loaded = repository.load_commit(commit, options)?;
        if let Some(set) = &mut loaded.set {
            set.config.repository = settings.clone();
            // Of the same commit, and with the set from here on: a value is never taken from one and its use from another.
            let (sealed, problems) = repository.sealed(commit)?;
            set.sealed = Some(Arc::new(sealed));
            loaded.problems.extend(problems);
        }
        loaded.lay_over();
        Ok(loaded)
    }

    /// From now on this commit is in force.
    pub fn accept(&self, commit: &str) -> Result<(), FollowError> {
        let done = self.git.ask(&["update-ref", "--end-of-options", GOOD, commit])?;
        if done.success { Ok(()) } else { Err(RevisionError::Program { reason: done.err }.into()) }
    }
}
