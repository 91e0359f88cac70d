//! Whom selectors mean, for those who do not plan: thresholds, rules of notification, silences.
//!
//! The same code that planning uses, but owned: it lives as long as a policy set is in force.

use std::sync::Arc;

use super::membership::Selectors;
use super::scope::sections_in;
use super::{Membership, Targeting};
use crate::model::{Device, Facts, Selector};
use crate::repo::PolicySet;

/// A policy set with the expressions of its groups, and of other selectors, compiled once.
#[derive(Debug)]
pub struct Matcher {
    set: Arc<PolicySet>,
    selectors: Selectors,
}

impl Matcher {
    /// Makes a policy set ready. `more` are the selectors that will be asked about, besides those of groups and policies.
    pub fn new<'a>(set: Arc<PolicySet>, more: impl IntoIterator<Item = &'a Selector>) -> Self {
        let mut selectors = Selectors::new(&set);
        more.into_iter().for_each(|selector| selectors.compile(selector));
        Self { set, selectors }
    }

    /// One selector more.
    pub fn add(&mut self, selector: &Selector) {
        self.selectors.compile(selector);
    }

    /// The policy set.
    pub fn set(&self) -> &Arc<PolicySet> {
        &self.set
    }

    /// The groups of a device.
    pub fn membership(&self, device: &Device, facts: &Facts) -> Membership {
        self.selectors.membership(&self.set, device, facts)
    }

    /// Whether a selector means a device whose groups are known.
    pub fn means(&self, selector: &Selector, device: &Device, facts: &Facts, membership: &Membership) -> Targeting {
        self.selectors.means(&self.set, selector, device, facts, membership)
    }

    /// Whether one of these selectors means a device.
    pub fn any(&self, selectors: &[Selector], device: &Device, facts: &Facts, membership: &Membership) -> Targeting {
        selectors.iter().fold(Targeting::No, |answer, selector| answer.or(|| self.means(selector, device, facts, membership)))
    }

    /// Names of the sections of facts that may be looked at; none where that may be any.
    pub fn sections(&self) -> Option<Vec<String>> {
        let mut names = vec!["software.os".to_owned()];
        for text in self.selectors.expressions() {
            names.extend(sections_in(text)?);
        }
        names.sort();
        names.dedup();
        Some(names)
    }
}
