//! A policy that a device meets already, made from its facts: candidates for each setting are tried by the planner itself, and
//! only what it finds compliant is kept. Pure; `rmm import --from-device` asks, and proves the written text once more.

mod candidates;
mod known;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use self::known::Known;
use super::{PlanOptions, Planner};
use crate::catalog::{Compare, SettingDef};
use crate::diagnose::{Category, Diagnose, did_you_mean};
use crate::model::facts::Lookup;
use crate::model::policy::{Guard, References, label};
use crate::model::selector::Match;
use crate::model::{Device, Facts, Place, Policy, Remediate, Selector, Setting, Severity, State};
use crate::repo::PolicySet;

/// Name of the policy that is only tried.
const TRIAL: &str = "(trial)";

/// A setting to be taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// Its definition's name.
    pub name: Arc<str>,
    /// Its key; `None` for a keyed setting means every key that was observed.
    pub key: Option<Arc<str>>,
    /// What the baseline asks for.
    pub model: Option<Arc<Value>>,
    /// It was asked for by name: values that are nobody else's business or no improvement are taken over too.
    pub asked: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reference {
    /// Settings that the device meets, by label.
    pub settings: Vec<Taken>,
    /// What was left out, and why.
    pub left_out: Vec<(String, String)>,
}

/// A setting that the device meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    /// Name in the catalog.
    pub name: Arc<str>,
    /// Key of a keyed setting.
    pub key: Option<Arc<str>>,
    /// The value.
    pub value: Value,
    /// What the baseline asks for, where that is something else.
    pub model: Option<Arc<Value>>,
}

impl Taken {
    /// `Services.ssh`
    pub fn label(&self) -> String {
        label(&self.name, self.key.as_deref())
    }
}

/// Why a setting that was named cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// There is none of this name.
    #[error("there is no setting '{name}'")]
    Unknown {
        /// As it was given.
        name: String,
        /// The nearest name that exists.
        near: Option<String>,
    },
    /// Its value cannot, or must not, come from what was observed.
    #[error("{name} is not taken over from a device: {why}")]
    Refused {
        /// Its name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// It is observed key by key.
    #[error("{name} is only observed where a key is named")]
    NoKey {
        /// Its name.
        name: String,
    },
    /// It has no keys.
    #[error("{name} has no keys")]
    NotKeyed {
        /// Its name.
        name: String,
    },
}

impl Diagnose for ReferenceError {
    fn code(&self) -> &'static str {
        "RMM0563"
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { near: Some(near), .. } => format!("did you mean '{near}'?"),
            Self::Unknown { .. } => "`rmm explain settings` lists them".into(),
            Self::Refused { .. } => "write it into a policy by hand".into(),
            Self::NoKey { name } => format!("name the key too: --include {name}.KEY"),
            Self::NotKeyed { name } => format!("name it alone: --include {name}"),
        })
    }
}

/// What is tried: everything that `baseline` sets, and what was asked for by name, `Services` or `Services.ssh`.
pub fn wanted(set: &PolicySet, baseline: &[Arc<Policy>], include: &[String]) -> Result<Vec<Wanted>, ReferenceError> {
    let mut found: BTreeMap<(Arc<str>, Option<Arc<str>>), Wanted> = BTreeMap::new();
    for setting in baseline.iter().flat_map(|policy| &policy.settings) {
        if set.catalog.settings.contains_key(&setting.name) {
            let Setting { name, key, value, .. } = setting.clone();
            found.insert((name.clone(), key.clone()), Wanted { name, key, model: Some(value), asked: false });
        }
    }
    for text in include {
        let (name, key) = text.split_once('.').map_or((text.as_str(), None), |(name, key)| (name, Some(key)));
        let Some(def) = set.catalog.settings.get(name) else {
            let near = did_you_mean(name, set.catalog.settings.keys().map(|name| &**name)).map(str::to_owned);
            return Err(ReferenceError::Unknown { name: name.to_owned(), near });
        };
        if let Some(why) = candidates::refused(name) {
            return Err(ReferenceError::Refused { name: name.to_owned(), why });
        }
        let lists = found.values_mut().filter(|w| *w.name == *name && key.is_none_or(|key| w.key.as_deref() == Some(key)));
        lists.for_each(|w| w.asked = true);
        let entry = (Arc::clone(&def.name), key.map(Arc::from));
        if key.is_some() && def.keyed.is_none() {
            return Err(ReferenceError::NotKeyed { name: name.to_owned() });
        }
        if def.keyed.is_some() && key.is_none() && def.probe.is_some() {
            // The keys of the baseline are all that is known of it.
            if found.values().any(|w| *w.name == *name) {
                continue;
            }
            return Err(ReferenceError::NoKey { name: name.to_owned() });
        }
        let new = Wanted { name: Arc::clone(&def.name), key: entry.1.clone(), model: None, asked: true };
        found.entry(entry).or_insert(new);
    }
    Ok(found.into_values().collect())
}

