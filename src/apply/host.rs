//! The host that acts: what a script asks for is carried out on the device.

use std::sync::Arc;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::access::Redactor;
use crate::diagnose::Diagnose as _;
use crate::model::Facts;
use crate::model::operation::{Operation, Reply};
use crate::script::{Host, HostError};
use crate::transport::{Command, Session};

/// Carries out operations over an open session. Lives on a blocking thread and waits there for the async side.
pub(super) struct LiveHost {
    device: String,
    session: Arc<dyn Session>,
    facts: Arc<Facts>,
    runtime: Handle,
    abort: CancellationToken,
    redactor: Redactor,
}

impl LiveHost {
    /// Must be made within the runtime.
    pub(super) fn new(device: String, session: Arc<dyn Session>, facts: Arc<Facts>, abort: CancellationToken, redactor: Redactor) -> Self {
        Self { device, session, facts, runtime: Handle::current(), abort, redactor }
    }
}

impl Host for LiveHost {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        let rendered = crate::script::render(operation);
        let command = Command { line: rendered.line, input: rendered.input.unwrap_or_default(), elevate: true, ..Command::default() };
        // Replaced before it is quoted: a secret that holds a quote looks different afterwards.
        let shown = || crate::script::shown(operation, &|text| self.redactor.redact(text).into_owned()).line;
        tracing::debug!(device = self.device.as_str(), "run {}", shown());
        let answer = self.runtime.block_on(self.session.run(command, &self.abort));
        let output =
            answer.map_err(|error| HostError::Transport { code: error.code(), category: error.category(), message: error.to_string() })?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Reply { code: output.code, stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }

    fn name(&self) -> String {
        self.device.clone()
    }
}
