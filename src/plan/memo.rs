//! What the script of one setting has answered already. Scripts are pure: the same observed value and the same desired one
//! have the same answer, and in a fleet most devices observe the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use serde_json::Value;

/// Most answers that are kept per setting.
const MOST: usize = 256;
/// Longest observed value, as JSON, whose answer is kept.
const LONGEST: usize = 4096;

/// Answers for one setting with one desired value, from several threads.
#[derive(Debug, Default)]
pub(super) struct Memo {
    answers: RwLock<HashMap<Vec<u8>, Result<bool, String>>>,
    member: OnceLock<Result<String, String>>,
}

impl Memo {
    /// Whether an observed value is compliant, as known or as `ask` says.
    pub(super) fn compliant(&self, observed: Option<&Value>, ask: impl FnOnce() -> Result<bool, String>) -> Result<bool, String> {
        let mut key = Vec::with_capacity(256);
        if let Some(observed) = observed
            && (serde_json::to_writer(&mut key, observed).is_err() || key.len() > LONGEST)
        {
            return ask();
        }
        if let Some(answer) = self.answers.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return answer.clone();
        }
        let answer = ask();
        let mut answers = self.answers.write().unwrap_or_else(PoisonError::into_inner);
        // Where every device has a value of its own, remembering is of no use.
        if answers.len() < MOST {
            answers.insert(key, answer.clone());
        }
        answer
    }

    /// The member of the observed map that the answer stands under, as known or as `ask` says.
    pub(super) fn member(&self, ask: impl FnOnce() -> Result<String, String>) -> Result<Cow<'_, str>, String> {
        self.member.get_or_init(ask).as_deref().map(Cow::Borrowed).map_err(Clone::clone)
    }
}
