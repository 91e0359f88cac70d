//! Checking a desired value against a setting's schema, with messages for people.

use std::sync::Arc;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use crate::diagnose::did_you_mean;

/// Stands for a secret while a value is checked.
const PLACEHOLDER: &str = "secret";

/// A setting's schemas, compiled.
#[derive(Debug)]
pub(super) struct Schema {
    value: Validator,
    key: Option<Validator>,
    text: Arc<Value>,
}

impl Schema {
    /// Compiles the schema of a value and the pattern of a key.
    pub(super) fn compile(value: &Value, key_pattern: Option<&str>) -> Result<Self, String> {
        let compiled = jsonschema::validator_for(value).map_err(|error| error.to_string())?;
        let key = match key_pattern {
            None => None,
            Some(pattern) => {
                Some(jsonschema::validator_for(&json!({"type": "string", "pattern": pattern})).map_err(|error| error.to_string())?)
            }
        };
        Ok(Self { value: compiled, key, text: Arc::new(value.clone()) })
    }

    /// Whether a key is one that the setting can have.
    pub(super) fn allows_key(&self, key: &str) -> bool {
        self.key.as_ref().is_none_or(|schema| schema.is_valid(&Value::String(key.to_owned())))
    }

    /// Every violation, as (JSON pointer into the value, message).
    pub(super) fn violations(&self, value: &Value) -> Vec<(String, String)> {
        if self.value.is_valid(value) {
            return Vec::new();
        }
        let mut plain = value.clone();
        let mut secrets = Vec::new();
        replace_secrets(&mut plain, String::new(), &mut secrets);
        let mut found = Vec::new();
        for error in self.value.iter_errors(&plain) {
            self.explain(&error, &secrets, &mut found);
        }
        found.dedup();
        found
    }

    fn explain(&self, error: &ValidationError<'_>, secrets: &[String], found: &mut Vec<(String, String)>) {
        let at = error.instance_path().as_str();
        let text_rule = matches!(
            error.kind(),
            Kind::Pattern { .. }
                | Kind::Format { .. }
                | Kind::MinLength { .. }
                | Kind::MaxLength { .. }
                | Kind::Enum { .. }
                | Kind::Constant { .. }
        );
        if text_rule && secrets.iter().any(|secret| secret == at) {
            return; // what the secret holds is known on apply only
        }
        match error.kind() {
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                // The branch that was meant: one whose type fits, so that its complaints lie deeper or are about members.
                let fits = |branch: &&Vec<ValidationError<'static>>| {
                    !branch.iter().any(|e| {
                        e.instance_path().as_str() == at
                            && matches!(e.kind(), Kind::Type { .. } | Kind::Constant { .. } | Kind::Enum { .. })
                    })
                };
                if let Some(branch) = context.iter().filter(fits).min_by_key(|branch| branch.len()) {
                    for e in branch {
                        self.explain(e, secrets, found);
                    }
                } else {
                    found.push((at.to_owned(), alternatives(context, error.instance())));
                }
            }
            _ => found.push((at.to_owned(), self.sentence(error))),
        }
    }

    fn sentence(&self, error: &ValidationError<'_>) -> String {
        let instance = error.instance();
        let shown = brief(instance);
        match error.kind() {
            Kind::Enum { options } => one_of(&shown, instance, options.as_array().map(Vec::as_slice).unwrap_or_default()),
            Kind::Constant { expected_value } => one_of(&shown, instance, std::slice::from_ref(expected_value)),
            Kind::Type { kind } => format!("expected {}, found {shown}", type_names(kind)),
            Kind::Required { property } => format!("'{}' is missing", property.as_str().unwrap_or_default()),
            Kind::AdditionalProperties { unexpected } => {
                let known: Vec<&str> = self
                    .parent(error)
                    .and_then(|schema| schema["properties"].as_object())
                    .map(|p| p.keys().map(String::as_str).collect())
                    .unwrap_or_default();
                let words: Vec<String> = unexpected
                    .iter()
                    .map(|name| match did_you_mean(name, known.iter().copied()) {
                        Some(meant) => format!("unknown member '{name}'; did you mean '{meant}'?"),
                        None => format!("unknown member '{name}'; known are {}", known.join(", ")),
                    })
                    .collect();
                words.join("; ")
            }
            Kind::Pattern { pattern } => match self.parent(error).and_then(|schema| schema["description"].as_str()) {
                Some(description) => format!("{shown} is not possible here: expected {description}"),
                None => format!("{shown} does not have the form {pattern}"),
            },
            Kind::Minimum { limit } => format!("{shown} is below the least possible value {limit}"),
            Kind::Maximum { limit } => format!("{shown} is above the greatest possible value {limit}"),
            Kind::MinLength { limit } => format!("{shown} is shorter than {limit} characters"),
            Kind::MaxLength { limit } => format!("{shown} is longer than {limit} characters"),
            Kind::MinItems { limit } => format!("at least {limit} members are needed"),
            Kind::MaxItems { limit } => format!("more than {limit} members are not possible"),
            Kind::UniqueItems => "the same member stands in the list twice".to_owned(),
            Kind::PropertyNames { error } => format!("a member has a name that is not possible: {}", self.sentence(error)),
            _ => error.to_string(),
        }
    }

    /// The schema object whose keyword failed.
    fn parent(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let pointer = error.schema_path().as_str();
        self.text.pointer(&pointer[..pointer.rfind('/')?])
    }
}

