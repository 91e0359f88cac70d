//! The planner: a policy set made ready for many devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::membership::{Membership, Selectors, Targeting};
use super::resolve::{Cache, Resolution};
use super::secrets::SecretLookup;
use super::suspended::Suspended;
use super::{Deed, Evaluated, Needs, Scope};
use crate::model::facts::probe_key;
use crate::model::plan::{DevicePlan, Held, PLAN_SCHEMA, Plan};
use crate::model::{Device, Facts, Platform, Policy, Selector};
use crate::repo::PolicySet;

/// What a plan is asked for, besides the fleet.
#[derive(Debug, Clone, Default)]
pub struct PlanOptions {
    /// Take changes of policies with `remediate: approve` as approved by the person who asks.
    pub approve: bool,
    /// Show the commands of every change.
    pub commands: bool,
    /// List compliant settings too.
    pub compliant: bool,
    /// What is suspended: its changes are held.
    pub suspended: Arc<Suspended>,
    /// Nobody is there to be asked: hold what only a person may permit.
    pub unattended: Option<Unattended>,
}

/// What may be done without a person being asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unattended {
    /// Changes that destroy data.
    pub destructive: bool,
    /// Changes that always restart the device.
    pub reboots: bool,
    /// Policies with a schedule of their own whose time has come. The changes of all others that have one wait for theirs.
    pub due: BTreeSet<Arc<str>>,
}

/// A policy set made ready: expressions compiled, resolved sets shared. Use one for a whole fleet, from several threads.
pub struct Planner<'a> {
    pub(super) set: &'a PolicySet,
    pub(super) selectors: Selectors,
    pub(super) secrets: SecretLookup<'a>,
    pub(super) policies: BTreeMap<&'a str, &'a Arc<Policy>>,
    /// Whether targets depend on facts that change without moving the fingerprint of a device.
    pub(super) volatile: bool,
    cache: Cache,
}

/// A scope with its expressions compiled.
pub struct ScopeMatcher<'s> {
    planner: &'s Planner<'s>,
    scope: &'s Scope,
    selectors: Selectors,
}

impl ScopeMatcher<'_> {
    /// Whether it means a device.
    pub fn means(&self, device: &Device, facts: &Facts) -> Targeting {
        if self.scope.selectors.is_empty() {
            return Targeting::Yes;
        }
        let (set, membership) = (self.planner.set, self.planner.membership(device, facts));
        let one = |answer: Targeting, s| answer.or(|| self.selectors.means(set, s, device, facts, &membership));
        self.scope.selectors.iter().fold(Targeting::No, one)
    }
}

impl<'a> Planner<'a> {
    /// Makes a policy set ready. `secrets` is asked for `{secret: …}` values to compare with.
    pub fn new(set: &'a PolicySet, secrets: SecretLookup<'a>) -> Self {
        let policies = set.policies.iter().map(|p| (&*p.name, p)).collect();
        let selectors = Selectors::new(set);
        let reads_volatile = |text| super::scope::sections_in(text).is_none_or(|names| names.iter().any(|name| is_volatile(name)));
        let volatile = selectors.expressions().any(reads_volatile);
        Self { set, selectors, secrets, policies, volatile, cache: Cache::default() }
    }

    /// Which groups a device belongs to.
    pub fn membership(&self, device: &Device, facts: &Facts) -> Membership {
        self.selectors.membership(self.set, device, facts)
    }

    /// Values for templates on a device.
    pub fn vars(&self, device: &Device, membership: &Membership) -> BTreeMap<String, serde_json::Value> {
        self.set.vars(device, membership.groups.iter().filter_map(|name| self.set.groups.get(name)))
    }

    /// A command's scope made ready for many devices.
    pub fn scope<'s>(&'s self, scope: &'s Scope) -> ScopeMatcher<'s> {
        let mut selectors = Selectors::default();
        scope.selectors.iter().for_each(|s| selectors.compile(s));
        ScopeMatcher { planner: self, scope, selectors }
    }

    /// Names of the fact sections that any verdict, target or template of this policy set may look at, or their beginnings.
    /// Empty where everything may be looked at.
    pub fn sections(&self) -> Vec<String> {
        let mut names = self.membership_sections(&Scope::default());
        if names.is_empty() {
            return names;
        }
        for policy in &self.set.policies {
            for setting in &policy.settings {
                if let Some(def) = self.set.catalog.settings.get(&setting.name) {
                    names.extend(def.observes().map(super::scope::section_of));
                }
            }
        }
        names.sort();
        names.dedup();
        names
    }

    /// Sections of which judging only looks at these members, for reading less of them. What is found wrong by them may need
    /// the whole: see [`Planner::evaluate_members`].
    pub fn members(&self) -> BTreeMap<String, BTreeSet<String>> {
        let whole = self.membership_sections(&Scope::default());
        let mut members: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        if whole.is_empty() {
            return members;
        }
        let mut refused: BTreeSet<String> = whole.into_iter().collect();
        for setting in self.set.policies.iter().flat_map(|policy| &policy.settings) {
            let Some(def) = self.set.catalog.settings.get(&setting.name) else { continue };
            // Without keys it is what its probe is asked for; the entry of a list has no name of its own.
            let key = if def.keyed.is_none() && def.probe.is_some() { Some("") } else { setting.key.as_deref() };
            let listed = def.keyed.as_ref().is_some_and(|keyed| keyed.by.is_some());
            let key = key.filter(|_| !listed && !super::resolve::templated(setting));
            let wanted =
                key.and_then(|key| def.program.probes(key, &super::placeholders(&setting.value)).ok()).filter(|lists| !lists.is_empty());
            let section = super::scope::section_of(&def.observe);
            match wanted.filter(|_| section == def.observe) {
                Some(lists) => {
                    let names = members.entry(section).or_default();
                    for name in lists.iter().map(|args| probe_key(args)) {
                        // On Windows the device may write it in another case.
                        if def.probe.is_none() && def.platforms.contains(&Platform::Windows) {
                            names.insert(name.to_ascii_lowercase());
                        }
                        names.insert(name);
                    }
                }
                None => drop(refused.insert(section)),
            }
        }
        // A name that stands for a section is a beginning too: `security` covers `security.users`.
        let covers = |whole: &String, name: &str| name == whole || name.strip_prefix(whole.as_str()).is_some_and(|r| r.starts_with('.'));
        members.retain(|name, _| !refused.iter().any(|whole| covers(whole, name)));
        members
    }

