//! `facts` in conditions: a path into the observed sections, followed lazily; only what is asked for is converted.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, Position};
use serde_json::Value;

use super::failure::NotObserved;
use super::value::to_dynamic;
use crate::model::Facts;
use crate::model::facts::Status;

type Fallible = Result<Dynamic, Box<EvalAltResult>>;

/// The beginning of section names: `facts`, `facts.hardware`.
#[derive(Clone)]
pub(super) struct FactsPath {
    facts: Arc<Facts>,
    prefix: String,
}

impl FactsPath {
    pub(super) fn root(facts: Arc<Facts>) -> Self {
        Self { facts, prefix: String::new() }
    }

    fn member(&mut self, name: &str) -> Fallible {
        let path = if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) };
        if let Some(section) = self.facts.sections.get(path.as_str()) {
            if section.status != Status::Ok {
                return Err(not_observed(path));
            }
            return Ok(FactValue { section: Arc::clone(&section.data), steps: Vec::new() }.dynamic(&section.data));
        }
        let below = self.facts.sections.keys().any(|key| key.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')));
        if below { Ok(Dynamic::from(Self { facts: Arc::clone(&self.facts), prefix: path })) } else { Err(not_observed(path)) }
    }
}

impl FactsPath {
    /// All sections below this path, as one document.
    pub(super) fn document(&self) -> Value {
        let all = self.facts.to_value();
        self.prefix.split('.').filter(|step| !step.is_empty()).try_fold(&all, |value, step| value.get(step)).cloned().unwrap_or_default()
    }
}

/// An object within a section.
#[derive(Clone)]
pub(super) struct FactValue {
    section: Arc<Value>,
    steps: Vec<Arc<str>>,
}

impl FactValue {
    /// The object.
    pub(super) fn value(&self) -> &Value {
        self.steps.iter().try_fold(&*self.section, |value, step| value.get(&**step)).unwrap_or(&Value::Null)
    }

    /// Objects stay lazy, everything else is converted.
    fn dynamic(self, value: &Value) -> Dynamic {
        if value.is_object() { Dynamic::from(self) } else { to_dynamic(value) }
    }

    fn member(&mut self, name: &str) -> Dynamic {
        let Some(value) = self.value().get(name) else { return Dynamic::UNIT };
        if !value.is_object() {
            return to_dynamic(value);
        }
        let mut steps = self.steps.clone();
        steps.push(name.into());
        Dynamic::from(Self { section: Arc::clone(&self.section), steps })
    }
}

/// Makes `facts` known to the engine.
pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<FactsPath>("facts");
    engine.register_indexer_get(|path: &mut FactsPath, name: &str| path.member(name));
    engine.register_type_with_name::<FactValue>("fact");
    engine.register_indexer_get(|value: &mut FactValue, name: &str| value.member(name));
    engine.register_fn("contains", |value: &mut FactValue, name: &str| value.value().get(name).is_some());
    engine.register_fn("len", |value: &mut FactValue| value.value().as_object().map_or(0, |map| map.len() as INT));
    engine.register_get("len", |value: &mut FactValue| value.value().as_object().map_or(0, |map| map.len() as INT));
    engine.register_fn("is_empty", |value: &mut FactValue| value.value().as_object().is_none_or(serde_json::Map::is_empty));
    engine.register_fn("keys", |value: &mut FactValue| -> Array {
        value.value().as_object().into_iter().flat_map(|map| map.keys().map(|key| key.as_str().into())).collect()
    });
    engine.register_fn("values", |value: &mut FactValue| -> Array {
        value.value().as_object().into_iter().flat_map(|map| map.values().map(to_dynamic)).collect()
    });
    // Observed is not absent: `facts.security.users.alice != ()`.
    engine.register_fn("==", |_: FactValue, (): ()| false);
    engine.register_fn("!=", |_: FactValue, (): ()| true);
}

/// Ends the condition; it cannot be caught.
#[allow(clippy::unnecessary_box_returns)] // the type that functions of the engine return
fn not_observed(path: String) -> Box<EvalAltResult> {
    EvalAltResult::ErrorTerminated(Dynamic::from(NotObserved(path)), Position::NONE).into()
}
