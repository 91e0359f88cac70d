//! Runs policy tests: the plan of a described device, by the very planner that makes real ones, against what is expected.
//!
//! `repo::policy_tests` reads them. `matching.rs` holds one expectation against one verdict, `coverage.rs` counts what no
//! test touches. `rmm test` calls this.

mod anonymous;
mod coverage;
mod matching;
mod record;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use coverage::{Coverage, Uncovered};
pub use matching::line;
pub use record::{Recorded, record};
pub use yaml::to_yaml;

use super::{PlanOptions, Planner};
use crate::model::Place;
use crate::model::plan::{Change, DevicePlan, State};
use crate::model::policy_test::{Expect, Expected, ReadyTest};

/// Most lines that one difference lists.
const MOST: usize = 20;

/// What came of a test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the plan says otherwise; none where the test passed.
    pub differences: Vec<Difference>,
    /// Lines of policies that an expectation has held against the plan: policy and place.
    pub touched: BTreeSet<(Arc<str>, Place)>,
}

impl Outcome {
    /// Whether everything is as expected.
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One expectation that the plan does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where the expectation stands.
    pub place: Place,
    /// What is different, in a few words: `changes: BitLocker`.
    pub what: String,
    /// What was expected, line by line.
    pub expected: Vec<String>,
    /// What the plan says instead, line by line.
    pub actual: Vec<String>,
}

/// The secret of a test: its name in brackets. Tests run where no secrets are.
pub fn secret(name: &str) -> Option<secrecy::SecretString> {
    Some(format!("(secret {name})").into())
}