/// Replaces every `{secret: NAME}` by a text, noting where.
pub(super) fn replace_secrets(value: &mut Value, pointer: String, secrets: &mut Vec<String>) {
    let is_secret = value.as_object().is_some_and(|map| map.len() == 1 && map.get("secret").is_some_and(Value::is_string));
    match value {
        Value::Object(_) if is_secret => {
            *value = PLACEHOLDER.into();
            secrets.push(pointer);
        }
        Value::Object(map) => {
            for (key, member) in map {
                replace_secrets(member, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), secrets);
            }
        }
        Value::Array(list) => {
            for (index, member) in list.iter_mut().enumerate() {
                replace_secrets(member, format!("{pointer}/{index}"), secrets);
            }
        }
        _ => {}
    }
}

/// No branch has even the right type: says which there are.
fn alternatives(context: &[Vec<ValidationError<'static>>], instance: &Value) -> String {
    let mut constants = Vec::new();
    let mut types = Vec::new();
    for error in context.iter().flatten() {
        match error.kind() {
            Kind::Enum { options } => constants.extend(options.as_array().cloned().unwrap_or_default()),
            Kind::Constant { expected_value } => constants.push((**expected_value).clone()),
            Kind::Type { kind } => types.push(type_names(kind)),
            _ => {}
        }
    }
    let shown = brief(instance);
    if instance.is_string() && !constants.is_empty() {
        let sentence = one_of(&shown, instance, &constants);
        return if types.is_empty() || sentence.contains("did you mean") {
            sentence
        } else {
            format!("{sentence}, nor {}", types.join(" or "))
        };
    }
    types.extend(constants.iter().map(brief));
    format!("expected {}, found {shown}", types.join(" or "))
}

fn one_of(shown: &str, instance: &Value, options: &[Value]) -> String {
    let names: Vec<&str> = options.iter().filter_map(Value::as_str).collect();
    let listed =
        options.iter().map(|option| option.as_str().map_or_else(|| option.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ");
    let sentence = if options.len() == 1 { format!("{shown} is not {listed}") } else { format!("{shown} is not one of {listed}") };
    match instance.as_str().and_then(|text| did_you_mean(text, names)) {
        Some(meant) => format!("{sentence}; did you mean '{meant}'?"),
        None => sentence,
    }
}

fn type_names(kind: &TypeKind) -> String {
    let name = |name: &str| match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a map",
        _ => "nothing",
    };
    match kind {
        TypeKind::Single(one) => name(one.as_str()).to_owned(),
        TypeKind::Multiple(set) => set.iter().map(|one| name(one.as_str())).collect::<Vec<_>>().join(" or "),
    }
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("'{}'", text.escape_debug()),
        Value::Array(_) => return "a list".to_owned(),
        Value::Object(_) => return "a map".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() > 60 { format!("{}...'", text.chars().take(57).collect::<String>()) } else { text }
}
