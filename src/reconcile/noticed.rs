//! What the keeper has noticed of devices, for those who start and drive runs. Bounded by the fleet: each device is noted once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

type Names = BTreeSet<Arc<str>>;

#[derive(Debug, Default)]
struct Inner {
    changed: Mutex<Names>,
    returned: Mutex<Names>,
    back: Notify,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Noticed(Arc<Inner>);

fn take(names: &Mutex<Names>) -> Names {
    std::mem::take(&mut *names.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Noticed {
    /// What has been written of a device is other than before, or it was away and answers.
    pub(super) fn note(&self, device: &Arc<str>, changed: bool, returned: bool) {
        let put = |names: &Mutex<Names>| names.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(device));
        if changed {
            put(&self.0.changed);
        }
        if returned {
            put(&self.0.returned);
            self.0.back.notify_one();
        }
    }

    /// Devices whose facts have changed since the last call.
    pub(super) fn changed(&self) -> Names {
        take(&self.0.changed)
    }

    /// Waits for devices that were away and answer.
    pub(super) async fn returned(&self) -> Names {
        loop {
            let names = take(&self.0.returned);
            if !names.is_empty() {
                return names;
            }
            self.0.back.notified().await;
        }
    }
}
