//! Documents of DSC v3 (YAML or JSON): resources, groups of them, and those that adapters carry. What a resource means is in
//! `dsc_resources.rs`. Parameters with a default and variables are filled in; other expressions are not computed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::draft::Part;
use super::{About, Imported, dsc_resources};
use crate::diagnose::{Diagnostic, Level};
use crate::model::Place;
use crate::repo::tree::Node;
use crate::repo::yaml;

/// Deepest nesting of groups.
const MAX_GROUPS: usize = 16;

/// A document on its way.
struct Reading<'a> {
    file: &'a Arc<str>,
    names: BTreeMap<String, Value>,
    imported: Imported,
    /// Values that may still be filled in: variables that name variables must not grow without end.
    left: Cell<usize>,
}

/// Far more than a document holds that somebody wrote.
const MOST_FILLED: usize = 100_000;

/// Reads a document. An error is something that is no document of DSC; resources without a setting are in `left_out`.
pub fn read(path: &str, text: &str) -> Result<Imported, Vec<Diagnostic>> {
    let file: Arc<str> = path.into();
    let (root, problems) = yaml::parse(&file, text);
    let errors: Vec<Diagnostic> = problems.into_iter().filter(|problem| problem.level == Level::Error).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let wrong = |why: &str| vec![Diagnostic::error("RMM0572", why).at(&Place::file(Arc::clone(&file)))];
    let Some(root) = root else { return Err(wrong("the document is empty")) };
    let Some(resources) = root.get("resources") else {
        return Err(wrong("this is no document of DSC v3: it has no resources"));
    };
    let mut reading = Reading { file: &file, names: BTreeMap::new(), imported: Imported::default(), left: Cell::new(MOST_FILLED) };
    for entry in root.get("parameters").map(Node::entries).unwrap_or_default() {
        // What is secret has no place in a policy.
        let secret = entry.node.get("type").and_then(Node::text).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("secure"));
        if let Some(default) = entry.node.get("defaultValue").filter(|_| !secret) {
            let value = reading.filled(&default.to_json()).ok().unwrap_or_default();
            reading.names.insert(format!("parameters('{}')", entry.key), value);
        }
    }
    for entry in root.get("variables").map(Node::entries).unwrap_or_default() {
        if let Ok(value) = reading.filled(&entry.node.to_json()) {
            reading.names.insert(format!("variables('{}')", entry.key), value);
        }
    }
    reading.resources(resources, 0, false);
    if reading.imported.controls == 0 {
        return Err(wrong("the document has no resources"));
    }
    Ok(reading.imported)
}

impl Reading<'_> {
    fn resources(&mut self, list: &Node, depth: usize, assertion: bool) {
        // A list, or in documents of newer versions a map by name.
        let named = list.entries().iter().map(|entry| (Some(entry.key.as_str()), &entry.node));
        let all: Vec<(Option<&str>, &Node)> = list.items().iter().map(|node| (None, node)).chain(named).collect();
        for (name, node) in all {
            self.resource(name, node, depth, assertion);
        }
    }

    fn resource(&mut self, name: Option<&str>, node: &Node, depth: usize, assertion: bool) {
        let kind = node.get("type").and_then(Node::text).unwrap_or_default().to_owned();
        let name = node.get("name").and_then(Node::text).or(name).unwrap_or(if kind.is_empty() { "?" } else { kind.as_str() }).to_owned();
        let properties = node.get("properties");
        let group =
            ["Microsoft.DSC/Group", "Microsoft.DSC/Assertion", "DSC/AssertionGroup"].iter().any(|known| known.eq_ignore_ascii_case(&kind));
        let computed = if node.get("condition").is_some() {
            Some("it has a condition, which is not computed")
        } else if node.get("copy").is_some() {
            Some("it is a loop, which is not computed")
        } else {
            None
        };
        // Adapters carry resources in their properties, under the same word.
        if let Some(inner) = properties.and_then(|node| node.get("resources"))
            && depth < MAX_GROUPS
            && computed.is_none()
        {
            let asserts = assertion || kind.to_ascii_lowercase().contains("assertion");
            return self.resources(inner, depth + 1, asserts);
        }
        let controls = if let Some(why) = computed {
            Err(why.to_owned())
        } else if kind.is_empty() {
            Err("it does not say its type".to_owned())
        } else if group || depth >= MAX_GROUPS {
            Err("the group holds no resources".to_owned())
        } else {
            let properties = properties.map_or(Value::Null, Node::to_json);
            self.filled(&properties).and_then(|properties| dsc_resources::controls(&kind, &properties, assertion))
        };
        let note = if kind.is_empty() { name } else { format!("{name} ({kind})") };
        let part = if assertion { Part::Asserted } else { Part::All };
        let about = About { file: self.file, line: node.spot.line, note: &note, code: "RMM0573", part };
        self.imported.take(controls, &about);
    }

    /// The value with its expressions filled in.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => match text.strip_prefix("[[") {
                Some(rest) => Value::String(format!("[{rest}")),
                None => match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                    Some(expression) => self.computed(expression.trim())?,
                    None => value.clone(),
                },
            },
            Value::Array(list) => Value::Array(list.iter().map(|item| self.filled(item)).collect::<Result<_, _>>()?),
            Value::Object(map) => {
                Value::Object(map.iter().map(|(name, item)| Ok((name.clone(), self.filled(item)?))).collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn computed(&self, expression: &str) -> Result<Value, String> {
        let plain: String = expression.replace('"', "'");
        let found = self.names.get(&plain).filter(|value| !value.is_null());
        let value = found.ok_or_else(|| format!("the expression '{expression}' is not computed"))?;
        let left = self.left.get().checked_sub(size(value)).ok_or("its variables grow beyond what is read")?;
        self.left.set(left);
        Ok(value.clone())
    }
}

/// How many values a value consists of.
fn size(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(size).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        _ => 1,
    }
}
