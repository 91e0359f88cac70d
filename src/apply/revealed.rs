//! A value as a script gets it, with its secrets, for changes and actions alike.

use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;
use serde_json::Value;

use crate::access::{SecretStore, Secrets as _};
use crate::model::Wiped;
use crate::plan::resolved;

/// A value with its secrets, and those of them that must not stand among the arguments of a process.
pub(super) type Revealed = (Wiped, Vec<SecretString>);

/// Resolves the secrets of a value; the name of the first that is not at hand otherwise.
pub(super) fn revealed(secrets: &SecretStore, value: &Value) -> Result<Revealed, String> {
    let found = Mutex::new(Vec::new());
    let lookup = |name: &str| {
        let secret = secrets.resolve(name).ok()?;
        found.lock().unwrap_or_else(PoisonError::into_inner).push(secret.clone());
        Some(secret)
    };
    let value = resolved(value, &lookup)?;
    Ok((value, found.into_inner().unwrap_or_else(PoisonError::into_inner)))
}
