//! The probes: what is asked of each, and what an answer means.

use serde_json::{Map, Value, json};

use super::take::{count, flag, items, long, text};

/// Most values of one answer.
const MOST: usize = 1_000;
/// Longest text of a value, in bytes.
const LONGEST: usize = 64 * 1024;

fn failed(why: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([("error".to_owned(), why.into())])
}

/// Key and name.
pub(super) fn ask_value(args: &[String]) -> Value {
    json!({"key": args.first(), "name": args.get(1)})
}

/// One value of the registry.
pub(super) fn value(item: &Value) -> Map<String, Value> {
    if let Some(why) = text(item, "error") {
        return failed(why);
    }
    let of = |exists: bool, kind: Value, value: Value| {
        Map::from_iter([("exists".to_owned(), json!(exists)), ("kind".to_owned(), kind), ("value".to_owned(), value)])
    };
    let given = item.get("value").unwrap_or(&Value::Null);
    match (flag(item, "exists"), item.get("kind").and_then(Value::as_str)) {
        (Some(false), None) => of(false, Value::Null, Value::Null),
        (Some(true), Some(kind)) => match typed(kind, item, given) {
            Some(value) => of(true, json!(kind), value),
            None => failed("the value is longer than 64 KiB, or not of its kind"),
        },
        _ => failed("the answer of the device cannot be read"),
    }
}

/// A value as its kind says it has to be.
fn typed(kind: &str, item: &Value, given: &Value) -> Option<Value> {
    let short = |text: &str| text.len() <= LONGEST;
    match kind {
        "dword" => given.as_u64().filter(|n| u32::try_from(*n).is_ok()).map(Value::from),
        "qword" => given.as_u64().map(Value::from),
        "string" | "expandString" => given.as_str().filter(|text| short(text)).map(Value::from),
        "binary" => {
            let hex = given.as_str().filter(|text| text.len() <= 2 * LONGEST && text.len() % 2 == 0)?;
            hex.bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)).then(|| Value::from(hex))
        }
        "multiString" => {
            let list = items(item, "value");
            let total: usize = list.iter().filter_map(Value::as_str).map(str::len).sum();
            (list.iter().all(Value::is_string) && total <= LONGEST).then(|| list.to_vec().into())
        }
        "none" => Some(Value::Null),
        _ => None,
    }
}

/// What an answer with its own error says, else what this makes of it.
fn unless_failed(item: &Value, of: impl FnOnce(bool) -> Map<String, Value>) -> Map<String, Value> {
    if let Some(why) = text(item, "error") {
        return failed(why);
    }
    match flag(item, "exists") {
        Some(exists) => of(exists),
        None => failed("the answer of the device cannot be read"),
    }
}

/// All values of a key.
pub(super) fn key(item: &Value) -> Map<String, Value> {
    unless_failed(item, |exists| {
        let one = |told: &Value| {
            let name = told.get("name")?.as_str().filter(|name| name.len() <= LONGEST)?;
            let mut about = value(told);
            // It stands among the values of the key, so it is there.
            about.remove("exists");
            Some((name.to_owned(), Value::Object(about)))
        };
        let values: std::collections::BTreeMap<String, Value> = items(item, "values").iter().take(MOST).filter_map(one).collect();
        Map::from_iter([("exists".to_owned(), json!(exists)), ("values".to_owned(), json!(values))])
    })
}

/// A value of each user.
pub(super) fn users(item: &Value) -> Map<String, Value> {
    if let Some(why) = text(item, "error") {
        return failed(why);
    }
    if item.get("users").is_none() {
        return failed("the answer of the device cannot be read");
    }
    let one = |told: &Value| Some((text(told, "sid").filter(|sid| sid.starts_with("S-1-"))?, Value::Object(value(told))));
    let users: std::collections::BTreeMap<String, Value> = items(item, "users").iter().take(MOST).filter_map(one).collect();
    Map::from_iter([("users".to_owned(), json!(users))])
}

