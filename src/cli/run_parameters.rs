//! `-p name=value` as the parameters of an action: typed by its schema, checked, with a hint where something is misspelt.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::exit::Exit;
use super::failure::Failure;
use crate::catalog::ActionDef;
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::repo::typed;

/// The parameters by their names in the catalogue.
pub(super) fn parameters(def: &ActionDef, given: &[String]) -> Result<BTreeMap<String, Value>, Failure> {
    let mut problems = Vec::new();
    let mut found: BTreeMap<String, Value> = BTreeMap::new();
    let wrong = |message: String, advice: String| Diagnostic::error("RMM0132", message).advice(advice);
    let explain = || format!("rmm explain {} shows what it takes", def.name);
    for text in given {
        let (name, value) = text.split_once('=').map_or((text.as_str(), None), |(name, value)| (name.trim(), Some(value)));
        let Some((known, schema)) = def.properties().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
            let names: Vec<&str> = def.properties().map(|(name, _)| name).collect();
            let advice = match did_you_mean(name, names.iter().copied()) {
                Some(near) => format!("did you mean '{near}'?"),
                None if names.is_empty() => "it takes none".to_owned(),
                None => format!("it takes {}", names.join(", ")),
            };
            problems.push(wrong(format!("{} has no parameter '{name}'", def.name), advice));
            continue;
        };
        let value = match value {
            Some(value) => read(value, schema),
            None if schema["type"] == "boolean" => Value::Bool(true),
            None => {
                problems.push(wrong(format!("the parameter '{name}' has no value"), format!("write -p {known}=VALUE")));
                continue;
            }
        };
        if found.insert(known.to_owned(), value).is_some() {
            problems.push(wrong(format!("the parameter '{known}' stands twice"), "leave one of them out".to_owned()));
        }
    }
    let all: Map<String, Value> = found.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let misspelt = !problems.is_empty();
    for (pointer, message) in def.check(&Value::Object(all.clone())) {
        let name = pointer.split('/').nth(1).unwrap_or_default();
        // What is missing is probably what was misspelt; what holds a template is checked once it is filled in.
        let template = all.get(name).and_then(Value::as_str).is_some_and(|text| text.contains("{{"));
        if template || (misspelt && name.is_empty()) {
            continue;
        }
        let what = if name.is_empty() { def.name.to_string() } else { format!("{name} of {}", def.name) };
        problems.push(wrong(format!("{what}: {message}"), explain()));
    }
    if problems.is_empty() { Ok(found) } else { Err(Failure { exit: Exit::Usage, problems, sources: std::sync::Arc::default() }) }
}

/// A word as the schema wants it; what looks like a map or a list in YAML is one, such as `{secret: NAME}`.
fn read(word: &str, schema: &Value) -> Value {
    let secret = |value: &Value| value.as_object().is_some_and(|map| map.len() == 1 && map.get("secret").is_some_and(Value::is_string));
    let structured = matches!(schema["type"].as_str(), Some("object" | "array") | None);
    if word.starts_with(['{', '['])
        && word.len() < 64 * 1024
        && let Ok(value) = serde_yaml::from_str::<Value>(word)
        && (structured || secret(&value))
    {
        return value;
    }
    typed(word, schema)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn read_all(action: &str, given: &[&str]) -> Result<Value, Vec<String>> {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        let found = parameters(Catalog::builtin().action(action).unwrap(), &given);
        let told = |p: &Diagnostic| format!("{} ({})", p.message, p.advice.as_deref().unwrap_or_default());
        found.map(|found| json!(found)).map_err(|failure| failure.problems.iter().map(told).collect())
    }

    #[test]
    fn words_become_what_the_schema_says() {
        assert_eq!(read_all("Reboot", &["delay=5", "message=a=b, c"]), Ok(json!({"delay": 5, "message": "a=b, c"})));
        assert_eq!(
            read_all("install-updates", &["FULL", "classification=Security"]),
            Ok(json!({"full": true, "classification": "security"}))
        );
        assert_eq!(read_all("Reboot", &["message={secret: note}"]), Ok(json!({"message": {"secret": "note"}})));
        assert_eq!(read_all("Reboot", &["message={just text}"]), Ok(json!({"message": "{just text}"})));
    }

    #[test]
    fn every_mistake_is_told_with_a_hint() {
        let wrong = |action: &str, given: &[&str]| read_all(action, given).unwrap_err().join("\n");
        assert_eq!(wrong("Reboot", &["dely=5"]), "Reboot has no parameter 'dely' (did you mean 'delay'?)");
        assert!(wrong("Reboot", &["delay=soon"]).contains("delay of Reboot: expected a whole number, found 'soon'"));
        assert!(wrong("Reboot", &["delay=-1"]).contains("below the least possible value 0"));
        assert!(wrong("Reboot", &["delay=1", "delay=2"]).contains("stands twice"));
        assert!(wrong("Reboot", &["delay"]).contains("write -p delay=VALUE"));
        assert!(wrong("ServiceControl", &["name=nginx"]).contains("'state' is missing"));
        assert!(wrong("ServiceControl", &["name=nginx", "state=restrt"]).contains("did you mean 'restart'?"));
        assert_eq!(wrong("FlushDNS", &["x=1"]), "FlushDNS has no parameter 'x' (it takes none)");
    }
}
