//! JSON values as Rhai values and back, without loss.

use rhai::{Dynamic, Map};
use serde_json::{Number, Value};

/// An integer that Rhai's own integers cannot hold; passes through a script unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BigNumber(pub(super) Number);

/// A JSON value as a script sees it: `null` is `()`, an object is a map.
pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => Dynamic::from_bool(*b),
        Value::Number(n) => {
            if let Some(i) = n.as_i64() {
                Dynamic::from_int(i)
            } else if n.is_f64() {
                n.as_f64().map_or(Dynamic::UNIT, Dynamic::from_float)
            } else {
                Dynamic::from(BigNumber(n.clone()))
            }
        }
        Value::String(s) => s.as_str().into(),
        Value::Array(list) => Dynamic::from_array(list.iter().map(to_dynamic).collect()),
        Value::Object(map) => Dynamic::from_map(map.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect::<Map>()),
    }
}

/// An optional JSON value; `()` where there is none.
pub(super) fn optional(value: Option<&Value>) -> Dynamic {
    value.map_or(Dynamic::UNIT, to_dynamic)
}

/// What a script gave back as JSON; `None` where it holds something that JSON has no form for (a function, a device).
pub(super) fn to_json(value: &Dynamic) -> Option<Value> {
    if value.is_unit() {
        return Some(Value::Null);
    }
    if let Ok(b) = value.as_bool() {
        return Some(Value::Bool(b));
    }
    if let Ok(i) = value.as_int() {
        return Some(Value::from(i));
    }
    if let Ok(f) = value.as_float() {
        return Number::from_f64(f).map(Value::Number);
    }
    if let Ok(s) = value.as_immutable_string_ref() {
        return Some(Value::String(s.to_string()));
    }
    if let Ok(c) = value.as_char() {
        return Some(Value::String(c.to_string()));
    }
    if let Some(list) = value.read_lock::<rhai::Array>() {
        return list.iter().map(to_json).collect::<Option<Vec<_>>>().map(Value::Array);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return map.iter().map(|(key, value)| Some((key.to_string(), to_json(value)?))).collect::<Option<_>>().map(Value::Object);
    }
    value.read_lock::<BigNumber>().map(|n| Value::Number(n.0.clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_go_through_a_script_and_back_without_loss() {
        let value = json!({"a": [1, -2, 1.0, 0.1, true, null, "x\u{0}\n"], "big": u64::MAX, "small": i64::MIN, "deep": {"": {"é": []}}});
        assert_eq!(to_json(&to_dynamic(&value)), Some(value));
    }
}