/// Namespace, class and property.
pub(super) fn ask_class(args: &[String]) -> Value {
    json!({"namespace": args.first(), "class": args.get(1), "property": args.get(2)})
}

/// A property of all instances of a class.
pub(super) fn class(item: &Value) -> Map<String, Value> {
    unless_failed(item, |exists| {
        let values: Vec<Value> = items(item, "values").iter().take(MOST).filter_map(plain).collect();
        Map::from_iter([("exists".to_owned(), json!(exists)), ("values".to_owned(), json!(values))])
    })
}

/// A name.
pub(super) fn ask_name(args: &[String]) -> Value {
    json!({"name": args.first()})
}

/// A preference of Microsoft Defender.
pub(super) fn preference(item: &Value) -> Map<String, Value> {
    unless_failed(item, |exists| {
        let value = match item.get("value") {
            Some(Value::Array(list)) => list.iter().take(MOST).filter_map(plain).collect(),
            Some(one) => plain(one).unwrap_or_default(),
            None => Value::Null,
        };
        Map::from_iter([("exists".to_owned(), json!(exists)), ("value".to_owned(), value)])
    })
}

/// Exploit protection of the system or a program.
pub(super) fn mitigations(item: &Value) -> Map<String, Value> {
    unless_failed(item, |exists| {
        let whole = item.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let pair = |pair: &[Value]| match pair {
            [name, value] => Some((super::take::own(name)?, plain(value)?)),
            _ => None,
        };
        // One pair alone comes without the brackets around it.
        let values: std::collections::BTreeMap<String, Value> = match whole.first() {
            Some(Value::String(_)) => pair(whole).into_iter().collect(),
            _ => whole.iter().take(MOST).filter_map(|one| pair(one.as_array()?)).collect(),
        };
        Map::from_iter([("exists".to_owned(), json!(exists)), ("values".to_owned(), json!(values))])
    })
}

/// A number, a text that is not too long, yes or no.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(text.chars().filter(|c| !c.is_control()).take(4_096).collect::<String>().into()),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        _ => None,
    }
}

/// The path.
pub(super) fn ask_file(args: &[String]) -> Value {
    json!({"path": args.first()})
}

