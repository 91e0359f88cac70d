//! The pages of facts: what each section and probe holds. `rmm explain hardware.memory` prints one.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

static PAGES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/catalog/facts");

/// One member of a section (of each entry, where the section is a list or a map).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactMember {
    /// `string`, `integer`, `number`, `boolean`, `list`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Meaning and unit.
    pub description: String,
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
pub fn fact_pages() -> BTreeMap<String, FactPage> {
    let page = |file: &include_dir::File<'_>| serde_yaml::from_str::<FactPage>(file.contents_utf8()?).ok();
    PAGES.files().filter_map(page).map(|page| (page.name.clone(), page)).collect()
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
}
