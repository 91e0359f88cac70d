//! Gathers what the database knows of the fleet, and judges each device by it.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Health, Known, judge};
use crate::model::{Alert, DevicePlan, Facts};
use crate::store::{Status, Store, StoreError};

/// What security and measuring are judged by.
const SECTIONS: [&str; 8] = [
    "security.firewall",
    "security.sshd",
    "security.time_sync",
    "security.antivirus",
    "software.pending_reboot",
    "software.automatic_updates",
    "software.updates",
    "performance.cpu",
];

/// The check that every device has: whether it could be observed.
const REACHABLE: &str = "Offline";

/// Health of devices, by name. `verdicts` are what the policies say of each, also of those of which nothing would change.
pub fn of_fleet(store: &Store, verdicts: &[DevicePlan], now: DateTime<Utc>) -> Result<BTreeMap<String, Health>, StoreError> {
    let open = store.open_alerts()?;
    let mut alerts: HashMap<&str, Vec<&Alert>> = HashMap::new();
    for alert in &open {
        if let Some(device) = alert.key.subject.device() {
            alerts.entry(device).or_default().push(alert);
        }
    }
    let states = store.device_states()?;
    let mut up: HashMap<&str, bool> = HashMap::new();
    for state in &states {
        // One that answers with an error is there.
        if matches!(state.status, Status::Online | Status::Error | Status::Offline) {
            up.insert(&state.name, state.status != Status::Offline);
        }
    }
    let mut watched = HashMap::new();
    for (device, check, state) in store.checks_all()? {
        if check == REACHABLE {
            watched.insert(device, state);
        }
    }
    let mut facts: HashMap<String, Facts> = HashMap::new();
    store.facts_fleet(&SECTIONS, None, |name, known| {
        facts.insert(name.to_owned(), known);
    })?;
    let nothing = Facts::default();
    let mut all = BTreeMap::new();
    for device in verdicts {
        let name = device.device.as_str();
        let watched = watched.get(name);
        let day_ago = now - TimeDelta::hours(24);
        let availability = match watched {
            // What has been up for all of the time needs no history.
            Some(state) if state.up && state.since <= day_ago => Some(1.0),
            Some(_) => store.availability(name, REACHABLE, day_ago, now)?,
            None => None,
        };
        let facts = facts.get(name).unwrap_or(&nothing);
        let known = Known {
            up: watched.map(|state| state.up).or_else(|| up.get(name).copied()),
            availability,
            alerts: alerts.get(name).map_or(&[], Vec::as_slice),
            measured_at: facts.sections.get("performance.cpu").map(|section| section.collected_at),
            facts,
            plan: Some(device),
        };
        all.insert(name.to_owned(), judge(&known, now));
    }
    Ok(all)
}
