//! Proof that a formatted text says what the old one said.

use yaml_parser::{SyntaxKind, SyntaxNode};

use super::super::tree::{Node, Tree};
use super::shape::{File, Level};

/// Whether two documents mean the same. Order counts, except among the members of a definition, which have one of their own.
pub(super) fn meaning(old: &Node, new: &Node, file: &File) -> bool {
    equal(old, new, Level::File(file))
}

fn equal(old: &Node, new: &Node, level: Level<'_>) -> bool {
    match (&old.value, &new.value) {
        (Tree::List(a), Tree::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b, level.item())),
        (Tree::Map(a), Tree::Map(b)) => {
            let keys: Vec<String> = a.iter().map(|entry| entry.key.clone()).collect();
            let ordered = level.order().is_some();
            a.len() == b.len()
                && a.iter().enumerate().all(|(i, entry)| {
                    let other = if ordered { new.entry(&entry.key) } else { b.get(i).filter(|other| other.key == entry.key) };
                    other.is_some_and(|other| equal(&entry.node, &other.node, level.member(&entry.key, &keys)))
                })
        }
        (a, b) => a == b,
    }
}

/// All comments, sorted.
pub(super) fn comments(tree: &SyntaxNode) -> Vec<String> {
    let tokens = tree.descendants_with_tokens().filter_map(yaml_parser::SyntaxElement::into_token);
    let mut all: Vec<String> =
        tokens.filter(|token| token.kind() == SyntaxKind::COMMENT).map(|token| token.text().trim_end().to_owned()).collect();
    all.sort_unstable();
    all
}
