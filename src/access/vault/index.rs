//! What is known of a secret beside its value: when it was set, and how often it wants to be replaced. `secrets/index.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{VaultError, file};
use crate::time::Span;

/// Far more than anybody has.
pub(super) const MOST_BYTES: u64 = 1 << 20;

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When its value was set.
    pub changed: DateTime<Utc>,
    /// How old its value should get.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<Span>,
}

impl Entry {
    /// When it is to be replaced, where that was asked for.
    pub fn due(&self) -> Option<DateTime<Utc>> {
        let every = i64::try_from(self.rotate_every?.as_seconds()).ok()?;
        self.changed.checked_add_signed(TimeDelta::try_seconds(every)?)
    }
}

/// All that are known.
#[derive(Debug, Clone)]
pub struct Index {
    path: PathBuf,
    entries: BTreeMap<String, Entry>,
}

impl Index {
    /// From what the file holds, where it is there.
    pub(super) fn read(path: &Path, bytes: Option<Vec<u8>>) -> Result<Self, VaultError> {
        let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
        let text = String::from_utf8(bytes.unwrap_or_default()).map_err(|_| failed("it is not UTF-8".into()))?;
        let entries = toml::from_str(&text).map_err(|error| failed(error.to_string().trim_end().replace('\n', " ")))?;
        Ok(Self { path: path.to_owned(), entries })
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// What is known of a secret.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Notes a new value, and how often it is to be replaced where that is said anew.
    pub fn note(&mut self, name: &str, changed: DateTime<Utc>, rotate_every: Option<Span>) {
        let rotate_every = rotate_every.or_else(|| self.get(name)?.rotate_every).filter(|span| span.as_seconds() > 0);
        self.entries.insert(name.to_owned(), Entry { changed, rotate_every });
    }

    /// Forgets a secret.
    pub fn forget(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// Writes the file.
    pub fn write(&self) -> Result<(), VaultError> {
        let failed = |reason: String| VaultError::File { path: self.path.clone(), reason };
        let body = toml::to_string(&self.entries).map_err(|error| failed(error.to_string()))?;
        let text = format!("# When secrets were set, and how often they are to be replaced. Kept by `rmm secrets`.\n\n{body}");
        file::replace(&self.path, text.as_bytes(), 0o644).map_err(|error| failed(error.to_string()))
    }
}
