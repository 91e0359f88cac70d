//! Where the values of secrets come from: the environment, files of this machine, programs of this machine, then the encrypted
//! files of the repository.
//!
//! Policies hold names only. Every value that is handed out is made known to the [`Redactor`].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;

use super::Redactor;
use super::commands::Commands;
use super::vault::{Identities, Unlock, Vault, VaultError};
use crate::diagnose::{Category, Diagnose};
use crate::model::Sealed;

/// No secret is longer.
pub(super) const MAX_BYTES: u64 = 64 * 1024;
/// Most secrets that are read at once to be known.
const MOST_AT_HAND: usize = 500;

/// Gives the value of a secret by its name.
pub trait Secrets: Send + Sync {
    /// The value, or why there is none.
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError>;
}

/// Why a secret has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing gives it.
    #[error("secret '{name}' is not known: there is no variable {variable}, no file {file}, and no secrets/{name}.age")]
    Missing {
        /// Name.
        name: String,
        /// Environment variable that was looked for.
        variable: String,
        /// File that was looked for.
        file: PathBuf,
    },
    /// Others can read the file.
    #[error("the file {file} of secret '{name}' is refused: its mode is {mode:04o}, only 0600 is safe")]
    Mode {
        /// Name.
        name: String,
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file belongs to somebody else.
    #[error("the file {file} of secret '{name}' is refused: it belongs to user {owner}, not to user {user}")]
    Owner {
        /// Name.
        name: String,
        /// The file.
        file: PathBuf,
        /// Numeric owner of the file.
        owner: u32,
        /// Numeric user that runs.
        user: u32,
    },
    /// The file or variable cannot be read as text.
    #[error("secret '{name}' cannot be read from {source_name}: {reason}")]
    Unreadable {
        /// Name.
        name: String,
        /// The file or variable.
        source_name: String,
        /// In the system's words.
        reason: String,
    },
    /// The program that was to give it did not.
    #[error("secret '{name}' was not given: {reason}")]
    Command {
        /// Name.
        name: String,
        /// What became of the program.
        reason: String,
    },
    /// It is kept encrypted in the repository, and cannot be decrypted.
    #[error("secret '{name}': {error}")]
    Vault {
        /// Name.
        name: String,
        /// Why.
        error: VaultError,
    },
    /// The name could leave the directory of the secrets.
    #[error("'{name}' is not a name for a secret")]
    Name {
        /// The name.
        name: String,
    },
}

impl Diagnose for SecretError {
    fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "RMM0801",
            Self::Mode { .. } => "RMM0802",
            Self::Owner { .. } => "RMM0803",
            Self::Unreadable { .. } => "RMM0804",
            Self::Name { .. } => "RMM0805",
            Self::Command { .. } => "RMM0811",
            Self::Vault { error, .. } => error.code(),
        }
    }

    fn category(&self) -> Category {
        Category::Configuration
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Missing { name, variable, file } => {
                format!("run `rmm secrets set {name}`, or set {variable}, or write the value to {} with mode 0600", file.display())
            }
            Self::Mode { file, .. } => format!("run: chmod 600 {}", file.display()),
            Self::Owner { file, user, .. } => format!("run: chown {user} {}", file.display()),
            Self::Unreadable { .. } => format!("a secret is UTF-8 text of at most {MAX_BYTES} bytes"),
            Self::Command { .. } => "run the command of ~/.config/rmm/secrets.toml by hand and see what it says".into(),
            Self::Vault { error, .. } => return error.advice(),
            Self::Name { .. } => "use letters, digits, '.', '_' and '-', beginning with a letter, a digit or '_'".into(),
        })
    }
}

/// Secrets from `RMM_SECRET_<NAME>`, `.rmm/secrets/NAME`, the commands of `~/.config/rmm/secrets.toml`, and `secrets/NAME.age`, in this order: what
/// is nearer to this machine wins.
#[derive(Debug, Clone)]
pub struct SecretStore {
    directory: PathBuf,
    commands: Commands,
    vault: Vault,
    identities: Identities,
    redactor: Redactor,
}

/// Where a secret has its value from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Environment,
    /// A file of this machine.
    File,
    /// A program of this machine.
    Command,
    /// An encrypted file of the repository.
    Repository,
}

/// Where the user keeps what belongs to `rmm`: `$XDG_CONFIG_HOME/rmm`, or `~/.config/rmm`. Without a home directory a place that is not there.
pub(super) fn config_folder() -> PathBuf {
    let given = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = given("XDG_CONFIG_HOME").or_else(|| Some(given("HOME")?.join(".config")));
    config.unwrap_or_else(|| PathBuf::from("/nonexistent")).join("rmm")
}

