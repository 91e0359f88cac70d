//! Upkeep of the database that takes its time.

use crate::store::{Store, StoreError};

/// Once a week: whether the file is whole. What is damaged is said at once, while the last backup is still good.
pub(super) fn weekly(store: &Store) -> Result<(), StoreError> {
    for problem in store.integrity_check()? {
        tracing::error!("the database is damaged: {problem}");
    }
    Ok(())
}
