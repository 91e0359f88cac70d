//! Private keys and certificates, read and deciphered once per process and file.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use russh::keys::{Certificate, PrivateKey};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;

/// A key that can sign, and its certificate where one lies beside it.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) key: Arc<PrivateKey>,
    pub(super) certificate: Option<Certificate>,
}

/// Why a file gives no key, in words.
type Loaded = Result<Arc<Identity>, String>;
type Cell = Arc<OnceCell<Loaded>>;
type Stamp = (SystemTime, u64);

/// The keys that were read, by file and its last change.
#[derive(Debug, Default)]
pub(super) struct Keys {
    cells: Mutex<HashMap<(PathBuf, bool), (Stamp, Cell)>>,
}

impl Keys {
    /// The identity in a file: `None` where there is no file. Deciphering is slow on purpose, so it is done once,
    /// away from the threads that serve other devices.
    pub(super) async fn load(&self, path: &Path, passphrase: Option<&SecretString>) -> Option<Loaded> {
        let meta = std::fs::metadata(path).ok()?;
        if let Some(mode) = exposed(&meta) {
            return Some(Err(format!("its mode is {mode:04o}, others may use it: run chmod 600")));
        }
        let stamp = (meta.modified().ok()?, meta.len());
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let place = cells.entry((path.to_owned(), passphrase.is_some())).or_insert_with(|| (stamp, Cell::default()));
            if place.0 != stamp {
                *place = (stamp, Cell::default());
            }
            Arc::clone(&place.1)
        };
        let (path, passphrase) = (path.to_owned(), passphrase.cloned());
        let load = || async move {
            tokio::task::spawn_blocking(move || read(&path, passphrase.as_ref())).await.unwrap_or_else(|e| Err(e.to_string()))
        };
        Some(cell.get_or_init(load).await.clone())
    }
}

/// The mode of a key that others may read, as OpenSSH judges it: of the user's own keys. Those of another owner are given on purpose.
fn exposed(meta: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;

    let mode = meta.mode() & 0o7777;
    (meta.uid() == rustix::process::geteuid().as_raw() && mode & 0o077 != 0).then_some(mode)
}

fn read(path: &Path, passphrase: Option<&SecretString>) -> Loaded {
    use russh::keys::Error;

    let key = match russh::keys::load_secret_key(path, None) {
        Err(Error::KeyIsEncrypted) => {
            let Some(passphrase) = passphrase else { return Err("is encrypted and no passphrase is given".into()) };
            russh::keys::load_secret_key(path, Some(passphrase.expose_secret()))
                .map_err(|_| "is encrypted with another passphrase".to_owned())?
        }
        other => other.map_err(|e| format!("cannot be read: {e}"))?,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push("-cert.pub");
    let beside = PathBuf::from(beside);
    let certificate = if beside.exists() {
        let certificate = russh::keys::load_openssh_certificate(&beside)
            .map_err(|e| format!("has a certificate that cannot be read ({}): {e}", beside.display()))?;
        if certificate.public_key() != key.public_key().key_data() {
            return Err(format!("has a certificate for another key ({})", beside.display()));
        }
        Some(certificate)
    } else {
        None
    };
    Ok(Arc::new(Identity { key: Arc::new(key), certificate }))
}
