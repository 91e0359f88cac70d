//! `when` expressions of workflow steps, over `steps` and `trigger`.

use std::sync::Arc;

use rhai::{AST, ASTNode, Dynamic, Expr, Position, Scope};
use serde_json::Value;

use super::ScriptError;
use super::engine::{engine, timed};
use super::failure::{compile, runtime};
use super::value::to_dynamic;

/// A compiled expression. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StepCondition {
    ast: Arc<AST>,
    /// Steps that are named in it.
    pub steps: Vec<NamedStep>,
    /// Its value, where it does not depend on anything.
    pub constant: Option<bool>,
}

/// A step that an expression names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedStep {
    /// Its name.
    pub name: String,
    /// Line in the expression, from 1.
    pub line: u32,
    /// Column of the name (of its quote), from 1.
    pub column: u32,
}

impl StepCondition {
    /// Compiles an expression. Nothing of a workflow runs.
    pub fn compile(text: &str) -> Result<Self, ScriptError> {
        let mut scope = Scope::new();
        scope.push("steps", ()).push("trigger", ());
        let ast = engine().compile_expression_with_scope(&scope, text).map_err(|error| compile(&error))?;
        let mut steps = Vec::new();
        ast.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some(ASTNode::Expr(expression)) = path.last() {
                steps.extend(named(expression));
            }
            true
        });
        // Without its variables only what does not ask for them has a value.
        let constant = timed(|| engine().eval_ast_with_scope::<Dynamic>(&mut Scope::new(), &ast)).ok().and_then(|v| v.as_bool().ok());
        Ok(Self { ast: Arc::new(ast), steps, constant })
    }

    /// Whether it holds, given what the finished steps have come to (by name) and what started the run.
    pub fn holds(&self, steps: &Value, trigger: &Value) -> Result<bool, ScriptError> {
        let mut scope = Scope::new();
        scope.push_dynamic("steps", to_dynamic(steps));
        scope.push_dynamic("trigger", to_dynamic(trigger));
        let value = timed(|| engine().eval_ast_with_scope::<Dynamic>(&mut scope, &self.ast)).map_err(|error| runtime(*error))?;
        value.as_bool().map_err(|kind| ScriptError::Runtime {
            message: format!("a condition has to be true or false, this one is {}", if kind == "()" { "nothing" } else { kind }),
            line: 1,
        })
    }
}

/// The step of `steps["Name"]` or `steps.Name`.
fn named(expression: &Expr) -> Option<NamedStep> {
    let (Expr::Index(pair, ..) | Expr::Dot(pair, ..)) = expression else { return None };
    let Expr::Variable(variable, ..) = &pair.lhs else { return None };
    if variable.1 != "steps" {
        return None;
    }
    // The rest of a chain hangs on the right: steps["A"].score is steps [ "A" . score ].
    let key = match &pair.rhs {
        Expr::Dot(rest, ..) | Expr::Index(rest, ..) => &rest.lhs,
        key => key,
    };
    let at = |name: &str, position: Position| NamedStep {
        name: name.to_owned(),
        line: position.line().map_or(1, |n| n as u32),
        column: position.position().map_or(0, |n| n as u32),
    };
    match (expression, key) {
        (Expr::Index(..), Expr::StringConstant(name, position)) => Some(at(name, *position)),
        (Expr::Dot(..), Expr::Property(property, position)) => Some(at(&property.2, *position)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn steps(text: &str) -> Vec<(String, u32)> {
        StepCondition::compile(text).unwrap().steps.into_iter().map(|step| (step.name, step.column)).collect()
    }

    #[test]
    fn the_steps_that_it_names_are_known_with_their_columns() {
        assert_eq!(steps(r#"steps["Verify Pilot"].score >= 90"#), [("Verify Pilot".to_owned(), 7)]);
        assert_eq!(steps("steps.Scan.failed == 0 && steps[\"B\"].output[0] != 1"), [("Scan".to_owned(), 7), ("B".to_owned(), 33)]);
        assert_eq!(steps("trigger.severity == \"steps\""), []);
    }

    #[test]
    fn what_depends_on_nothing_is_constant() {
        let constant = |text| StepCondition::compile(text).unwrap().constant;
        assert_eq!(constant("1 > 2"), Some(false));
        assert_eq!(constant("false && steps.A.ok"), Some(false));
        assert_eq!(constant("true"), Some(true));
        assert_eq!(constant("steps.A.score > 2"), None);
        assert_eq!(constant("trigger == 5"), None);
    }

    #[test]
    fn it_holds_by_what_the_steps_have_come_to() {
        let condition = StepCondition::compile(r#"steps["Verify"].score >= 90"#).unwrap();
        assert_eq!(condition.holds(&json!({"Verify": {"score": 95}}), &json!(null)), Ok(true));
        assert_eq!(condition.holds(&json!({"Verify": {"score": 5}}), &json!(null)), Ok(false));
        assert!(condition.holds(&json!({}), &json!(null)).is_err());
        assert!(StepCondition::compile("steps[").is_err() && StepCondition::compile("stepz.a").is_err());
    }
}
