//! What an expression mentions: `facts.software.os.family` as a path with the place of each step, without running anything.

use rhai::{AST, ASTNode, Expr, Position};

/// A variable with the members that follow it by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// `facts`, `device`.
    pub variable: String,
    /// The members, up to the first that is computed or called.
    pub steps: Vec<Step>,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Line in the expression, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// Everything that an expression mentions.
pub(super) fn mentions(ast: &AST) -> Vec<Mention> {
    let mut found = Vec::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Expr(Expr::Dot(pair, ..) | Expr::Index(pair, ..))) = path.last()
            && let Expr::Variable(variable, ..) = &pair.lhs
        {
            let mut steps = Vec::new();
            follow(&pair.rhs, &mut steps);
            found.push(Mention { variable: variable.1.to_string(), steps });
        }
        true
    });
    found
}

/// The rest of a chain hangs on the right: `facts.a.b` is `facts . (a . b)`.
fn follow(expression: &Expr, steps: &mut Vec<Step>) {
    let (first, rest) = match expression {
        Expr::Dot(pair, ..) | Expr::Index(pair, ..) => (&pair.lhs, Some(&pair.rhs)),
        last => (last, None),
    };
    let (name, position): (&str, Position) = match first {
        Expr::Property(property, position) => (&property.2, *position),
        Expr::StringConstant(text, position) => (text, *position),
        _ => return,
    };
    let (line, column) = (position.line().map_or(1, |n| n as u32), position.position().map_or(0, |n| n as u32));
    steps.push(Step { name: name.to_owned(), line, column });
    if let Some(rest) = rest {
        follow(rest, steps);
    }
}
