//! Reads the policy tests of a repository, `tests/*.yaml`, against its policy set.
//!
//! They are no part of the policy set: a test changes nothing about any device. `read.rs` touches the disk, `ready.rs`
//! resolves one test; the rest is pure over (path, text) pairs. `plan::policy_test` runs them.

mod read;
mod ready;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use read::{load_tests, read_facts};

use super::codes;
use super::decode::{self, TEST};
use super::set::PolicySet;
use super::tree::{Entry, Node, Tree};
use super::yaml;
use crate::diagnose::{Diagnostic, Level};
use crate::model::policy_test::{PolicyTest, ReadyTest};
use crate::model::{Facts, Place};

/// A reading of the tests of a repository.
#[derive(Debug, Clone, Default)]
pub struct Tests {
    /// The tests, by file and line; those with errors are left out.
    pub tests: Vec<ReadyTest>,
    /// How many files were read.
    pub files: usize,
    /// Everything that is wrong, by place.
    pub problems: Vec<Diagnostic>,
    /// The texts that were read, for showing the lines that are meant.
    pub sources: Arc<BTreeMap<Arc<str>, String>>,
}

impl Tests {
    /// Whether any problem is an error.
    pub fn invalid(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }
}

/// Gives the text of a facts file of the repository, or why it cannot be read.
type Samples<'a> = &'a dyn Fn(&str) -> Result<String, String>;

/// Reads tests from (path, text) pairs.
pub fn compile_tests(mut files: Vec<(Arc<str>, String)>, samples: Samples<'_>, set: &PolicySet) -> Tests {
    files.sort_by(|a, b| a.0.cmp(&b.0));
    let mut tests = Tests { files: files.len(), ..Tests::default() };
    let mut reading = Reading { set, samples, known: known_sections(set), facts: BTreeMap::new(), problems: Vec::new() };
    let mut first: BTreeMap<String, Place> = BTreeMap::new();
    for (path, text) in &files {
        let (root, found) = yaml::parse(path, text);
        reading.problems.extend(found);
        let Some(root) = root else { continue };
        for node in split(path, &root, &mut reading.problems) {
            let Some(test) = decode::decode::<PolicyTest>(&TEST, path, node, &mut reading.problems) else { continue };
            let place = node.get("name").map_or(node.spot, |name| name.spot).of(path);
            if let Some(first) = first.get(&test.name) {
                reading.problems.push(codes::duplicate_name("test", &test.name, &place, first));
                continue;
            }
            first.insert(test.name.clone(), place.clone());
            tests.tests.extend(reading.ready(test, node, path, place));
        }
    }
    tests.problems = reading.problems;
    tests.problems.sort_by(|a, b| (&a.place, a.level, &a.code).cmp(&(&b.place, b.level, &b.code)));
    tests.problems.dedup();
    tests.sources = Arc::new(files.into_iter().collect());
    tests
}

/// The tests of a file: a list, or one under `tests:`.
fn split<'a>(file: &Arc<str>, root: &'a Node, problems: &mut Vec<Diagnostic>) -> &'a [Node] {
    let list = match &root.value {
        Tree::Null => return &[],
        Tree::Map(entries) => {
            for Entry { key, spot, .. } in entries.iter().filter(|entry| entry.key != "tests") {
                problems.push(codes::unknown_key(key, ["tests"], "a tests file", &spot.of(file)));
            }
            match root.get("tests") {
                Some(list) => list,
                None => return &[],
            }
        }
        _ => root,
    };
    match &list.value {
        Tree::List(items) => items,
        Tree::Null => &[],
        _ => {
            problems.push(codes::wrong_value("expected a list of tests", &list.spot.of(file)));
            &[]
        }
    }
}

/// Names of sections that can be observed at all: of the collector, and what the team's own settings look at.
fn known_sections(set: &PolicySet) -> Vec<String> {
    let mut known: Vec<String> = crate::catalog::facts::fact_pages().keys().cloned().collect();
    for setting in set.catalog.settings.values() {
        known.push(setting.probe.clone().unwrap_or_else(|| setting.observe.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")));
    }
    known.sort();
    known.dedup();
    known
}

/// What reading the tests of one repository needs and remembers.
struct Reading<'a> {
    set: &'a PolicySet,
    samples: Samples<'a>,
    known: Vec<String>,
    /// Facts files by path; a file that is of no use is reported where it is first named.
    facts: BTreeMap<String, Option<Arc<Facts>>>,
    problems: Vec<Diagnostic>,
}
