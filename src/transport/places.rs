//! How many devices are at work at once. One behind a share does nothing for most of its time but wait until the device looks there, and one that is
//! switched off waits to the end: such devices have places of their own, and hold up nobody who is reached directly.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::device::TransportKind;

/// Devices behind shares that are observed at once. Each costs a small file and a look every few seconds.
pub const BEHIND_SHARES: usize = 1_024;

/// Places for devices, by how they are reached. Clones share them.
#[derive(Debug, Clone)]
pub struct Places {
    direct: Arc<Semaphore>,
    behind_shares: Arc<Semaphore>,
}

impl Places {
    /// So many for devices that are reached directly, and so many for those behind shares; one at least.
    pub fn new(direct: usize, behind_shares: usize) -> Self {
        let places = |most: usize| Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)));
        Self { direct: places(direct), behind_shares: places(behind_shares) }
    }

    /// Waits for a place; it is free again when what is given here is dropped.
    pub async fn take(&self, transport: TransportKind) -> Option<OwnedSemaphorePermit> {
        let places = if transport == TransportKind::Share { &self.behind_shares } else { &self.direct };
        // They are never closed.
        Arc::clone(places).acquire_owned().await.ok()
    }
}
