//! Where a member of a declaration stands: the file is read again, the declaration found by its place, and the way followed
//! as far as it goes.

use std::collections::HashMap;
use std::sync::Arc;

use super::scripts::Texts;
use crate::model::Place;
use crate::repo::tree::{Node, Spot, Tree};
use crate::repo::yaml;

/// How deep declarations are looked for below the root.
const DEEPEST: usize = 3;

/// Finds places in the files of one side; each file is read at most once.
pub(super) struct Locator<'a> {
    texts: &'a Texts,
    files: HashMap<Arc<str>, Option<Node>>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(texts: &'a Texts) -> Self {
        Self { texts, files: HashMap::new() }
    }

    /// The place of a member of what is declared at `declared`; the declaration's own where there is none.
    pub(super) fn member(&mut self, declared: &Place, way: &[&str]) -> Place {
        let texts = self.texts;
        let root = self.files.entry(Arc::clone(&declared.file)).or_insert_with(|| {
            let text = texts.get(&declared.file).filter(|_| !declared.file.ends_with(".toml"))?;
            yaml::parse(&declared.file, text).0
        });
        let Some(node) = root.as_ref().and_then(|root| find(root, declared, DEEPEST)) else { return declared.clone() };
        follow(node, way).map_or_else(|| declared.clone(), |spot| spot.of(&declared.file))
    }
}

fn find<'n>(node: &'n Node, place: &Place, deep: usize) -> Option<&'n Node> {
    for entry in node.entries() {
        if entry.spot.line == place.line && entry.spot.column == place.column {
            return Some(&entry.node);
        }
        if deep > 0
            && let Some(found) = find(&entry.node, place, deep - 1)
        {
            return Some(found);
        }
    }
    None
}

/// The spot of the last step that exists. Keys are compared without case: members may be spelt in several ways.
fn follow(node: &Node, way: &[&str]) -> Option<Spot> {
    let mut at = node;
    let mut spot = None;
    for step in way {
        match &at.value {
            Tree::Map(entries) => {
                // The model may have a level that the file has not: `limits.warning` is `warning`.
                let Some(entry) = entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(step)) else { continue };
                spot = Some(entry.spot);
                // In the short spelling of a step the action is a name, and its parameters stand beside it.
                if matches!(entry.node.value, Tree::Map(_) | Tree::List(_)) {
                    at = &entry.node;
                }
            }
            Tree::List(items) => {
                let named = items.iter().find(|item| item.get("name").and_then(Node::text) == Some(step));
                let numbered = || step.parse::<usize>().ok().and_then(|number| items.get(number.checked_sub(1)?));
                let Some(item) = named.or_else(numbered) else { break };
                spot = Some(item.spot);
                at = item;
            }
            _ => break,
        }
    }
    spot
}
