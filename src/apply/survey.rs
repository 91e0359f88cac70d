//! What a plan is made from: devices observed where their facts are not fresh, facts and kept verdicts read from the store.
//!
//! `due` says what has to be asked, `observe` asks and writes, `judge` plans from what is known.

mod due;
mod judge;
mod observe;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::sampler::Sampler;
use crate::access::SecretStore;
use crate::collect::{Request, Visit};
use crate::model::{Config, Device, Facts};
use crate::plan::{Needs, Planner, Scope, Targeting};
use crate::repo::PolicySet;
use crate::store::{Retention, Store, StoreError};
use crate::time::Clock;
use crate::transport::{Sessions, Target};

pub use due::{Ask, Refresh};
pub use observe::{Observed, Outcome};

/// Brings the facts and makes the plan.
pub struct Survey<'a> {
    /// The repository.
    pub set: &'a Arc<PolicySet>,
    /// The database.
    pub store: &'a Store,
    /// Where secrets come from.
    pub secrets: &'a Arc<SecretStore>,
    /// The clock.
    pub clock: &'a Arc<dyn Clock>,
    /// Open sessions, kept between observing and changing.
    pub sessions: Arc<Sessions>,
    /// What becomes of them when a device has been observed.
    pub visit: Visit,
    /// What makes samples of what is observed, round after round.
    pub sampler: Mutex<Sampler>,
}

impl<'a> Survey<'a> {
    /// A survey with sessions of its own.
    pub fn new(set: &'a Arc<PolicySet>, store: &'a Store, secrets: &'a Arc<SecretStore>, clock: &'a Arc<dyn Clock>) -> Self {
        Self { set, store, secrets, clock, sessions: super::sessions(set, secrets), visit: Visit::default(), sampler: Mutex::default() }
    }

    /// The devices that a scope means for certain, judged by what is known of them. Only these are planned and changed.
    pub fn devices(&self, scope: &Scope) -> Result<Vec<Arc<Device>>, StoreError> {
        self.chosen(scope, |targeting| *targeting == Targeting::Yes)
    }

    /// The devices that a scope may mean: observing them is what makes it certain.
    fn candidates(&self, scope: &Scope) -> Result<Vec<Arc<Device>>, StoreError> {
        self.chosen(scope, |targeting| *targeting != Targeting::No)
    }

    fn chosen(&self, scope: &Scope, accept: impl Fn(&Targeting) -> bool + Sync) -> Result<Vec<Arc<Device>>, StoreError> {
        if scope.selectors.is_empty() {
            return Ok(self.set.devices.values().cloned().collect());
        }
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let sections = planner.membership_sections(scope);
        let scope = planner.scope(scope);
        let means = |device: &Device, facts: &Facts| accept(&scope.means(device, facts));
        let mut answers: HashMap<String, bool> = HashMap::new();
        self.store.facts_fleet_map(
            &as_strs(&sections),
            &BTreeMap::new(),
            None,
            |name, facts| Some((name.to_owned(), means(self.set.devices.get(name)?, &facts))),
            |answer| answers.extend(answer),
        )?;
        let none = Facts::default();
        let within = |d: &&Arc<Device>| answers.get(&d.name).copied().unwrap_or_else(|| means(d, &none));
        Ok(self.set.devices.values().filter(within).cloned().collect())
    }

    /// Rolls up, archives and forgets what is older than `general.data_retention_days` and `monitoring.metrics_retention`.
    /// Returns the number of rows that were forgotten.
    pub fn prune(&self) -> Result<usize, StoreError> {
        Ok(self.store.upkeep(&retention(&self.set.config))?.removed)
    }
}

/// How long what is kept.
pub fn retention(config: &Config) -> Retention {
    let history = chrono::TimeDelta::days(i64::from(config.general.data_retention_days));
    Retention { history, samples: config.monitoring.metrics_retention.delta(), rollups: history, ..Retention::default() }
}

fn as_strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Where and how a device is reached.
pub fn target(set: &PolicySet, device: &Device) -> Target {
    Target {
        name: device.name.clone(),
        address: device.address.clone().unwrap_or_else(|| device.name.clone()),
        connection: set.connection(device),
        platform: device.os,
    }
}

/// What planning needs, as the collector is asked for it.
pub fn to_request(needs: &Needs) -> Request {
    let mut request = Request::for_paths(&needs.paths);
    for (kind, all) in &needs.probes {
        for args in all {
            request.add_probe(kind, args.clone());
        }
    }
    request
}
