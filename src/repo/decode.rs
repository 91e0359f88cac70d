//! Trees into types: each definition is checked against the JSON Schema of its type, and each violation becomes a
//! sentence at the key or value that is meant.

use std::sync::{Arc, LazyLock};

use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationError, ValidationErrorKind};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::codes;
use super::monitor_doc::MonitorDoc;
use super::notification_doc::{
    AlertsDoc, ConditionDoc, EscalationDoc, HoursDoc, MaintenanceDoc, PersonDoc, QuietDoc, RotaDoc, RuleDoc, TierDoc,
};
use super::policy_doc::PolicyDoc;
use super::threshold_doc::{OverrideDoc, ThresholdDoc};
use super::tree::{Node, Tree, in_words};
use super::update_rules::UpdatesDoc;
use super::workflow_doc::{StepDoc, TriggerForm, WorkflowDoc};
use crate::diagnose::{Diagnostic, did_you_mean};
use crate::model::policy_test::PolicyTest;
use crate::model::selector::Match;
use crate::model::{Config, Device, Group, Place, Site, channel};

/// A kind of definition with its schema, compiled once per process.
pub(super) struct Kind {
    what: &'static str,
    schema: Value,
    validator: Option<Validator>,
}

impl Kind {
    fn of<T: JsonSchema>(what: &'static str) -> Self {
        let schema = schemars::schema_for!(T).to_value();
        let validator = jsonschema::validator_for(&schema).ok();
        Self { what, schema, validator }
    }

    /// Whether its schema is one that the validator takes.
    #[cfg(test)]
    pub(super) fn compiled(&self) -> bool {
        self.validator.is_some()
    }

    /// Its JSON Schema.
    pub(super) fn schema(&self) -> &Value {
        &self.schema
    }

    /// The keys of such a definition.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> + Clone {
        self.schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str)
    }
}

pub(super) static DEVICE: LazyLock<Kind> = LazyLock::new(|| Kind::of::<Device>("a device"));
pub(super) static GROUP: LazyLock<Kind> = LazyLock::new(|| Kind::of::<Group>("a group"));
pub(super) static SITE: LazyLock<Kind> = LazyLock::new(|| Kind::of::<Site>("a site"));
pub(super) static POLICY: LazyLock<Kind> = LazyLock::new(|| Kind::of::<PolicyDoc>("a policy"));
pub(super) static UPDATES: LazyLock<Kind> = LazyLock::new(|| Kind::of::<UpdatesDoc>("Updates"));
pub(super) static SELECTOR: LazyLock<Kind> = LazyLock::new(|| Kind::of::<Match>("a selector"));
pub(super) static TEST: LazyLock<Kind> = LazyLock::new(|| Kind::of::<PolicyTest>("a test"));
pub(super) static THRESHOLD: LazyLock<Kind> = LazyLock::new(|| Kind::of::<ThresholdDoc>("a threshold"));
pub(super) static MONITOR: LazyLock<Kind> = LazyLock::new(|| Kind::of::<MonitorDoc>("a monitor"));
pub(super) static OVERRIDE: LazyLock<Kind> = LazyLock::new(|| Kind::of::<OverrideDoc>("an override"));
pub(super) static WORKFLOW: LazyLock<Kind> = LazyLock::new(|| Kind::of::<WorkflowDoc>("a workflow"));
pub(super) static STEP: LazyLock<Kind> = LazyLock::new(|| Kind::of::<StepDoc>("a step"));
pub(super) static TRIGGER: LazyLock<Kind> = LazyLock::new(|| Kind::of::<TriggerForm>("a trigger"));
pub(super) static RULE: LazyLock<Kind> = LazyLock::new(|| Kind::of::<RuleDoc>("a rule"));
pub(super) static CONDITION: LazyLock<Kind> = LazyLock::new(|| Kind::of::<ConditionDoc>("a condition"));
pub(super) static ESCALATION: LazyLock<Kind> = LazyLock::new(|| Kind::of::<EscalationDoc>("an escalation"));
pub(super) static TIER: LazyLock<Kind> = LazyLock::new(|| Kind::of::<TierDoc>("a tier"));
pub(super) static ROTA: LazyLock<Kind> = LazyLock::new(|| Kind::of::<RotaDoc>("a rota"));
pub(super) static HOURS: LazyLock<Kind> = LazyLock::new(|| Kind::of::<HoursDoc>("businessHours"));
pub(super) static QUIET: LazyLock<Kind> = LazyLock::new(|| Kind::of::<QuietDoc>("quietHours"));
pub(super) static PERSON: LazyLock<Kind> = LazyLock::new(|| Kind::of::<PersonDoc>("a person"));
pub(super) static MAINTENANCE: LazyLock<Kind> = LazyLock::new(|| Kind::of::<MaintenanceDoc>("a maintenance window"));
pub(super) static ALERTS: LazyLock<Kind> = LazyLock::new(|| Kind::of::<AlertsDoc>("alerts"));
pub(super) static EMAIL: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Email>("an email channel"));
pub(super) static TEAMS: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Teams>("a teams channel"));
pub(super) static SLACK: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Slack>("a slack channel"));
pub(super) static PAGERDUTY: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::PagerDuty>("a pagerduty channel"));
pub(super) static SMS: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Sms>("an sms channel"));
pub(super) static WEBHOOK: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Webhook>("a webhook channel"));
pub(super) static EVENTLOG: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::EventLog>("an eventlog channel"));
pub(super) static SYSLOG: LazyLock<Kind> = LazyLock::new(|| Kind::of::<channel::Syslog>("a syslog channel"));
pub(super) static CONFIG: LazyLock<Kind> = LazyLock::new(|| Kind::of::<Config>("rmm.toml"));

