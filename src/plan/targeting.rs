//! Why a policy is for a device: the selector that means it, and the chain of groups behind that.
//!
//! Planning only asks whether; `rmm why` and `rmm eval` ask why.

use crate::model::{Device, Facts, Place, Policy, Selector};

use super::membership::Selectors;
use super::{Membership, Planner, Targeting};

/// One step of a reason, and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// In words: `in group All Servers`.
    pub text: String,
    /// Where that is written, where it is a line of the repository.
    pub place: Option<Place>,
}

impl Reason {
    fn new(text: impl Into<String>, place: Option<&Place>) -> Self {
        Self { text: text.into(), place: place.filter(|place| place.line > 0).cloned() }
    }
}

impl Planner<'_> {
    /// Whether a selector means a device.
    pub fn means(&self, selector: &Selector, device: &Device, facts: &Facts) -> Targeting {
        let mut selectors = Selectors::default();
        selectors.compile(selector);
        selectors.means(self.set, selector, device, facts, &self.membership(device, facts))
    }

    /// Why a policy is for a device, the nearest reason first; empty where no target means it for certain.
    pub fn why_targeted(&self, policy: &Policy, device: &Device, facts: &Facts) -> Vec<Reason> {
        let Some(target) = policy.targets.iter().find(|target| self.means(target, device, facts) == Targeting::Yes) else {
            return Vec::new();
        };
        self.why_meant(target, device, facts)
    }

    /// Why a selector means a device, where it does.
    pub fn why_meant(&self, selector: &Selector, device: &Device, facts: &Facts) -> Vec<Reason> {
        let membership = self.membership(device, facts);
        let group = match selector {
            Selector::Name(name) if name == "*" => return vec![Reason::new("every device", None)],
            Selector::Name(name) => name,
            Selector::Match(parts) => {
                let mut reasons = vec![Reason::new(selector.to_string(), None)];
                if let Some(group) = &parts.group {
                    self.why_member(group, device, &membership, &mut reasons);
                }
                return reasons;
            }
        };
        let mut reasons = Vec::new();
        self.why_member(group, device, &membership, &mut reasons);
        reasons
    }

    /// The chain from a group down to what says that the device is in it. The loader has refused circles.
    fn why_member(&self, name: &str, device: &Device, membership: &Membership, reasons: &mut Vec<Reason>) {
        let Some(group) = self.set.groups.get(name) else { return };
        if group.members.contains(&device.name) {
            return reasons.push(Reason::new(format!("in group {name}, which lists it"), Some(&group.place)));
        }
        if device.groups.iter().any(|declared| declared == name) {
            return reasons.push(Reason::new(format!("in group {name}, which it names"), Some(&device.place)));
        }
        let child = self.set.groups.values().find(|g| g.parent.as_deref() == Some(name) && membership.groups.contains(&g.name));
        if let Some(child) = child {
            reasons.push(Reason::new(format!("in group {name}, the parent of {}", child.name), Some(&child.place)));
            return self.why_member(&child.name, device, membership, reasons);
        }
        if let Some(rule) = &group.rule {
            reasons.push(Reason::new(format!("in group {name}, by its rule {rule}"), Some(&group.place)));
            let next = match rule {
                Selector::Name(other) if other != "*" => Some(other),
                Selector::Match(parts) => parts.group.as_ref(),
                Selector::Name(_) => None,
            };
            if let Some(next) = next {
                self.why_member(next, device, membership, reasons);
            }
        }
    }
}
