//! From policies to the settings of one device: targets, priorities, conflicts, guards.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::membership::{Membership, Selectors, Targeting};
use super::memo::Memo;
use crate::catalog::SettingDef;
use crate::model::policy::label;
use crate::model::{Device, Facts, Policy, Setting};
use crate::repo::PolicySet;

/// One setting that a device should have.
#[derive(Debug, Clone)]
pub struct ResolvedSetting {
    /// Its definition.
    pub def: Arc<SettingDef>,
    /// Position of the winning policy in the policy set.
    pub policy: usize,
    /// Position of the setting within the policy.
    pub index: usize,
    /// The other side, where two policies of the same priority disagree: policy and setting.
    pub conflict: Option<(usize, usize)>,
    /// Whether key or value hold `{{ }}` and have to be rendered for each device.
    pub templated: bool,
    /// Whether the value holds a `{secret: …}`.
    pub secret: bool,
    /// `Services.sshd`, not rendered.
    pub label: Arc<str>,
    /// What its script has said already.
    pub(super) memo: Arc<Memo>,
}

/// The settings of every device that the same policies apply to.
#[derive(Debug, Default)]
pub struct ResolvedSet {
    /// By phase, setting, key: the order of the plan and of carrying out.
    pub settings: Vec<ResolvedSetting>,
    /// Names of the sections that the settings observe, `security.sshd` or a probe kind.
    pub observes: Vec<Arc<str>>,
    /// Hash over policies, values and definitions: the same for the same content.
    pub hash: [u8; 16],
}

/// What a device should be.
#[derive(Debug, Clone)]
pub struct Resolution {
    /// Its settings, shared with its likes.
    pub set: Arc<ResolvedSet>,
    /// Policies that apply, by position.
    pub policies: Arc<[usize]>,
    /// Policies of which it is not known whether they apply, and why.
    pub uncertain: Vec<(usize, String)>,
    /// Groups of the device.
    pub membership: Membership,
}

/// Resolved sets by the policies that they come from.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<HashMap<Arc<[usize]>, Arc<ResolvedSet>>>);

impl Cache {
    pub(super) fn resolve(&self, set: &PolicySet, selectors: &Selectors, device: &Device, facts: &Facts) -> Resolution {
        let membership = selectors.membership(set, device, facts);
        let mut applying = Vec::new();
        let mut uncertain = Vec::new();
        for (i, policy) in set.policies.iter().enumerate() {
            match targets(set, selectors, policy, device, facts, &membership) {
                Targeting::Yes => applying.push(i),
                Targeting::Unknown(why) => uncertain.push((i, why)),
                Targeting::No => {}
            }
        }
        let policies: Arc<[usize]> = applying.into();
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let resolved = cache.entry(Arc::clone(&policies)).or_insert_with_key(|policies| Arc::new(merge(set, policies)));
        Resolution { set: Arc::clone(resolved), policies, uncertain, membership }
    }
}

/// Whether a policy is for a device: any target, and no exclusion.
fn targets(set: &PolicySet, selectors: &Selectors, policy: &Policy, device: &Device, facts: &Facts, groups: &Membership) -> Targeting {
    let any = |list: &[crate::model::Selector]| {
        list.iter().fold(Targeting::No, |answer, s| answer.or(|| selectors.means(set, s, device, facts, groups)))
    };
    match any(&policy.targets) {
        Targeting::No => Targeting::No,
        included => match any(&policy.exclude) {
            Targeting::Yes => Targeting::No,
            Targeting::No => included,
            Targeting::Unknown(why) => Targeting::Unknown(why),
        },
    }
}

/// The higher priority wins; equal priorities with different values are a conflict.
fn merge(set: &PolicySet, policies: &[usize]) -> ResolvedSet {
    let mut winners: BTreeMap<(&str, Option<&str>), ResolvedSetting> = BTreeMap::new();
    let setting = |policy: usize, index: usize| &set.policies[policy].settings[index];
    for &policy in policies {
        for (index, wanted) in set.policies[policy].settings.iter().enumerate() {
            let Some(def) = set.catalog.settings.get(&wanted.name) else { continue };
            let slot = (&*wanted.name, wanted.key.as_deref());
            let candidate = ResolvedSetting {
                def: Arc::clone(def),
                policy,
                index,
                conflict: None,
                templated: templated(wanted),
                secret: super::secrets::holds_secret(&wanted.value),
                label: label(&wanted.name, wanted.key.as_deref()).into(),
                memo: Arc::default(),
            };
            match winners.get_mut(&slot) {
                None => {
                    winners.insert(slot, candidate);
                }
                Some(held) => {
                    let (old, new) = (set.policies[held.policy].priority, set.policies[policy].priority);
                    if new > old {
                        *held = candidate;
                    } else if new == old && held.conflict.is_none() && setting(held.policy, held.index).value != wanted.value {
                        held.conflict = Some((policy, index));
                    }
                }
            }
        }
    }
    let mut settings: Vec<ResolvedSetting> = winners.into_values().collect();
    // The map is in order of name and key already; the sort is stable.
    settings.sort_by_key(|s| s.def.phase);
    let mut observes: Vec<Arc<str>> = settings.iter().flat_map(|s| s.def.observes().map(Arc::from)).collect::<Vec<Arc<str>>>();
    observes.sort();
    observes.dedup();
    let hash = content_hash(set, &settings);
    ResolvedSet { settings, observes, hash }
}

pub(super) fn templated(setting: &Setting) -> bool {
    fn any(value: &serde_json::Value) -> bool {
        match value {
            serde_json::Value::String(s) => s.contains("{{"),
            serde_json::Value::Array(list) => list.iter().any(any),
            serde_json::Value::Object(map) => map.values().any(any),
            _ => false,
        }
    }
    setting.key.as_deref().is_some_and(|k| k.contains("{{")) || any(&setting.value)
}

/// Hash of everything in policies and definitions that a verdict depends on, and the place that it names.
fn content_hash(set: &PolicySet, settings: &[ResolvedSetting]) -> [u8; 16] {
    use sha2::Digest;
    let mut hasher = sha2::Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    for s in settings {
        let policy = &set.policies[s.policy];
        let wanted = &policy.settings[s.index];
        add(s.label.as_bytes());
        add(policy.name.as_bytes());
        add(wanted.place.to_string().as_bytes());
        add(&serde_json::to_vec(&*wanted.value).unwrap_or_default());
        add(&serde_json::to_vec(&(policy.remediate, policy.severity, &wanted.restart_on)).unwrap_or_default());
        if let Some((p, i)) = s.conflict {
            add(set.policies[p].name.as_bytes());
            add(&serde_json::to_vec(&*set.policies[p].settings[i].value).unwrap_or_default());
        }
        add(s.def.program.text().as_bytes());
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}
