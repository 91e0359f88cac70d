//! Which of the updates that a device offers are approved, and because of what: rules of policies, and decisions by hand.
//!
//! [`decide`] is the one place that says so. Denied beats everything; what a person decided beats the rules of policies; where
//! nobody has said anything, everything that is offered is approved. Windows and `AllowUpdates` say when, not which.

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::membership::{Selectors, Targeting};
use super::{Planner, Scope};
use crate::model::facts::{Facts, Lookup};
use crate::model::update::{Decided, Offer, Ruling, SECTION, UpdateRule, UpdateRules, matches};
use crate::model::{Device, Place};

/// What is decided about an update on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Approval {
    /// To be installed.
    Approved,
    /// Will be approved once it is old enough.
    Waiting,
    /// Approved by a rule, or by nobody having said anything, but not yet.
    Deferred,
    /// There are rules, and none approves it.
    NotApproved,
    /// Never.
    Denied,
}

impl std::fmt::Display for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Approved => "approved",
            Self::Waiting => "waiting",
            Self::Deferred => "deferred",
            Self::NotApproved => "not approved",
            Self::Denied => "denied",
        })
    }
}

/// A decision with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What.
    pub state: Approval,
    /// Until when it waits, where that is known.
    pub until: Option<DateTime<Utc>>,
    /// Who or what says so: `policy Baseline`, `kim by hand: broke printing`.
    pub because: String,
    /// The line that says so.
    pub place: Option<Place>,
}

/// The rules of a policy that is for the device, or may be.
#[derive(Debug, Clone, Copy)]
pub struct InForce<'a> {
    /// Policy by name.
    pub policy: &'a str,
    /// What it says.
    pub rules: &'a UpdateRules,
    /// Whether the policy is certainly for the device. One that only may be forbids, and approves nothing.
    pub certain: bool,
}

/// Decides about one update. `seen` is when it was first seen in the fleet; `decided` are the decisions by hand that are about
/// the device.
pub fn decide(offer: &Offer, seen: Option<DateTime<Utc>>, rules: &[InForce<'_>], decided: &[&Decided], now: DateTime<Utc>) -> Decision {
    let since = offer.released.into_iter().chain(seen).min().unwrap_or(now);
    let by_hand: Vec<&Decided> = decided.iter().copied().filter(|one| is_about(one, offer) && one.until.is_none_or(|u| u > now)).collect();
    let hand = |ruling: Ruling| by_hand.iter().filter(|one| one.ruling == ruling).max_by_key(|one| one.at);
    let says = |one: &Decided, state: Approval| {
        let reason = if one.reason.is_empty() { String::new() } else { format!(": {}", one.reason) };
        Decision { state, until: one.until, because: format!("{} by hand{reason}", one.by), place: None }
    };
    if let Some(one) = hand(Ruling::Deny) {
        return says(one, Approval::Denied);
    }
    let rule = |policy: &str, state, until, place: &Place| {
        let because = format!("policy {policy}");
        Decision { state, until, because, place: Some(place.clone()) }
    };
    for policy in rules {
        let denies = |rule: &&UpdateRule| is_like(rule, offer) && since + age(rule) <= now;
        if let Some(found) = policy.rules.deny.iter().find(denies) {
            return rule(policy.policy, Approval::Denied, None, &found.place);
        }
    }
    let longest = by_hand.iter().filter(|one| one.ruling == Ruling::Defer).max_by_key(|one| one.until);
    match (longest, hand(Ruling::Approve)) {
        // Of two people who disagree, the later one.
        (Some(defer), Some(approve)) if approve.at > defer.at => return says(approve, Approval::Approved),
        (Some(defer), _) => return says(defer, Approval::Deferred),
        (None, Some(approve)) => return says(approve, Approval::Approved),
        (None, None) => {}
    }
    let deferrals = rules.iter().flat_map(|policy| policy.rules.defer.iter().map(move |one| (policy.policy, one)));
    let latest = deferrals.filter(|(_, one)| is_named(&one.name, offer)).max_by_key(|(_, one)| one.by);
    if let Some((policy, one)) = latest
        && since + one.by.delta() > now
    {
        return rule(policy, Approval::Deferred, Some(since + one.by.delta()), &one.place);
    }
    let mut soonest: Option<(DateTime<Utc>, &str, &Place)> = None;
    for policy in rules.iter().filter(|policy| policy.certain) {
        for found in policy.rules.approve.iter().flatten().filter(|rule| is_like(rule, offer)) {
            let from = since + age(found);
            if from <= now {
                return rule(policy.policy, Approval::Approved, None, &found.place);
            }
            if soonest.is_none_or(|(first, ..)| from < first) {
                soonest = Some((from, policy.policy, &found.place));
            }
        }
    }
    if let Some((from, policy, place)) = soonest {
        return rule(policy, Approval::Waiting, Some(from), place);
    }
    match rules.iter().find(|policy| policy.rules.approve.is_some()) {
        Some(policy) if policy.certain => rule(policy.policy, Approval::NotApproved, None, &policy.rules.place),
        Some(policy) => {
            let mut decision = rule(policy.policy, Approval::NotApproved, None, &policy.rules.place);
            decision.because += ", of which it is not known whether it is for the device";
            decision
        }
        None => Decision { state: Approval::Approved, until: None, because: "no rule narrows it".into(), place: None },
    }
}

fn age(rule: &UpdateRule) -> chrono::TimeDelta {
    rule.older_than.unwrap_or_default().delta()
}

fn is_named(pattern: &str, offer: &Offer) -> bool {
    matches(pattern, &offer.name) || offer.title.as_ref().is_some_and(|title| matches(pattern, title))
}

fn is_about(decided: &Decided, offer: &Offer) -> bool {
    is_named(&decided.name, offer) && decided.version.as_ref().is_none_or(|version| *version == offer.offered)
}

/// Whether everything but the age holds.
fn is_like(rule: &UpdateRule, offer: &Offer) -> bool {
    rule.name.as_ref().is_none_or(|pattern| is_named(pattern, offer))
        && (rule.classification.is_empty() || rule.classification.contains(&offer.classification))
        && rule.severity.is_none_or(|least| offer.severity.is_some_and(|severity| severity >= least))
        && rule.source.as_ref().is_none_or(|pattern| offer.source.as_ref().is_some_and(|source| matches(pattern, source)))
}

/// Decides for many devices: expressions of selectors are compiled once.
pub struct Approver<'p> {
    planner: &'p Planner<'p>,
    decided: Vec<(Decided, Scope)>,
    selectors: Selectors,
}

