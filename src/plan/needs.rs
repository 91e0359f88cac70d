//! What has to be observed on a device so that its settings can be judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::membership::platform;
use super::resolve::Resolution;
use super::template::Templates;
use super::{Planner, Scope};
use crate::catalog::SettingDef;
use crate::model::{Device, Facts, Platform};

/// Fact paths, and probes with their arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Dotted paths of facts, `security.sshd`.
    pub paths: BTreeSet<String>,
    /// Argument lists by kind of probe.
    pub probes: BTreeMap<String, BTreeSet<Vec<String>>>,
}

/// What every plan looks at: it says which platform and which tools there are.
const ALWAYS: &str = "software.os";

impl Needs {
    /// What one setting needs; key and value rendered.
    pub fn of(def: &SettingDef, key: Option<&str>, desired: &Value) -> Self {
        let mut needs = Self::default();
        needs.add(def, key, desired, None);
        needs
    }

    fn add(&mut self, def: &SettingDef, key: Option<&str>, desired: &Value, platform: Option<Platform>) {
        let Some(kind) = &def.probe else {
            // Of a device whose system is not known yet both are asked.
            match platform {
                Some(_) => drop(self.paths.insert(def.observed_on(platform).to_owned())),
                None => self.paths.extend(def.observes().map(str::to_owned)),
            }
            return;
        };
        let key = key.unwrap_or_default();
        let arguments = self.probes.entry(kind.clone()).or_default();
        if def.program.has("probes") {
            // A script that fails here fails again, and is reported, where its setting is judged.
            arguments.extend(def.program.probes(key, &super::placeholders(desired)).unwrap_or_default());
        } else {
            arguments.insert(vec![key.to_owned()]);
        }
    }
}

/// Policies of which it is not known whether they apply are observed for too: that may be what is missing.
pub(super) fn needs(planner: &Planner<'_>, device: &Device, facts: &Facts, resolution: &Resolution) -> Needs {
    let mut needs = Needs::default();
    needs.paths.insert(ALWAYS.to_owned());
    // What decides whether they apply, first of all.
    if !resolution.uncertain.is_empty() {
        needs.paths.extend(planner.membership_sections(&Scope::default()));
    }
    let system = platform(device, facts);
    let mut templates = None;
    let certain = resolution.set.settings.iter().map(|s| (&s.def, &planner.set.policies[s.policy].settings[s.index], s.templated));
    let uncertain = resolution.uncertain.iter().flat_map(|(p, _)| &planner.set.policies[*p].settings).filter_map(|s| {
        let def = planner.set.catalog.settings.get(&s.name)?;
        Some((def, s, super::resolve::templated(s)))
    });
    for (def, wanted, templated) in certain.chain(uncertain) {
        if templated {
            let templates = templates.get_or_insert_with(|| Templates::new(device, &planner.vars(device, &resolution.membership), facts));
            let key = wanted.key.as_deref().map(|k| templates.text(k)).transpose();
            // What cannot be rendered is reported by the evaluation.
            if let (Ok(key), Ok(value)) = (key, templates.value(&wanted.value)) {
                needs.add(def, key.as_deref(), &value, system);
            }
        } else {
            needs.add(def, wanted.key.as_deref(), &wanted.value, system);
        }
    }
    needs
}
