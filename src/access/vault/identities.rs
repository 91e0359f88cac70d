//! The private keys that open secrets: where they are looked for, and what opens the keys themselves.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::{VaultError, file};

/// No key file is longer.
const MOST_BYTES: u64 = 256 * 1024;
/// Work of a passphrase that is not refused (2^22: some seconds); one file must not hold a process for hours.
const MOST_WORK: u8 = 22;

/// How long a key that could not be opened is not tried again: a fleet asks for 10,000 secrets, a wrong passphrase takes a second, and nobody
/// wants to be asked for it that often.
const REFUSED: Duration = Duration::from_secs(30);

type Key = Box<dyn age::Identity + Send + Sync>;

/// What a passphrase is taken from: the environment (`RMM_SECRETS_PASSPHRASE`), else whoever sits there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlock {
    /// Asks for the passphrase of what is named. Nothing where nobody can be asked.
    pub ask: Option<fn(&str) -> Option<SecretString>>,
}

impl Unlock {
    fn passphrase(self, of: &str) -> Option<SecretString> {
        match std::env::var("RMM_SECRETS_PASSPHRASE") {
            Ok(value) if !value.is_empty() => Some(value.into()),
            _ => self.ask.and_then(|ask| ask(of)),
        }
    }
}

/// Asks for the passphrase of an SSH key, when that very key is needed.
#[derive(Clone)]
struct OfKey {
    unlock: Unlock,
    path: String,
    /// Asked for once, not for each secret.
    given: Arc<OnceLock<Option<SecretString>>>,
}

impl age::Callbacks for OfKey {
    fn display_message(&self, message: &str) {
        tracing::debug!("{message}");
    }

    fn confirm(&self, _: &str, _: &str, _: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, _: &str) -> Option<SecretString> {
        self.given.get_or_init(|| self.unlock.passphrase(&self.path)).clone()
    }
}

/// The keys of whoever runs this. Read when the first secret is opened, and kept.
#[derive(Clone)]
pub struct Identities {
    files: Vec<PathBuf>,
    /// A file that has to be there: somebody named it.
    named: bool,
    sealed: PathBuf,
    unlock: Unlock,
    passed_over: Arc<Mutex<Vec<String>>>,
    read: Arc<Mutex<Opened>>,
    opened: Arc<Mutex<Opened>>,
    /// What was said when a passphrase was asked for, by its file: whoever gave none or a wrong one is not asked again while devices are
    /// visited.
    asked: Arc<Mutex<BTreeMap<PathBuf, Option<SecretString>>>>,
}

/// What came of reading the keys: all of them, or when it failed last, and why.
#[derive(Default)]
enum Opened {
    #[default]
    NotYet,
    Keys(Arc<Vec<Key>>),
    Failed(Instant, VaultError),
}

impl Identities {
    /// Keys of this user, and `secrets/identity.age` at `sealed`, which a passphrase opens.
    pub fn of_user(sealed: PathBuf, unlock: Unlock) -> Self {
        let named = std::env::var_os("RMM_SECRETS_KEY").filter(|value| !value.is_empty());
        let files = match &named {
            Some(value) => std::env::split_paths(value).collect(),
            None => Self::usual(),
        };
        Self {
            files,
            named: named.is_some(),
            sealed,
            unlock,
            passed_over: Arc::default(),
            read: Arc::default(),
            opened: Arc::default(),
            asked: Arc::default(),
        }
    }

