//! Taking values out of what PowerShell makes of objects: a list of one comes without its brackets, an empty one as null or `{}`,
//! numbers as numbers or texts. Everything is bounded.

use serde_json::{Map, Value};

use crate::model::facts::Status;

/// Most entries of a list.
pub(super) const MOST: usize = 5_000;
/// Longest text, in characters.
const LONGEST: usize = 1_024;
/// Longest command line, path list or the like.
const LONGEST_COMMAND: usize = 4_096;

/// The entries of a list.
pub(super) fn items<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    match value.get(key) {
        Some(Value::Array(list)) => &list[..list.len().min(MOST)],
        Some(Value::Null) | None => &[],
        Some(Value::Object(map)) if map.is_empty() => &[],
        Some(one) => std::slice::from_ref(one),
    }
}

/// The entries of a list that has to be there, be it empty: where it is not, nothing was told. Of a list that is too long nothing is
/// taken: what is missing in a part of it would pass for absent.
pub(super) fn listed<'v>(value: &'v Value, key: &str) -> Result<&'v [Value], Status> {
    let all = every(value, key)?;
    if all.len() > MOST { Err(Status::Unknown(format!("the device told more than {MOST} entries"))) } else { Ok(all) }
}

/// The same without a bound but that of the line.
pub(super) fn every<'v>(value: &'v Value, key: &str) -> Result<&'v [Value], Status> {
    match value.get(key) {
        None | Some(Value::Null) => Err(Status::Unknown("the device told nothing".into())),
        Some(Value::Array(list)) => Ok(list.as_slice()),
        Some(_) => Ok(items(value, key)),
    }
}

/// A text without white space around it, where it is not empty.
pub(super) fn text(value: &Value, key: &str) -> Option<String> {
    bounded(value.get(key)?.as_str()?, LONGEST)
}

/// A long text.
pub(super) fn long(value: &Value, key: &str) -> Option<String> {
    bounded(value.get(key)?.as_str()?, LONGEST_COMMAND)
}

/// A text as it is kept, with what white space is around it: it may have to be written back. Control characters are no part of it.
pub(super) fn kept(value: &Value, key: &str, longest: usize) -> Option<String> {
    Some(value.get(key)?.as_str()?.chars().filter(|c| !c.is_control()).take(longest).collect())
}

/// A text on its own.
pub(super) fn own(value: &Value) -> Option<String> {
    bounded(value.as_str()?, LONGEST)
}

fn bounded(text: &str, longest: usize) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(longest).collect();
    Some(text).filter(|text| !text.is_empty())
}

/// A number that is not negative.
pub(super) fn count(value: &Value, key: &str) -> Option<u64> {
    number(value.get(key)?)
}

/// A value as a number that is not negative.
pub(super) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(_) => value.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Yes or no: also 1 or 0.
pub(super) fn flag(value: &Value, key: &str) -> Option<bool> {
    match value.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(n) => match n.as_u64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        _ => None,
    }
}

/// A text of characters by their numbers, as the classes of monitors have it; ends at the first 0.
pub(super) fn characters(value: &Value, key: &str) -> Option<String> {
    let units = items(value, key).iter().map_while(number).take_while(|n| *n != 0).take(64);
    let text: String = units.filter_map(|n| char::from_u32(u32::try_from(n).ok()?)).collect();
    bounded(&text, LONGEST)
}

/// The last part of the number of an account.
pub(super) fn rid(sid: &str) -> Option<u64> {
    sid.rsplit('-').next()?.parse().ok()
}

/// Entries by name, at most as many as are kept; the first of a name stays.
pub(super) fn mapped(entries: impl Iterator<Item = (String, Value)>) -> Map<String, Value> {
    let mut sorted = std::collections::BTreeMap::new();
    for (name, value) in entries.take(MOST * 2) {
        sorted.entry(name).or_insert(value);
    }
    sorted.into_iter().collect()
}

/// One decimal, so that the same value prints the same everywhere.
pub(super) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_texts_and_numbers_are_taken_in_every_form_that_powershell_gives_them() {
        let value = json!({"one": {"a": 1}, "many": [1, 2], "none": null, "empty": {}, "text": " x\u{7} ", "blank": "  ", "n": "42", "f": 1, "g": 2});
        assert_eq!(items(&value, "one"), [json!({"a": 1})]);
        assert_eq!(items(&value, "many").len(), 2);
        for none in ["none", "empty", "absent"] {
            assert!(items(&value, none).is_empty(), "{none}");
        }
        assert_eq!((text(&value, "text"), text(&value, "blank"), text(&value, "n")), (Some("x".into()), None, Some("42".into())));
        assert_eq!((count(&value, "n"), count(&value, "text"), count(&json!({"n": -1}), "n")), (Some(42), None, None));
        assert_eq!((flag(&value, "f"), flag(&value, "g"), flag(&value, "n")), (Some(true), None, None));
        assert_eq!(characters(&json!({"u": [68, 69, 76, 76, 0, 0]}), "u").as_deref(), Some("DELL"));
        assert_eq!(rid("S-1-5-21-1-2-3-1001"), Some(1001));
    }

    #[test]
    fn nothing_that_a_device_says_grows_without_bound() {
        let value = json!({"list": vec![1; MOST + 1], "text": "x".repeat(9000)});
        assert_eq!(items(&value, "list").len(), MOST);
        assert!(matches!(listed(&value, "list"), Err(Status::Unknown(why)) if why.contains("more than 5000")));
        assert_eq!(every(&value, "list").map(<[Value]>::len), Ok(MOST + 1));
        assert!(every(&value, "absent").is_err() && listed(&value, "absent").is_err());
        assert_eq!((text(&value, "text").unwrap().len(), long(&value, "text").unwrap().len()), (LONGEST, LONGEST_COMMAND));
        assert_eq!(mapped((0..20_000).map(|n| (n.to_string(), json!(n)))).len(), MOST * 2);
    }
}
