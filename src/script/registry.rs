//! Comparing what a value of the registry is with what a policy wants of it. Functions that settings call; nothing is reached.
//!
//! Observed is what the probe `registry` answers: `{exists, kind, value}`. A wish is a bare value, `absent`, or an object with
//! `value`, `type`, `oneOf`, `atLeast`, `atMost`, `not`, `contains`, `state` and `whenAbsent`.

use rhai::{Dynamic, Engine, EvalAltResult};
use serde_json::{Value, json};

use super::failure::thrown;
use super::value::{to_dynamic, to_json};

/// Makes the functions known to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("registry_compliant", |observed: Dynamic, wish: Dynamic| -> Result<bool, Box<EvalAltResult>> {
        Ok(compliant(&plain(&observed)?, &plain(&wish)?))
    });
    engine.register_fn("registry_goal", |wish: Dynamic, observed: Dynamic| -> Result<Dynamic, Box<EvalAltResult>> {
        Ok(goal(&plain(&wish)?, &plain(&observed)?).map_or(Dynamic::UNIT, |goal| to_dynamic(&goal)))
    });
    engine.register_fn("registry_words", |observed: Dynamic| -> Result<String, Box<EvalAltResult>> { Ok(words(&plain(&observed)?)) });
    engine.register_fn("registry_wish", |wish: Dynamic| -> Result<String, Box<EvalAltResult>> { Ok(wanted(&plain(&wish)?)) });
}

fn plain(value: &Dynamic) -> Result<Value, Box<EvalAltResult>> {
    to_json(value).ok_or_else(|| thrown("this is not a value of the registry"))
}

fn exists(observed: &Value) -> bool {
    observed.get("exists").and_then(Value::as_bool) == Some(true)
}

/// The wish as an object.
fn object(wish: &Value) -> Value {
    match wish {
        Value::String(state) if state == "absent" => json!({ "state": "absent" }),
        Value::Object(_) => wish.clone(),
        value => json!({ "value": value }),
    }
}

fn compliant(observed: &Value, wish: &Value) -> bool {
    let wish = object(wish);
    let absent = wish["state"] == "absent";
    if !exists(observed) {
        return absent || wish["whenAbsent"] == "compliant";
    }
    if absent {
        return false;
    }
    let (value, kind) = (&observed["value"], observed["kind"].as_str().unwrap_or_default());
    if wish["type"].as_str().is_some_and(|wanted| wanted != kind) {
        return false;
    }
    let typed = wish["type"].is_string() && kind != "binary";
    // A number that is to be a text is the text with its digits.
    let same = |wanted: &Value| if typed { exact(value, &as_kind(kind, wanted)) } else { alike(value, wanted) };
    let each = |name: &str, rule: &dyn Fn(&Value) -> bool| wish.get(name).is_none_or(rule);
    each("value", &same)
        && each("oneOf", &|list| list.as_array().is_some_and(|list| list.iter().any(same)))
        && each("atLeast", &|least| number(value).zip(number(least)).is_some_and(|(n, least)| n >= least))
        && each("atMost", &|most| number(value).zip(number(most)).is_some_and(|(n, most)| n <= most))
        && each("not", &|other| !alike(value, other))
        && each("contains", &|list| list.as_array().is_some_and(|list| list.iter().all(|part| holds(value, part))))
}

/// What to write so that it is as wished: kind and value. `None` where the wish does not say.
fn goal(wish: &Value, observed: &Value) -> Option<Value> {
    let wish = object(wish);
    let first = || wish.get("oneOf").and_then(Value::as_array).and_then(|list| list.first());
    let value = wish.get("value").or_else(first).or_else(|| wish.get("atMost")).or_else(|| wish.get("atLeast"))?;
    let declared = wish["type"].as_str();
    let text_now = exists(observed) && matches!(observed["kind"].as_str(), Some("string" | "expandString"));
    let (kind, value) = match (declared, value) {
        (Some(kind), value) => (kind, as_kind(kind, value)),
        // What is kept as a text stays one: Windows would not understand the other kind.
        (None, Value::Number(n)) if text_now => (observed["kind"].as_str().unwrap_or("string"), json!(n.to_string())),
        (None, Value::Number(n)) => (if n.as_u64().is_some_and(|n| u32::try_from(n).is_ok()) { "dword" } else { "qword" }, value.clone()),
        (None, Value::Array(_)) => ("multiString", value.clone()),
        (None, value) => (if text_now { observed["kind"].as_str().unwrap_or("string") } else { "string" }, value.clone()),
    };
    Some(json!({ "kind": kind, "value": value }))
}

/// The value as the kind that the wish names keeps it.
fn as_kind(kind: &str, value: &Value) -> Value {
    match value {
        Value::Number(n) if matches!(kind, "string" | "expandString") => json!(n.to_string()),
        other => other.clone(),
    }
}

fn words(observed: &Value) -> String {
    if exists(observed) { shown(&observed["value"]) } else { "(absent)".to_owned() }
}