/// Whether this can be the name of a secret: also of a file in any file system.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.len() <= 200 && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_') && name.chars().all(plain)
}

impl SecretStore {
    /// For the repository at `root`; what is handed out is made known to `redactor`.
    pub fn new(root: &Path, redactor: Redactor) -> Self {
        Self::unlocked_by(root, redactor, Unlock::default())
    }

    /// The same, where a key may want a passphrase.
    pub fn unlocked_by(root: &Path, redactor: Redactor, unlock: Unlock) -> Self {
        let (state, vault) = (root.join(".rmm"), Vault::new(root));
        let identities = Identities::of_user(vault.identity(), unlock);
        Self { directory: state.join("secrets"), commands: Commands::new(&config_folder()), vault, identities, redactor }
    }

    /// The same, where the encrypted secrets are those of a commit; of the folder where that is nothing. Keys stay those of this machine.
    #[must_use]
    pub fn sealed_in(&self, sealed: Option<Arc<Sealed>>) -> Self {
        Self { vault: self.vault.of_commit(sealed), ..self.clone() }
    }

    /// The encrypted secrets of the repository.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Knows the values that were handed out.
    pub fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// The keys that open them.
    pub fn identities(&self) -> &Identities {
        &self.identities
    }

    /// Where the value of a secret would be taken from; nothing is opened and no program started.
    pub fn source(&self, name: &str) -> Option<SecretSource> {
        if !is_name(name) {
            None
        } else if std::env::var_os(Self::variable(name)).is_some_and(|value| !value.is_empty()) {
            Some(SecretSource::Environment)
        } else if self.directory.join(name).exists() {
            Some(SecretSource::File)
        } else if self.commands.all().is_ok_and(|all| all.contains_key(name)) {
            Some(SecretSource::Command)
        } else {
            self.vault.holds(name).then_some(SecretSource::Repository)
        }
    }

    /// Whether there is a value somewhere.
    pub fn has(&self, name: &str) -> bool {
        self.source(name).is_some()
    }

    /// Keeps a value in a file of this machine, `.rmm/secrets/NAME`, which must not exist. Gives its path.
    pub fn keep_here(&self, name: &str, value: &SecretString) -> Result<PathBuf, SecretError> {
        use std::io::Write as _;
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

        if !is_name(name) {
            return Err(SecretError::Name { name: name.into() });
        }
        let path = self.directory.join(name);
        let write = || -> std::io::Result<()> {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(secrecy::ExposeSecret::expose_secret(value).as_bytes())?;
            file.sync_all()
        };
        let unreadable = |error: std::io::Error| SecretError::Unreadable {
            name: name.into(),
            source_name: path.display().to_string(),
            reason: error.to_string(),
        };
        write().map_err(unreadable)?;
        Ok(path.clone())
    }

    /// The names of the secrets for which this machine or the repository has a value, without those of the environment.
    pub fn names(&self) -> Result<std::collections::BTreeSet<String>, SecretError> {
        let mut names = std::collections::BTreeSet::new();
        let of_vault = self.vault.names().map_err(|error| SecretError::Vault { name: "secrets".into(), error })?;
        names.extend(of_vault);
        let unreadable = |reason| SecretError::Command { name: self.commands.path().display().to_string(), reason };
        names.extend(self.commands.all().map_err(unreadable)?.into_keys());
        if let Ok(entries) = std::fs::read_dir(&self.directory) {
            names.extend(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_name(name)));
        }
        Ok(names)
    }

    /// Makes those known that are at hand without asking anybody or starting a program, as far as there are not too many: for texts that
    /// somebody has put together with one.
    pub fn learn_at_hand(&self) {
        let quiet = Identities::of_user(self.vault.identity(), Unlock::default());
        for name in self.names().unwrap_or_default().iter().take(MOST_AT_HAND) {
            let kept = self.file(name).ok().or_else(|| self.vault.open(name, &quiet).ok().flatten());
            if let Some(value) = kept {
                self.redactor.learn(name, &value);
            }
        }
        for (variable, value) in std::env::vars_os() {
            let (Some(variable), Some(value)) = (variable.to_str(), value.to_str()) else { continue };
            if let Some(name) = variable.strip_prefix("RMM_SECRET_") {
                self.redactor.learn(&name.to_lowercase().replace('_', "-"), &value.into());
            }
        }
    }

    /// The value that is not in the environment.
    fn kept(&self, name: &str) -> Result<SecretString, SecretError> {
        let missing = match self.file(name) {
            Err(missing @ SecretError::Missing { .. }) => missing,
            other => return other,
        };
        if let Some(value) = self.commands.get(name).map_err(|reason| SecretError::Command { name: name.into(), reason })? {
            return Ok(value);
        }
        let sealed = self.vault.open(name, &self.identities).map_err(|error| SecretError::Vault { name: name.into(), error })?;
        sealed.ok_or(missing)
    }

    /// The environment variable that holds the secret: `RMM_SECRET_` and the name in capitals, other characters as `_`.
    pub fn variable(name: &str) -> String {
        let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
        format!("RMM_SECRET_{name}")
    }

    fn file(&self, name: &str) -> Result<SecretString, SecretError> {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

        let file = self.directory.join(name);
        let unreadable = |reason: String| SecretError::Unreadable { name: name.into(), source_name: file.display().to_string(), reason };
        // Not blocking: a named pipe in its place must not stop everything.
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let open = std::fs::OpenOptions::new().read(true).custom_flags(nonblocking).open(&file).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => SecretError::Missing { name: name.into(), variable: Self::variable(name), file: file.clone() },
            _ => unreadable(e.to_string()),
        })?;
        // What was opened is what is judged; the path may be exchanged meanwhile.
        let meta = open.metadata().map_err(|e| unreadable(e.to_string()))?;
        if !meta.is_file() {
            return Err(unreadable("it is not a regular file".into()));
        }
        let user = rustix::process::geteuid().as_raw();
        if meta.uid() != user {
            return Err(SecretError::Owner { name: name.into(), file, owner: meta.uid(), user });
        }
        let mode = meta.mode() & 0o7777;
        if mode & 0o177 != 0 {
            return Err(SecretError::Mode { name: name.into(), file, mode });
        }
        // As large as it may become: a buffer that grows leaves its first bytes behind.
        let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize + 1));
        open.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(|e| unreadable(e.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(unreadable("it is too large".into()));
        }
        Ok(one_value(&text).into())
    }
}

