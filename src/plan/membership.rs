//! Which groups a device belongs to, and whether a selector means it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Device, Facts, Platform, Selector};
use crate::repo::PolicySet;
use crate::script::Condition;

/// Whether a selector means a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targeting {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// A fact that it asks for has not been observed, or its expression failed: why.
    Unknown(String),
}

impl Targeting {
    /// Both must hold; a certain No decides.
    fn and(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::No => Self::No,
            Self::Yes => other(),
            Self::Unknown(why) => match other() {
                Self::No => Self::No,
                _ => Self::Unknown(why),
            },
        }
    }

    /// One must hold; a certain Yes decides.
    pub(super) fn or(self, other: impl FnOnce() -> Self) -> Self {
        match self {
            Self::Yes => Self::Yes,
            Self::No => other(),
            Self::Unknown(why) => match other() {
                Self::Yes => Self::Yes,
                _ => Self::Unknown(why),
            },
        }
    }

    fn of(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// The groups of one device, parents included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// Certain.
    pub groups: BTreeSet<String>,
    /// Not known, and why.
    pub unknown: BTreeMap<String, String>,
}

/// Group rules and policy selectors with their expressions compiled once.
#[derive(Debug, Default)]
pub(super) struct Selectors {
    conditions: BTreeMap<String, Option<Condition>>,
    /// Groups by the device that they list as a member.
    listed: BTreeMap<String, Vec<String>>,
    /// Groups in an order in which a group comes after every group that its rule or its children name.
    order: Vec<String>,
    children: BTreeMap<String, Vec<String>>,
}

impl Selectors {
    pub(super) fn new(set: &PolicySet) -> Self {
        let mut this = Self::default();
        for group in set.groups.values() {
            if let Some(rule) = &group.rule {
                this.compile(rule);
            }
            if let Some(parent) = &group.parent {
                this.children.entry(parent.clone()).or_default().push(group.name.clone());
            }
            for member in &group.members {
                this.listed.entry(member.clone()).or_default().push(group.name.clone());
            }
        }
        for policy in &set.policies {
            policy.targets.iter().chain(&policy.exclude).for_each(|s| this.compile(s));
        }
        let mut seen = BTreeSet::new();
        for name in set.groups.keys() {
            this.visit(set, name, &mut seen);
        }
        this
    }

    /// Depth first, so that what a group depends on is decided before it. The loader has refused cycles.
    fn visit(&mut self, set: &PolicySet, name: &str, seen: &mut BTreeSet<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let mut before = self.children.get(name).cloned().unwrap_or_default();
        match set.groups.get(name).and_then(|g| g.rule.as_ref()) {
            Some(Selector::Name(other)) if other != "*" => before.push(other.clone()),
            Some(Selector::Match(m)) => before.extend(m.group.clone()),
            _ => {}
        }
        for other in before {
            self.visit(set, &other, seen);
        }
        self.order.push(name.to_owned());
    }

    /// Compiles the expression of a selector that did not come from the policy set: a command's argument.
    pub(super) fn compile(&mut self, selector: &Selector) {
        if let Selector::Match(m) = selector
            && let Some(text) = &m.condition
            && !self.conditions.contains_key(text)
        {
            self.conditions.insert(text.clone(), Condition::compile(text).ok());
        }
    }

    /// The texts of all expressions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        self.conditions.keys().map(String::as_str)
    }

    /// The groups of a device.
    pub(super) fn membership(&self, set: &PolicySet, device: &Device, facts: &Facts) -> Membership {
        let mut found = Membership::default();
        let listed = self.listed.get(&device.name);
        for name in &self.order {
            let Some(group) = set.groups.get(name) else { continue };
            let declared = device.groups.contains(name) || listed.is_some_and(|l| l.contains(name));
            let mut answer = Targeting::of(declared);
            if answer != Targeting::Yes {
                for child in self.children.get(name).into_iter().flatten() {
                    answer = answer.or(|| in_group(&found, child));
                }
                if let Some(rule) = &group.rule {
                    answer = answer.or(|| self.means(set, rule, device, facts, &found));
                }
            }
            match answer {
                Targeting::Yes => {
                    found.groups.insert(name.clone());
                }
                Targeting::Unknown(why) => {
                    found.unknown.insert(name.clone(), why);
                }
                Targeting::No => {}
            }
        }
        found
    }

    /// Whether a selector means a device whose groups are known.
    pub(super) fn means(&self, set: &PolicySet, selector: &Selector, device: &Device, facts: &Facts, membership: &Membership) -> Targeting {
        let m = match selector {
            Selector::Name(name) if name == "*" => return Targeting::Yes,
            Selector::Name(name) => return in_group(membership, name),
            Selector::Match(m) => m,
        };
        let mut answer = Targeting::Yes;
        if let Some(wanted) = &m.device {
            answer = answer.and(|| Targeting::of(*wanted == device.name));
        }
        if let Some(tag) = &m.tag {
            answer = answer.and(|| Targeting::of(device.tags.contains(tag)));
        }
        if let Some(site) = &m.site {
            let own = device.site.as_deref().unwrap_or(&set.config.general.default_site);
            answer = answer.and(|| Targeting::of(own == site || set.sites.get(own).and_then(|s| s.site_id.as_deref()) == Some(site)));
        }
        if let Some(group) = &m.group {
            answer = answer.and(|| in_group(membership, group));
        }
        if let Some(os) = m.os {
            answer = answer.and(|| match platform(device, facts) {
                Some(known) => Targeting::of(known == os),
                None => Targeting::Unknown("its operating system is not known yet".into()),
            });
        }
        if let Some(text) = &m.condition {
            answer = answer.and(|| match self.conditions.get(text) {
                Some(Some(condition)) => match condition.holds(device, facts) {
                    Ok(Some(holds)) => Targeting::of(holds),
                    Ok(None) => Targeting::Unknown(format!("'{text}' asks for a fact that has not been observed")),
                    Err(error) => Targeting::Unknown(format!("'{text}': {error}")),
                },
                _ => Targeting::Unknown(format!("'{text}' does not compile")),
            });
        }
        answer
    }
}

fn in_group(membership: &Membership, group: &str) -> Targeting {
    if membership.groups.contains(group) {
        Targeting::Yes
    } else if let Some(why) = membership.unknown.get(group) {
        Targeting::Unknown(why.clone())
    } else {
        Targeting::No
    }
}

/// The family of a device's operating system: observed, else declared.
pub(super) fn platform(device: &Device, facts: &Facts) -> Option<Platform> {
    facts.platform().or(device.os)
}
