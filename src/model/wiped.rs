//! Values that may hold secrets: overwritten when they are let go of, and not shown by `Debug`. Whoever resolves a secret or sends
//! one to a device holds it in one of these, or in a `SecretString`.

use std::ffi::OsStr;
use std::io::Write;
use std::ops::{Deref, DerefMut};

use serde::Serialize;
use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

/// A JSON value that may hold secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Wiped(Value);

impl Wiped {
    /// Takes a value into care.
    pub fn new(value: Value) -> Self {
        Self(value)
    }
}

impl Deref for Wiped {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

impl std::fmt::Debug for Wiped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wiped")
    }
}

/// Overwrites every text of a value where it stands, and leaves it empty. Names of members are no secrets.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a variable of the environment is for this program alone: it holds a secret, or what opens them. Programs that are started
/// do not get it, and neither does what they leave running.
pub fn is_secret_variable(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"RMM_SECRET")
}

/// Counts what is written.
struct Length(usize);

impl Write for Length {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A value as JSON. Written twice, once to see how long it is: a buffer that grows leaves its first bytes behind.
/// The names of its members have to be texts; nothing else can fail.
pub fn json_text(value: &impl Serialize) -> Zeroizing<Vec<u8>> {
    let mut length = Length(0);
    let _ = serde_json::to_writer(&mut length, value);
    let mut out: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(length.0));
    let _ = serde_json::to_writer(&mut *out, value);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_of_a_value_is_overwritten_and_none_is_shown() {
        let mut value = json!({"a": ["hunter2", {"b": "hunter2"}], "n": 1});
        let held = Wiped::new(value.clone());
        assert!(held["a"][0] == "hunter2" && !format!("{held:?}").contains("hunter2"));
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}], "n": 1}));
    }

    #[test]
    fn variables_that_hold_secrets_are_told_from_others() {
        for name in ["RMM_SECRET_DB", "RMM_SECRETS_PASSPHRASE", "RMM_SECRETS_KEY"] {
            assert!(is_secret_variable(OsStr::new(name)), "{name}");
        }
        assert!(!is_secret_variable(OsStr::new("RMM_OUTPUT")) && !is_secret_variable(OsStr::new("PATH")));
    }

    #[test]
    fn the_buffer_of_a_text_does_not_grow_while_it_is_written() {
        let value = json!({"a": "x\n\u{e9}\"".repeat(100), "b": [1, null]});
        let text = json_text(&value);
        assert_eq!(text.as_slice(), value.to_string().as_bytes());
        assert_eq!(text.capacity(), text.len());
        assert!(format!("{text:?}").len() < 40, "not shown: {text:?}");
    }
}
