//! The event log of Windows, written by the system's own `eventcreate`. Elsewhere there is none, and the channel says so.

use std::ffi::OsString;

use async_trait::async_trait;

use super::SendError;
use super::channel::{Answer, Channel, Parcel, Surroundings, key};
use super::letter::Letter;
use super::text;
use crate::model::Severity;
use crate::model::channel::EventLog;

/// Longest description that `eventcreate` takes is far longer; a record is meant to be read.
const LONGEST: usize = 3000;

/// A channel to the event log.
pub(super) struct Records {
    options: EventLog,
    house: Surroundings,
}

impl Records {
    pub(super) fn new(options: EventLog, house: Surroundings) -> Self {
        Self { options, house }
    }

    /// Arguments of `eventcreate`. They reach it as arguments, not through a shell.
    fn arguments(&self, parcel: &Parcel<'_>) -> Vec<OsString> {
        let letter = Letter { message: parcel.message, base_url: self.house.base_url.as_deref() };
        // A number for each level, so that a filter can tell them apart.
        let (level, id) = match letter.severity() {
            _ if letter.is_over() => ("INFORMATION", "101"),
            Severity::Critical => ("ERROR", "105"),
            Severity::High => ("ERROR", "104"),
            Severity::Medium => ("WARNING", "103"),
            Severity::Low => ("WARNING", "102"),
            Severity::Info => ("INFORMATION", "100"),
        };
        let mut parts = vec![letter.headline()];
        parts.extend(Some(letter.text()).filter(|text| !text.is_empty()));
        parts.extend(letter.list().0.into_iter().map(|(_, line)| line));
        parts.extend(letter.facts().into_iter().map(|(label, value)| format!("{label}: {value}")));
        parts.extend(letter.link());
        parts.extend(letter.command());
        parts.push(format!("Delivery: {}", key(parcel.id)));
        let description = text::clip(parts.join("\n"), LONGEST);
        let log = self.options.log.as_deref().unwrap_or("Application");
        let source = self.options.source.as_deref().unwrap_or("rmm");
        ["/T", level, "/ID", id, "/L", log, "/SO", source, "/D", &description].map(OsString::from).into()
    }
}

#[async_trait]
impl Channel for Records {
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError> {
        if !cfg!(windows) {
            return Err(SendError::Unsupported("the event log of Windows"));
        }
        let host = "eventcreate".to_owned();
        let after = self.options.common.timeout();
        let mut command = tokio::process::Command::new("eventcreate.exe");
        command.args(self.arguments(parcel)).kill_on_drop(true);
        match tokio::time::timeout(after, command.output()).await {
            Err(_) => Err(SendError::TimedOut { host, after }),
            Ok(Err(error)) => Err(SendError::Unreachable { host, why: error.to_string() }),
            Ok(Ok(output)) => {
                let said = [output.stdout, output.stderr].concat();
                let said = text::line(&self.house.redactor.redact(&String::from_utf8_lossy(&said)), 300);
                if output.status.success() { Ok(Answer { said, ..Answer::default() }) } else { Err(SendError::Refused { host, said }) }
            }
        }
    }
}
