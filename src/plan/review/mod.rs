//! What a change of the repository means, and what it would do to the fleet. Pure: two policy sets, facts and a clock in,
//! a [`Review`] out.
//!
//! `meaning.rs` compares what the sets say, `effect.rs` what they would do to each device, `rule.rs` whether that may pass.
//! `cli/review` brings the sets and the facts, and writes the result.

mod delta;
mod effect;
mod export;
mod locate;
mod meaning;
mod rule;
mod scripts;
mod sealed;
mod tally;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::diagnose::Diagnostic;
use crate::model::Place;

pub use effect::{DeviceEffect, Effect, Effects, FactsSource, Impact, Share, effects};
pub use export::{Wanted, missing, wanted};
pub use meaning::{Difference, How, differences};
pub use rule::{Reason, judge};
pub use scripts::Texts;
pub use sealed::secrets_that_differ;

/// The version of the JSON form. A reader refuses another major.
pub const REVIEW_SCHEMA: &str = "rmm.review/1";

/// One side of a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// As it was asked for: `main`, `working tree`.
    pub name: String,
    /// Commit in full; absent for the working tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Content hash of the policy set; absent where it is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_set: Option<String>,
}

/// A problem of the new side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What is wrong.
    #[serde(flatten)]
    pub problem: Diagnostic,
    /// Whether the old side did not have it.
    pub new: bool,
}

/// Where the facts came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFrom {
    /// `database`, or the name of the file.
    pub source: String,
    /// When the state was exported; absent for the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported_at: Option<DateTime<Utc>>,
    /// When the oldest fact that mattered was observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<DateTime<Utc>>,
}

/// Everything that a reviewer wants to know.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// [`REVIEW_SCHEMA`].
    pub schema: String,
    /// What is compared with.
    pub base: Side,
    /// What is reviewed.
    pub head: Side,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether the new side is valid.
    pub valid: bool,
    /// Whether the change may pass by the rule of the old side.
    pub passed: bool,
    /// Why it may not.
    pub reasons: Vec<Reason>,
    /// What is wrong with the new side.
    pub problems: Vec<Problem>,
    /// Where the facts came from; absent where nothing was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StateFrom>,
    /// What differs in meaning.
    pub differences: Vec<Difference>,
    /// What it would do; absent where nothing could be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effects: Option<Effects>,
}

/// Marks the problems of the new side that the old one did not have. Lines may have moved: file, code and message count.
pub fn mark_new(old: &[Diagnostic], new: Vec<Diagnostic>) -> Vec<Problem> {
    let key = |p: &Diagnostic| (p.place.as_ref().map(|place: &Place| place.file.to_string()), p.code.clone(), p.message.clone());
    let mut known: std::collections::BTreeMap<_, usize> = std::collections::BTreeMap::new();
    for problem in old {
        *known.entry(key(problem)).or_default() += 1;
    }
    new.into_iter()
        .map(|problem| {
            let left = known.get_mut(&key(&problem)).filter(|left| **left > 0);
            let new = left.is_none();
            if let Some(left) = left {
                *left -= 1;
            }
            Problem { problem, new }
        })
        .collect()
}
