//! `where` expressions over `device` and `facts`.

use std::sync::Arc;

use rhai::{AST, Dynamic, EvalAltResult, Map, Scope};

use super::engine::{engine, timed};
use super::facts_path::FactsPath;
use super::failure::{NotObserved, compile, runtime};
use super::value::to_dynamic;
use super::ScriptError;
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

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds. `None` where it asked for a fact that has not been observed: honest ignorance.
    pub fn holds(&self, device: &Device, facts: &Facts) -> Result<Option<bool>, ScriptError> {
        let mut scope = Scope::new();
        scope.push("device", self.members.iter().map(|name| ((*name).into(), member(device, name))).collect::<Map>());
        if self.facts {
            scope.push("facts", FactsPath::root(Arc::new(facts.clone())));
        }
        match timed(|| engine().eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast)) {
            Ok(value) => match value.as_bool() {
                Ok(answer) => Ok(Some(answer)),
                Err(kind) => Err(ScriptError::Runtime {
                    message: format!("a condition has to be true or false, this one is {}", if kind == "()" { "nothing" } else { kind }),
                    line: 1,
                }),
            },
            Err(error) if is_not_observed(&error) => Ok(None),
            Err(error) => Err(runtime(*error)),
        }
    }
}

fn is_not_observed(error: &EvalAltResult) -> bool {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => is_not_observed(inner),
        EvalAltResult::ErrorTerminated(value, _) => value.is::<NotObserved>(),
        _ => false,
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
