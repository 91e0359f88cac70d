//! The database: SQLite in WAL mode, one writer, many readers. One file per family of tables.
//!
//! Everything is synchronous; callers on an async runtime use `spawn_blocking` for what takes long. A [`Store`] is a
//! handle: clone it freely. Times are kept to the millisecond. All values are bound, never pasted into SQL.
//! What is asked, and why, is decided above: here it is only kept, and kept safely.

mod alerts;
mod archive;
mod archive_file;
mod audit;
mod backup;
mod chain;
mod checks;
mod column;
mod convergence;
mod deliveries;
mod devices;
mod error;
mod events;
mod facts;
mod facts_read;
mod facts_source;
mod figures;
mod fleet;
mod health;
mod inspect;
mod jobs;
mod jobs_read;
mod journal;
mod leases;
mod membership;
mod moment;
mod open;
mod owner;
mod policies;
mod pool;
mod queue;
mod retention;
mod rollup;
mod runs;
mod samples;
mod schedules;
mod series;
mod silences;
mod state_file;
mod suspensions;
mod timeline;
mod unused;
mod updates;
mod upkeep;
mod values;
mod verdicts;
mod workflow_resume;
mod workflow_runs;
mod workflow_steps;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::time::Clock;

pub use alerts::{AlertBatch, AlertFilter};
pub use audit::{AuditEvent, AuditFilter, AuditRow};
pub use backup::Copied;
pub use chain::{Broken, Head, Verified};
pub use checks::{CheckChange, CheckState};
pub use convergence::{ChangeOutcome, Convergence};
pub use deliveries::{DeliveryFilter, DeliveryResult};
pub use devices::{DeviceRow, DeviceState, GroupRow, SiteRow, Status};
pub use error::StoreError;
pub use events::EventFilter;
pub use facts::{Merge, Observation, PutOutcome};
pub use facts_read::FactVersion;
pub use figures::WorkflowFigures;
pub use fleet::Fingerprint;
pub use health::HealthRow;
pub use jobs::{JobBatch, JobChange};
pub use jobs_read::{Among, JobFilter};
pub use journal::Step;
pub use leases::Lease;
pub use membership::{Belongs, Came};
pub use owner::Owner;
pub use retention::{Retention, Upkept};
pub use rollup::RolledUp;
pub use samples::{DeviceSamples, Sample};
pub use schedules::ScheduleRow;
pub use series::SeriesName;
pub use state_file::{Header, STATE_SCHEMA, StateError, StateFile};
pub use timeline::Rollup;
pub use updates::{UpdateHistoryFilter, UpdateHistoryRow};
pub use verdicts::{PutVerdict, VerdictInterval};
pub use workflow_runs::{RunFilter, Started};
pub use workflow_steps::StepChange;

/// A handle on the database of one policy repository.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    // Tells what this handle wrote from what others did.
    owner: Owner,
    series: series::Memory,
    readers: pool::Readers,
    // Closed last (members go in this order): only a connection that may write empties the log and removes the files beside
    // the database, and only the last one does. Where another process has it open, SQLite leaves them to that one.
    writer: Mutex<Connection>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Changes when another process, or another [`Store`] of this one, has committed something since the last call. What it
    /// is means nothing. Cheap enough to ask ten times a second; waits for a write of this store that is under way.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        // The connection that writes: what it committed itself does not count.
        self.writer().pragma_query_value(None, "data_version", |row| row.get(0)).map_err(|e| StoreError::of(&e, &self.inner.path))
    }

    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.inner.clock.now()
    }

    /// On the clock that nobody sets.
    fn steady(&self) -> Option<i64> {
        self.inner.clock.steady().and_then(|since| i64::try_from(since.as_millis()).ok())
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // A panic in the middle of a transaction rolled it back when the transaction was dropped.
        self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` in one transaction that holds the write lock from its start, across processes.
    fn write<T>(&self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure>) -> Result<T, StoreError> {
        let mut connection = self.writer();
        let done = (|| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        done.map_err(|failure: Failure| failure.at(&self.inner.path))
    }

    /// Reads on one consistent state, beside whoever writes.
    fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let reader = self.inner.readers.take()?;
        let done = (|| {
            // Ends (rolled back, as nothing was written) when dropped.
            let snapshot = reader.unchecked_transaction()?;
            work(&snapshot)
        })();
        done.map_err(|failure: Failure| failure.at(&self.inner.path))
    }
}

/// An error on its way up to where the path of the database is known.
enum Failure {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl Failure {
    fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Sql(error) => StoreError::of(&error, path),
            Self::Store(error) => error,
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<rusqlite::types::FromSqlError> for Failure {
    fn from(error: rusqlite::types::FromSqlError) -> Self {
        Self::Sql(error.into())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The beginning of a text, at most `most` bytes of it.
fn clip(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}
