//! Schemas of values as files may write them: a template may stand for any single value, a secret for a text, and
//! `restartOn` beside the members of a value under a key.

use serde_json::{Map, Value, json};

use crate::catalog::Catalog;

const PARTS: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// The schema of a value of the catalog, made to take templates (and secrets) wherever a single value stands.
pub(super) fn relaxed(schema: &Value, secrets: bool) -> Value {
    let Some(map) = schema.as_object() else { return schema.clone() };
    let nested = ["properties", "items", "additionalProperties", "patternProperties"]
        .iter()
        .any(|key| map.get(*key).is_some_and(|v| !v.is_boolean()));
    let choice = PARTS.iter().any(|key| map.contains_key(*key));
    let closed = map.get("type").is_some_and(|kind| kind == "object" || kind == "array");
    if !nested && !choice && !closed {
        let free = map.get("type").is_some_and(|kind| kind == "string")
            && !["enum", "const", "pattern", "minLength", "maxLength", "format"].iter().any(|key| map.contains_key(*key));
        let mut choices = vec![schema.clone()];
        if !free {
            choices.push(json!({"$ref": "#/$defs/template"}));
        }
        if secrets {
            choices.push(json!({"$ref": "#/$defs/secret"}));
        }
        return if choices.len() == 1 { schema.clone() } else { json!({"anyOf": choices}) };
    }
    let mut result = Map::new();
    for (key, value) in map {
        let value = match (key.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(members)) => {
                Value::Object(members.iter().map(|(name, member)| (name.clone(), relaxed(member, secrets))).collect())
            }
            ("items" | "additionalProperties", Value::Object(_)) => relaxed(value, secrets),
            ("anyOf" | "oneOf" | "allOf", Value::Array(branches)) => branches.iter().map(|branch| relaxed(branch, secrets)).collect(),
            _ => value.clone(),
        };
        // Once templates are taken, more than one branch may fit.
        result.insert(if key == "oneOf" { "anyOf".to_owned() } else { key.clone() }, value);
    }
    Value::Object(result)
}

/// The same value, with `restartOn` among the members where it is a map.
pub(super) fn restartable(mut schema: Value) -> Value {
    if let Some(map) = schema.as_object_mut() {
        for part in PARTS {
            if let Some(Value::Array(branches)) = map.get_mut(part) {
                for branch in branches {
                    *branch = restartable(branch.take());
                }
            }
        }
        if let Some(Value::Object(properties)) = map.get_mut("properties") {
            let names = json!({"type": "string"});
            properties.insert(
                "restartOn".to_owned(),
                json!({"description": "restarted after a change of these settings: [\"Files./etc/ssh/sshd_config\"]",
                    "anyOf": [names, {"type": "array", "items": names}]}),
            );
        }
    }
    schema
}

/// The schema of `action` in a step, and for each action what it takes under `with`.
pub(super) fn parameters_of(catalog: &Catalog) -> (Value, Value) {
    let names: Vec<String> = catalog.actions.values().map(|action| action.name.to_string()).collect();
    let cmdlets: Vec<String> = catalog.actions.values().map(|action| action.cmdlet()).collect();
    let line = format!("^({}|{}) +-[A-Za-z]", names.join("|"), cmdlets.join("|"));
    let action = json!({
        "description": "Action: InstallUpdates, or Install-Updates -Group Pilot.",
        "anyOf": [{"enum": names}, {"enum": cmdlets}, {"type": "string", "pattern": line}],
    });
    let rules = catalog.actions.values().map(|action| {
        let mut with = relaxed(&action.parameters, true);
        with["description"] = action.summary.clone().into();
        let required = if action.parameters["required"].is_array() { json!(["with"]) } else { json!([]) };
        json!({
            "if": {"required": ["action"], "properties": {"action": {"enum": [&*action.name, action.cmdlet()]}}},
            "then": {"required": required, "properties": {"with": with}},
        })
    });
    (action, rules.collect())
}
