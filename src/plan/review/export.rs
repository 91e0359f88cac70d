//! What of a fleet's facts a review needs: the sections that some setting of the catalog or some expression reads, so that a
//! change which uses another setting can be reviewed from the same state. Nothing else leaves the database.

use std::collections::{BTreeMap, BTreeSet};

use super::delta::named;
use crate::model::facts::probe_key;
use crate::plan::scope::{section_of, sections_in};
use crate::plan::{Planner, Scope, holds_secret, placeholders};
use crate::repo::PolicySet;

/// What is taken out of a database for reviewing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Sections by name or beginning; none means all.
    pub sections: Vec<String>,
    /// Fact paths that some policy reads: identifiers among them stay.
    pub read: BTreeSet<String>,
    /// Members of probe sections that may hold a secret.
    pub secret: BTreeMap<String, BTreeSet<String>>,
}

/// What reviews of this repository need.
pub fn wanted(set: &PolicySet) -> Wanted {
    let secrets = |_: &str| None;
    let planner = Planner::new(set, &secrets);
    let mut wanted = Wanted::default();
    let by_expressions = planner.membership_sections(&Scope::default());
    let all = by_expressions.is_empty();
    let mut sections: BTreeSet<String> = by_expressions.into_iter().collect();
    for def in set.catalog.settings.values() {
        sections.extend(def.observes().map(section_of));
        wanted.read.extend(def.observes().map(str::to_owned));
        for path in named(def.program.text()).into_iter().flatten() {
            sections.insert(section_of(&path));
            wanted.read.insert(path);
        }
    }
    for text in planner.selectors.expressions() {
        wanted.read.extend(paths_in(text));
    }
    if !all {
        wanted.sections = sections.into_iter().collect();
    }
    for setting in set.policies.iter().flat_map(|policy| &policy.settings).filter(|setting| holds_secret(&setting.value)) {
        let (Some(def), Some(key)) = (set.catalog.settings.get(&setting.name), setting.key.as_deref()) else { continue };
        let lists = def.program.probes(key, &placeholders(&setting.value)).unwrap_or_default();
        let section = section_of(def.probe.as_deref().unwrap_or(&def.observe));
        wanted.secret.entry(section).or_default().extend(lists.iter().map(|args| probe_key(args)));
    }
    wanted
}

/// Paths that were taken out of a state and that a side reads all the same, as the sections that are no evidence for it.
pub fn missing(set: &PolicySet, removed: &[String]) -> BTreeSet<String> {
    let reads = |def: &crate::catalog::SettingDef, path: &String| {
        def.observes().any(|read| read.starts_with(path.as_str()))
            || named(def.program.text()).into_iter().flatten().any(|read| read.starts_with(path.as_str()))
    };
    let used = set.policies.iter().flat_map(|policy| &policy.settings).filter_map(|setting| set.catalog.settings.get(&setting.name));
    used.flat_map(|def| removed.iter().filter(move |path| reads(def, path))).map(|path| section_of(path)).collect()
}

/// The paths behind `facts.` in an expression.
fn paths_in(text: &str) -> Vec<String> {
    let paths = text.match_indices("facts.").map(|(at, found)| {
        let rest = &text[at + found.len()..];
        rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect::<String>()
    });
    if sections_in(text).is_none() { Vec::new() } else { paths.collect() }
}