/// Decodes one definition. Every problem is reported; the value is missing where it cannot be built.
pub(super) fn decode<T: DeserializeOwned>(kind: &Kind, file: &Arc<str>, node: &Node, problems: &mut Vec<Diagnostic>) -> Option<T> {
    let json = match node.value {
        Tree::Null => Value::Object(Map::new()),
        _ => node.to_json(),
    };
    if let Some(validator) = &kind.validator
        && !validator.is_valid(&json)
    {
        let mut found = Vec::new();
        for error in validator.iter_errors(&json) {
            explain(kind, &error, file, node, &mut found);
        }
        // A key that is missing since it is misspelt is one mistake.
        let meant: Vec<String> = found.iter().filter(|p| p.code == "RMM0102").filter_map(|p| p.advice.clone()).collect();
        let misspelt = |p: &Diagnostic| {
            meant.iter().any(|advice| p.message.split('\'').nth(1).is_some_and(|key| *advice == format!("did you mean '{key}'?")))
        };
        found.retain(|problem| problem.code != "RMM0113" || !misspelt(problem));
        problems.extend(found);
        return None;
    }
    // The copy is only needed to find the member that does not fit, which is rare.
    match T::deserialize(&json) {
        Ok(value) => Some(value),
        Err(error) => {
            locate::<T>(&json, &error.to_string(), file, node, problems);
            None
        }
    }
}

/// Finds the members that the type refuses although the schema takes them: each is tried alone.
fn locate<T: DeserializeOwned>(json: &Value, message: &str, file: &Arc<str>, node: &Node, problems: &mut Vec<Diagnostic>) {
    let mut found = false;
    for (section, value) in json.as_object().into_iter().flatten() {
        let alone = |value: Value| Value::Object(Map::from_iter([(section.clone(), value)]));
        let Err(error) = T::deserialize(alone(value.clone())) else { continue };
        found = true;
        let outer = node.get(section).unwrap_or(node);
        let mut inner = false;
        for (key, value) in value.as_object().into_iter().flatten() {
            if let Err(error) = T::deserialize(alone(Value::Object(Map::from_iter([(key.clone(), value.clone())])))) {
                inner = true;
                problems.push(codes::wrong_value(error.to_string(), &outer.get(key).unwrap_or(outer).spot.of(file)));
            }
        }
        if !inner {
            problems.push(codes::wrong_value(error.to_string(), &outer.spot.of(file)));
        }
    }
    if !found {
        problems.push(codes::wrong_value(message, &node.spot.of(file)));
    }
}

