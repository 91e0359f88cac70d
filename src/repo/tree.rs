//! A document with the place of every key and value: what the YAML and TOML readers give, and what the decoders take.

use std::sync::Arc;

use serde_json::{Map as JsonMap, Number, Value};

use crate::model::Place;

/// A place without its file. Lines and columns count from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spot {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
    /// Length in characters.
    pub length: u32,
}

impl Spot {
    /// The place in this file.
    pub fn of(self, file: &Arc<str>) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column, length: self.length }
    }
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands; a block of several lines by its first word.
    pub spot: Spot,
    /// What it is.
    pub value: Tree,
}

/// The kinds of values.
#[derive(Debug, Clone, PartialEq)]
pub enum Tree {
    /// Nothing: `~`, `null` or empty.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub spot: Spot,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// A value.
    pub fn new(spot: Spot, value: Tree) -> Self {
        Self { spot, value }
    }

    /// The entries of a map; none where it is something else.
    pub fn entries(&self) -> &[Entry] {
        if let Tree::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The items of a list; none where it is something else.
    pub fn items(&self) -> &[Node] {
        if let Tree::List(items) = &self.value { items } else { &[] }
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        if let Tree::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The entry with this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value under this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// Whether it is nothing, or a map.
    pub fn is_map_or_null(&self) -> bool {
        matches!(self.value, Tree::Null | Tree::Map(_))
    }

    /// The nearest existing node on the way of a JSON pointer.
    pub fn at_pointer(&self, pointer: &str) -> &Node {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Tree::Map(_) => node.get(&step),
                Tree::List(items) => step.parse::<usize>().ok().and_then(|i| items.get(i)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// The same as a JSON value, without the places.
    pub fn to_json(&self) -> Value {
        match &self.value {
            Tree::Null => Value::Null,
            Tree::Bool(b) => Value::Bool(*b),
            Tree::Number(n) => Value::Number(n.clone()),
            Tree::Text(t) => Value::String(t.clone()),
            Tree::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Tree::Map(entries) => {
                let mut map = JsonMap::with_capacity(entries.len());
                for entry in entries {
                    map.insert(entry.key.clone(), entry.node.to_json());
                }
                Value::Object(map)
            }
        }
    }

    /// How many values it is made of, itself included.
    pub fn size(&self) -> usize {
        1 + match &self.value {
            Tree::List(items) => items.iter().map(Node::size).sum(),
            Tree::Map(entries) => entries.iter().map(|entry| entry.node.size()).sum(),
            _ => 0,
        }
    }

    /// How deep it is nested, 1 for a single value.
    pub fn depth(&self) -> usize {
        1 + match &self.value {
            Tree::List(items) => items.iter().map(Node::depth).max().unwrap_or(0),
            Tree::Map(entries) => entries.iter().map(|entry| entry.node.depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

/// What a value is, in a few words, for "found ..." in a message.
pub fn in_words(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(b) => format!("{b}"),
        Value::Number(n) => format!("number {n}"),
        Value::String(text) => {
            let mut shown: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
            if text.chars().nth(40).is_some() {
                shown.push_str("...");
            }
            format!("text '{shown}'")
        }
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a map".into(),
    }
}
