//! Upkeep of the database: values summed up and archived as they age, what is too old forgotten, the file kept whole.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::blocking::blocking;
use super::error::ReconcileError;
use super::sets::Sets;
use crate::apply::survey::retention;
use crate::store::{Store, StoreError};

/// How often it is looked whether something is due. Where nothing is, that costs next to nothing.
const EVERY: Duration = Duration::from_mins(5);

/// Works until `stop`. What cannot be done now is tried again: nothing else waits for it.
pub(super) async fn run(sets: Arc<Sets>, store: Store, stop: CancellationToken) -> Result<(), ReconcileError> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let (store, keep) = (store.clone(), retention(&sets.current().config));
        match blocking(move || store.upkeep(&keep)).await {
            Ok(done) if done.removed + done.archived > 0 => {
                tracing::info!(rolled_up = done.rolled_up, removed = done.removed, archived = done.archived, "upkeep of the database");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "upkeep of the database"),
        }
    }
}

/// Once a week: whether the file is whole, and free pages given back. What is damaged is said at once, while the last backup
/// is still good.
pub(super) fn weekly(store: &Store) -> Result<(), StoreError> {
    for problem in store.integrity_check()? {
        tracing::error!("the database is damaged: {problem}");
    }
    store.vacuum().map(drop)
}
