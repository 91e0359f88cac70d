//! What all channels have in common: they are given a message and say what the other side answered.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use super::SendError;
use crate::access::{Redactor, Secrets};
use crate::model::channel::Hidden;
use crate::model::delivery::Message;
use crate::model::device::SecretRef;

/// A message on its way.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// The same in every try: the receiver can tell by it that it is the same message.
    pub id: &'a str,
    /// Whom within the channel; its own recipients where absent.
    pub recipient: Option<&'a str>,
    /// What is said.
    pub message: &'a Message,
    /// What the channel answered to the first message about the same alert.
    pub receipt: Option<&'a str>,
    /// Now.
    pub at: DateTime<Utc>,
}

/// What the other side said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// In its own words, shortened.
    pub said: String,
    /// What later messages about the same alert need: a thread, a message id.
    pub receipt: Option<String>,
    /// Recipients who did not get it while others did.
    pub missed: Vec<Missed>,
}

/// A recipient whom a message did not reach that others got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missed {
    /// Address within the channel.
    pub recipient: String,
    /// Why, and whether trying again may help.
    pub error: SendError,
}

/// A way to reach people or systems.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Sends it and waits for the answer. Every try of the same parcel bears the same key.
    async fn send(&self, parcel: &Parcel<'_>) -> Result<Answer, SendError>;
}

/// What channels need of their surroundings.
#[derive(Clone)]
pub struct Surroundings {
    /// Root of the repository: files that options name are relative to it.
    pub root: PathBuf,
    /// Where secrets come from, each time that something is sent.
    pub secrets: Arc<dyn Secrets>,
    /// Takes their values out of what the other side says.
    pub redactor: Redactor,
    /// Address of the dashboard for links.
    pub base_url: Option<String>,
    /// Name of this machine.
    pub host: String,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("root", &self.root).field("host", &self.host).finish_non_exhaustive()
    }
}

impl Surroundings {
    /// The value of a secret.
    pub(super) fn secret(&self, name: &SecretRef) -> Result<SecretString, SendError> {
        Ok(self.secrets.resolve(&name.secret)?)
    }

    /// The value of a secret that has to be named.
    pub(super) fn needed(&self, name: Option<&SecretRef>, key: &str) -> Result<SecretString, SendError> {
        self.secret(name.ok_or_else(|| SendError::Incomplete(format!("'{key}' is missing")))?)
    }

    /// A text that may be a secret.
    pub(super) fn hidden(&self, text: &Hidden) -> Result<SecretString, SendError> {
        match text {
            Hidden::Secret(name) => self.secret(name),
            Hidden::Plain(text) => Ok(text.as_str().into()),
        }
    }
}

/// The key of a parcel where only plain characters may stand: its id, or a digest of it.
pub(super) fn key(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !id.is_empty() && id.len() <= 100 && id.chars().all(plain) { id.to_owned() } else { digest(id) }
}

/// Stands for a text that may hold anything: 40 hexadecimal digits.
pub(super) fn digest(text: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(&Sha256::digest(text)[..20])
}
