//! How many devices are at work at once. One behind a share does nothing for most of its time but wait until the device looks there, and one that is
//! switched off waits to the end: such devices have places of their own, and hold up nobody who is reached directly.

use std::collections::VecDeque;
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

/// What is to be done on devices and has no place yet: each kind of device in its order.
#[derive(Debug)]
pub struct Waiting<T> {
    direct: VecDeque<T>,
    behind_shares: VecDeque<T>,
}

impl<T> FromIterator<(TransportKind, T)> for Waiting<T> {
    fn from_iter<I: IntoIterator<Item = (TransportKind, T)>>(items: I) -> Self {
        let mut waiting = Self { direct: VecDeque::new(), behind_shares: VecDeque::new() };
        for (transport, item) in items {
            let queue = if transport == TransportKind::Share { &mut waiting.behind_shares } else { &mut waiting.direct };
            queue.push_back(item);
        }
        waiting
    }
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

    /// Takes out the next for which there is a place, and gives that place with it; nothing where nothing waits. Where there is a place of
    /// either kind, whoever is behind a share goes first, and waits for its device to look while the others are at work.
    pub async fn next<T>(&self, waiting: &mut Waiting<T>) -> Option<(OwnedSemaphorePermit, T)> {
        let (place, queue) = tokio::select! {
            biased;
            place = self.take(TransportKind::Share), if !waiting.behind_shares.is_empty() => (place?, &mut waiting.behind_shares),
            place = self.take(TransportKind::Ssh), if !waiting.direct.is_empty() => (place?, &mut waiting.direct),
            else => return None,
        };
        queue.pop_front().map(|item| (place, item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_behind_shares_holds_up_nobody_else() {
        let places = Places::new(1, 1);
        let (share, direct) = (TransportKind::Share, TransportKind::Winrm);
        let mut waiting: Waiting<u32> = [(share, 0), (share, 1), (direct, 2), (share, 3), (direct, 4)].into_iter().collect();
        let (off, first) = places.next(&mut waiting).await.unwrap();
        let (place, second) = places.next(&mut waiting).await.unwrap();
        assert_eq!((first, second), (0, 2));
        drop(place);
        let (_place, third) = places.next(&mut waiting).await.unwrap();
        assert_eq!(third, 4);
        drop(off);
        let (off, fourth) = places.next(&mut waiting).await.unwrap();
        drop(off);
        let (_off, fifth) = places.next(&mut waiting).await.unwrap();
        assert_eq!((fourth, fifth), (1, 3));
        assert!(places.next(&mut waiting).await.is_none());
    }
}