    /// Names of the sections that tell which groups a device is in. Empty where that may be any.
    pub fn membership_sections(&self, scope: &Scope) -> Vec<String> {
        let mut names = vec!["software.os".to_owned()];
        let mut all = Selectors::default();
        scope.selectors.iter().for_each(|s| all.compile(s));
        for text in self.selectors.expressions().chain(all.expressions()) {
            match super::scope::sections_in(text) {
                Some(more) => names.extend(more),
                None => return Vec::new(),
            }
        }
        names
    }

    /// Whether the groups of a device, or the policies that apply to it, depend on its facts.
    pub(super) fn selects_by_facts(&self) -> bool {
        let by_system = |s: &Selector| matches!(s, Selector::Match(m) if m.os.is_some());
        let rules = self.set.groups.values().filter_map(|group| group.rule.as_ref());
        let targets = self.set.policies.iter().flat_map(|policy| policy.targets.iter().chain(&policy.exclude));
        self.selectors.expressions().next().is_some() || rules.chain(targets).any(by_system)
    }

    /// What a device should be.
    pub fn resolve(&self, device: &Device, facts: &Facts) -> Resolution {
        self.cache.resolve(self.set, &self.selectors, device, facts)
    }

    /// What has to be observed on a device before it can be planned.
    pub fn needs(&self, device: &Device, facts: &Facts) -> Needs {
        super::needs::needs(self, device, facts, &self.resolve(device, facts))
    }

    /// The verdicts that do not depend on the time of day. `now` only decides which facts are too old to be evidence.
    pub fn evaluate(&self, device: &Device, facts: &Facts, options: &PlanOptions, now: DateTime<Utc>) -> Evaluated {
        self.evaluate_members(device, facts, &|| None, options, now)
    }

    /// The same from facts that were limited to [`Planner::members`]. `whole` gives all of them where a script asks.
    pub fn evaluate_members(
        &self,
        device: &Device,
        facts: &Facts,
        whole: &dyn Fn() -> Option<Facts>,
        options: &PlanOptions,
        now: DateTime<Utc>,
    ) -> Evaluated {
        super::evaluate::evaluate(self, device, (facts, whole), &self.resolve(device, facts), options, now)
    }

    /// The verdicts on some settings only: those of `resolution`, which may have been narrowed down.
    pub(super) fn evaluate_part(
        &self,
        device: &Device,
        (facts, whole): (&Facts, &dyn Fn() -> Option<Facts>),
        resolution: &Resolution,
        now: DateTime<Utc>,
    ) -> Evaluated {
        let options = PlanOptions { compliant: true, ..PlanOptions::default() };
        super::evaluate::evaluate(self, device, (facts, whole), resolution, &options, now)
    }

    /// What depends on the time, on top: windows, guards, exceptions, approvals.
    pub fn decide(&self, device: &Device, evaluated: Evaluated, options: &PlanOptions, now: DateTime<Utc>) -> DevicePlan {
        super::decide::decide(self, device, evaluated, options, now)
    }

    /// What stands in the way of an action on a device now: a suspension, or a guard.
    pub fn hold(&self, device: &Device, facts: &Facts, suspended: &Suspended, deed: Deed, now: DateTime<Utc>) -> Option<Held> {
        super::decide::hold_deed(self, device, facts, suspended, deed, now)
    }

    /// The parameters of an action with their templates filled in.
    pub fn fill(&self, device: &Device, facts: &Facts, value: &serde_json::Value) -> Result<serde_json::Value, String> {
        let membership = self.membership(device, facts);
        super::template::Templates::new(device, &self.vars(device, &membership), facts).value(value)
    }

    /// Fills in the commands of every change. Needs the device's facts.
    pub fn show_commands(&self, plan: &mut DevicePlan, facts: &Arc<Facts>) {
        super::commands::show(self.set, plan, facts);
    }

    /// Puts the devices' plans together. `expires` counts from `now`.
    pub fn assemble(&self, mut devices: Vec<DevicePlan>, scope: &Scope, now: DateTime<Utc>) -> Plan {
        scope.keep_targets(&mut devices);
        devices.sort_by(|a, b| a.device.cmp(&b.device));
        let summary = super::summarize(&devices);
        devices.retain(|d| !d.changes.is_empty());
        Plan {
            schema: PLAN_SCHEMA.into(),
            repository: self.set.name.clone(),
            policy_set: self.set.hash.clone(),
            commit: self.set.commit.clone(),
            created_at: now,
            expires_at: now + self.set.config.limits.plan_expires.delta(),
            scope: scope.to_string_if_any(),
            devices,
            summary,
        }
    }
}

/// Whether a section (or all that begin with this name) changes from one collection to the next without counting as a change.
pub(super) fn is_volatile(section: &str) -> bool {
    section == "performance" || section.starts_with("performance.") || section == "network" || section == "network.connections"
}
