//! What can go wrong with the database, each with a code and advice.

use std::path::{Path, PathBuf};

use crate::diagnose::{Category, Diagnose};
use crate::model::run::{ChangeState, RunState};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of `rmm` has written the database.
    #[error("the database {path} has version {found}, and this rmm knows versions up to {known}", path = .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version that is understood.
        known: i64,
    },
    /// The file is not intact.
    #[error("the database {path} is damaged: {why}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The file or its directory may not be written.
    #[error("the database {path} is read-only", path = .path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the write lock longer than is waited for.
    #[error("the database {path} is locked by another process", path = .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room is left.
    #[error("there is no room left for the database {path}", path = .path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("the database {path} cannot be used: {why}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// An SQLite file that some other program has made.
    #[error("{path} is a database, but not one of rmm", path = .path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The journal does not accept this step.
    #[error("change {seq} of run {run} is {from} and cannot become {to}")]
    Transition {
        /// Run.
        run: String,
        /// Position in the run.
        seq: i64,
        /// Where it is.
        from: ChangeState,
        /// What was asked for.
        to: ChangeState,
    },
    /// The run does not accept this step.
    #[error("run {run} is {from} and cannot become {to}")]
    RunTransition {
        /// Run.
        run: String,
        /// Where it is.
        from: RunState,
        /// What was asked for.
        to: RunState,
    },
    /// What is kept does not accept this step.
    #[error("{what} {name} is {from} and cannot become {to}")]
    Step {
        /// Kind of thing: `alert`, `delivery`, `silence`.
        what: &'static str,
        /// Its id.
        name: String,
        /// Where it is.
        from: &'static str,
        /// What was asked for.
        to: &'static str,
    },
    /// Another process has written it since it was read.
    #[error("{what} {name} was changed by another process in the meantime")]
    Changed {
        /// Kind of thing.
        what: &'static str,
        /// Its id.
        name: String,
    },
    /// Another daemon serves this database.
    #[error("another daemon serves this database (until {until} unless it goes on)", until = .until.format("%H:%M:%S UTC"))]
    DaemonRuns {
        /// When its lease ends unless renewed.
        until: chrono::DateTime<chrono::Utc>,
    },
    /// A file of the archive cannot be read or written.
    #[error("the archive file {path} cannot be used: {why}", path = .path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// No such run, change or device.
    #[error("there is no {what} '{name}' in the database")]
    Missing {
        /// Kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else is at work on it.
    #[error("{name} is being changed by run {run} (until {until} at the latest)", until = .until.format("%H:%M:%S UTC"))]
    Leased {
        /// What is leased: `device db-1`.
        name: String,
        /// The run that holds it.
        run: String,
        /// When the lease ends unless renewed.
        until: chrono::DateTime<chrono::Utc>,
    },
    /// More than the database takes.
    #[error("{what} has {size}, and at most {most} are kept")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How large it is, with the unit.
        size: String,
        /// The bound.
        most: u64,
    },
    /// A statement failed for a reason that no other variant names.
    #[error("the database refused a statement: {0}")]
    Statement(String),
}

/// The size of SQLite's shared memory beside the database, in bytes: the first thing that it makes.
const SHARED_MEMORY: u64 = 32 * 1024;

/// Whether the disk under a file has no room for even that.
fn is_full(path: &Path) -> bool {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::statvfs(folder).is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < SHARED_MEMORY)
}

impl StoreError {
    /// What an error of SQLite means for the file at `path`.
    pub(super) fn of(error: &rusqlite::Error, path: &Path) -> Self {
        use rusqlite::ErrorCode as Code;
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Locked { path },
            Some(Code::DiskFull) => Self::Full { path },
            // SQLite does not say why its shared memory could not be made; a disk without room is why.
            Some(Code::SystemIoFailure | Code::CannotOpen) if is_full(&path) => Self::Full { path },
            Some(Code::DatabaseCorrupt | Code::NotADatabase) => Self::Damaged { path, why: error.to_string() },
            Some(Code::ReadOnly) => Self::ReadOnly { path },
            Some(Code::CannotOpen | Code::SystemIoFailure | Code::PermissionDenied) => Self::Io { path, why: error.to_string() },
            _ => match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => Self::Damaged { path, why: error.to_string() },
                _ => Self::Statement(error.to_string()),
            },
        }
    }

    /// What an error of the file system means for the file at `path`.
    pub(super) fn of_io(error: &std::io::Error, path: &Path) -> Self {
        use std::io::ErrorKind;
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            _ => Self::Io { path, why: error.to_string() },
        }
    }
}

impl Diagnose for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Newer { .. } => "RMM0501",
            Self::Damaged { .. } => "RMM0502",
            Self::ReadOnly { .. } => "RMM0503",
            Self::Locked { .. } => "RMM0504",
            Self::Full { .. } => "RMM0505",
            Self::Io { .. } => "RMM0506",
            Self::Foreign { .. } => "RMM0507",
            Self::Transition { .. } | Self::RunTransition { .. } => "RMM0508",
            Self::Leased { .. } => "RMM0509",
            Self::Missing { .. } => "RMM0510",
            Self::TooLarge { .. } => "RMM0511",
            Self::Statement(_) => "RMM0512",
            Self::Step { .. } => "RMM0590",
            Self::Changed { .. } => "RMM0591",
            Self::DaemonRuns { .. } => "RMM0592",
            Self::Archive { .. } => "RMM0593",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Locked { .. } | Self::Leased { .. } | Self::Changed { .. } | Self::DaemonRuns { .. } => Category::Transient,
            Self::Missing { .. } | Self::TooLarge { .. } | Self::Step { .. } => Category::Configuration,
            _ => Category::Fatal,
        }
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Newer { .. } => {
                "use the newer rmm, or restore the backup that was made before the upgrade; the file was not touched".into()
            }
            Self::Damaged { path, .. } => {
                format!("keep a copy of {}, then restore the last backup, or let `rmm init --repair` save what can be read", path.display())
            }
            Self::ReadOnly { path } => {
                format!("give yourself the right to write {} and its directory, or name another file with --db", path.display())
            }
            Self::Locked { .. } => "wait until the other rmm has finished, or look for one that hangs".into(),
            Self::Full { .. } => "free some space and start again: nothing that was committed is lost".into(),
            Self::Io { .. } => "look at the disk and at the rights of the directory; --db names another file".into(),
            Self::Foreign { .. } => "name another file with --db; this one was not touched".into(),
            Self::Transition { .. } | Self::RunTransition { .. } => {
                "look at the run with `rmm status`; it may have been resumed elsewhere".into()
            }
            Self::Leased { run, .. } => format!("wait for run {run}, or resume it with `rmm apply --resume {run}`"),
            Self::Step { what, .. } => format!("look at the {what} again: somebody else, or the daemon, may have been faster"),
            Self::Changed { what, .. } => format!("look at the {what} again, then decide again"),
            Self::DaemonRuns { .. } => "wait as its standby, or stop the other one".into(),
            Self::Archive { path, .. } => {
                format!("put back {} from a backup, or move it away: its day is then without values", path.display())
            }
            Self::Missing { .. } => "look for a spelling mistake".into(),
            Self::TooLarge { .. } => "split what is written, or collect less".into(),
            Self::Statement(_) => "this is a defect of rmm: please report it with the text above".into(),
        })
    }
}
