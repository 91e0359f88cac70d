//! What monitors want from the visits of each device: states of services, records of logs. The keeper, who owns the monitors,
//! writes it; whoever asks devices reads it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::collect::events::Wanted;
use crate::collect::watch::Watch;
use crate::repo::PolicySet;

/// Of one device.
#[derive(Debug, Clone, Default)]
pub(super) struct OfDevice {
    /// Its services are watched.
    pub(super) services: bool,
    /// What to fetch from its log.
    pub(super) logs: Option<Arc<Wanted>>,
}

/// Of all devices that have any.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched(Arc<RwLock<HashMap<String, OfDevice>>>);

impl Watched {
    /// What these monitors want.
    pub(super) fn set(&self, set: &PolicySet, watch: &Watch) {
        let mut all = HashMap::new();
        for name in set.devices.keys() {
            let logs = Wanted::of(watch.logs(name).map(|monitor| &**monitor)).map(Arc::new);
            let services = watch.wants_services(name);
            if services || logs.is_some() {
                all.insert(name.clone(), OfDevice { services, logs });
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// What is wanted from a device.
    pub(super) fn of(&self, device: &str) -> OfDevice {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(device).cloned().unwrap_or_default()
    }
}
