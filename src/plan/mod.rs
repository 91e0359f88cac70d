//! Pure planning: PolicySet x Facts x clock -> Plan. No I/O, no randomness: the same inputs give the same bytes.
//!
//! [`Planner::evaluate`] is what does not depend on the time and may be kept; [`Planner::decide`] puts windows,
//! guards and exceptions on top. `apply::survey` brings the facts and keeps the verdicts.

mod commands;
mod compare;
mod decide;
mod evaluate;
mod matcher;
mod membership;
mod memo;
mod needs;
mod planner;
pub mod policy_test;
pub mod reference;
mod resolve;
pub mod review;
mod scope;
mod secrets;
mod summary;
mod suspended;
mod targeting;
mod template;
#[cfg(test)]
mod tests;
mod updates;
mod verdict;

pub use compare::compliant;
pub use decide::Deed;
pub use evaluate::{Evaluated, UNCERTAIN};
pub use matcher::Matcher;
pub use membership::{Membership, Targeting};
pub use needs::Needs;
pub use planner::{PlanOptions, Planner, ScopeMatcher, Unattended};
pub use resolve::{Resolution, ResolvedSetting};
pub use scope::{Scope, ScopeError};
pub use secrets::{SecretLookup, holds_secret, placeholders, resolved};
pub use summary::summarize;
pub use suspended::Suspended;
pub use targeting::Reason;
pub use updates::{Approval, Approver, Decision, InForce, decide as decide_update};
pub use verdict::{Question, Verdict, evidence, judge};
