//! The pages of facts: what each section and probe holds. `rmm explain hardware.memory` prints one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/facts");

/// One member of a section (of each entry, where the section is a list or a map).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactMember {
    /// `string`, `integer`, `number`, `boolean`, `list`, `object`, `any`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Meaning and unit.
    pub description: String,
    /// Platforms that have it; all those of the page where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<crate::model::Platform>,
}

/// The page of one section or probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactPage {
    /// `hardware.memory`.
    pub name: String,
    /// Its category.
    pub category: crate::model::Category,
    /// One sentence.
    pub summary: String,
    /// Platforms on which it is observed.
    pub platforms: Vec<crate::model::Platform>,
    /// `no`, `yes`, or for what.
    pub needs_root: String,
    /// `object`, `list` (of objects with these members, or of texts) or `map` (from names to them).
    pub shape: String,
    /// Members in the order in which they are shown.
    pub members: serde_json::Map<String, serde_json::Value>,
    /// What else there is to know.
    #[serde(default)]
    pub note: Option<String>,
    /// An example.
    pub example: serde_json::Value,
}

impl FactPage {
    /// Its members, typed.
    pub fn members(&self) -> Vec<(String, FactMember)> {
        let typed = |(name, value): (&String, &serde_json::Value)| Some((name.clone(), serde_json::from_value(value.clone()).ok()?));
        self.members.iter().filter_map(typed).collect()
    }
}

/// All pages by name. A page that cannot be read is left out; a test sees to it that there is none.
pub fn fact_pages() -> &'static BTreeMap<String, FactPage> {
    static READ: LazyLock<BTreeMap<String, FactPage>> = LazyLock::new(|| {
        let page = |file: &include_dir::File<'_>| serde_yaml::from_str::<FactPage>(file.contents_utf8()?).ok();
        PAGES.files().filter_map(page).map(|page| (page.name.clone(), page)).collect()
    });
    &READ
}

/// The first step of a path below `facts` that does not exist, by its position, and what could stand there. What a device
/// has none of (a user, a package) exists; members of sections that have a fixed shape do not.
pub fn misspelt(steps: &[&str]) -> Option<(usize, BTreeSet<String>)> {
    let pages = fact_pages();
    let first = steps.first()?;
    let named = |page: &FactPage, from: usize| wrong_member(page, &steps[from..]).map(|(at, known)| (from + at, known));
    if let Some(page) = pages.get(*first) {
        return named(page, 1);
    }
    let below: BTreeSet<String> = pages.keys().filter_map(|name| name.strip_prefix(first)?.strip_prefix('.')).map(str::to_owned).collect();
    if below.is_empty() {
        // `os` is part of `software.os`.
        let last = |name: &&String| name.rsplit('.').next() == Some(first);
        let whole: BTreeSet<String> = pages.keys().filter(last).cloned().collect();
        let tops = || pages.keys().filter_map(|name| name.split('.').next()).map(str::to_owned).collect();
        return Some((0, if whole.is_empty() { tops() } else { whole }));
    }
    let second = steps.get(1)?;
    match pages.get(&format!("{first}.{second}")) {
        Some(page) => named(page, 2),
        None => Some((1, below)),
    }
}

/// The first step within a section that is no member of it.
fn wrong_member(page: &FactPage, steps: &[&str]) -> Option<(usize, BTreeSet<String>)> {
    let at = match page.shape.as_str() {
        "object" => 0,
        // Below the name of an entry.
        "map" => 1,
        _ => return None,
    };
    let step = steps.get(at)?;
    // Rhai's own: the number of entries.
    let known = page.members.is_empty() || page.members.contains_key(*step) || *step == "len";
    (!known).then(|| (at, page.members.keys().cloned().collect()))
}

/// The page that a fact path belongs to: `hardware.memory.total_gb` to that of `hardware.memory`.
pub fn fact_page(path: &str) -> Option<FactPage> {
    let pages = fact_pages();
    let mut name = path;
    loop {
        if let Some(page) = pages.get(name) {
            return Some(page.clone());
        }
        name = &name[..name.rfind('.')?];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_reads_and_is_named_after_its_file() {
        let pages = fact_pages();
        for file in PAGES.files() {
            let text = file.contents_utf8().unwrap();
            let page: FactPage = serde_yaml::from_str(text).unwrap_or_else(|e| panic!("{}: {e}", file.path().display()));
            assert_eq!(Some(page.name.as_str()), file.path().file_stem().and_then(|s| s.to_str()));
            assert_eq!(page.members().len(), page.members.len(), "{}", page.name);
        }
        assert_eq!(pages.len(), PAGES.files().count());
    }

    #[test]
    fn a_path_leads_to_the_page_of_its_section() {
        assert_eq!(fact_page("hardware.memory.total_gb").unwrap().name, "hardware.memory");
        assert!(fact_page("nonsense.path").is_none());
    }

    #[test]
    fn a_misspelt_fact_is_found_at_its_step_and_what_a_device_may_lack_is_none() {
        let wrong = |path: &str| misspelt(&path.split('.').collect::<Vec<_>>()).map(|(at, _)| at);
        for good in [
            "software.os.family",
            "software",
            "software.os",
            "security.users.alice.uid",
            "software.packages.no-such-package",
            "security.sshd.permitrootlogin",
            "hardware.disks",
            "software.packages.len",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
        assert_eq!(wrong("software.os.familly"), Some(2));
        assert_eq!(wrong("software.so.family"), Some(1));
        assert_eq!(wrong("sofware.os.family"), Some(0));
        assert_eq!(wrong("security.users.alice.uuid"), Some(3));
        assert_eq!(misspelt(&["os", "family"]), Some((0, BTreeSet::from(["software.os".to_owned()]))));
    }
}