/// The repository with one more policy, the last to be heard: what it needs is observed besides what the others need.
#[must_use]
pub fn observing(set: &PolicySet, device: &Device, wanted: &[Wanted]) -> PolicySet {
    let mut set = set.clone();
    let setting = |w: &Wanted| {
        let def = set.catalog.settings.get(&w.name)?;
        let value = w.model.clone().unwrap_or_default();
        // A fact is observed whole, whatever the key.
        let key = w.key.clone().or_else(|| def.keyed.as_ref().map(|_| Arc::from("any")));
        Some(Setting { key, ..setting(&w.name, None, (*value).clone()) })
    };
    let settings = wanted.iter().filter_map(setting).collect();
    set.policies.push(Arc::new(Policy { priority: i64::MIN, ..trial(device, settings) }));
    set.policies.sort_by(|a, b| a.name.cmp(&b.name));
    set.hash = format!("{}-{TRIAL}", set.hash);
    set
}

/// Takes over what the device meets.
pub fn reference(set: &PolicySet, device: &Device, facts: &Facts, wanted: &[Wanted], now: DateTime<Utc>) -> Reference {
    let known = Known::new(device, facts);
    let mut out = Reference::default();
    let mut trials: BTreeMap<String, Trial<'_>> = BTreeMap::new();
    let explicit: BTreeSet<(&str, &str)> = wanted.iter().filter_map(|w| Some((&*w.name, w.key.as_deref()?))).collect();
    for one in wanted {
        let Some(def) = set.catalog.settings.get(&one.name) else { continue };
        for key in keys(def, one, facts, &explicit) {
            let name = label(&one.name, key.as_deref());
            match Trial::new(def, one, key, facts, &known) {
                Ok(trial) => drop(trials.insert(name, trial)),
                Err(why) => out.left_out.push((name, why)),
            }
        }
    }
    // Each round tries one candidate of every setting that is still open.
    let mut open: BTreeSet<String> = trials.keys().cloned().collect();
    while !open.is_empty() {
        let settings = open.iter().filter_map(|name| trials.get(name)).filter_map(Trial::setting).collect();
        let mut tried = set.clone();
        tried.policies = vec![Arc::new(trial(device, settings))];
        let none = |_: &str| None;
        let planner = Planner::new(&tried, &none);
        let options = PlanOptions { compliant: true, ..PlanOptions::default() };
        let evaluated = planner.evaluate(device, facts, &options, now);
        let verdicts: BTreeMap<String, _> = evaluated.changes.iter().map(|change| (change.label(), change)).collect();
        open.retain(|name| {
            let Some(trial) = trials.get_mut(name) else { return false };
            match verdicts.get(name) {
                Some(change) if change.state == State::Compliant => {
                    out.settings.push(trial.taken());
                    return false;
                }
                Some(change) => trial.why = change.reason.clone().unwrap_or_else(|| format!("observed: {}", change.from)),
                None => trial.why = "does not apply to the device".into(),
            }
            trial.at += 1;
            if trial.at < trial.candidates.len() {
                return true;
            }
            out.left_out.push((name.clone(), std::mem::take(&mut trial.why)));
            false
        });
    }
    out.settings.sort_by_key(Taken::label);
    out.left_out.sort();
    out
}

/// The keys that are meant: the one that is named, or every one that was observed and is not named elsewhere.
fn keys(def: &SettingDef, wanted: &Wanted, facts: &Facts, explicit: &BTreeSet<(&str, &str)>) -> Vec<Option<Arc<str>>> {
    if def.keyed.is_none() || wanted.key.is_some() {
        return vec![wanted.key.clone()];
    }
    let Lookup::Found(Value::Object(map), _) = facts.lookup(&def.observe, None) else { return Vec::new() };
    // `PermitRootLogin` of the baseline is observed as `permitrootlogin`.
    let named: BTreeSet<String> = explicit
        .iter()
        .filter(|(name, _)| *name == &*def.name)
        .map(|(_, key)| def.member(key, &Value::Null).unwrap_or_else(|_| (*key).to_owned()))
        .collect();
    map.keys().filter(|key| !named.contains(*key)).map(|key| Some(Arc::from(key.as_str()))).collect()
}