/// Runs tests, several at once; the outcomes come in their order.
pub fn run_all(planner: &Planner<'_>, tests: &[ReadyTest]) -> Vec<Outcome> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
    let share = tests.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> =
            tests.chunks(share).map(|part| scope.spawn(move || part.iter().map(|test| run(planner, test)).collect::<Vec<_>>())).collect();
        // A panic goes on as one: tests without an outcome would pass for tests that passed.
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

/// The plan that a test is about, compliant settings included, and the names of the policies that are for its device.
pub fn plan_of(planner: &Planner<'_>, test: &ReadyTest) -> (DevicePlan, Vec<Arc<str>>) {
    let asks = |expected: &Expected| expected.entry().is_some_and(|entry| !entry.commands.is_empty());
    let commands = test.test.expect.lists().any(|(_, _, list)| list.iter().any(asks));
    let options = PlanOptions { approve: test.test.approve, commands, compliant: true, ..PlanOptions::default() };
    let evaluated = planner.evaluate(&test.device, &test.facts, &options, test.at);
    let policies = evaluated.policies.clone();
    let mut plan = planner.decide(&test.device, evaluated, &options, test.at);
    if commands {
        planner.show_commands(&mut plan, &test.facts);
    }
    (plan, policies)
}

/// Runs one test.
pub fn run(planner: &Planner<'_>, test: &ReadyTest) -> Outcome {
    let (plan, policies) = plan_of(planner, test);
    let expect = &test.test.expect;
    let mut outcome = Outcome::default();
    let mut listed: BTreeSet<usize> = BTreeSet::new();
    for (state, key, list) in expect.lists() {
        for (i, expected) in list.iter().enumerate() {
            let met: Vec<usize> = (0..plan.changes.len()).filter(|n| matching::meets(expected, &plan.changes[*n], state)).collect();
            if met.is_empty() {
                let (expected, actual) = matching::difference(expected, state, &plan.changes);
                let what = format!("{key}: {}", matching::name(&list[i]));
                outcome.differences.push(Difference { place: test.place_of(key, i).clone(), what, expected, actual });
            }
            for n in met {
                touch(planner, test, &plan.changes[n], &mut outcome.touched);
                listed.insert(n);
            }
        }
    }
    let exact = expect.only || expect.nothing;
    for (state, key, list) in expect.lists().filter(|(_, _, list)| list.is_empty() || exact) {
        // Under `only` the other verdicts may all be compliant, listed or not.
        if exact && state == State::Compliant && !list.is_empty() {
            continue;
        }
        let more = unexpected(&plan.changes, &listed, |change| change.state == state);
        let expected = if list.is_empty() { vec!["nothing".to_owned()] } else { vec!["nothing else".to_owned()] };
        report(&mut outcome, test.place_of(key, list.len()), key, expected, more);
    }
    if exact {
        let given: Vec<State> = expect.lists().map(|(state, ..)| state).collect();
        let other = |change: &Change| change.state != State::Compliant && !given.contains(&change.state);
        let more = unexpected(&plan.changes, &listed, other);
        let key = if expect.nothing { "nothing" } else { "only" };
        report(&mut outcome, &test.place, key, vec!["everything else is compliant".to_owned()], more);
        for change in plan.changes.iter().filter(|change| change.state == State::Compliant) {
            touch(planner, test, change, &mut outcome.touched);
        }
    }
    let groups: Vec<&str> = plan.groups.iter().map(String::as_str).collect();
    let policies: Vec<&str> = policies.iter().map(|name| &**name).collect();
    for (key, wanted, found) in [("groups", &expect.groups, groups), ("policies", &expect.policies, policies)] {
        let Some(wanted) = wanted else { continue };
        names(&mut outcome, test, expect, key, wanted, &found);
    }
    outcome
}

/// Groups or policies: those that are missing, and those that are too many.
fn names(outcome: &mut Outcome, test: &ReadyTest, expect: &Expect, key: &'static str, wanted: &[String], found: &[&str]) {
    let said = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    for (i, name) in wanted.iter().enumerate().filter(|(_, name)| !found.contains(&name.as_str())) {
        let difference = Difference {
            place: test.place_of(key, i).clone(),
            what: key.to_owned(),
            expected: vec![name.clone()],
            actual: vec![said.clone()],
        };
        outcome.differences.push(difference);
    }
    if wanted.is_empty() || expect.only {
        let more: Vec<String> = found.iter().filter(|name| !wanted.iter().any(|w| w == *name)).map(ToString::to_string).collect();
        let expected = if wanted.is_empty() { "none".to_owned() } else { "no others".to_owned() };
        report(outcome, test.place_of(key, wanted.len()), key, vec![expected], more);
    }
}

fn unexpected(changes: &[Change], listed: &BTreeSet<usize>, of: impl Fn(&Change) -> bool) -> Vec<String> {
    changes.iter().enumerate().filter(|(n, change)| of(change) && !listed.contains(n)).map(|(_, change)| line(change)).collect()
}

fn report(outcome: &mut Outcome, place: &Place, what: &str, expected: Vec<String>, mut actual: Vec<String>) {
    if actual.is_empty() {
        return;
    }
    if actual.len() > MOST {
        let more = actual.len() - MOST;
        actual.truncate(MOST);
        actual.push(format!("and {more} more"));
    }
    outcome.differences.push(Difference { place: place.clone(), what: what.to_owned(), expected, actual });
}

/// Notes the line that asks for a verdict, and the line that holds it back.
fn touch(planner: &Planner<'_>, test: &ReadyTest, change: &Change, touched: &mut BTreeSet<(Arc<str>, Place)>) {
    touched.insert((Arc::clone(&change.policy), change.place.clone()));
    let Some(held) = &change.held else { return };
    if let Some(policy) = planner.policies.get(&*held.by) {
        touched.extend(policy.guards.iter().filter(|guard| !guard.allow).map(|guard| (Arc::clone(&policy.name), guard.place.clone())));
    } else if let Some(policy) = planner.policies.get(&*change.policy).filter(|_| held.by == "exception") {
        let zone = policy.active.map_or(chrono_tz::Tz::UTC, |window| window.zone());
        let covers = |e: &&crate::model::Exception| e.covers(&test.device.name, &change.setting, change.key.as_deref(), test.at, zone);
        touched.extend(policy.exceptions.iter().find(covers).map(|e| (Arc::clone(&policy.name), e.place.clone())));
    }
}
