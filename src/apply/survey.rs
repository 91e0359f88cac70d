//! What a plan is made from: devices observed where their facts are not fresh, facts and kept verdicts read from the store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::access::{SecretStore, Secrets as _};
use crate::collect::{self, Collected, Request, Round, Visit};
use crate::diagnose::{Category, Diagnose as _};
use crate::model::plan::{DevicePlan, Plan};
use crate::model::{Device, Facts};
use crate::plan::{Evaluated, Needs, PlanOptions, Planner, Scope, Targeting};
use crate::repo::PolicySet;
use crate::store::{Merge, Observation, PutVerdict, Retention, Sample, Status, Store, StoreError};
use crate::time::Clock;
use crate::transport::{Sessions, Target, TransportError};

/// Results that wait to be written together: one transaction for many devices.
const BATCH: usize = 16;
/// How long a batch that is not full waits for more. Nobody sees so short a delay.
const MOMENT: Duration = Duration::from_millis(50);
/// Results on their way to the writer. Where it is full, collecting waits for the disk.
const WAITING: usize = 4;

/// Whether devices are observed before they are planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Refresh {
    /// What is older than the health check interval.
    #[default]
    Auto,
    /// Everything that the plan looks at.
    Always,
    /// Nothing: from what is known.
    Never,
}

/// What an inventory asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ask {
    /// What is older than its interval.
    #[default]
    Due,
    /// That, and what changes by itself: performance, connections, what policies name one by one.
    Again,
    /// Everything.
    Everything,
}

/// One device has been observed, or could not be.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Device by name.
    pub device: String,
    /// Position, from 1.
    pub done: usize,
    /// How many are observed in all.
    pub total: usize,
    /// How long it took.
    pub took: Duration,
    /// Why it could not be observed.
    pub error: Option<TransportError>,
    /// Sections that are new or differ from what was known.
    pub changed: usize,
    /// What could not be understood.
    pub problems: Vec<String>,
}

/// How a round of observing ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Devices that answered.
    pub observed: usize,
    /// Devices that could not be reached.
    pub unreachable: usize,
    /// Devices that answered, but not as they should.
    pub failed: usize,
    /// Sections that are new or differ.
    pub changed: usize,
    /// Whether it was stopped before its end.
    pub cancelled: bool,
}

/// What is asked of a device.
type Asked = (Arc<Device>, Arc<Request>);

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
}

