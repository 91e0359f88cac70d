//! `{secret: NAME}` inside desired values: found, replaced for comparing, hidden for showing.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::model::Wiped;

/// Gives the secret of a name, where it is at hand. Planning compares with it and never shows it.
pub type SecretLookup<'a> = &'a (dyn Fn(&str) -> Option<SecretString> + Sync);

/// The name in `{secret: NAME}`.
fn name(value: &Value) -> Option<&str> {
    let map = value.as_object()?;
    if map.len() == 1 { map.get("secret")?.as_str() } else { None }
}

/// Whether a value holds a secret anywhere.
pub fn holds_secret(value: &Value) -> bool {
    name(value).is_some()
        || match value {
            Value::Array(list) => list.iter().any(holds_secret),
            Value::Object(map) => map.values().any(holds_secret),
            _ => false,
        }
}

/// The value with every secret replaced by its content; the name of the first that is not at hand otherwise.
pub fn resolved(value: &Value, lookup: SecretLookup<'_>) -> Result<Wiped, String> {
    // Filled in where it stands, so that what is found before something is missing is wiped as well.
    let mut value = Wiped::new(value.clone());
    fill(&mut value, lookup)?;
    Ok(value)
}

fn fill(value: &mut Value, lookup: SecretLookup<'_>) -> Result<(), String> {
    if let Some(name) = name(value) {
        let secret = lookup(name).ok_or_else(|| name.to_owned())?;
        *value = Value::String(secret.expose_secret().to_owned());
        return Ok(());
    }
    match value {
        Value::Array(list) => list.iter_mut().try_for_each(|v| fill(v, lookup)),
        Value::Object(map) => map.values_mut().try_for_each(|v| fill(v, lookup)),
        _ => Ok(()),
    }
}

/// The value with every secret replaced by `(secret NAME)`: for plans, logs and recorded commands.
pub fn placeholders(value: &Value) -> Value {
    if let Some(name) = name(value) {
        return Value::String(format!("(secret {name})"));
    }
    match value {
        Value::Array(list) => Value::Array(list.iter().map(placeholders).collect()),
        Value::Object(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), placeholders(v))).collect()),
        other => other.clone(),
    }
}
