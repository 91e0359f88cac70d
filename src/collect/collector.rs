//! Observes one device over an open session, in one round trip.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::observe::{self, Observation};
use super::settled::{Kept, Question};
use super::{Request, script, windows};
use crate::model::facts::{Section, Status, probe_key};
use crate::time::Clock;
use crate::transport::{Command, Output, Session, Shell, TransportError};

/// Bounds of one collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Time for the whole script; its parts have shorter limits of their own.
    pub timeout: Duration,
    /// Most bytes of output that are read.
    pub max_output: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(1), max_output: 32 << 20 }
    }
}

/// An answer of this many bytes is parsed in a few milliseconds, right where it came in: each further thread would keep
/// memory of its own.
const SHORT: usize = 512 * 1024;

/// Longer answers that are parsed at the same time.
static PARSING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// Observes devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct Collector;

impl Collector {
    /// Observes everything in `request` over `session`. What cannot be asked for or observed is an unknown section (or
    /// `error` of the probe's answer); an error is returned only where the device could not be asked at all.
    /// `kept` is for those who come back: what this device need not say twice, under this name.
    pub async fn collect(
        session: &dyn Session,
        request: &Request,
        kept: Option<(&Arc<Kept>, &str)>,
        clock: &dyn Clock,
        cancel: &CancellationToken,
        limits: Limits,
    ) -> Result<Observation, TransportError> {
        let mut asked = request.clone();
        let refused = asked.take_refused(session.shell());
        let mut observation =
            if asked.is_empty() { Observation::default() } else { Self::ask(session, asked, kept, clock, cancel, limits).await? };
        for (name, args, error) in refused {
            observation.problems.push(error.to_string());
            let name: Arc<str> = name.into();
            let section = observation.sections.remove(&name);
            let section = match section {
                // Argument lists of a known probe: the others keep their answers.
                Some(Section { status: Status::Ok, data, collected_at, .. }) => {
                    with_refused(&data, &args, &error.to_string(), collected_at)
                }
                Some(other) => other,
                None if args.is_empty() || super::sections::probe(&name).is_none() => {
                    observe::to_section(Err(Status::Unknown(error.to_string())), clock.now())
                }
                None => with_refused(&json!({}), &args, &error.to_string(), clock.now()),
            };
            observation.sections.insert(name, section);
        }
        Ok(observation)
    }

    async fn ask(
        session: &dyn Session,
        request: Request,
        kept: Option<(&Arc<Kept>, &str)>,
        clock: &dyn Clock,
        cancel: &CancellationToken,
        limits: Limits,
    ) -> Result<Observation, TransportError> {
        let nonce = script::nonce();
        let failed = |reason: String| TransportError::Setup { what: "collect".into(), reason };
        if session.shell() == Shell::PowerShell {
            let command = windows::compose(&request, &nonce, limits);
            let output = session.run(command, cancel).await?;
            let now = clock.now();
            let parse = move |raw: &[u8]| windows::observe(&request, &nonce, raw, now);
            return Self::read(output, parse, failed).await;
        }
        let again = kept.map(|(kept, device)| {
            let (files, blocks) = script::needs(&request);
            (Question::new(&files, &blocks), kept.of(device))
        });
        let text = script::compose(&request, &nonce, again.as_ref().map(|(question, known)| (question, known.as_deref())));
        let text = text.map_err(|error| failed(error.to_string()))?;
        // As the command itself, not as the input of another shell: that saves a device three processes.
        let command =
            Command { line: text, elevate: true, timeout: Some(limits.timeout), max_output: Some(limits.max_output), ..Command::default() };
        let output = session.run(command, cancel).await?;
        let now = clock.now();
        let kept = kept.map(|(kept, device)| (Arc::clone(kept), device.to_owned()));
        let parse = move |raw: &[u8]| {
            let again = again.as_ref().map(|(question, known)| (question, known.as_ref()));
            let (observation, settled) = observe::parse_again(&request, &nonce, raw, now, again);
            if let Some((kept, device)) = kept {
                kept.put(&device, settled);
            }
            observation
        };
        Self::read(output, parse, failed).await
    }

    /// Reads an answer, a long one beside the work for others, and tells where the shell that gave it went wrong.
    async fn read(
        output: Output,
        parse: impl FnOnce(&[u8]) -> Observation + Send + 'static,
        failed: impl Fn(String) -> TransportError,
    ) -> Result<Observation, TransportError> {
        let Output { code, stdout, stderr } = output;
        let mut observation = if stdout.len() <= SHORT {
            parse(&stdout)
        } else {
            // A device decides how much there is to read: it must not hold up the workers that serve the others.
            let _place = PARSING.acquire().await.map_err(|error| failed(error.to_string()))?;
            tokio::task::spawn_blocking(move || parse(&stdout)).await.map_err(|error| failed(error.to_string()))?
        };
        if code != 0 {
            let words = String::from_utf8_lossy(&stderr);
            let words: String = words.trim().chars().filter(|c| !c.is_control()).take(200).collect();
            observation.problems.push(format!("the collecting shell ended with exit code {code}: {words}"));
        }
        Ok(observation)
    }
}

fn with_refused(data: &Value, args: &[String], error: &str, at: chrono::DateTime<chrono::Utc>) -> Section {
    let mut answers = data.as_object().cloned().unwrap_or_default();
    answers.insert(probe_key(args), json!({ "error": error }));
    Section::new(Value::Object(answers), Status::Ok, at)
}
