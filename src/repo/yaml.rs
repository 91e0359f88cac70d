//! YAML 1.2 (core schema) into a tree with places, through the events of `saphyr-parser`. JSON is YAML.
//!
//! Everything is bounded: size, depth, and the number of values after aliases are expanded. Nothing here recurses.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::Number;

use super::codes;
use super::tree::{Entry, Node, Spot, Tree};
use crate::diagnose::Diagnostic;

/// Largest file that is read.
pub const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Deepest nesting.
pub const MAX_DEPTH: usize = 64;
/// Most values in one document, aliases expanded.
pub const MAX_NODES: usize = 1_000_000;
/// Problems of one file after which reading it is given up.
const MAX_PROBLEMS: usize = 100;

/// Reads one document. The second part says what is wrong; the first is missing where nothing useful could be read.
pub fn parse(file: &Arc<str>, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(file);
    if text.len() as u64 > MAX_BYTES {
        return (None, vec![codes::too_large(&crate::model::Place::file(Arc::clone(file)), "larger than 16 MiB")]);
    }
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let marker = error.marker();
                let spot = Spot { line: (marker.line() as u32).max(1), column: marker.col() as u32 + 1, length: 1 };
                // The scanner reads ahead and may meet its own bound of nesting before ours.
                builder.problems.push(if error.info().contains("recursion limit") {
                    codes::too_large(&spot.of(file), "nested deeper than 64 levels")
                } else {
                    codes::syntax(&spot.of(file), plain_words(error.info()))
                });
                return (None, builder.problems);
            }
        };
        if !builder.take(event, span) || builder.problems.len() >= MAX_PROBLEMS {
            return (None, builder.problems);
        }
    }
    let root = builder.root.take().unwrap_or_else(|| Node::new(Spot { line: 1, column: 1, length: 1 }, Tree::Null));
    (Some(root), builder.problems)
}

/// The scanner's words for what people do most often, in theirs.
fn plain_words(info: &str) -> &str {
    match info {
        "while parsing node, found unknown anchor" => "the alias names nothing: there is no anchor of this name before it",
        "illegal placement of ':' indicator" => "a ':' cannot stand here; is a bracket or a quote before it left open?",
        other if other.starts_with("tabs disallowed") => "a tab cannot stand here: indent with spaces",
        other => other,
    }
}

/// A list or map under construction.
enum Open {
    List { spot: Spot, anchor: usize, items: Vec<Node> },
    Map { spot: Spot, anchor: usize, entries: Vec<Entry>, key: Option<Key> },
}

/// A key that waits for its value.
struct Key {
    name: String,
    spot: Spot,
    merge: bool,
}

struct Builder<'a> {
    file: &'a Arc<str>,
    stack: Vec<Open>,
    /// Anchored values with their size and depth.
    anchors: HashMap<usize, (Node, usize, usize)>,
    root: Option<Node>,
    documents: usize,
    nodes: usize,
    problems: Vec<Diagnostic>,
}

