//! One short text per meaning: two definitions that say the same have the same fingerprint, wherever they stand and
//! however their members are ordered. A reload acts on what has another one.

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hex SHA-256 of the canonical JSON form of a definition. Places are not part of it.
pub fn fingerprint(definition: &impl Serialize) -> String {
    let mut hash = Sha256::new();
    feed(&mut hash, &serde_json::to_value(definition).unwrap_or_default());
    hex::encode(hash.finalize())
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            hash.update([b'{']);
            for (key, value) in entries {
                text(hash, key);
                feed(hash, value);
            }
            hash.update([b'}']);
        }
        Value::Array(list) => {
            hash.update([b'[']);
            for value in list {
                feed(hash, value);
            }
            hash.update([b']']);
        }
        Value::String(string) => {
            hash.update([b'"']);
            text(hash, string);
        }
        other => {
            hash.update([b'=']);
            text(hash, &other.to_string());
        }
    }
}

fn text(hash: &mut Sha256, text: &str) {
    hash.update((text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fingerprint;

    #[test]
    fn the_order_of_members_does_not_matter_and_everything_else_does() {
        assert_eq!(fingerprint(&json!({"a": 1, "b": [true, null]})), fingerprint(&json!({"b": [true, null], "a": 1})));
        for other in [json!({"a": 1}), json!({"a": "1", "b": [true, null]}), json!({"a": 1, "b": [null, true]}), json!([])] {
            assert_ne!(fingerprint(&json!({"a": 1, "b": [true, null]})), fingerprint(&other));
        }
    }
}
