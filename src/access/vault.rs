//! The secrets that are kept in the repository: each one a file `secrets/NAME.age` in the format of age (age-encryption.org/v1,
//! armored), encrypted for everybody in `secrets/recipients.txt`. Safe to commit; read by [`super::SecretStore`], changed by `rmm secrets`.

mod file;
mod identities;
mod index;
pub mod new_key;
mod recipients;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

pub use identities::{Identities, Unlock};
pub use index::{Entry, Index};
pub use recipients::{Recipient, Recipients};

use crate::model::Sealed;

/// No secret is longer.
pub(super) const MOST_BYTES: u64 = 64 * 1024;
/// Most bytes of an encrypted file: the value, a line for each recipient, and the armor around both.
const MOST_ENCRYPTED: u64 = 1 << 20;

/// Why the encrypted secrets cannot be read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// A file that cannot be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// In the system's words.
        reason: String,
    },
    /// A line of the recipients that is none.
    #[error("{}:{line}: {reason}", path.display())]
    Recipient {
        /// The file.
        path: PathBuf,
        /// Its line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody to encrypt for.
    #[error("{} names nobody to encrypt for", path.display())]
    NoRecipients {
        /// The file.
        path: PathBuf,
    },
    /// No key at hand opens it.
    #[error("{} cannot be decrypted: {reason}", path.display())]
    Locked {
        /// The encrypted file.
        path: PathBuf,
        /// Which keys were tried.
        reason: String,
    },
    /// Not a file in the format of age, or a value that is no text.
    #[error("{} is not an encrypted secret: {reason}", path.display())]
    Damaged {
        /// The encrypted file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Encrypted secrets that are not changed here.
    #[error("the encrypted secrets come with commit {commit} of the branch that is followed: they are not changed here")]
    Followed {
        /// Short commit.
        commit: String,
    },
    /// A key file that others may read.
    #[error("the key {} is refused: {reason}", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl crate::diagnose::Diagnose for VaultError {
    fn code(&self) -> &'static str {
        match self {
            Self::File { .. } => "RMM0806",
            Self::Recipient { .. } | Self::NoRecipients { .. } => "RMM0807",
            Self::Locked { .. } => "RMM0808",
            Self::Damaged { .. } => "RMM0809",
            Self::Exposed { .. } => "RMM0810",
            Self::Followed { .. } => "RMM0813",
        }
    }

    fn category(&self) -> crate::diagnose::Category {
        crate::diagnose::Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::File { .. } => "see that the file exists and that you may read and write it".into(),
            Self::Recipient { .. } => {
                "a recipient is an age1... key, or an ssh-ed25519 or ssh-rsa public key; a comment begins with '#'".into()
            }
            Self::NoRecipients { .. } => "run: rmm secrets init".into(),
            Self::Locked { .. } => "use a key of one of the recipients: RMM_SECRETS_KEY names a key file, RMM_SECRETS_PASSPHRASE opens \
                                    secrets/identity.age; one who has a key lets you in with `rmm secrets recipients add KEY`"
                .into(),
            Self::Damaged { .. } => "take the file from an earlier commit, or set the secret anew: rmm secrets set NAME".into(),
            Self::Followed { .. } => "change them in a clone of that branch, commit and push; a value for this machine alone goes into \
                                      .rmm/secrets or the environment"
                .into(),
            Self::Exposed { path, .. } => format!("run: chmod 600 {}", path.display()),
        })
    }
}

/// The encrypted secrets of a repository.
#[derive(Debug, Clone)]
pub struct Vault {
    /// Of this machine.
    folder: PathBuf,
    /// What a commit holds instead.
    sealed: Option<Arc<Sealed>>,
}

