//! Gathers what the database knows of the fleet, and judges each device by it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Health, Known, judge};
use crate::model::{Alert, DevicePlan, Facts};
use crate::store::{AlertFilter, CheckState, DeviceState, Status, Store, StoreError};

/// Sections of the facts that security and measuring are judged by.
pub const SECTIONS: [&str; 8] = [
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

/// Of so few devices each is looked up; of more everything is read at once.
const FEW: usize = 600;

/// What is known of devices besides their facts.
#[derive(Default)]
struct Gathered {
    alerts: HashMap<String, Vec<Alert>>,
    up: HashMap<String, bool>,
    watched: HashMap<Arc<str>, CheckState>,
    facts: HashMap<String, Facts>,
}

impl Gathered {
    fn of(store: &Store, verdicts: &[DevicePlan]) -> Result<Self, StoreError> {
        let mut this = Self::default();
        let names: Vec<&str> = verdicts.iter().map(|device| device.device.as_str()).collect();
        let few = names.len() <= FEW;
        if few {
            for name in &names {
                let open = AlertFilter { open_only: true, device: Some((*name).to_owned()), ..AlertFilter::default() };
                this.alerts.insert((*name).to_owned(), store.alerts(&open)?);
                store.device_state(name)?.into_iter().for_each(|state| this.answers(state));
                let reachable = store.checks(name)?.into_iter().find(|(check, _)| check == REACHABLE);
                this.watched.extend(reachable.map(|(_, state)| (Arc::from(*name), state)));
            }
        } else {
            for alert in store.open_alerts()? {
                if let Some(device) = alert.key.subject.device() {
                    this.alerts.entry(device.to_owned()).or_default().push(alert);
                }
            }
            store.device_states()?.into_iter().for_each(|state| this.answers(state));
            let checks = store.checks_all()?.into_iter().filter(|(_, check, _)| check == REACHABLE);
            this.watched.extend(checks.map(|(device, _, state)| (device, state)));
        }
        store.facts_fleet(&SECTIONS, few.then_some(names.as_slice()), |name, known| {
            this.facts.insert(name.to_owned(), known);
        })?;
        Ok(this)
    }

    fn answers(&mut self, state: DeviceState) {
        // One that answers with an error is there.
        if matches!(state.status, Status::Online | Status::Error | Status::Offline) {
            self.up.insert(state.name, state.status != Status::Offline);
        }
    }
}

/// Health of devices, by name. `verdicts` are what the policies say of each, also of those of which nothing would change.
pub fn of_fleet(store: &Store, verdicts: &[DevicePlan], now: DateTime<Utc>) -> Result<BTreeMap<String, Health>, StoreError> {
    let gathered = Gathered::of(store, verdicts)?;
    let nothing = Facts::default();
    let mut all = BTreeMap::new();
    for device in verdicts {
        let name = device.device.as_str();
        let watched = gathered.watched.get(name);
        let day_ago = now - TimeDelta::hours(24);
        let availability = match watched {
            // What has been up for all of the time needs no history.
            Some(state) if state.up && state.since <= day_ago => Some(1.0),
            Some(_) => store.availability(name, REACHABLE, day_ago, now)?,
            None => None,
        };
        let facts = gathered.facts.get(name).unwrap_or(&nothing);
        let alerts: Vec<&Alert> = gathered.alerts.get(name).into_iter().flatten().collect();
        let known = Known {
            up: watched.map(|state| state.up).or_else(|| gathered.up.get(name).copied()),
            availability,
            alerts: &alerts,
            measured_at: facts.sections.get("performance.cpu").map(|section| section.collected_at),
            facts,
            plan: Some(device),
        };
        all.insert(name.to_owned(), judge(&known, now));
    }
    Ok(all)
}