    fn passphrase(&self, of: &Path) -> Option<SecretString> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.entry(of.to_owned()).or_insert_with(|| self.unlock.passphrase(&of.display().to_string())).clone()
    }

    /// Where a key is expected: the key of `rmm secrets init`, then the keys of SSH.
    fn usual() -> Vec<PathBuf> {
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let ssh = home.iter().flat_map(|home| ["id_ed25519", "id_rsa"].map(|name| home.join(".ssh").join(name)));
        std::iter::once(Self::own()).chain(ssh).collect()
    }

    /// The file that `rmm secrets init` makes.
    pub fn own() -> PathBuf {
        crate::access::secrets::config_folder().join("key.txt")
    }

    /// The keys in files of their own.
    pub(super) fn all(&self) -> Result<Arc<Vec<Key>>, VaultError> {
        kept(&self.read, || {
            let mut keys = Vec::new();
            self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).clear();
            for path in &self.files {
                match self.key_file(path) {
                    Ok(found) => keys.extend(found),
                    Err(error) if self.named => return Err(error),
                    // A key that cannot be used does not stand in the way of one that can; that it was passed over is told where none fits.
                    Err(VaultError::File { reason, .. }) if !path.exists() => tracing::debug!(path = %path.display(), reason, "no key"),
                    Err(error) => self.passed_over.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string()),
                }
            }
            Ok(keys)
        })
    }

    /// The key that a passphrase opens, for where none of the others fits; nothing where there is none.
    pub(super) fn under_passphrase(&self) -> Result<Option<Arc<Vec<Key>>>, VaultError> {
        if !self.sealed.exists() {
            return Ok(None);
        }
        kept(&self.opened, || self.sealed_keys(&self.sealed, &read_file(&self.sealed)?)).map(Some)
    }

    /// Which keys there are, for a message.
    pub(super) fn told(&self) -> String {
        let tried: Vec<String> =
            self.files.iter().chain([&self.sealed]).filter(|path| path.exists()).map(|p| p.display().to_string()).collect();
        let passed_over = self.passed_over.lock().unwrap_or_else(PoisonError::into_inner);
        if !passed_over.is_empty() {
            return format!("none of the keys fits, and {}", passed_over.join("; "));
        }
        match tried[..] {
            [] => "there is no key here".into(),
            _ => format!("none of the keys fits ({})", tried.join(", ")),
        }
    }

    fn key_file(&self, path: &Path) -> Result<Vec<Key>, VaultError> {
        judge(path)?;
        let bytes = read_file(path)?;
        if bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE") {
            return self.sealed_keys(path, &bytes);
        }
        if bytes.starts_with(b"-----BEGIN") {
            let key = age::ssh::Identity::from_buffer(&bytes[..], Some(path.display().to_string()))
                .map_err(|error| VaultError::File { path: path.to_owned(), reason: error.to_string() })?;
            return Ok(match key {
                // Others may be of a kind that cannot decrypt: a usual place is passed over, what was named is not.
                age::ssh::Identity::Unsupported(_) if !self.named => Vec::new(),
                key => vec![Box::new(key.with_callbacks(OfKey {
                    unlock: self.unlock,
                    path: path.display().to_string(),
                    given: Arc::default(),
                }))],
            });
        }
        plain_keys(path, &bytes)
    }

    /// Keys in a file that a passphrase opens.
    fn sealed_keys(&self, path: &Path, bytes: &[u8]) -> Result<Vec<Key>, VaultError> {
        let failed = |reason: String| VaultError::Damaged { path: path.to_owned(), reason };
        let decryptor = age::Decryptor::new(age::armor::ArmoredReader::new(bytes)).map_err(|error| failed(error.to_string()))?;
        if !decryptor.is_scrypt() {
            return Err(failed("a key file is encrypted with a passphrase".into()));
        }
        let locked = |reason: &str| VaultError::Locked { path: path.to_owned(), reason: reason.into() };
        let passphrase = self.passphrase(path).ok_or_else(|| locked("its passphrase was not given"))?;
        let mut identity = age::scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(MOST_WORK);
        let reader = decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(|error| match error {
            age::DecryptError::DecryptionFailed | age::DecryptError::KeyDecryptionFailed => locked("the passphrase is wrong"),
            other => failed(other.to_string()),
        })?;
        let mut text = Zeroizing::new(Vec::new());
        reader.take(MOST_BYTES).read_to_end(&mut text).map_err(|error| failed(error.to_string()))?;
        plain_keys(path, &text)
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identities").field("files", &self.files).field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

/// What was read before, or what is read now.
fn kept(read: &Mutex<Opened>, make: impl FnOnce() -> Result<Vec<Key>, VaultError>) -> Result<Arc<Vec<Key>>, VaultError> {
    let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
    match &*read {
        Opened::Keys(keys) => return Ok(Arc::clone(keys)),
        Opened::Failed(when, error) if when.elapsed() < REFUSED => return Err(error.clone()),
        Opened::Failed(..) | Opened::NotYet => {}
    }
    match make() {
        Ok(keys) => {
            let keys = Arc::new(keys);
            *read = Opened::Keys(Arc::clone(&keys));
            Ok(keys)
        }
        Err(error) => {
            *read = Opened::Failed(Instant::now(), error.clone());
            Err(error)
        }
    }
}

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    file::read(path, MOST_BYTES).map(Zeroizing::new).map_err(|error| VaultError::File { path: path.to_owned(), reason: error.to_string() })
}

/// A private key is for its owner alone, as SSH has it.
fn judge(path: &Path) -> Result<(), VaultError> {
    let exposed = |reason: String| VaultError::Exposed { path: path.to_owned(), reason };
    let opened = file::open(path).and_then(|file| file.metadata());
    let meta = opened.map_err(|error| VaultError::File { path: path.to_owned(), reason: error.to_string() })?;
    let user = rustix::process::geteuid().as_raw();
    if meta.uid() != user && meta.uid() != 0 {
        return Err(exposed(format!("it belongs to user {}, not to user {user}", meta.uid())));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 { Err(exposed(format!("its mode is {mode:04o}, others may use it"))) } else { Ok(()) }
}

fn plain_keys(path: &Path, bytes: &[u8]) -> Result<Vec<Key>, VaultError> {
    let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
    let text = std::str::from_utf8(bytes).map_err(|_| failed("this is not a key file".into()))?;
    let mut keys: Vec<Key> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key: age::x25519::Identity = line.parse().map_err(|reason| failed(format!("line {}: {reason}", index + 1)))?;
        keys.push(Box::new(key));
    }
    if keys.is_empty() { Err(failed("there is no key in it".into())) } else { Ok(keys) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    static ASKED: AtomicUsize = AtomicUsize::new(0);

    #[test]
    fn who_gives_no_passphrase_is_not_asked_again() {
        let unlock = Unlock {
            ask: Some(|_| {
                ASKED.fetch_add(1, Ordering::SeqCst);
                None
            }),
        };
        let keys = Identities::of_user("/nonexistent/identity.age".into(), unlock);
        for _ in 0..3 {
            assert!(keys.clone().passphrase(Path::new("/nonexistent/a")).is_none());
        }
        assert!(keys.passphrase(Path::new("/nonexistent/b")).is_none());
        assert_eq!(ASKED.load(Ordering::SeqCst), 2);
    }
}
