//! `where` expressions over `device` and `facts`.

use std::sync::Arc;

use rhai::{AST, Dynamic, EvalAltResult, Map, Scope};
use serde_json::Value;

use super::ScriptError;
use super::engine::{engine, timed};
use super::facts_path::{FactValue, FactsPath};
use super::failure::{NotObserved, compile, runtime};
use super::mentions::{Mention, mentions};
use super::value::{to_dynamic, to_json};
use crate::model::{Device, Facts};

/// A compiled expression. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Condition {
    text: Arc<str>,
    ast: Arc<AST>,
    /// Whether facts are mentioned at all.
    facts: bool,
    /// The members of `device` that are mentioned.
    members: Vec<&'static str>,
}

const MEMBERS: [&str; 9] = ["name", "hostname", "address", "os", "site", "groups", "tags", "vars", "customFields"];

impl Condition {
    /// Compiles an expression. Nothing of it runs.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        let mut scope = Scope::new();
        scope.push("device", ()).push("facts", ());
        let ast = engine().compile_expression_with_scope(&scope, text).map_err(|error| compile(&error))?;
        Ok(Self { facts: text.contains("facts"), members: members(text), text: text.into(), ast: Arc::new(ast) })
    }

    /// What it asks of `facts` and `device`.
    pub fn mentions(&self) -> Vec<Mention> {
        mentions(&self.ast)
    }

    /// The members of `device` that there are.
    pub const DEVICE: [&str; 9] = MEMBERS;

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds. `None` where it asked for a fact that has not been observed: honest ignorance.
    pub fn holds(&self, device: &Device, facts: &Facts) -> Result<Option<bool>, ScriptError> {
        match self.run(device, facts) {
            Ok(value) => match value.as_bool() {
                Ok(answer) => Ok(Some(answer)),
                Err(kind) => Err(ScriptError::Runtime {
                    message: format!("a condition has to be true or false, this one is {}", if kind == "()" { "nothing" } else { kind }),
                    line: 1,
                }),
            },
            Err(error) if not_observed(&error).is_some() => Ok(None),
            Err(error) => Err(runtime(*error)),
        }
    }

    /// What it gives, whatever that is.
    pub fn value(&self, device: &Device, facts: &Facts) -> Result<Answer, ScriptError> {
        let value = match self.run(device, facts) {
            Ok(value) => value,
            Err(error) => return not_observed(&error).map(|path| Answer::Unknown(self.whole(path))).ok_or_else(|| runtime(*error)),
        };
        if let Some(path) = value.read_lock::<FactsPath>() {
            return Ok(Answer::Value(path.document()));
        }
        if let Some(fact) = value.read_lock::<FactValue>() {
            return Ok(Answer::Value(fact.value().clone()));
        }
        to_json(&value)
            .map(Answer::Value)
            .ok_or_else(|| ScriptError::Runtime { message: format!("it gives a {}, which cannot be shown", value.type_name()), line: 1 })
    }

    fn run(&self, device: &Device, facts: &Facts) -> Result<Dynamic, Box<EvalAltResult>> {
        let mut scope = Scope::new();
        scope.push("device", self.members.iter().map(|name| ((*name).into(), member(device, name))).collect::<Map>());
        if self.facts {
            scope.push("facts", FactsPath::root(Arc::new(facts.clone())));
        }
        timed(|| engine().eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast))
    }

    /// The fact as it is written in the expression, where evaluating it ended at the first step of its path.
    fn whole(&self, path: String) -> String {
        let begin = format!("facts.{path}");
        let Some((_, rest)) = self.text.split_once(&begin) else { return path };
        let more: String = rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
        format!("{path}{}", more.trim_end_matches('.'))
    }
}

/// What an expression gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A value.
    Value(Value),
    /// It asked for this fact, which has not been observed.
    Unknown(String),
}

/// The fact whose absence ended an expression.
fn not_observed(error: &EvalAltResult) -> Option<String> {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => not_observed(inner),
        EvalAltResult::ErrorTerminated(value, _) => value.read_lock::<NotObserved>().map(|path| path.0.clone()),
        _ => None,
    }
}

/// The members of `device` that an expression can reach: all of them where `device` is used other than by a named member.
fn members(text: &str) -> Vec<&'static str> {
    let plain = text.split("device").skip(1).all(|rest| rest.trim_start().starts_with('.') || rest.trim_start().starts_with("?."));
    MEMBERS.into_iter().filter(|name| !plain || text.contains(name)).filter(|_| text.contains("device")).collect()
}

fn member(device: &Device, name: &str) -> Dynamic {
    let list = |texts: &[String]| Dynamic::from_array(texts.iter().map(|text| text.as_str().into()).collect());
    let map = |values: &std::collections::BTreeMap<String, serde_json::Value>| {
        Dynamic::from_map(values.iter().map(|(key, value)| (key.as_str().into(), to_dynamic(value))).collect())
    };
    match name {
        "name" | "hostname" => device.name.as_str().into(),
        "address" => device.address.as_deref().unwrap_or(&device.name).into(),
        "os" => device.os.map_or(Dynamic::UNIT, |os| os.to_string().into()),
        "site" => device.site.as_deref().map_or(Dynamic::UNIT, Into::into),
        "groups" => list(&device.groups),
        "tags" => list(&device.tags),
        "vars" => map(&device.vars),
        _ => map(&device.custom_fields),
    }
}