/// Another value than what is expected. Where the name of a secret is, what stands there is one, and never repeated.
fn wrong_value(expected: &[String], found: &str, place: &Place) -> Diagnostic {
    let secret = expected.iter().any(|words| words == "{secret: NAME}");
    let found = if secret { "a plain value" } else { found };
    codes::wrong_value(format!("expected {}, found {found}", either(expected)), place)
}

/// Turns one violation into sentences.
fn explain(kind: &Kind, error: &ValidationError<'_>, file: &Arc<str>, root: &Node, problems: &mut Vec<Diagnostic>) {
    let node = root.at_pointer(error.instance_path().as_str());
    let place = node.spot.of(file);
    let found = in_words(error.instance());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let owner = owner(kind, error.schema_path().as_str());
            let known: Vec<&str> =
                owner.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).map(String::as_str).collect();
            let what = owner.get("title").and_then(Value::as_str).filter(|_| !std::ptr::eq(owner, &raw const kind.schema));
            let what = what.map_or_else(|| definition(kind, error.schema_path().as_str()), str::to_owned);
            for key in unexpected {
                let at = node.entry(key).map_or_else(|| place.clone(), |entry| entry.spot.of(file));
                problems.push(codes::unknown_key(key, known.iter().copied(), &what, &at));
            }
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            let here = error.instance_path().as_str();
            // The branch that was meant is the one that does not fail at the value itself but deeper inside.
            let meant = context.iter().filter(|branch| !branch.is_empty() && !branch.iter().any(|e| refuses_itself(e, here)));
            if let Some(branch) = meant.min_by_key(|branch| branch.len()) {
                for inner in branch {
                    explain(kind, inner, file, root, problems);
                }
                return;
            }
            let mut expected = of_branches(kind, error, context, here);
            expected.retain(|words| words != "nothing");
            let mut problem = wrong_value(&expected, &found, &place);
            let near = error.instance().as_str().and_then(|text| did_you_mean(text, expected.iter().map(|e| e.trim_matches('\''))));
            if let Some(near) = near {
                problem = problem.advice(format!("did you mean '{near}'?"));
            } else if let Some(text) = owner(kind, error.schema_path().as_str()).get("description").and_then(Value::as_str)
                && !expected.contains(&first_lower(text.trim_end_matches('.')))
            {
                problem = problem.advice(text);
            }
            problems.push(problem);
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            // A key that is there under a misspelt name is said once, where it stands.
            let owner = owner(kind, error.schema_path().as_str());
            let known: Vec<&String> = owner.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
            let closed = owner.get("additionalProperties") == Some(&Value::Bool(false));
            let mut unknown = error.instance().as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(key));
            if closed && unknown.any(|key| did_you_mean(key, known.iter().map(|k| k.as_str())) == Some(name)) {
                return;
            }
            let problem = Diagnostic::error("RMM0113", format!("the key '{name}' is missing")).at(&place);
            let described = owner.pointer(&format!("/properties/{name}/description"));
            problems.push(match described.and_then(Value::as_str) {
                Some(what) => problem.advice(format!("{name}: {}", first_lower(what.trim_end_matches('.')))),
                None => problem,
            });
        }
        _ => {
            let expected = expectation(kind, error);
            let mut problem = wrong_value(&expected, &found, &place);
            let near = error.instance().as_str().and_then(|text| did_you_mean(text, expected.iter().map(|e| e.trim_matches('\''))));
            if let Some(near) = near {
                problem = problem.advice(format!("did you mean '{near}'?"));
            }
            problems.push(problem);
        }
    }
}

/// Whether a branch of a choice does not take this kind of value at all.
fn refuses_itself(error: &ValidationError<'_>, here: &str) -> bool {
    error.instance_path().as_str() == here
        && match error.kind() {
            ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. } => false,
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                context.iter().all(|branch| branch.iter().any(|inner| refuses_itself(inner, here)))
            }
            _ => true,
        }
}

/// The schema that holds the violated keyword.
fn owner<'a>(kind: &'a Kind, schema_path: &str) -> &'a Value {
    let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    kind.schema.pointer(parent).unwrap_or(&kind.schema)
}

