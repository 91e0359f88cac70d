//! The files on the share: a job with its signature, and the answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::{Output, TransportError, readable};
use super::SigningKey;
use crate::model::Wiped;
use crate::model::wiped::json_text;

/// What a device is to do.
pub(super) struct Job {
    pub(super) id: String,
    /// Name of its folder.
    pub(super) device: String,
    /// Milliseconds since 1970.
    pub(super) created: i64,
    /// Not begun after that; milliseconds since 1970.
    pub(super) expires: i64,
    /// For `cmd /c`.
    pub(super) line: String,
    pub(super) input: Zeroizing<Vec<u8>>,
    pub(super) timeout_ms: i64,
    /// Bytes of either stream.
    pub(super) max_output: u64,
}

/// `j-20261121-073012-5f0c...`: nobody can guess it, and nobody has had it before.
pub(super) fn new_id(now: DateTime<Utc>) -> String {
    format!("j-{}-{:032x}", now.format("%Y%m%d-%H%M%S"), rand::random::<u128>())
}

impl Job {
    /// The file: what is signed is the very bytes of `body`, so that nobody has to agree on how JSON is written.
    pub(super) fn signed(&self, key: &SigningKey) -> Result<Vec<u8>, String> {
        let input = Zeroizing::new(STANDARD.encode(&*self.input));
        let body = Wiped::new(json!({
            "format": "rmm.job/1",
            "id": self.id,
            "device": self.device,
            "created": self.created,
            "expires": self.expires,
            "line": self.line,
            "input": input.as_str(),
            "timeout_ms": self.timeout_ms,
            "max_output": self.max_output,
        }));
        let body = json_text(&*body);
        let signature = key.sign(&body)?;
        let body = Zeroizing::new(STANDARD.encode(&*body));
        let signed = Wiped::new(json!({ "body": body.as_str(), "signature": signature }));
        Ok(std::mem::take(&mut *json_text(&*signed)))
    }
}

#[derive(Deserialize)]
struct Document {
    format: String,
    id: String,
    outcome: String,
    #[serde(default)]
    code: i32,
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
    #[serde(default)]
    reason: String,
}

/// What a device says became of a job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It ran to its end.
    Done(Output),
    /// It took too long and was ended.
    TimedOut,
    /// It printed too much and was ended.
    TooMuch(u64),
    /// The runner did not carry it out.
    Refused(String),
    /// It was begun, and the device went down, or somebody ended the runner.
    Interrupted,
    /// Not an answer.
    Unreadable(String),
}

impl Answer {
    /// Reads an answer. Whoever can write to the share can write it: nothing in it is trusted to be well-formed.
    pub(super) fn read(text: &[u8], id: &str, limit: u64) -> Self {
        let unreadable = |reason: &str| Self::Unreadable(reason.into());
        // What PowerShell 5.1 writes as UTF-8 begins with a mark.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let Ok(document) = serde_json::from_slice::<Document>(text) else { return unreadable("it is not an answer in JSON") };
        if document.format != "rmm.result/1" || document.id != id {
            return unreadable("it answers another job, or is of another version");
        }
        match document.outcome.as_str() {
            "done" => {
                let (Ok(stdout), Ok(stderr)) = (STANDARD.decode(document.stdout), STANDARD.decode(document.stderr)) else {
                    return unreadable("its output is not base64");
                };
                if stdout.len() as u64 > limit || stderr.len() as u64 > limit {
                    return Self::TooMuch(limit);
                }
                Self::Done(Output { code: document.code, stdout, stderr: readable(stderr) })
            }
            "timeout" => Self::TimedOut,
            "too-much" => Self::TooMuch(limit),
            "interrupted" => Self::Interrupted,
            "refused" => Self::Refused(document.reason.chars().filter(|c| !c.is_control()).take(300).collect()),
            _ => unreadable("its outcome is not known"),
        }
    }

    pub(super) fn into_output(self, time: std::time::Duration) -> Result<Output, TransportError> {
        let setup = |reason| TransportError::Setup { what: "the runner on the device".into(), reason };
        match self {
            Self::Done(output) => Ok(output),
            Self::TimedOut => Err(TransportError::Timeout { seconds: time.as_secs() }),
            Self::TooMuch(limit) => Err(TransportError::OutputLimit { limit }),
            Self::Refused(reason) => Err(setup(format!("it refused the job: {reason}"))),
            Self::Interrupted => {
                let reason = "the runner was interrupted; whether the command ended is not known".into();
                Err(TransportError::Lost { address: "the share".into(), reason })
            }
            Self::Unreadable(reason) => Err(setup(format!("its answer cannot be read: {reason}"))),
        }
    }
}
