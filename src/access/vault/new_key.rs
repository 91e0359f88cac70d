//! Making a key: in a file of the user, or beside the secrets under a passphrase.

use std::io::Write;
use std::path::Path;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use super::{Recipient, VaultError, file};

/// Makes a key in a file of its own, which must not exist. Gives its public half.
pub fn in_file(path: &Path) -> Result<Recipient, VaultError> {
    let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
    if path.exists() {
        return Err(failed("it exists already".into()));
    }
    let (text, public) = generate();
    file::replace(path, text.as_bytes(), 0o600).map_err(|error| failed(error.to_string()))?;
    Recipient::parse(&public).map_err(failed)
}

/// Makes a key that this passphrase opens. Gives its public half.
pub fn under_passphrase(path: &Path, passphrase: SecretString) -> Result<Recipient, VaultError> {
    let failed = |reason: String| VaultError::File { path: path.to_owned(), reason };
    // What was encrypted for the old one could never be opened again.
    if path.exists() {
        return Err(failed("it exists already".into()));
    }
    let (text, public) = generate();
    let sealed = || -> std::io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let armor = age::armor::ArmoredWriter::wrap_output(&mut out, age::armor::Format::AsciiArmor)?;
        let mut writer = age::Encryptor::with_user_passphrase(passphrase).wrap_output(armor)?;
        writer.write_all(text.as_bytes())?;
        writer.finish()?.finish()?;
        Ok(out)
    };
    let bytes = sealed().map_err(|error| failed(error.to_string()))?;
    file::replace(path, &bytes, 0o644).map_err(|error| failed(error.to_string()))?;
    Recipient::parse(&public).map_err(failed)
}

/// A key file as `age-keygen` writes it, and the public key.
fn generate() -> (Zeroizing<String>, String) {
    let key = age::x25519::Identity::generate();
    let public = key.to_public().to_string();
    (Zeroizing::new(format!("# public key: {public}\n{}\n", key.to_string().expose_secret())), public)
}