impl<'a> Survey<'a> {
    /// A survey with sessions of its own.
    pub fn new(set: &'a Arc<PolicySet>, store: &'a Store, secrets: &'a Arc<SecretStore>, clock: &'a Arc<dyn Clock>) -> Self {
        Self { set, store, secrets, clock, sessions: super::sessions(set, secrets), visit: Visit::default() }
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

    /// Observes what the plan of these devices looks at and what is not fresh.
    pub async fn refresh(
        &self,
        scope: &Scope,
        refresh: Refresh,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        if refresh == Refresh::Never {
            return Ok(Outcome::default());
        }
        let work = self.due(scope, refresh)?;
        self.observe(work, Merge::Replace, concurrency, cancel, on).await
    }

    /// What has to be asked of which device. Decided while the facts pass by: those of a whole fleet are never held at once.
    fn due(&self, scope: &Scope, refresh: Refresh) -> Result<Vec<Asked>, StoreError> {
        let now = self.clock.now();
        let fresh = now - self.set.config.monitoring.health_check_interval.delta();
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let devices = self.candidates(scope)?;
        let names: Vec<&str> = devices.iter().map(|d| &*d.name).collect();
        let due = |device: &Device, facts: &Facts| {
            let mut request = to_request(&planner.needs(device, facts));
            if facts.sections.is_empty() {
                // The first look takes everything in: scripts and selectors may ask for any of it.
                request.merge(Request::full());
            } else if refresh == Refresh::Auto {
                let is_fresh = |name: &str| facts.sections.get(name).is_some_and(|s| s.collected_at > fresh);
                request.sections.retain(|name| !is_fresh(name));
                request.probes.retain(|kind, all| {
                    let answered = |args: &Vec<String>| {
                        facts.sections.get(kind.as_str()).is_some_and(|s| s.data.get(crate::model::facts::probe_key(args)).is_some())
                    };
                    !(is_fresh(kind) && all.iter().all(answered))
                });
            }
            request
        };
        let mut known: HashMap<String, Arc<Request>> = HashMap::new();
        let mut alike = Alike::default();
        self.store.facts_fleet_map(
            &as_strs(&planner.sections()),
            &planner.members(),
            Some(&names),
            |name, facts| Some((name.to_owned(), due(self.set.devices.get(name)?, &facts))),
            |found| known.extend(found.map(|(name, request)| (name, alike.share(request)))),
        )?;
        let never = Facts::default();
        let mut work = Vec::new();
        for device in devices {
            let request = known.remove(&device.name).unwrap_or_else(|| alike.share(due(&device, &never)));
            if !request.is_empty() {
                work.push((device, request));
            }
        }
        Ok(work)
    }

    /// What planning these devices needs, by device; nothing is said of those of which nothing is known yet. Those want to be
    /// asked for everything.
    pub fn needs(&self, devices: &[Arc<Device>]) -> Result<HashMap<String, Arc<Request>>, StoreError> {
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let names: Vec<&str> = devices.iter().map(|d| &*d.name).collect();
        let mut found = HashMap::with_capacity(devices.len());
        let mut alike = Alike::default();
        let needs = |name: &str, facts: Facts| {
            let device = self.set.devices.get(name).filter(|_| !facts.sections.is_empty())?;
            Some((name.to_owned(), to_request(&planner.needs(device, &facts))))
        };
        self.store.facts_fleet_map(&as_strs(&planner.sections()), &planner.members(), Some(&names), needs, |answer| {
            found.extend(answer.map(|(name, request)| (name, alike.share(request))));
        })?;
        Ok(found)
    }

    /// Takes the inventory: everything of these categories (all where none is named), and what policies name one by one.
    /// `ask` says what is fresh enough.
    pub async fn inventory(
        &self,
        scope: &Scope,
        categories: &[crate::model::Category],
        ask: Ask,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        let work = self.inventory_due(scope, categories, ask)?;
        self.observe(work, Merge::Replace, concurrency, cancel, on).await
    }

    /// Observes everything that is due, in one visit per device: what policies watch, and the inventory.
    pub async fn everything_due(
        &self,
        scope: &Scope,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        let mut work: BTreeMap<String, Asked> = BTreeMap::new();
        let mut alike = Alike::default();
        for (device, request) in self.due(scope, Refresh::Auto)?.into_iter().chain(self.inventory_due(scope, &[], Ask::Due)?) {
            let both = match work.remove(&device.name) {
                Some((_, first)) => {
                    let mut both = (*first).clone();
                    both.merge((*request).clone());
                    alike.share(both)
                }
                None => request,
            };
            work.insert(device.name.clone(), (device, both));
        }
        self.observe(work.into_values().collect(), Merge::Replace, concurrency, cancel, on).await
    }

    fn inventory_due(&self, scope: &Scope, categories: &[crate::model::Category], ask: Ask) -> Result<Vec<Asked>, StoreError> {
        use crate::model::Category as Facet;
        let now = self.clock.now();
        let monitoring = &self.set.config.monitoring;
        let (inventory, status) = (now - monitoring.inventory_interval.delta(), now - monitoring.health_check_interval.delta());
        let wanted = if categories.is_empty() { Request::full() } else { Request::categories(categories) };
        let probes = categories.is_empty() || categories.contains(&Facet::Probe);
        let secrets = |_: &str| None;
        let planner = Planner::new(self.set, &secrets);
        let mut work = Vec::new();
        let mut alike = Alike::default();
        for device in self.candidates(scope)? {
            let facts = if ask == Ask::Everything && !probes { Facts::default() } else { self.store.facts(&device.name, None)? };
            let mut request = wanted.clone();
            if probes {
                request.probes = to_request(&planner.needs(&device, &facts)).probes;
            }
            if ask != Ask::Everything {
                let oldest = |name: &str| if name.starts_with("performance.") || !name.contains('.') { status } else { inventory };
                let again = |name: &str| {
                    ask == Ask::Again && (name.starts_with("performance.") || name == "network.connections" || !name.contains('.'))
                };
                let is_fresh = |name: &str| !again(name) && facts.sections.get(name).is_some_and(|s| s.collected_at > oldest(name));
                request.sections.retain(|name| !is_fresh(name));
                request.probes.retain(|kind, _| !is_fresh(kind));
            }
            if !request.is_empty() {
                work.push((device, alike.share(request)));
            }
        }
        Ok(work)
    }

    /// Observes devices and keeps what is seen. One attempt each; results are written in batches.
    pub async fn observe(
        &self,
        work: Vec<Asked>,
        merge: Merge,
        concurrency: Option<u32>,
        cancel: &CancellationToken,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<Outcome, StoreError> {
        let total = work.len();
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let sessions = Arc::clone(&self.sessions);
        let set = Arc::clone(self.set);
        let token = cancel.clone();
        let open = move |device: &Arc<Device>| {
            let (sessions, target, token) = (Arc::clone(&sessions), target(&set, device), token.clone());
            async move { sessions.open(&target, &token).await }
        };
        let connections = &self.set.config.connections;
        let round = Round {
            concurrency: concurrency.unwrap_or(connections.max_concurrent) as usize,
            limits: collect::Limits { timeout: connections.command_timeout.duration(), max_output: connections.max_output_bytes },
            visit: self.visit.clone(),
            name: |device: &Arc<Device>| &device.name,
        };
        let collecting = tokio::spawn(collect::collect_fleet(work, open, Arc::clone(self.clock), round, cancel.clone(), sender));
        let mut outcome = Outcome::default();
        let mut done = 0;
        let mut batch: Vec<Collected<Arc<Device>>> = Vec::with_capacity(BATCH);
        while gather(&mut receiver, &mut batch).await {
            self.keep(&mut batch, merge, (&mut done, total), &mut outcome, on)?;
        }
        // The task owns its children and has ended with its channel; a panic in it has been reported by then.
        let _ = collecting.await;
        outcome.cancelled = cancel.is_cancelled();
        Ok(outcome)
    }

    /// Writes one batch: facts, then whether the devices answer.
    fn keep(
        &self,
        batch: &mut Vec<Collected<Arc<Device>>>,
        merge: Merge,
        (done, total): (&mut usize, usize),
        outcome: &mut Outcome,
        on: &(dyn Fn(Observed) + Send + Sync),
    ) -> Result<(), StoreError> {
        let mut observations = Vec::new();
        let mut reports = Vec::new();
        let mut samples = Vec::new();
        for collected in batch.drain(..) {
            let device = collected.device.name.clone();
            *done += 1;
            let mut report = Observed {
                device: device.clone(),
                done: *done,
                total,
                took: collected.took,
                error: None,
                changed: 0,
                problems: Vec::new(),
            };
            match collected.result {
                Ok(observation) => {
                    outcome.observed += 1;
                    report.problems = observation.problems;
                    samples.extend(observation.sections.iter().flat_map(|(name, section)| Sample::of_section(&device, name, section)));
                    observations.push(Observation { device, sections: observation.sections, merge });
                }
                Err(error) => {
                    match (&error, error.category()) {
                        (TransportError::Cancelled, _) => {}
                        (_, Category::Device | Category::Transient) => outcome.unreachable += 1,
                        _ => outcome.failed += 1,
                    }
                    report.error = Some(error);
                }
            }
            reports.push(report);
        }
        let now = self.clock.now();
        outcome.changed += self.store.put_observations(&observations)?.changed;
        self.store.put_metrics(&samples)?;
        let statuses: Vec<_> = reports
            .iter()
            .filter_map(|report| {
                let (status, reason) = match &report.error {
                    None => (Status::Online, None),
                    Some(TransportError::Cancelled) => return None,
                    Some(error) if matches!(error.category(), Category::Device | Category::Transient) => {
                        (Status::Offline, Some(error.to_string()))
                    }
                    Some(error) => (Status::Error, Some(error.to_string())),
                };
                Some((&*report.device, status, reason))
            })
            .collect();
        for (device, _, reason) in &statuses {
            if let Some(reason) = reason {
                tracing::warn!(device, reason = reason.as_str(), "not observed");
            } else {
                tracing::debug!(device, "observed");
            }
        }
        self.store.set_statuses(&statuses, now)?;
        reports.into_iter().for_each(on);
        Ok(())
    }

    /// Rolls up, archives and forgets what is older than `general.data_retention_days` and `monitoring.metrics_retention`.
    /// Returns the number of rows that were forgotten.
    pub fn prune(&self) -> Result<usize, StoreError> {
        let keep = Retention {
            history: chrono::TimeDelta::days(i64::from(self.set.config.general.data_retention_days)),
            samples: self.set.config.monitoring.metrics_retention.delta(),
            ..Retention::default()
        };
        Ok(self.store.upkeep(&keep)?.removed)
    }

    /// The verdicts on every device of a scope, also on those of which nothing would change.
    pub fn verdicts(&self, scope: &Scope) -> Result<Vec<DevicePlan>, StoreError> {
        let lookup = |name: &str| self.secrets.resolve(name).ok().map(|s| secrecy::ExposeSecret::expose_secret(&s).to_owned());
        let planner = Planner::new(self.set, &lookup);
        self.judge(&planner, &self.devices(scope)?, &PlanOptions::default(), self.clock.now())
    }

    /// Plans from what is known. Devices of which nothing changed since the last plan are not judged again.
    pub fn plan(&self, scope: &Scope, options: &PlanOptions) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let lookup = |name: &str| self.secrets.resolve(name).ok().map(|s| secrecy::ExposeSecret::expose_secret(&s).to_owned());
        let planner = Planner::new(self.set, &lookup);
        let devices = self.devices(scope)?;
        let options = &PlanOptions { suspended: super::suspended(self.set, self.store)?, ..options.clone() };
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
        let lookup = |name: &str| self.secrets.resolve(name).ok().map(|s| secrecy::ExposeSecret::expose_secret(&s).to_owned());
        let planner = Planner::new(self.set, &lookup);
        let options = &PlanOptions { suspended: super::suspended(self.set, self.store)?, ..options.clone() };
        let oldest = now - self.set.config.monitoring.inventory_interval.delta() * 2;
        let mut inputs: BTreeMap<&str, [u8; 16]> = BTreeMap::new();
        for device in devices {
            if let Some(print) = self.store.fingerprint(&device.name)?.filter(|print| print.oldest > oldest) {
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
                    && print.oldest > oldest
                {
                    inputs.insert(&device.name, input_hash(self.set, &print.hash));
                    observed_at.insert(device.name.clone(), print.oldest);
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

/// Equal requests held once: in a fleet most devices are asked for the same.
#[derive(Default)]
struct Alike(Option<Arc<Request>>);

impl Alike {
    fn share(&mut self, request: Request) -> Arc<Request> {
        match &self.0 {
            Some(last) if **last == request => Arc::clone(last),
            _ => Arc::clone(self.0.insert(Arc::new(request))),
        }
    }
}

/// Fills the batch with what comes within a moment: each transaction waits for the disk, and a fleet answers in a stream.
/// Whether there is anything.
async fn gather<T>(receiver: &mut mpsc::Receiver<T>, batch: &mut Vec<T>) -> bool {
    if receiver.recv_many(batch, BATCH).await == 0 {
        return false;
    }
    let until = tokio::time::Instant::now() + MOMENT;
    while batch.len() < BATCH
        && let Ok(Some(next)) = tokio::time::timeout_at(until, receiver.recv()).await
    {
        batch.push(next);
    }
    true
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

fn as_strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Where and how a device is reached.
pub fn target(set: &PolicySet, device: &Device) -> Target {
    Target {
        name: device.name.clone(),
        address: device.address.clone().unwrap_or_else(|| device.name.clone()),
        connection: set.connection(device),
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
