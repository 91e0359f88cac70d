//! What the tests of a repository touch of its policies, and what none of them does.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Outcome;
use crate::model::Place;
use crate::repo::PolicySet;

/// How much of the policies the tests touch. Counted are settings, guards that forbid, and exceptions; what is imported
/// from a pack that ships with the program is not the repository's to test.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many there are.
    pub total: usize,
    /// How many at least one test touches.
    pub touched: usize,
    /// Policies of which no test touches anything, and where they stand.
    pub policies: Vec<(Arc<str>, Place)>,
    /// What no test touches, by place.
    pub uncovered: Vec<Uncovered>,
}

/// Something that no test touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncovered {
    /// Policy.
    pub policy: Arc<str>,
    /// `Services.sshd`, `AllowReboots`, or `exception for ws-017`.
    pub what: String,
    /// Where it stands.
    pub place: Place,
}

impl Coverage {
    /// Counts.
    pub fn of<'a>(set: &PolicySet, outcomes: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let touched: BTreeSet<&(Arc<str>, Place)> = outcomes.into_iter().flat_map(|outcome| &outcome.touched).collect();
        let mut coverage = Self::default();
        for policy in set.policies.iter().filter(|policy| !policy.place.file.starts_with("builtin:")) {
            let settings = policy.settings.iter().map(|setting| (setting.label(), &setting.place));
            let guards = policy.guards.iter().filter(|guard| !guard.allow).map(|guard| (format!("{:?}", guard.kind), &guard.place));
            let exceptions = policy.exceptions.iter().map(|e| (format!("exception for {}", e.device), &e.place));
            let (mut of_policy, mut hit) = (0, 0);
            for (what, place) in settings.chain(guards).chain(exceptions) {
                of_policy += 1;
                if touched.contains(&(Arc::clone(&policy.name), place.clone())) {
                    hit += 1;
                } else {
                    coverage.uncovered.push(Uncovered { policy: Arc::clone(&policy.name), what, place: place.clone() });
                }
            }
            coverage.total += of_policy;
            coverage.touched += hit;
            if hit == 0 && of_policy > 0 {
                coverage.policies.push((Arc::clone(&policy.name), policy.place.clone()));
            }
        }
        coverage.uncovered.sort_by(|a, b| (&a.place, &a.what).cmp(&(&b.place, &b.what)));
        coverage.policies.sort_by(|a, b| a.1.cmp(&b.1));
        coverage
    }

    /// How much is touched, in per cent, rounded down: 100 means everything. Nothing to touch is everything.
    pub fn percent(&self) -> u8 {
        u8::try_from((self.touched * 100).checked_div(self.total).unwrap_or(100)).unwrap_or(100)
    }
}