fn spot(span: Span) -> Spot {
    let length = if span.start.line() == span.end.line() { span.end.index().saturating_sub(span.start.index()) } else { 1 };
    Spot { line: span.start.line() as u32, column: span.start.col() as u32 + 1, length: length.max(1) as u32 }
}

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<str>) -> Self {
        Self { file, stack: Vec::new(), anchors: HashMap::new(), root: None, documents: 0, nodes: 0, problems: Vec::new() }
    }

    fn syntax(&mut self, at: Spot, message: &str) {
        self.problems.push(codes::syntax(&at.of(self.file), message));
    }

    /// Counts values; says no where the bound is passed.
    fn count(&mut self, at: Spot, nodes: usize) -> bool {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            self.problems.push(codes::too_large(&at.of(self.file), "more than 1,000,000 values, aliases expanded"));
            return false;
        }
        true
    }

    fn deep(&mut self, at: Spot, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            self.problems.push(codes::too_large(&at.of(self.file), "nested deeper than 64 levels"));
            return true;
        }
        false
    }

    /// Takes one event; `false` ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let at = spot(span);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => true,
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.syntax(at, "a second document begins here; one file holds one document");
                    return false;
                }
                true
            }
            Event::Scalar(text, style, anchor, tag) => {
                if !self.count(at, 1) {
                    return false;
                }
                if self.wants_key() {
                    let merge = style == ScalarStyle::Plain && text == "<<";
                    self.key(Key { name: text.into_owned(), spot: at, merge });
                    if anchor > 0 {
                        self.syntax(at, "an anchor on a key is not supported");
                    }
                    return true;
                }
                let value = match scalar(text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err(message) => {
                        self.syntax(at, &message);
                        Tree::Null
                    }
                };
                let node = Node::new(at, value);
                if anchor > 0 {
                    self.anchors.insert(anchor, (node.clone(), 1, 1));
                }
                self.put(node);
                true
            }
            Event::SequenceStart(anchor, tag) => self.open(at, tag.as_deref(), "seq", Open::List { spot: at, anchor, items: Vec::new() }),
            Event::MappingStart(anchor, tag) => {
                self.open(at, tag.as_deref(), "map", Open::Map { spot: at, anchor, entries: Vec::new(), key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(id) => {
                if self.wants_key() {
                    self.syntax(at, "a key cannot be an alias");
                    return false;
                }
                let Some((size, depth)) = self.anchors.get(&id).map(|(_, size, depth)| (*size, *depth)) else {
                    self.syntax(at, "an alias cannot stand inside the value that it names");
                    return false;
                };
                // Counted before it is copied: a bomb ends here.
                if !self.count(at, size) || self.deep(at, self.stack.len() + depth) {
                    return false;
                }
                if let Some(node) = self.anchors.get(&id).map(|(node, ..)| node.clone()) {
                    self.put(node);
                }
                true
            }
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open::Map { key: None, .. }))
    }

    fn key(&mut self, new: Key) {
        if let Some(Open::Map { key, .. }) = self.stack.last_mut() {
            *key = Some(new);
        }
    }

    fn open(&mut self, at: Spot, tag: Option<&Tag>, own: &str, open: Open) -> bool {
        if self.wants_key() {
            self.syntax(at, "a key has to be a single value, not a list or a map");
            return false;
        }
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == own)
        {
            self.syntax(at, &format!("the tag '{tag}' is not supported"));
        }
        if !self.count(at, 1) || self.deep(at, self.stack.len() + 1) {
            return false;
        }
        self.stack.push(open);
        true
    }

    fn close(&mut self) -> bool {
        let (node, anchor) = match self.stack.pop() {
            Some(Open::List { spot, anchor, items }) => (Node::new(spot, Tree::List(items)), anchor),
            Some(Open::Map { spot, anchor, entries, .. }) => {
                let entries = self.unique(entries);
                let Some(entries) = self.merge(entries) else { return false };
                (Node::new(spot, Tree::Map(entries)), anchor)
            }
            None => return true,
        };
        if anchor > 0 {
            let (size, depth) = (node.size(), node.depth());
            self.anchors.insert(anchor, (node.clone(), size, depth));
        }
        self.put(node);
        true
    }

    fn put(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                if let Some(key) = key.take() {
                    // A merge key is marked by a name that no key can have until it is resolved.
                    let name = if key.merge { MERGE.to_owned() } else { key.name };
                    entries.push(Entry { key: name, spot: key.spot, node });
                }
            }
            None => self.root = Some(node),
        }
    }

    /// Reports keys that stand twice; the first of them stays.
    fn unique(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let repeated: Vec<(usize, Spot)> = if entries.len() <= 8 {
            let first = |i: usize| entries[..i].iter().find(|e| e.key == entries[i].key).map(|e| (i, e.spot));
            (1..entries.len()).filter_map(first).collect()
        } else {
            let mut seen: HashMap<&str, Spot> = HashMap::with_capacity(entries.len());
            let mut repeated = Vec::new();
            for (i, entry) in entries.iter().enumerate() {
                if let Some(first) = seen.get(entry.key.as_str()) {
                    repeated.push((i, *first));
                } else {
                    seen.insert(&entry.key, entry.spot);
                }
            }
            repeated
        };
        if repeated.is_empty() {
            return entries;
        }
        for (i, first) in repeated.iter().take(MAX_PROBLEMS) {
            let name = if entries[*i].key == MERGE { "<<" } else { &entries[*i].key };
            self.problems.push(codes::duplicate_key(name, &entries[*i].spot.of(self.file), &first.of(self.file)));
        }
        let mut drop = repeated.into_iter().map(|(i, _)| i).peekable();
        let keep = |(i, entry)| if drop.next_if_eq(&i).is_some() { None } else { Some(entry) };
        entries.into_iter().enumerate().filter_map(keep).collect()
    }

    /// Resolves `<<`: what the map itself says wins, then the sources in their order. `None` ends the reading.
    fn merge(&mut self, mut entries: Vec<Entry>) -> Option<Vec<Entry>> {
        let Some(position) = entries.iter().position(|entry| entry.key == MERGE) else { return Some(entries) };
        let merge = entries.remove(position);
        let sources = match merge.node.value {
            Tree::List(items) => items,
            _ => vec![merge.node],
        };
        let mut known: std::collections::HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        for source in sources {
            let at = source.spot;
            let Tree::Map(more) = source.value else {
                self.syntax(merge.spot, "a merge key takes a map or a list of maps");
                continue;
            };
            if !self.count(at, more.len()) {
                return None;
            }
            for entry in more {
                if known.insert(entry.key.clone()) {
                    entries.push(entry);
                }
            }
        }
        Some(entries)
    }
}

