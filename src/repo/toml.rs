//! TOML into the same tree as YAML, places included. Only `rmm.toml` and its overlays are TOML.

use std::sync::Arc;

use serde_json::Number;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::codes;
use super::tree::{Entry, Node, Spot, Tree};
use crate::diagnose::Diagnostic;

/// Reads one document.
pub fn parse(file: &Arc<str>, text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = Lines::new(text);
    match DeTable::parse(text) {
        Ok(table) => {
            let mut reader = Reader { file, lines: &lines, problems: Vec::new() };
            let entries = reader.table(table.get_ref());
            (Some(Node::new(Spot { line: 1, column: 1, length: 1 }, Tree::Map(entries))), reader.problems)
        }
        Err(error) => {
            let at = lines.spot(error.span().unwrap_or(0..0)).of(file);
            let message = error.message();
            let problem = if message.contains("duplicate key") {
                Diagnostic::error("RMM0104", "a key stands twice").at(&at).advice("remove one of the two")
            } else if let Some(word) = error.span().and_then(|span| unquoted(text, span.start)) {
                codes::syntax(&at, "a text has to stand in quotes").advice(format!("write {word:?}"))
            } else if message.starts_with("invalid basic string") || message.starts_with("invalid literal string") {
                codes::syntax(&at, "a text is not closed: its last quote is missing, or something in it has to be escaped")
            } else {
                codes::syntax(&at, message)
            };
            (None, vec![problem])
        }
    }
}

/// The word that stands for a value without quotes: `level = info`.
fn unquoted(text: &str, at: usize) -> Option<&str> {
    let (before, rest) = text.split_at_checked(at)?;
    let word = rest.split(|c: char| c.is_whitespace() || ",]}#".contains(c)).next()?;
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic()) && !word.contains(['"', '\'', '=']);
    (before.trim_end_matches([' ', '\t']).ends_with('=') && is_word).then_some(word)
}

/// Reads one value as TOML writes it: `50`, `true`, `"5m"`, `[1, 2]`. `None` where it is no TOML value.
pub fn value(text: &str) -> Option<Tree> {
    let value = DeValue::parse(text).ok()?;
    let lines = Lines::new(text);
    let file = Arc::from("");
    let mut reader = Reader { file: &file, lines: &lines, problems: Vec::new() };
    let node = reader.node(&value);
    reader.problems.is_empty().then_some(node.value)
}

/// A value as a tree without places.
pub(super) fn node_of(value: &serde_json::Value) -> Node {
    use serde_json::Value;
    let entry = |(key, value): (&String, &Value)| Entry { key: key.clone(), spot: Spot::default(), node: node_of(value) };
    let tree = match value {
        Value::Null => Tree::Null,
        Value::Bool(b) => Tree::Bool(*b),
        Value::Number(n) => Tree::Number(n.clone()),
        Value::String(text) => Tree::Text(text.clone()),
        Value::Array(items) => Tree::List(items.iter().map(node_of).collect()),
        Value::Object(map) => Tree::Map(map.iter().map(entry).collect()),
    };
    Node::new(Spot::default(), tree)
}

/// Byte offsets into lines and columns.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1)).collect();
        Self { text, starts }
    }

    fn spot(&self, range: std::ops::Range<usize>) -> Spot {
        let line = self.starts.partition_point(|start| *start <= range.start).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let chars = |from: usize, to: usize| self.text.get(from..to).map_or(0, |part| part.lines().next().unwrap_or("").chars().count());
        Spot { line: line as u32, column: chars(start, range.start) as u32 + 1, length: chars(range.start, range.end).max(1) as u32 }
    }
}

struct Reader<'a> {
    file: &'a Arc<str>,
    lines: &'a Lines<'a>,
    problems: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry { key: key.get_ref().to_string(), spot: self.lines.spot(key.span()), node: self.node(value) })
            .collect();
        entries.sort_by_key(|entry| (entry.spot.line, entry.spot.column));
        entries
    }

    // Recursion is bounded by the parser's own limit of nesting.
    fn node(&mut self, value: &Spanned<DeValue<'_>>) -> Node {
        let spot = self.lines.spot(value.span());
        let tree = match value.get_ref() {
            DeValue::String(text) => Tree::Text(text.to_string()),
            DeValue::Boolean(b) => Tree::Bool(*b),
            DeValue::Datetime(datetime) => Tree::Text(datetime.to_string()),
            DeValue::Integer(n) => match i64::from_str_radix(n.as_str(), n.radix()) {
                Ok(n) => Tree::Number(n.into()),
                Err(_) => self.no_number(spot),
            },
            DeValue::Float(f) => match f.as_str().parse().ok().and_then(Number::from_f64) {
                Some(f) => Tree::Number(f),
                None => self.no_number(spot),
            },
            DeValue::Array(items) => Tree::List(items.iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Tree::Map(self.table(table)),
        };
        Node::new(spot, tree)
    }

    fn no_number(&mut self, spot: Spot) -> Tree {
        self.problems.push(codes::syntax(&spot.of(self.file), "this number is too large or not finite"));
        Tree::Null
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
        parse(&"rmm.toml".into(), text)
    }

    #[test]
    fn keys_and_values_have_their_places() {
        let (node, problems) = read("# x\n[general]\norganization = \"Ä Ltd\"\ndata_retention_days = 9_0\n");
        let node = node.unwrap();
        assert_eq!(problems, Vec::new());
        assert_eq!(node.to_json(), json!({"general": {"organization": "Ä Ltd", "data_retention_days": 90}}));
        let entry = node.get("general").unwrap().entry("data_retention_days").unwrap();
        assert_eq!(entry.spot, Spot { line: 4, column: 1, length: 19 });
        assert_eq!(entry.node.spot, Spot { line: 4, column: 23, length: 3 });
    }

    #[test]
    fn a_syntax_error_names_line_and_column() {
        let (node, problems) = read("[general]\norganization = = 3\n");
        assert!(node.is_none());
        assert_eq!((problems[0].code.as_str(), problems[0].place.as_ref().unwrap().line), ("RMM0101", 2));
    }

    #[test]
    fn a_key_that_stands_twice_is_an_error() {
        let (_, problems) = read("a = 1\na = 2\n");
        assert_eq!((problems[0].code.as_str(), problems[0].place.as_ref().unwrap().line), ("RMM0104", 2));
    }

    #[test]
    fn single_values_are_read_as_toml_writes_them() {
        assert_eq!(value("50"), Some(Tree::Number(50.into())));
        assert_eq!(value("\"5m\""), Some(Tree::Text("5m".into())));
        assert_eq!(value("5m"), None);
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let (node, problems) = read(&format!("a = {}", "[".repeat(100_000)));
        assert!(node.is_none() && !problems.is_empty());
    }
}
