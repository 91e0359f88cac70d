//! Observed against desired, for every operator that the head of a setting may name.

use std::cmp::Ordering;

use serde_json::Value;

use crate::catalog::Compare;
use crate::script::version_matches;

/// Whether an observed value satisfies the desired one. `None` and `null` mean that there is nothing there.
///
/// `Err` says why the two cannot be compared: a desired expression that is not one, which the loader should have refused.
pub fn compliant(compare: Compare, observed: Option<&Value>, desired: &Value) -> Result<bool, String> {
    let Some(observed) = observed.filter(|v| !v.is_null()) else {
        // Nothing holds none of the excluded things, and equals nothing.
        return Ok(compare == Compare::Excludes || desired.is_null());
    };
    Ok(match compare {
        Compare::Equals => same(observed, desired),
        Compare::OneOf => items(desired).iter().any(|d| same(observed, d)),
        Compare::AtLeast => number_order(observed, desired)?.is_ge(),
        Compare::AtMost => number_order(observed, desired)?.is_le(),
        Compare::Contains => items(desired).iter().all(|d| holds(observed, d)),
        Compare::Excludes => !items(desired).iter().any(|d| holds(observed, d)),
        Compare::SameSet => {
            let (observed, desired) = (items(observed), items(desired));
            observed.iter().all(|o| desired.iter().any(|d| same(o, d))) && desired.iter().all(|d| observed.iter().any(|o| same(o, d)))
        }
        Compare::Subset => subset(observed, desired),
        Compare::Matches => {
            let pattern = desired.as_str().ok_or("the desired value is not a regular expression")?;
            let regex =
                regex_lite::Regex::new(&format!("^(?:{pattern})$")).map_err(|e| format!("'{pattern}' is not a regular expression: {e}"))?;
            regex.is_match(&text(observed))
        }
        Compare::Version => {
            let range = desired.as_str().ok_or("the desired value is not a version range")?;
            version_matches(&text(observed), range)?
        }
        Compare::Script => return Err("this setting compares by its own script".into()),
    })
}

/// Equal values; numbers by value, so that 1 equals 1.0.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || x.as_f64() == y.as_f64(),
        _ => a == b,
    }
}

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        other => std::slice::from_ref(other),
    }
}

/// A list holds a member, a map a key, a text a part.
fn holds(observed: &Value, wanted: &Value) -> bool {
    match observed {
        Value::Array(list) => list.iter().any(|v| same(v, wanted)),
        Value::Object(map) => wanted.as_str().is_some_and(|key| map.contains_key(key)),
        Value::String(s) => wanted.as_str().is_some_and(|part| s.contains(part)),
        other => same(other, wanted),
    }
}

fn subset(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(o), Value::Object(d)) => d.iter().all(|(key, value)| match o.get(key) {
            Some(seen) => subset(seen, value),
            None => value.is_null(),
        }),
        _ => same(observed, desired),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn number_order(observed: &Value, desired: &Value) -> Result<Ordering, String> {
    let number = |v: &Value| v.as_f64().or_else(|| v.as_str()?.trim().parse().ok());
    let (o, d) = (number(observed), number(desired));
    match (o, d) {
        (Some(o), Some(d)) => o.partial_cmp(&d).ok_or_else(|| "not a number".into()),
        (None, _) => Err(format!("the observed value {observed} is not a number")),
        (_, None) => Err(format!("the desired value {desired} is not a number")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(compare: Compare, observed: Value, desired: Value, expected: bool) {
        assert_eq!(compliant(compare, Some(&observed), &desired), Ok(expected), "{compare:?} {observed} {desired}");
    }

    #[test]
    fn every_operator_decides() {
        check(Compare::Equals, json!("a"), json!("a"), true);
        check(Compare::Equals, json!(1.0), json!(1), true);
        check(Compare::Equals, json!("no"), json!(false), false);
        check(Compare::OneOf, json!("a"), json!(["a", "b"]), true);
        check(Compare::AtLeast, json!(12), json!(12), true);
        check(Compare::AtLeast, json!("8"), json!(12), false);
        check(Compare::AtMost, json!(300), json!(299), false);
        check(Compare::Contains, json!(["a", "b"]), json!("a"), true);
        check(Compare::Contains, json!(["a", "b"]), json!(["a", "c"]), false);
        check(Compare::Excludes, json!({"telnet": "1"}), json!(["telnet"]), false);
        check(Compare::SameSet, json!(["b", "a"]), json!(["a", "b"]), true);
        check(Compare::SameSet, json!(["a"]), json!(["a", "b"]), false);
        check(Compare::Subset, json!({"state": "running", "startup": "enabled"}), json!({"state": "running"}), true);
        check(Compare::Subset, json!({"state": "stopped"}), json!({"state": "running"}), false);
        check(Compare::Matches, json!("abc-12"), json!("[a-z]+-[0-9]+"), true);
        check(Compare::Matches, json!("xabc-12!"), json!("[a-z]+-[0-9]+"), false);
        check(Compare::Version, json!("24.08"), json!(">=24, <25"), true);
    }

    #[test]
    fn nothing_satisfies_no_demand_but_that_something_is_missing() {
        for compare in [Compare::Equals, Compare::AtLeast, Compare::AtMost, Compare::Contains, Compare::Subset] {
            assert_eq!(compliant(compare, None, &json!(1)), Ok(false), "{compare:?}");
            assert_eq!(compliant(compare, Some(&Value::Null), &json!(1)), Ok(false), "{compare:?}");
        }
        assert_eq!(compliant(Compare::Excludes, None, &json!(["telnet"])), Ok(true));
    }
}
