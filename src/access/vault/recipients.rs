//! Whom secrets are encrypted for: `secrets/recipients.txt`, a public key a line as age and SSH write them, with comments.

use std::path::{Path, PathBuf};

use super::{VaultError, file};

/// Far more than anybody has.
pub(super) const MOST_BYTES: u64 = 256 * 1024;

/// A public key.
enum Key {
    Age(age::x25519::Recipient),
    Ssh(age::ssh::Recipient),
}

/// One who can read the secrets.
pub struct Recipient {
    key: Key,
    /// The key as it is written.
    pub text: String,
    /// Who that is: the comment before the key, or the one at its end.
    pub comment: Option<String>,
}

impl Recipient {
    /// Reads a public key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        if kind.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
            return Err("this is a private key: it must never stand in a file that is committed".into());
        }
        if kind.starts_with("ssh-") {
            let key = text.parse().map_err(|_| "this SSH public key cannot be used; ssh-ed25519 and ssh-rsa can".to_owned())?;
            let short = words.next().map_or_else(|| kind.to_owned(), |body| format!("{kind} {body}"));
            let comment = words.collect::<Vec<_>>().join(" ");
            return Ok(Self { key: Key::Ssh(key), text: short, comment: Some(comment).filter(|c| !c.is_empty()) });
        }
        let key = kind.parse().map_err(|reason| format!("this is not a public key: {reason}"))?;
        let comment = words.collect::<Vec<_>>().join(" ");
        let comment = Some(comment.trim_start_matches('#').trim().to_owned()).filter(|c| !c.is_empty());
        Ok(Self { key: Key::Age(key), text: kind.to_owned(), comment })
    }

    fn as_dyn(&self) -> &dyn age::Recipient {
        match &self.key {
            Key::Age(key) => key,
            Key::Ssh(key) => key,
        }
    }
}

/// All of them.
pub struct Recipients {
    path: PathBuf,
    lines: Vec<Recipient>,
}

impl Recipients {
    /// From what the file holds, where it is there.
    pub(super) fn read(path: &Path, bytes: Option<Vec<u8>>) -> Result<Self, VaultError> {
        let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
        let text = String::from_utf8(bytes.unwrap_or_default()).map_err(|_| failed("it is not UTF-8".into()))?;
        let mut lines: Vec<Recipient> = Vec::new();
        let mut above = None;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start_matches('\u{feff}').trim();
            if let Some(comment) = line.strip_prefix('#') {
                above = Some(comment.trim().to_owned());
                continue;
            }
            if line.is_empty() {
                above = None;
                continue;
            }
            let wrong = |reason| VaultError::Recipient { path: path.to_owned(), line: index + 1, reason };
            let mut recipient = Recipient::parse(line).map_err(wrong)?;
            recipient.comment = recipient.comment.or_else(|| above.take());
            above = None;
            if !lines.iter().any(|known| known.text == recipient.text) {
                lines.push(recipient);
            }
        }
        Ok(Self { path: path.to_owned(), lines })
    }

    /// Their keys, at least one.
    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Recipient> {
        self.lines.iter().map(Recipient::as_dyn)
    }

    /// Refuses where there is nobody.
    pub fn some(self) -> Result<Self, VaultError> {
        if self.lines.is_empty() { Err(VaultError::NoRecipients { path: self.path }) } else { Ok(self) }
    }

    /// As they stand in the file.
    pub fn list(&self) -> &[Recipient] {
        &self.lines
    }

    /// Adds one; false where the key is there already.
    pub fn add(&mut self, recipient: Recipient) -> bool {
        let new = !self.lines.iter().any(|known| known.text == recipient.text);
        if new {
            self.lines.push(recipient);
        }
        new
    }

    /// Removes the one with this key, or with this comment where that is unique; gives it.
    pub fn remove(&mut self, which: &str) -> Option<Recipient> {
        let which = which.trim();
        let found: Vec<usize> = (0..self.lines.len())
            .filter(|i| {
                self.lines[*i].text == which
                    || self.lines[*i].comment.as_deref() == Some(which)
                    || which.starts_with(&format!("{} ", self.lines[*i].text))
            })
            .collect();
        match found[..] {
            [only] => Some(self.lines.remove(only)),
            _ => None,
        }
    }

    /// Writes the file.
    pub fn write(&self) -> Result<(), VaultError> {
        let mut text =
            String::from("# Who can read the secrets beside this file: public keys of age and of SSH. Kept by `rmm secrets recipients`.\n");
        for recipient in &self.lines {
            text.push('\n');
            if let Some(comment) = &recipient.comment {
                text.push_str(&format!("# {}\n", comment.replace(['\n', '\r'], " ")));
            }
            text.push_str(&recipient.text);
            text.push('\n');
        }
        file::replace(&self.path, text.as_bytes(), 0o644)
            .map_err(|error| VaultError::File { path: self.path.clone(), reason: error.to_string() })
    }
}