/// Stands for `<<` between reading and resolving; a NUL cannot come from a file, the scanner refuses it.
const MERGE: &str = "\0<<";

/// A scalar by the core schema.
fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Tree, String> {
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { plain(text) } else { Ok(Tree::Text(text.into_owned())) };
    };
    if tag.handle.is_empty() && tag.suffix == "!" || tag.handle == "!" && tag.suffix.is_empty() {
        return Ok(Tree::Text(text.into_owned()));
    }
    if !tag.is_yaml_core_schema() {
        return Err(format!("the tag '{tag}' is not supported"));
    }
    let value = if tag.suffix == "str" { Tree::Text(text.into_owned()) } else { plain(text)? };
    match (tag.suffix.as_str(), &value) {
        ("str", _) | ("null", Tree::Null) | ("bool", Tree::Bool(_)) | ("float", Tree::Number(_)) => Ok(value),
        ("int", Tree::Number(n)) if !n.is_f64() => Ok(value),
        ("null" | "bool" | "float" | "int", _) => Err(format!("the value does not fit its tag '!!{}'", tag.suffix)),
        _ => Err(format!("the tag '!!{}' is not supported", tag.suffix)),
    }
}

fn plain(text: Cow<'_, str>) -> Result<Tree, String> {
    Ok(match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Tree::Null,
        "true" | "True" | "TRUE" => Tree::Bool(true),
        "false" | "False" | "FALSE" => Tree::Bool(false),
        other => match number(other)? {
            Some(number) => Tree::Number(number),
            None => Tree::Text(text.into_owned()),
        },
    })
}

/// Numbers of the core schema: `[-+]?[0-9]+`, `0o17`, `0xff`, floats. `None` where it is a text.
fn number(text: &str) -> Result<Option<Number>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("'{text}' is no number that can be used here; quote it if it is meant as text"));
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Ok(None);
    }
    let big = || format!("the number {text} is too large; quote it if it is meant as text");
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return u64::from_str_radix(digits, radix).map(|n| Some(n.into())).map_err(|_| big());
        }
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let plain = text.strip_prefix('+').unwrap_or(text);
        if let Ok(n) = plain.parse::<i64>() {
            return Ok(Some(n.into()));
        }
        return plain.parse::<u64>().map(|n| Some(n.into())).map_err(|_| big());
    }
    if !is_float(unsigned) {
        return Ok(None);
    }
    let value = text.parse::<f64>().ok().and_then(Number::from_f64);
    value.map(Some).ok_or_else(big)
}

/// `( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((m, e)) => (m, Some(e.strip_prefix(['-', '+']).unwrap_or(e))),
        None => (text, None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_fits && exponent.is_none_or(|e| !e.is_empty() && digits(e))
}

#[cfg(test)]
mod tests;