/// `a connection`, from `/$defs/Connection/additionalProperties`.
fn definition(kind: &Kind, schema_path: &str) -> String {
    let mut steps = schema_path.split('/').skip_while(|step| *step != "$defs").skip(1);
    match steps.next() {
        None => kind.what.to_owned(),
        Some("Match") => "a selector".to_owned(),
        Some(name) => {
            let name = name.trim_end_matches("Doc").to_lowercase();
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            if kind.what == "rmm.toml" { format!("[{name}]") } else { format!("{article} {name}") }
        }
    }
}

/// What a schema asks for, in words; several for a choice.
fn expectation(kind: &Kind, error: &ValidationError<'_>) -> Vec<String> {
    use ValidationErrorKind as K;
    let quoted = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| format!("'{text}'"));
    match error.kind() {
        K::Type { kind: TypeKind::Single(wanted) } => {
            let secret =
                owner(kind, error.schema_path().as_str()).get("required").is_some_and(|keys| *keys == serde_json::json!(["secret"]));
            vec![if secret { "{secret: NAME}".to_owned() } else { type_words(&wanted.to_string()) }]
        }
        K::Type { kind: TypeKind::Multiple(kinds) } => {
            kinds.iter().map(|kind| type_words(&kind.to_string())).filter(|words| words != "nothing").collect()
        }
        K::Constant { expected_value } => vec![quoted(expected_value)],
        K::Enum { options } => options.as_array().into_iter().flatten().map(quoted).collect(),
        K::AnyOf { context } | K::OneOfNotValid { context } => of_branches(kind, error, context, error.instance_path().as_str()),
        K::Minimum { limit } => vec![format!("a number of at least {limit}")],
        K::Maximum { limit } => vec![format!("a number of at most {limit}")],
        K::ExclusiveMinimum { limit } => vec![format!("a number above {limit}")],
        K::ExclusiveMaximum { limit } => vec![format!("a number below {limit}")],
        K::MinLength { limit } => vec![format!("a text of at least {limit} characters")],
        K::MaxLength { limit } => vec![format!("a text of at most {limit} characters")],
        K::MinItems { limit } => vec![format!("at least {limit} items")],
        K::MaxItems { limit } => vec![format!("at most {limit} items")],
        K::Pattern { .. } => vec![form(kind, owner(kind, error.schema_path().as_str())).unwrap_or_else(|| "a text of another form".into())],
        _ => vec!["another value".into()],
    }
}

/// What the branches of a choice ask for.
fn of_branches(kind: &Kind, error: &ValidationError<'_>, context: &[Vec<ValidationError<'_>>], here: &str) -> Vec<String> {
    let holder = owner(kind, error.schema_path().as_str());
    if let Some(form) = form(kind, holder) {
        return vec![form];
    }
    let branches = ["anyOf", "oneOf"].iter().find_map(|word| holder.get(*word)?.as_array());
    let mut expected: Vec<String> = Vec::new();
    for (i, errors) in context.iter().enumerate() {
        let words = match branches.and_then(|branches| form(kind, branches.get(i)?)) {
            Some(form) => vec![form],
            None => errors.iter().filter(|e| e.instance_path().as_str() == here).flat_map(|e| expectation(kind, e)).collect(),
        };
        for words in words {
            if !expected.contains(&words) {
                expected.push(words);
            }
        }
    }
    expected
}

/// What a schema with a pattern describes: `a duration such as 90s`, not the pattern.
fn form(kind: &Kind, schema: &Value) -> Option<String> {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => kind.schema.pointer(reference.strip_prefix('#')?)?,
        None => schema,
    };
    let has_pattern = |schema: &Value| schema.get("pattern").is_some();
    if !has_pattern(schema) && !schema.get("anyOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(has_pattern)) {
        return None;
    }
    Some(first_lower(schema.get("description")?.as_str()?.trim_end_matches('.')))
}

fn first_lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect()
}

fn type_words(kind: &str) -> String {
    match kind {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        _ => "a map",
    }
    .to_owned()
}

/// `a, b or c`.
fn either(options: &[String]) -> String {
    match options {
        [] => "another value".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