fn wanted(wish: &Value) -> String {
    let wish = object(wish);
    if wish["state"] == "absent" {
        return "(absent)".to_owned();
    }
    let part = |name: &str, word: &str| wish.get(name).map(|value| format!("{word}{}", shown(value)));
    let one_of = wish["oneOf"].as_array().map(|list| list.iter().map(shown).collect::<Vec<_>>().join(" or "));
    let contains = wish["contains"].as_array().map(|list| format!("with {}", list.iter().map(shown).collect::<Vec<_>>().join(" and ")));
    let parts = [part("value", ""), one_of, part("atLeast", ">="), part("atMost", "<="), part("not", "not "), contains];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn shown(value: &Value) -> String {
    let text = text(value);
    if text.is_empty() { "\"\"".to_owned() } else { text }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(";"),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn exact(value: &Value, wanted: &Value) -> bool {
    value == wanted || value.as_i64().is_some_and(|n| wanted.as_i64() == Some(n))
}

/// The same in words, large and small letters alike: policies seldom say of which kind a value is.
fn alike(value: &Value, wanted: &Value) -> bool {
    exact(value, wanted) || text(value).eq_ignore_ascii_case(&text(wanted))
}

/// A list has the member, or a text the part.
fn holds(value: &Value, part: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|member| alike(member, part)),
        value => text(value).to_ascii_lowercase().contains(&text(part).to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dword(n: i64) -> Value {
        json!({"exists": true, "kind": "dword", "value": n})
    }

    fn string(text: &str) -> Value {
        json!({"exists": true, "kind": "string", "value": text})
    }

    #[test]
    fn a_bare_value_is_compared_in_words_and_a_typed_one_exactly() {
        assert!(compliant(&dword(1), &json!(1)) && !compliant(&dword(2), &json!(1)));
        assert!(compliant(&string("1"), &json!(1)), "a list does not know the kind");
        assert!(compliant(&string("Block"), &json!("block")));
        assert!(!compliant(&string("1"), &json!({"type": "dword", "value": 1})));
        assert!(!compliant(&string("Block"), &json!({"type": "string", "value": "block"})));
        assert!(compliant(&string("1"), &json!({"type": "string", "value": 1})), "written as a text, it is one");
        let list = json!({"exists": true, "kind": "multiString", "value": ["a", "b"]});
        assert!(compliant(&list, &json!(["a", "b"])) && !compliant(&list, &json!(["b", "a"])));
        assert!(compliant(&list, &json!({"contains": ["B"]})) && !compliant(&list, &json!({"contains": ["c"]})));
    }

    #[test]
    fn what_is_absent_is_compliant_only_where_the_wish_says_so() {
        let gone = json!({"exists": false, "kind": null, "value": null});
        assert!(compliant(&gone, &json!("absent")) && !compliant(&dword(1), &json!("absent")));
        assert!(!compliant(&gone, &json!(0)) && compliant(&gone, &json!({"value": 0, "whenAbsent": "compliant"})));
        assert!(!compliant(&gone, &json!({"not": ""})));
        assert!(compliant(&string("absent"), &json!({"type": "string", "value": "absent"})));
    }

    #[test]
    fn bounds_hold_for_numbers_and_for_numbers_in_words() {
        let range = json!({"atLeast": 5, "atMost": 14});
        assert!(compliant(&dword(5), &range) && compliant(&string("14"), &range));
        assert!(!compliant(&dword(4), &range) && !compliant(&dword(15), &range) && !compliant(&string("x"), &range));
        assert!(!compliant(&dword(0), &json!({"atMost": 9, "not": 0})));
        assert!(compliant(&string("x"), &json!({"not": ""})) && !compliant(&string(""), &json!({"not": ""})));
    }

    #[test]
    fn what_is_written_follows_from_the_wish_and_from_what_is_there() {
        let gone = json!({"exists": false});
        assert_eq!(goal(&json!(1), &gone), Some(json!({"kind": "dword", "value": 1})));
        assert_eq!(goal(&json!(4_294_967_296_u64), &gone), Some(json!({"kind": "qword", "value": 4_294_967_296_u64})));
        assert_eq!(goal(&json!(0), &string("1")), Some(json!({"kind": "string", "value": "0"})));
        assert_eq!(goal(&json!(["a"]), &gone), Some(json!({"kind": "multiString", "value": ["a"]})));
        assert_eq!(goal(&json!({"atLeast": 5, "atMost": 14}), &gone), Some(json!({"kind": "dword", "value": 14})));
        assert_eq!(goal(&json!({"oneOf": ["x", "y"]}), &gone), Some(json!({"kind": "string", "value": "x"})));
        assert_eq!(goal(&json!({"type": "string", "atMost": 900, "not": 0}), &gone), Some(json!({"kind": "string", "value": "900"})));
        assert_eq!(goal(&json!({"type": "string", "atMost": 4}), &gone), Some(json!({"kind": "string", "value": "4"})));
        assert_eq!(goal(&json!({"not": ""}), &gone), None);
        let typed = [json!({"type": "string", "atMost": 4}), json!({"type": "string", "value": 4})];
        for wish in [json!(1), json!({"atMost": 9, "not": 0}), json!({"oneOf": ["x", "y"]}), json!(["a"])].into_iter().chain(typed) {
            let goal = goal(&wish, &gone).unwrap();
            let after = json!({"exists": true, "kind": goal["kind"], "value": goal["value"]});
            assert!(compliant(&after, &wish), "{wish}");
        }
    }

    #[test]
    fn a_plan_says_it_in_words() {
        assert_eq!(wanted(&json!({"atLeast": 5, "atMost": 14})), ">=5, <=14");
        assert_eq!(wanted(&json!({"not": ""})), "not \"\"");
        assert_eq!(wanted(&json!({"oneOf": [1, 2]})), "1 or 2");
        assert_eq!(words(&json!({"exists": false})), "(absent)");
    }
}
