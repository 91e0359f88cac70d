//! A host that carries out nothing: it records what a script would do, and answers from facts.

use std::sync::Arc;

use serde_json::Value;

use super::{Host, HostError};
use crate::model::Facts;
use crate::model::operation::{Operation, Reply};

/// Records operations; every one succeeds with empty output. Planning reads the commands from it.
#[derive(Debug, Default)]
pub struct Recorder {
    name: String,
    facts: Arc<Facts>,
    /// What was asked for, in order.
    pub operations: Vec<Operation>,
}

impl Recorder {
    /// A recorder for a device of this name and these facts.
    pub fn new(name: impl Into<String>, facts: Arc<Facts>) -> Self {
        Self { name: name.into(), facts, operations: Vec::new() }
    }
}

impl Host for Recorder {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        self.operations.push(operation.clone());
        Ok(Reply::default())
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }

    fn name(&self) -> String {
        self.name.clone()
    }
}