impl Vault {
    /// Of the repository at `root`. Nothing needs to exist yet.
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join("secrets"), sealed: None }
    }

    /// The same with what a commit holds, in place of the folder.
    pub(super) fn of_commit(&self, sealed: Option<Arc<Sealed>>) -> Self {
        Self { folder: self.folder.clone(), sealed }
    }

    /// Refuses where the secrets are those of a commit that is followed.
    pub fn may_change(&self) -> Result<(), VaultError> {
        self.sealed.as_ref().map_or(Ok(()), |sealed| Err(VaultError::Followed { commit: sealed.commit.clone() }))
    }

    /// Keeps other processes from changing them until what is given back is let go of: of two that encrypt anew, or set one meanwhile, the
    /// later would write what it has read before. Nothing where there is no folder yet, or where its file system cannot do that.
    pub fn hold(&self) -> Result<Option<std::fs::File>, VaultError> {
        let failed = |reason: String| VaultError::File { path: self.folder.clone(), reason };
        let folder = match std::fs::File::open(&self.folder) {
            Ok(folder) => folder,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        let lock = |how| rustix::io::retry_on_intr(|| rustix::fs::flock(&folder, how));
        let locked = lock(FlockOperation::NonBlockingLockExclusive).or_else(|error| {
            if error != Errno::WOULDBLOCK {
                return Err(error);
            }
            tracing::warn!(folder = %self.folder.display(), "another rmm changes the secrets; waiting for its end");
            lock(FlockOperation::LockExclusive)
        });
        match locked {
            Ok(()) => {}
            Err(error) if cannot_lock(error) => {
                tracing::debug!(folder = %self.folder.display(), %error, "the file system does not lock folders");
                return Ok(None);
            }
            Err(error) => return Err(failed(error.to_string())),
        }
        // What one left behind that was killed; nobody else writes now, and it is not to be committed.
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_name().to_str().is_some_and(file::is_left_behind) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Some(folder))
    }

    /// Where a file is, for messages too: of a commit as Git names it.
    fn place(&self, file: &str) -> PathBuf {
        match &self.sealed {
            None => self.folder.join(file),
            Some(sealed) => PathBuf::from(format!("{}:secrets/{file}", sealed.commit)),
        }
    }

    /// What a file holds; nothing where there is none.
    fn read(&self, file: &str, most: u64) -> Result<Option<Vec<u8>>, VaultError> {
        let failed = |reason: String| VaultError::File { path: self.place(file), reason };
        let Some(sealed) = &self.sealed else {
            return match file::read(&self.folder.join(file), most) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(failed(error.to_string())),
            };
        };
        match sealed.files.get(file) {
            Some(bytes) if bytes.len() as u64 > most => Err(failed(format!("it is larger than {most} bytes"))),
            found => Ok(found.cloned()),
        }
    }

    /// The key that a passphrase opens: always the machine's.
    pub fn identity(&self) -> PathBuf {
        self.folder.join(format!("{IDENTITY}.age"))
    }

    /// Whether the secret is kept here.
    pub fn holds(&self, name: &str) -> bool {
        let file = format!("{name}.age");
        name != IDENTITY
            && self.sealed.as_ref().map_or_else(|| self.folder.join(&file).is_file(), |sealed| sealed.files.contains_key(&file))
    }

    /// The names of all secrets that are kept here, sorted.
    pub fn names(&self) -> Result<Vec<String>, VaultError> {
        let files: Vec<String> = match &self.sealed {
            Some(sealed) => sealed.files.keys().cloned().collect(),
            None => match std::fs::read_dir(&self.folder) {
                Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(VaultError::File { path: self.folder.clone(), reason: error.to_string() }),
            },
        };
        let mut names: Vec<String> = files
            .iter()
            .filter_map(|file| file.strip_suffix(".age").map(str::to_owned))
            .filter(|name| name != IDENTITY && super::secrets::is_name(name))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whom secrets are encrypted for.
    pub fn recipients(&self) -> Result<Recipients, VaultError> {
        const FILE: &str = "recipients.txt";
        Recipients::read(&self.place(FILE), self.read(FILE, recipients::MOST_BYTES)?)
    }

    /// What is known of each secret beside its value.
    pub fn index(&self) -> Result<Index, VaultError> {
        const FILE: &str = "index.toml";
        Index::read(&self.place(FILE), self.read(FILE, index::MOST_BYTES)?)
    }

    /// Decrypts a secret; nothing where it is not kept here.
    pub fn open(&self, name: &str, identities: &Identities) -> Result<Option<SecretString>, VaultError> {
        if name == IDENTITY {
            return Ok(None);
        }
        let file = format!("{name}.age");
        let bytes = self.read(&file, MOST_ENCRYPTED)?;
        bytes.map(|bytes| decrypt(&self.place(&file), &bytes, identities)).transpose()
    }

    /// Encrypts a value for these recipients; an earlier value is replaced at once or not at all.
    pub fn seal(&self, name: &str, value: &SecretString, recipients: &Recipients) -> Result<(), VaultError> {
        self.may_change()?;
        let path = self.place(&format!("{name}.age"));
        let text = encrypt(&path, value, recipients)?;
        file::replace(&path, &text, 0o644).map_err(|error| VaultError::File { path, reason: error.to_string() })
    }

    /// Encrypts all secrets anew for these recipients, every one read before the first is written. Gives their names.
    pub fn reseal(&self, recipients: &Recipients, identities: &Identities) -> Result<Vec<String>, VaultError> {
        self.may_change()?;
        let names = self.names()?;
        let mut texts = Vec::with_capacity(names.len());
        for name in &names {
            if let Some(value) = self.open(name, identities)? {
                let path = self.place(&format!("{name}.age"));
                texts.push((encrypt(&path, &value, recipients)?, path));
            }
        }
        for (text, path) in texts {
            file::replace(&path, &text, 0o644).map_err(|error| VaultError::File { path, reason: error.to_string() })?;
        }
        Ok(names)
    }

    /// Removes a secret and what is known of it; false where there is none.
    pub fn remove(&self, name: &str) -> Result<bool, VaultError> {
        self.may_change()?;
        let path = self.place(&format!("{name}.age"));
        match std::fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(VaultError::File { path, reason: error.to_string() }),
        }
        let mut index = self.index()?;
        index.forget(name);
        index.write()?;
        Ok(true)
    }
}