impl<'p> Approver<'p> {
    /// A decision by hand whose selectors mean nothing any more (a group that is gone) is left out, unless it forbids: then it
    /// holds everywhere.
    pub fn new(planner: &'p Planner<'p>, decided: Vec<Decided>) -> Self {
        let mut selectors = Selectors::default();
        let mut known = Vec::with_capacity(decided.len());
        for one in decided {
            let scope = match Scope::parse(planner.set, &one.targets, &[]) {
                Ok(scope) => scope,
                Err(_) if one.ruling == Ruling::Approve => continue,
                Err(_) => Scope::default(),
            };
            scope.selectors.iter().for_each(|s| selectors.compile(s));
            known.push((one, scope));
        }
        Self { planner, decided: known, selectors }
    }

    /// Names of the sections that deciding looks at; empty where that may be any.
    pub fn sections(&self) -> Vec<String> {
        let selectors = self.decided.iter().flat_map(|(_, scope)| scope.selectors.clone()).collect();
        let mut names = self.planner.membership_sections(&Scope { selectors, targets: Vec::new() });
        if !names.is_empty() {
            names.push(SECTION.to_owned());
        }
        names
    }

    /// Everything that a device offers, by name, with what is decided about it. `seen` says when an update was first seen. Where
    /// it is not known what the device offers, why.
    pub fn decisions(
        &self,
        device: &Device,
        facts: &Facts,
        seen: &dyn Fn(&Offer) -> Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Vec<(Offer, Decision)>, String> {
        let offers = match facts.lookup(SECTION, None) {
            Lookup::Found(data, _) => Offer::list(data),
            Lookup::Failed(section) => return Err(why(section)),
            Lookup::Absent(_) | Lookup::Never => return Err("nobody has looked yet".into()),
        };
        Ok(self.decisions_about(offers, device, facts, seen, now))
    }

    /// The same about these updates, in their order, whether or not the device offers them.
    pub fn decisions_about(
        &self,
        offers: Vec<Offer>,
        device: &Device,
        facts: &Facts,
        seen: &dyn Fn(&Offer) -> Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Vec<(Offer, Decision)> {
        if offers.is_empty() {
            return Vec::new();
        }
        let resolution = self.planner.resolve(device, facts);
        let membership = &resolution.membership;
        let certain = resolution.policies.iter().map(|i| (*i, true));
        let rules: Vec<InForce<'_>> = certain
            .chain(resolution.uncertain.iter().map(|(i, _)| (*i, false)))
            .filter_map(|(i, certain)| {
                let policy = self.planner.set.policies.get(i)?;
                let zone = policy.active.map_or(chrono_tz::Tz::UTC, |window| window.zone());
                let excepted = policy.exceptions.iter().any(|e| e.covers(&device.name, "Updates", None, now, zone));
                let rules = policy.updates.as_ref().filter(|_| !excepted)?;
                Some(InForce { policy: &policy.name, rules, certain })
            })
            .collect();
        let set = self.planner.set;
        let means = |(one, scope): &&(Decided, Scope)| {
            let any = scope
                .selectors
                .iter()
                .fold(Targeting::No, |answer, selector| answer.or(|| self.selectors.means(set, selector, device, facts, membership)));
            // Not known whether it means the device: forbidding holds, allowing does not.
            scope.selectors.is_empty() || any == Targeting::Yes || (any != Targeting::No && one.ruling != Ruling::Approve)
        };
        let decided: Vec<&Decided> = self.decided.iter().filter(means).map(|(one, _)| one).collect();
        offers
            .into_iter()
            .map(|offer| {
                let decision = decide(&offer, seen(&offer), &rules, &decided, now);
                (offer, decision)
            })
            .collect()
    }
}

fn why(section: &crate::model::Section) -> String {
    match &section.status {
        crate::model::facts::Status::Unknown(why) | crate::model::facts::Status::Unsupported(why) => why.clone(),
        crate::model::facts::Status::Ok => "not known".into(),
    }
}
