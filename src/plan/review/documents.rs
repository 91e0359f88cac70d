//! Files that are compared by what their documents hold: thresholds, workflows, notifications, and scripts by their text.
//! The order of members, comments and the file that something stands in are no difference.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::meaning::{Item, Worth, words};
use crate::model::Place;
use crate::repo::tree::{Node, Tree};
use crate::repo::yaml;

/// The texts of a side by path.
pub type Texts = BTreeMap<Arc<str>, String>;

/// What kind of item the documents of a file hold; `None` for files that a policy set speaks of itself.
fn kind(path: &str) -> Option<&'static str> {
    let (folder, name) = path.split_once('/').unwrap_or(("", path));
    let (stem, extension) = name.rsplit_once('.')?;
    match (folder, stem, extension) {
        ("thresholds", _, "yaml" | "yml" | "json") => Some("threshold"),
        ("workflows", _, "yaml" | "yml" | "json") => Some("workflow"),
        ("", "notifications", "yaml" | "yml" | "json") => Some("notification"),
        ("scripts", _, "rhai") => Some("script"),
        _ => None,
    }
}

/// Everything of these kinds.
pub(super) fn items(texts: &Texts) -> Vec<Item> {
    let mut items = Vec::new();
    for (path, text) in texts {
        let Some(kind) = kind(path) else { continue };
        if kind == "script" {
            let mut item = Item::new(kind, path, Place::file(Arc::clone(path)));
            let lines = text.lines().count();
            item.members.insert("text".into(), Worth::Opaque(text.clone(), format!("{lines} lines")));
            items.push(item);
            continue;
        }
        let (Some(root), _) = yaml::parse(path, text) else { continue };
        let mut loose = Item::new(kind, &format!("({path})"), Place::file(Arc::clone(path)));
        for section in root.entries() {
            // `thresholds: {CPU: {...}}` holds one item per name; anything else is an item itself.
            if matches!(&section.node.value, Tree::Map(entries) if !entries.is_empty() && entries.iter().all(|e| matches!(e.node.value, Tree::Map(_))))
            {
                for entry in section.node.entries() {
                    let mut item = Item::new(kind, &format!("{}/{}", section.key, entry.key), entry.spot.of(path));
                    flatten(&entry.node, "", path, &mut item);
                    items.push(item);
                }
            } else if let Tree::List(list) = &section.node.value
                && !list.is_empty()
                && list.iter().all(|node| name_of(node).is_some())
            {
                for node in list {
                    let name = name_of(node).unwrap_or_default();
                    let mut item = Item::new(kind, &format!("{}/{name}", section.key), node.spot.of(path));
                    flatten(node, "", path, &mut item);
                    items.push(item);
                }
            } else {
                flatten(&section.node, &section.key, path, &mut loose);
                loose.places.entry(section.key.clone()).or_insert_with(|| section.spot.of(path));
            }
        }
        if !loose.members.is_empty() {
            items.push(loose);
        }
    }
    items
}

fn name_of(node: &Node) -> Option<&str> {
    let entry = node.entries().iter().find(|entry| matches!(entry.key.to_ascii_lowercase().as_str(), "name" | "id"))?;
    entry.node.text()
}

fn flatten(node: &Node, path: &str, file: &Arc<str>, item: &mut Item) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &node.value {
        Tree::Map(entries) if !entries.is_empty() => {
            for entry in entries {
                let path = below(&entry.key);
                item.places.insert(path.clone(), entry.spot.of(file));
                flatten(&entry.node, &path, file, item);
            }
        }
        Tree::List(nodes) if nodes.iter().any(|node| matches!(node.value, Tree::Map(_) | Tree::List(_))) => {
            for (i, node) in nodes.iter().enumerate() {
                let path = below(&name_of(node).map_or_else(|| (i + 1).to_string(), str::to_owned));
                item.places.insert(path.clone(), node.spot.of(file));
                flatten(node, &path, file, item);
            }
        }
        _ => {
            let name = if path.is_empty() { "value" } else { path };
            item.members.insert(name.to_owned(), Worth::Text(words(&node.to_json())));
        }
    }
}