/// Whether it is the file system that cannot lock a folder: that of NFS locks only what is open for writing, others lock nothing.
fn cannot_lock(error: Errno) -> bool {
    [Errno::BADF, Errno::NOLCK, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::INVAL].contains(&error)
}

/// Not the name of a secret: `secrets/identity.age` is the key that a passphrase opens.
const IDENTITY: &str = "identity";

fn decrypt(path: &Path, bytes: &[u8], identities: &Identities) -> Result<SecretString, VaultError> {
    let damaged = |reason: String| VaultError::Damaged { path: path.to_owned(), reason };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let decryptor = || age::Decryptor::new(age::armor::ArmoredReader::new(bytes)).map_err(|error| damaged(error.to_string()));
    if decryptor()?.is_scrypt() {
        return Err(damaged("it is encrypted with a passphrase of its own; only secrets/identity.age is".into()));
    }
    let keys = identities.all()?;
    let mut opened = decryptor()?.decrypt(keys.iter().map(|key| &**key as &dyn age::Identity));
    // Asked for last: most have a key of SSH, be it one for this or not.
    if matches!(opened, Err(age::DecryptError::NoMatchingKeys))
        && let Some(keys) = identities.under_passphrase()?
    {
        opened = decryptor()?.decrypt(keys.iter().map(|key| &**key as &dyn age::Identity));
    }
    let reader = opened.map_err(|error| match error {
        age::DecryptError::NoMatchingKeys => VaultError::Locked { path: path.to_owned(), reason: identities.told() },
        age::DecryptError::KeyDecryptionFailed => {
            VaultError::Locked { path: path.to_owned(), reason: "the passphrase of the key is wrong or was not given".into() }
        }
        other => damaged(other.to_string()),
    })?;
    // As large as it may become: a buffer that grows leaves its first bytes behind.
    let mut value = Zeroizing::new(Vec::with_capacity(MOST_BYTES as usize + 1));
    reader.take(MOST_BYTES + 1).read_to_end(&mut value).map_err(|error| damaged(error.to_string()))?;
    if value.len() as u64 > MOST_BYTES {
        return Err(damaged(format!("its value has more than {MOST_BYTES} bytes")));
    }
    let text = std::str::from_utf8(&value).map_err(|_| damaged("its value is not UTF-8".into()))?;
    Ok(text.into())
}

fn encrypt(path: &Path, value: &SecretString, recipients: &Recipients) -> Result<Vec<u8>, VaultError> {
    let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
    let encryptor = age::Encryptor::with_recipients(recipients.keys()).map_err(|error| failed(error.to_string()))?;
    let sealed = || -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let armor = age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(value.expose_secret().as_bytes())?;
        writer.finish()?.finish()?;
        Ok(out)
    };
    sealed().map_err(|error| failed(error.to_string()))
}