/// One setting, and the values that are tried one after the other.
struct Trial<'a> {
    wanted: &'a Wanted,
    key: Option<Arc<str>>,
    candidates: Vec<Value>,
    at: usize,
    why: String,
}

impl<'a> Trial<'a> {
    fn new(def: &SettingDef, wanted: &'a Wanted, key: Option<Arc<str>>, facts: &Facts, known: &Known<'_>) -> Result<Self, String> {
        let model = wanted.model.as_deref();
        let member = key.as_deref().map(|key| def.member(key, model.unwrap_or(&Value::Null)).unwrap_or_else(|_| key.to_owned()));
        let observed = match facts.lookup(&def.observe, member.as_deref()) {
            Lookup::Found(value, _) if !value.is_null() => Some(value),
            _ => None,
        };
        if let Some(why) = candidates::not_for_others(def, wanted, key.as_deref(), observed) {
            return Err(why.into());
        }
        let mut all = candidates::of(def, wanted, observed);
        let before = all.len();
        all.retain(|value| !known.named(value) && key.as_deref().is_none_or(|key| !known.is_name(key)));
        if all.is_empty() && before > 0 {
            return Err("it names the device".into());
        }
        all.retain(|value| literal(value) && def.check(key.as_deref(), value).is_empty());
        if key.as_deref().is_some_and(|key| !literal(&Value::String(key.to_owned()))) {
            all.clear();
        }
        let all_before = all.len();
        all.retain(|value| !says_nothing(def, value));
        match (all.is_empty(), all_before > 0, observed) {
            (false, ..) => Ok(Self { wanted, key, candidates: all, at: 0, why: String::new() }),
            (true, true, _) => Err("every device meets what was observed".into()),
            (true, false, None) => Err("nothing was observed".into()),
            (true, false, Some(_)) => Err("what was observed is no value of it".into()),
        }
    }

    fn setting(&self) -> Option<Setting> {
        Some(setting(&self.wanted.name, self.key.clone(), self.candidates.get(self.at)?.clone()))
    }

    fn taken(&self) -> Taken {
        let value = self.candidates.get(self.at).cloned().unwrap_or_default();
        let model = self.wanted.model.clone().filter(|model| **model != value);
        Taken { name: Arc::clone(&self.wanted.name), key: self.key.clone(), value, model }
    }
}

/// A bound that the schema sets anyway asks for nothing.
fn says_nothing(def: &SettingDef, value: &Value) -> bool {
    let bound = |name: &str| def.value.get(name).and_then(Value::as_f64);
    let Some(number) = value.as_f64() else { return false };
    match def.compare {
        Compare::AtLeast => bound("minimum").is_some_and(|least| number <= least),
        Compare::AtMost => bound("maximum").is_some_and(|most| number >= most),
        _ => false,
    }
}

/// Whether a policy would hold the value as it is: no template, no reference to a secret.
fn literal(value: &Value) -> bool {
    match value {
        Value::String(text) => !["{{", "{%", "{#"].iter().any(|begin| text.contains(begin)),
        Value::Array(list) => list.iter().all(literal),
        Value::Object(map) => !map.contains_key("secret") && map.values().all(literal),
        _ => true,
    }
}

fn setting(name: &Arc<str>, key: Option<Arc<str>>, value: Value) -> Setting {
    Setting { name: Arc::clone(name), key, value: Arc::new(value), restart_on: Vec::new(), place: Place::default() }
}

fn trial(device: &Device, settings: Vec<Setting>) -> Policy {
    Policy {
        name: TRIAL.into(),
        description: None,
        targets: vec![Selector::Match(Match { device: Some(device.name.clone()), ..Match::default() })],
        exclude: Vec::new(),
        settings,
        guards: Vec::<Guard>::new(),
        updates: None,
        remediate: Remediate::Report,
        schedule: None,
        severity: Severity::default(),
        priority: 0,
        references: References::default(),
        exceptions: Vec::new(),
        active: None,
        place: Place::default(),
    }
}
