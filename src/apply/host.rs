//! The host that acts: what a script asks for is carried out on the device.

use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use super::asked::{Ran, bounded};
use super::once::Receipts;
use crate::access::Redactor;
use crate::diagnose::{Category, Diagnose};
use crate::model::Facts;
use crate::model::operation::{Operation, Reply};
use crate::script::{Host, HostError};
use crate::transport::{Command, Output, Session, TransportError};

/// Carries out operations over an open session. Lives on a blocking thread and waits there for the async side.
pub(super) struct LiveHost {
    device: String,
    session: Arc<dyn Session>,
    facts: Arc<Facts>,
    runtime: Handle,
    abort: CancellationToken,
    redactor: Redactor,
    /// Values that must not stand among the arguments of a process.
    secrets: Vec<SecretString>,
    doing: Option<Doing>,
}

/// What an action has besides: its time, its receipts, and a record of what it did.
pub(super) struct Doing {
    /// When it has to be over; the connection's own limit for each command where absent.
    pub(super) deadline: Option<Instant>,
    /// Time for one command where there is no deadline.
    pub(super) each: Duration,
    /// Receipts, where it must not happen twice.
    pub(super) receipts: Option<Receipts>,
    /// What was carried out.
    pub(super) ran: Vec<Ran>,
}

/// The shortest secret that is looked for within an argument.
const SHORTEST: usize = 4;
/// The record holds no more commands than this; further ones are carried out and not kept.
const MOST_COMMANDS: usize = 200;

impl Doing {
    fn left(&self) -> Option<Duration> {
        self.deadline.map_or(Some(self.each), |deadline| deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()))
    }
}

impl LiveHost {
    /// Must be made within the runtime.
    pub(super) fn new(device: String, session: Arc<dyn Session>, facts: Arc<Facts>, abort: CancellationToken, redactor: Redactor) -> Self {
        Self { device, session, facts, runtime: Handle::current(), abort, redactor, secrets: Vec::new(), doing: None }
    }

    /// With these secrets among what its script is given.
    pub(super) fn with_secrets(self, secrets: Vec<SecretString>) -> Self {
        Self { secrets, ..self }
    }

    /// For an action.
    pub(super) fn with_doing(self, doing: Doing) -> Self {
        Self { doing: Some(doing), ..self }
    }

    /// Everybody on the device can read the arguments of a process.
    fn exposes(&self, operation: &Operation) -> bool {
        let words: Vec<&str> = match operation {
            Operation::Run { argv, .. } => argv.iter().map(String::as_str).collect(),
            Operation::WriteFile { path, .. } => vec![path],
            // Script and values go over standard input, where no list of processes shows them.
            Operation::PowerShell { .. } => Vec::new(),
        };
        self.secrets.iter().any(|secret| words.iter().any(|word| holds(word, secret.expose_secret())))
    }

    /// What was carried out so far.
    pub(super) fn take_ran(&mut self) -> Vec<Ran> {
        self.doing.as_mut().map(|doing| std::mem::take(&mut doing.ran)).unwrap_or_default()
    }

    fn carry_out(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        if self.exposes(operation) {
            let message = "a secret would stand among the arguments of a program, where everybody on the device can read it; send it with \
                           device.run_input or device.run_env";
            return Err(HostError::Transport { code: "RMM0723", category: Category::Configuration, message: message.into() });
        }
        let shell = self.session.shell();
        let rendered = crate::script::render_told(operation, shell);
        let reply = |output: &Output| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let Some(stdout) = crate::script::told(shell, output.code, &output.stdout) else {
                let message = "PowerShell ended without an error and said nothing at all: whether the script ran is not known".into();
                return Err(HostError::Transport { code: "RMM0431", category: Category::Configuration, message });
            };
            Ok(Reply { code: output.code, stdout: text(stdout), stderr: text(&output.stderr) })
        };
        let Some(doing) = &mut self.doing else {
            let command = Command { line: rendered.line, input: rendered.input.unwrap_or_default(), elevate: true, ..Command::default() };
            let output = self.runtime.block_on(self.session.run(command, &self.abort)).map_err(|error| told(&error))?;
            return reply(&output);
        };
        let limit = doing.left().ok_or_else(|| told(&TransportError::Timeout { seconds: 0 }))?;
        let output = if let Some(receipts) = &mut doing.receipts {
            self.runtime.block_on(receipts.carry_out(&*self.session, rendered, limit, &self.abort)).map_err(|error| told(&error))?
        } else {
            let command = Command {
                line: rendered.line,
                input: rendered.input.unwrap_or_default(),
                elevate: true,
                timeout: Some(limit),
                ..Command::default()
            };
            self.runtime.block_on(self.session.run(command, &self.abort)).map_err(|error| told(&error))?
        };
        reply(&output)
    }

    fn record(&mut self, line: String, answer: &Result<Reply, HostError>) {
        let redactor = &self.redactor;
        let Some(doing) = self.doing.as_mut().filter(|doing| doing.ran.len() < MOST_COMMANDS) else { return };
        let kept = |text: &str| bounded(redactor.redact(text).into_owned());
        doing.ran.push(match answer {
            Ok(reply) => Ran { line: bounded(line), code: reply.code, stdout: kept(&reply.stdout), stderr: kept(&reply.stderr) },
            Err(error) => Ran { line: bounded(line), code: -1, stdout: String::new(), stderr: kept(&error.to_string()) },
        });
    }
}

/// Whether an argument holds a secret. Hardly any text is without every very short value: such a one is looked for as the whole argument.
fn holds(word: &str, secret: &str) -> bool {
    if secret.len() < SHORTEST { !secret.is_empty() && word == secret } else { word.contains(secret) }
}

/// An error in the words of whoever gave it.
fn told(error: &(impl Diagnose + ?Sized)) -> HostError {
    HostError::Transport { code: error.code(), category: error.category(), message: error.to_string() }
}

impl Host for LiveHost {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        // Replaced before it is quoted: a secret that holds a quote looks different afterwards.
        let shown = || crate::script::shown(operation, &|text| self.redactor.redact(text).into_owned()).line;
        tracing::debug!(device = self.device.as_str(), "run {}", shown());
        let line = if self.doing.is_some() { shown() } else { String::new() };
        let answer = self.carry_out(operation);
        self.record(line, &answer);
        answer
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }

    fn shown(&self, text: &str) -> String {
        self.redactor.redact(text).into_owned()
    }

    fn name(&self) -> String {
        self.device.clone()
    }
}
