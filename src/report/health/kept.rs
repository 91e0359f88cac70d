//! Health as the daemon keeps it: it judges a device when something about it has changed, and whoever asks reads that.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Health, of_fleet};
use crate::model::{Device, DevicePlan};
use crate::store::{HealthRow, Store, StoreError};

/// As the database keeps it; none where nothing is known.
pub fn row(health: &Health, now: DateTime<Utc>) -> Option<HealthRow> {
    let parts = serde_json::to_value(health).ok()?;
    Some(HealthRow { score: health.score?, at: now, parts })
}

/// Health of devices, by name: as the daemon keeps it where one is at work. Without one, and where it has not judged a device
/// yet, it is judged now, in the same way; `verdicts` says what the policies say of devices.
pub fn current(
    store: &Store,
    devices: &[Arc<Device>],
    verdicts: impl FnOnce(&[Arc<Device>]) -> Result<Vec<DevicePlan>, StoreError>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<String, Health>, StoreError> {
    let mut known: BTreeMap<String, Health> = BTreeMap::new();
    if store.daemon()?.is_some() {
        let one = if let [device] = devices { Some(&*device.name) } else { None };
        let rows = store.health(one)?.into_iter();
        // One of another version, in a form of its own, is judged anew.
        known.extend(rows.filter_map(|(name, row)| Some((name.to_string(), serde_json::from_value(row.parts).ok()?))));
    }
    let missing: Vec<Arc<Device>> = devices.iter().filter(|device| !known.contains_key(&device.name)).cloned().collect();
    let judged = if missing.is_empty() { BTreeMap::new() } else { of_fleet(store, &verdicts(&missing)?, now)? };
    let chosen = |device: &Arc<Device>| Some((device.name.clone(), known.remove(&device.name)?));
    let mut all: BTreeMap<String, Health> = devices.iter().filter_map(chosen).collect();
    all.extend(judged);
    Ok(all)
}
