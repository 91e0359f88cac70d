//! The one place that renders a list: aligned for people, JSON, YAML or CSV for programs.

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr;

use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, paint};
use crate::diagnose::Diagnostic;

/// How results are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One document with a `schema` version.
    Json,
    /// One event a line, the first with the format version.
    Jsonl,
    /// One document.
    Yaml,
    /// Comma-separated values with a head line.
    Csv,
}

/// A list with named columns.
#[derive(Debug)]
pub(super) struct Table {
    schema: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Table {
    /// An empty table; `schema` names the JSON form, `rmm.devices/1`.
    pub(super) fn new(schema: &'static str, columns: &[&'static str]) -> Self {
        Self { schema, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, a value for each column.
    pub(super) fn push(&mut self, row: Vec<Value>) {
        self.rows.push(row);
    }

    /// The table in the asked form, ending with a line feed.
    pub(super) fn render(&self, output: Output) -> Result<String, Failure> {
        let objects = || {
            self.rows.iter().map(|row| Value::Object(self.columns.iter().map(|c| key(c)).zip(row.iter().cloned()).collect::<Map<_, _>>()))
        };
        match output {
            Output::Table => Ok(self.human()),
            Output::Json | Output::Yaml => document(&json!({ "schema": self.schema, "items": objects().collect::<Vec<_>>() }), output),
            Output::Jsonl => {
                let mut out = format!("{}\n", json!({ "schema": self.schema }));
                objects().for_each(|o| out.push_str(&format!("{o}\n")));
                Ok(out)
            }
            Output::Csv => {
                let mut writer = csv::Writer::from_writer(Vec::new());
                let mut ok = writer.write_record(self.columns.iter().map(|c| key(c))).is_ok();
                for row in &self.rows {
                    ok &= writer.write_record(row.iter().map(|v| no_formula(cell(v)))).is_ok();
                }
                let bytes = writer
                    .into_inner()
                    .ok()
                    .filter(|_| ok)
                    .ok_or_else(|| Failure::new(Exit::Error, Diagnostic::error("RMM0001", "the table cannot be written as CSV")))?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
        }
    }

    fn human(&self) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|v| clean(&cell(v))).collect()).collect();
        let width = |i: usize| cells.iter().map(|row| row[i].width()).chain([self.columns[i].width()]).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let numeric: Vec<bool> =
            (0..self.columns.len()).map(|i| !self.rows.is_empty() && self.rows.iter().all(|r| r[i].is_number())).collect();
        let line = |row: &[String]| {
            let mut out = String::new();
            for (i, text) in row.iter().enumerate() {
                let gap = " ".repeat(widths[i].saturating_sub(text.width()));
                let text = if numeric[i] { format!("{gap}{text}") } else { format!("{text}{gap}") };
                out.push_str(&text);
                out.push_str("  ");
            }
            out.trim_end().to_owned()
        };
        let head: Vec<String> = self.columns.iter().map(|c| (*c).to_owned()).collect();
        let mut out = paint(Tone::Dim, line(&head)) + "\n";
        for row in &cells {
            out.push_str(&line(row));
            out.push('\n');
        }
        out
    }
}

/// A document as JSON or YAML, ending with a line feed.
pub(super) fn document(value: &Value, output: Output) -> Result<String, Failure> {
    let failed = |what: &str| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the result cannot be written as {what}")));
    match output {
        Output::Yaml => serde_yaml::to_string(value).map_err(|_| failed("YAML")),
        _ => serde_json::to_string_pretty(value).map(|s| s + "\n").map_err(|_| failed("JSON")),
    }
}

/// `LAST SEEN` → `lastSeen`.
fn key(column: &str) -> String {
    let mut out = String::new();
    for (i, word) in column.to_lowercase().split_whitespace().enumerate() {
        let mut chars = word.chars();
        match chars.next() {
            Some(first) if i > 0 => out.extend(first.to_uppercase().chain(chars)),
            Some(first) => out.extend(std::iter::once(first).chain(chars)),
            None => {}
        }
    }
    out
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(s) => s.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A spreadsheet must not take text for a formula (OWASP, CSV injection).
fn no_formula(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("rmm.test/1", &["NAME", "LAST SEEN", "N"]);
        table.push(vec![json!("ws-1"), Value::Null, json!(5)]);
        table.push(vec![json!("=cmd()"), json!("yesterday"), json!(12)]);
        table
    }

    #[test]
    fn people_get_aligned_columns() {
        assert_eq!(table().render(Output::Table).unwrap(), "NAME    LAST SEEN   N\nws-1                5\n=cmd()  yesterday  12\n");
    }

    #[test]
    fn programs_get_a_schema_version_and_stable_keys() {
        let value: Value = serde_json::from_str(&table().render(Output::Json).unwrap()).unwrap();
        assert_eq!(value["schema"], "rmm.test/1");
        assert_eq!(value["items"][0]["lastSeen"], Value::Null);
        assert_eq!(value["items"][1]["n"], 12);
    }

    #[test]
    fn csv_holds_no_formulas() {
        assert!(table().render(Output::Csv).unwrap().contains("'=cmd()"));
    }
}