/// A value as a file or a program gives it: without its last line feed, and without the mark that editors on Windows put first.
pub fn one_value(text: &str) -> &str {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text))
}

impl Secrets for SecretStore {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        if !is_name(name) {
            return Err(SecretError::Name { name: name.into() });
        }
        let variable = Self::variable(name);
        let value = match std::env::var(&variable) {
            Ok(value) if !value.is_empty() => value.into(),
            // An empty one is none, as for all other variables.
            Ok(_) | Err(std::env::VarError::NotPresent) => self.kept(name)?,
            Err(std::env::VarError::NotUnicode(_)) => {
                let reason = "it is not UTF-8".into();
                return Err(SecretError::Unreadable { name: name.into(), source_name: variable, reason });
            }
        };
        self.redactor.learn(name, &value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn store_with(name: &str, text: &str, mode: u32) -> (tempfile::TempDir, SecretStore, Redactor) {
        let root = tempfile::tempdir().unwrap();
        let redactor = Redactor::new();
        let store = SecretStore::new(root.path(), redactor.clone());
        std::fs::create_dir_all(&store.directory).unwrap();
        let file = store.directory.join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        (root, store, redactor)
    }

    #[test]
    fn a_file_gives_its_text_without_one_line_feed_and_the_redactor_learns_it() {
        let (_root, store, redactor) = store_with("db", "hunter2\n\n", 0o600);
        assert_eq!(store.resolve("db").unwrap().expose_secret(), "hunter2\n");
        assert_eq!(redactor.redact("is hunter2\nhere"), "is (secret db)\nhere");
    }

    #[test]
    fn the_mark_of_an_editor_is_no_part_of_a_value() {
        let (_root, store, _) = store_with("db", "\u{feff}hunter2\r\n", 0o600);
        assert_eq!(store.resolve("db").unwrap().expose_secret(), "hunter2");
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_advice() {
        let (_root, store, _) = store_with("db", "x", 0o640);
        let error = store.resolve("db").unwrap_err();
        assert!(matches!(error, SecretError::Mode { mode: 0o640, .. }), "{error}");
        assert!(error.advice().unwrap().starts_with("run: chmod 600 "));
    }

    #[test]
    fn names_cannot_leave_the_directory() {
        let (_root, store, _) = store_with("db", "x", 0o600);
        for name in ["../db", "a/b", "", ".hidden", "-x", "a\0b"] {
            assert!(matches!(store.resolve(name), Err(SecretError::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn a_missing_secret_names_the_variable_and_the_file() {
        let (_root, store, _) = store_with("db", "x", 0o600);
        let error = store.resolve("web-1.key").unwrap_err();
        assert!(error.to_string().contains("RMM_SECRET_WEB_1_KEY"), "{error}");
        assert!(error.to_string().contains(".rmm/secrets/web-1.key"), "{error}");
    }
}
