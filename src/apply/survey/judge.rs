//! Judging what is known: verdicts that are kept as long as nothing changed, and the plans made from them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::{Survey, as_strs};
use crate::access::Secrets as _;
use crate::model::plan::{DevicePlan, Plan};
use crate::model::{Device, Facts};
use crate::plan::{Evaluated, PlanOptions, Planner, Scope, holds_secret, resolved};
use crate::repo::PolicySet;
use crate::store::{PutVerdict, StoreError};

/// How long it may take that a secret is not given, for the next one to be asked for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Survey<'_> {
    /// Makes known what settings put on devices, so that it is not kept where an inventory finds it there.
    pub(super) fn learn_secrets(&self) {
        for setting in self.set.policies.iter().flat_map(|policy| &policy.settings).filter(|setting| holds_secret(&setting.value)) {
            let begin = Instant::now();
            // One that is not at hand is told where its setting is judged.
            let missing = resolved(&setting.value, &|name: &str| self.secrets.resolve(name).ok()).err();
            // A program that hangs for one hangs for all, and nobody who observes devices waits for each of them.
            if let Some(name) = missing.filter(|_| begin.elapsed() > PATIENCE) {
                tracing::warn!(
                    secret = name.as_str(),
                    "a secret was not given in time, others are not asked for: what devices hold of them is kept"
                );
                return;
            }
        }
    }

    /// The verdicts on devices, also on those of which nothing would change.
    pub fn verdicts(&self, devices: &[Arc<Device>]) -> Result<Vec<DevicePlan>, StoreError> {
        let lookup = |name: &str| self.secrets.resolve(name).ok();
        let planner = Planner::new(self.set, &lookup);
        self.judge(&planner, devices, &PlanOptions::default(), self.clock.now())
    }

    /// Plans from what is known. Devices of which nothing changed since the last plan are not judged again.
    pub fn plan(&self, scope: &Scope, options: &PlanOptions) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let lookup = |name: &str| self.secrets.resolve(name).ok();
        let planner = Planner::new(self.set, &lookup);
        let devices = self.devices(scope)?;
        let options = &PlanOptions { suspended: crate::apply::suspended(self.set, self.store)?, ..options.clone() };
        let mut plans = self.judge(&planner, &devices, options, now)?;
        if options.commands {
            for plan in plans.iter_mut().filter(|p| !p.changes.is_empty()) {
                let facts = Arc::new(self.store.facts(&plan.device, None)?);
                planner.show_commands(plan, &facts);
            }
        }
        Ok(planner.assemble(plans, scope, now))
    }

    /// Plans some devices, of which something has changed, without a look at the others. Those with nothing to say are among
    /// the result too.
    pub fn plan_devices(&self, devices: &[Arc<Device>], options: &PlanOptions) -> Result<Vec<DevicePlan>, StoreError> {
        let now = self.clock.now();
        let lookup = |name: &str| self.secrets.resolve(name).ok();
        let planner = Planner::new(self.set, &lookup);
        let options = &PlanOptions { suspended: crate::apply::suspended(self.set, self.store)?, ..options.clone() };
        let oldest = now - self.set.config.monitoring.inventory_interval.delta() * 2;
        let mut inputs: BTreeMap<&str, [u8; 16]> = BTreeMap::new();
        for device in devices {
            if let Some(print) = self.store.fingerprint(&device.name)?.filter(|print| print.oldest.is_some_and(|at| at > oldest)) {
                inputs.insert(&device.name, input_hash(self.set, &print.hash));
            }
        }
        let mut plans = Vec::with_capacity(devices.len());
        let missing = devices.iter().map(|device| (&*device.name, device)).collect();
        self.evaluate(&planner, &missing, &inputs, options, now, &mut plans)?;
        Ok(plans)
    }

    /// A kept verdict holds as long as nothing changed; its evidence may have been seen again since.
    fn date(&self, evaluated: &mut Evaluated, device: &str) -> Result<(), StoreError> {
        let times = self.store.section_times(device)?;
        let mut oldest: Option<DateTime<Utc>> = None;
        for change in &mut evaluated.changes {
            let Some(def) = self.set.catalog.settings.get(&change.setting) else { continue };
            let path = def.probe.as_deref().unwrap_or(&def.observe);
            let at = times.get(path).or_else(|| times.get(&path.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")));
            if let (Some(at), true) = (at, change.observed_at.is_some()) {
                change.observed_at = Some(*at);
                oldest = Some(oldest.map_or(*at, |o| o.min(*at)));
            }
        }
        evaluated.facts_at = oldest.or(evaluated.facts_at);
        Ok(())
    }

    fn judge(
        &self,
        planner: &Planner<'_>,
        devices: &[Arc<Device>],
        options: &PlanOptions,
        now: DateTime<Utc>,
    ) -> Result<Vec<DevicePlan>, StoreError> {
        let oldest = now - self.set.config.monitoring.inventory_interval.delta() * 2;
        let mut inputs: BTreeMap<&str, [u8; 16]> = BTreeMap::new();
        let mut observed_at: HashMap<String, DateTime<Utc>> = HashMap::new();
        if !options.compliant {
            let prints = self.store.fingerprints()?;
            let by_name: HashMap<&str, &crate::store::Fingerprint> = prints.iter().map(|p| (&*p.device, p)).collect();
            for device in devices {
                if let Some(print) = by_name.get(&*device.name)
                    && let Some(at) = print.oldest.filter(|at| *at > oldest)
                {
                    inputs.insert(&device.name, input_hash(self.set, &print.hash));
                    observed_at.insert(device.name.clone(), at);
                }
            }
        }
        let mut plans = Vec::with_capacity(devices.len());
        let mut kept: HashMap<String, Evaluated> = HashMap::new();
        self.store.verdicts_all(|device, input, blob| {
            if inputs.get(device) == Some(&input)
                && let Ok(evaluated) = serde_json::from_slice::<Evaluated>(blob)
            {
                kept.insert(device.to_owned(), evaluated);
            }
        })?;
        let mut missing: HashMap<&str, &Arc<Device>> = HashMap::new();
        for device in devices {
            match kept.remove(&device.name) {
                Some(mut evaluated) => {
                    evaluated.facts_at = evaluated.facts_at.max(observed_at.get(&device.name).copied());
                    if !evaluated.changes.is_empty() {
                        self.date(&mut evaluated, &device.name)?;
                    }
                    plans.push(planner.decide(device, evaluated, options, now));
                }
                None => {
                    missing.insert(&device.name, device);
                }
            }
        }
        self.evaluate(planner, &missing, &inputs, options, now, &mut plans)?;
        Ok(plans)
    }

    /// Judges devices from their facts, and keeps the verdicts of those whose `inputs` are known.
    fn evaluate(
        &self,
        planner: &Planner<'_>,
        missing: &HashMap<&str, &Arc<Device>>,
        inputs: &BTreeMap<&str, [u8; 16]>,
        options: &PlanOptions,
        now: DateTime<Utc>,
        plans: &mut Vec<DevicePlan>,
    ) -> Result<(), StoreError> {
        let names: Vec<&str> = missing.keys().copied().collect();
        // Inputs, the verdicts as they are kept, and where in `plans` the device stands.
        let mut fresh: Vec<([u8; 16], Vec<u8>, usize)> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        if !names.is_empty() {
            let judged = |name: &str, facts: Facts| {
                let device = missing.get(name)?;
                let whole = || self.store.facts(name, None).ok();
                let evaluated = planner.evaluate_members(device, &facts, &whole, options, now);
                let input = inputs.get(name).filter(|_| evaluated.keep).copied();
                let blob = input.and_then(|input| Some((input, serde_json::to_vec(&evaluated).ok()?)));
                Some((name.to_owned(), blob, planner.decide(device, evaluated, options, now)))
            };
            self.store.facts_fleet_map(&as_strs(&planner.sections()), &planner.members(), Some(&names), judged, |found| {
                let Some((name, blob, plan)) = found else { return };
                seen.insert(name);
                if let Some((input, blob)) = blob {
                    fresh.push((input, blob, plans.len()));
                }
                plans.push(plan);
            })?;
        }
        let none = Facts::default();
        for (name, device) in missing {
            if !seen.contains(*name) {
                plans.push(planner.decide(device, planner.evaluate(device, &none, options, now), options, now));
            }
        }
        let verdicts: Vec<PutVerdict<'_>> =
            fresh.iter().map(|(input_hash, blob, i)| PutVerdict { input_hash: *input_hash, blob, plan: &plans[*i] }).collect();
        if !verdicts.is_empty() {
            self.store.put_verdicts(&self.set.hash, self.set.commit.as_deref(), now, &verdicts)?;
        }
        Ok(())
    }
}

/// Everything that verdicts depend on, besides the time: the repository, the facts, this program.
fn input_hash(set: &PolicySet, facts: &[u8; 16]) -> [u8; 16] {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    hasher.update(env!("CARGO_PKG_VERSION"));
    hasher.update(set.hash.as_bytes());
    hasher.update(facts);
    let digest: [u8; 32] = hasher.finalize().into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}