/// What stands at a path.
pub(super) fn file(item: &Value) -> Map<String, Value> {
    let error = text(item, "error");
    let kind = match item.get("type").and_then(Value::as_str) {
        // What could not be looked at may well be there.
        Some("absent") => return error.map_or_else(|| Map::from_iter([("type".to_owned(), json!("absent"))]), failed),
        Some(kind @ ("file" | "dir" | "link")) => kind,
        _ => return failed(error.unwrap_or_else(|| "the answer of the device cannot be read".into())),
    };
    let mut out = Map::new();
    out.insert("type".into(), json!(kind));
    out.insert("mode".into(), Value::Null);
    out.insert("owner".into(), json!(text(item, "owner")));
    out.insert("group".into(), Value::Null);
    out.insert("size".into(), json!(count(item, "size").unwrap_or(0)));
    out.insert("modified".into(), json!(text(item, "modified")));
    match kind {
        "file" => {
            let hash = text(item, "sha256").filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
            match (hash, error) {
                (Some(hash), None) => drop(out.insert("sha256".into(), json!(hash.to_ascii_lowercase()))),
                (_, error) => drop(out.insert("error".into(), json!(error.unwrap_or_else(|| "its content could not be read".into())))),
            }
        }
        "link" => match long(item, "target") {
            Some(target) => drop(out.insert("target".into(), json!(target))),
            None => drop(out.insert("error".into(), json!("its target could not be read"))),
        },
        _ => drop(error.map(|why| out.insert("error".into(), json!(why)))),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_told_with_its_kind_or_not_at_all() {
        let told = |item: Value| Value::Object(value(&item));
        assert_eq!(
            told(json!({"n": 0, "exists": true, "kind": "dword", "value": 4_294_967_295_u32})),
            json!({"exists": true, "kind": "dword", "value": 4_294_967_295_u32})
        );
        assert_eq!(told(json!({"exists": false, "kind": null, "value": null})), json!({"exists": false, "kind": null, "value": null}));
        // A list of one comes without its brackets.
        assert_eq!(told(json!({"exists": true, "kind": "multiString", "value": "a"}))["value"], json!(["a"]));
        assert_eq!(told(json!({"exists": true, "kind": "multiString", "value": null}))["value"], json!([]));
        assert_eq!(told(json!({"exists": true, "kind": "binary", "value": "00FF"}))["value"], "00FF");
        for wrong in [
            json!({"exists": true, "kind": "dword", "value": -1}),
            json!({"exists": true, "kind": "dword", "value": 4_294_967_296_u64}),
            json!({"exists": true, "kind": "dword", "value": "1"}),
            json!({"exists": true, "kind": "string", "value": 3}),
            json!({"exists": true, "kind": "string", "value": "x".repeat(70_000)}),
            json!({"exists": true, "kind": "binary", "value": "0g"}),
            json!({"exists": true, "kind": "teapot", "value": 1}),
            json!({"exists": false, "kind": "dword"}),
            json!({"exists": true}),
            json!({}),
            json!("x"),
            json!({"exists": true, "kind": "dword", "value": 1, "error": "denied"}),
        ] {
            assert!(told(wrong.clone()).get("error").is_some(), "{wrong}");
        }
    }

    #[test]
    fn keys_users_classes_and_preferences_are_read_whole_or_not_at_all() {
        let told = |of: fn(&Value) -> Map<String, Value>, item: Value| Value::Object(of(&item));
        assert_eq!(
            told(key, json!({"n": 0, "exists": true, "values": {"name": "1", "exists": true, "kind": "string", "value": "x"}})),
            json!({"exists": true, "values": {"1": {"kind": "string", "value": "x"}}})
        );
        assert_eq!(told(key, json!({"exists": false, "values": []})), json!({"exists": false, "values": {}}));
        assert_eq!(
            told(users, json!({"users": [{"sid": "S-1-5-21-1", "exists": false, "kind": null, "value": null}, {"sid": "x"}]})),
            json!({"users": {"S-1-5-21-1": {"exists": false, "kind": null, "value": null}}})
        );
        assert_eq!(told(class, json!({"exists": true, "values": [2, "a", null, [1]]})), json!({"exists": true, "values": [2, "a"]}));
        assert_eq!(told(class, json!({"exists": true, "values": 2})), json!({"exists": true, "values": [2]}));
        assert_eq!(told(preference, json!({"exists": true, "value": null})), json!({"exists": true, "value": null}));
        assert_eq!(told(preference, json!({"exists": true, "value": []})), json!({"exists": true, "value": []}));
        for pairs in [json!([["dep.enable", "ON"]]), json!(["dep.enable", "ON"])] {
            assert_eq!(
                told(mitigations, json!({"exists": true, "values": pairs})),
                json!({"exists": true, "values": {"dep.enable": "ON"}})
            );
        }
        for of in [key, class, preference, mitigations, users] {
            assert!(told(of, json!({})).get("error").is_some());
            assert_eq!(told(of, json!({"exists": true, "error": "denied"})), json!({"error": "denied"}));
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_absent() {
        let told = |item: Value| Value::Object(file(&item));
        assert_eq!(told(json!({"type": "absent"})), json!({"type": "absent"}));
        assert_eq!(told(json!({"type": "absent", "error": "denied"})), json!({"error": "denied"}));
        let hash = "A".repeat(64);
        let seen = told(
            json!({"type": "file", "size": 3, "owner": "BUILTIN\\Administrators", "sha256": hash, "modified": "2026-11-01T00:00:00Z"}),
        );
        assert_eq!((&seen["sha256"], &seen["size"]), (&json!("a".repeat(64)), &json!(3)));
        assert_eq!(told(json!({"type": "file", "size": 3, "error": "in use"}))["error"], "in use");
        assert!(told(json!({"type": "teapot"})).get("type").is_none());
    }
}
