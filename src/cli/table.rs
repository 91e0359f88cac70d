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

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in the asked form, ending with a line feed.
    pub(super) fn render(&self, output: Output) -> Result<String, Failure> {
        let objects = || {
            self.rows.iter().map(|row| Value::Object(self.columns.iter().map(|c| key(c)).zip(row.iter().cloned()).collect::<Map<_, _>>()))
        };
        match output {
            Output::Table => Ok(self.human(super::style::width())),
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

    /// Aligned columns. Where they are wider than the terminal, the widest ones are wrapped; nothing is cut off.
    fn human(&self, terminal: Option<usize>) -> String {
        let cells: Vec<Vec<String>> = self.rows.iter().map(|row| row.iter().map(|v| clean(&cell(v))).collect()).collect();
        let width = |i: usize| cells.iter().map(|row| row[i].width()).chain([self.columns[i].width()]).max().unwrap_or(0);
        let mut widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        if let Some(terminal) = terminal {
            fit(&mut widths, terminal.saturating_sub(GAP * self.columns.len().saturating_sub(1)));
        }
        let numeric: Vec<bool> =
            (0..self.columns.len()).map(|i| !self.rows.is_empty() && self.rows.iter().all(|r| r[i].is_number())).collect();
        let line = |row: &[String]| {
            let columns: Vec<Vec<String>> = row.iter().zip(&widths).map(|(text, width)| wrap(text, *width)).collect();
            let height = columns.iter().map(Vec::len).max().unwrap_or(0);
            let lines = (0..height).map(|n| {
                let mut out = String::new();
                for (i, column) in columns.iter().enumerate() {
                    let text = column.get(n).map_or("", String::as_str);
                    let gap = " ".repeat(widths[i].saturating_sub(text.width()));
                    out += &if numeric[i] { format!("{gap}{text}") } else { format!("{text}{gap}") };
                    out += &" ".repeat(GAP);
                }
                out.trim_end().to_owned()
            });
            lines.collect::<Vec<_>>().join("\n")
        };
        let head: Vec<String> = self.columns.iter().map(|c| (*c).to_owned()).collect();
        let mut out = paint(Tone::Dim, line(&head)) + "\n";
        for row in &cells {
            out += &(line(row) + "\n");
        }
        if cells.is_empty() {
            out += &(paint(Tone::Dim, "(none)") + "\n");
        }
        out
    }
}

/// Spaces between two columns.
const GAP: usize = 2;
/// No column is made narrower than this.
const NARROWEST: usize = 12;

/// Takes from the widest columns until all of them fit, or none can give more.
fn fit(widths: &mut [usize], room: usize) {
    while widths.iter().sum::<usize>() > room {
        let Some(widest) = widths.iter_mut().max().filter(|w| **w > NARROWEST) else { return };
        *widest -= 1;
    }
}

/// Lines of at most `width`, broken at a space where there is one.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        if used > 0 && used + word.trim_end().width() > width {
            lines.push(String::new());
            used = 0;
        }
        for c in word.chars() {
            let w = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            // The space after the last word that fits is nothing to break for.
            if used + w > width && c != ' ' {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push(c);
            }
            used += w;
        }
    }
    lines.iter().map(|l| l.trim_end().to_owned()).collect()
}

/// A document in the asked form, ending with a line feed: as JSON lines it is one line, as CSV a value for each path.
pub(super) fn document(value: &Value, output: Output) -> Result<String, Failure> {
    let failed = |what: &str| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the result cannot be written as {what}")));
    match output {
        Output::Jsonl => Ok(format!("{value}\n")),
        Output::Csv => {
            let mut table = Table::new("rmm.values/1", &["PATH", "VALUE"]);
            let mut flat = Vec::new();
            flatten("", value, &mut flat);
            for (path, value) in flat {
                table.push(vec![json!(path), value]);
            }
            table.render(output)
        }
        Output::Yaml => serde_yaml::to_string(value).map_err(|_| failed("YAML")),
        _ => serde_json::to_string_pretty(value).map(|s| s + "\n").map_err(|_| failed("JSON")),
    }
}

/// Every value of a document with its dotted path. Lists of plain values stay whole.
pub(super) fn flatten(path: &str, value: &Value, out: &mut Vec<(String, Value)>) {
    let join = |part: &str| if path.is_empty() { part.to_owned() } else { format!("{path}.{part}") };
    match value {
        Value::Object(map) if !map.is_empty() => map.iter().for_each(|(k, v)| flatten(&join(k), v, out)),
        Value::Array(list) if list.iter().any(|v| v.is_object() || v.is_array()) => {
            list.iter().enumerate().for_each(|(i, v)| flatten(&join(&i.to_string()), v, out));
        }
        other => out.push((path.to_owned(), other.clone())),
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
    fn on_a_narrow_terminal_the_widest_column_is_wrapped_and_nothing_is_lost() {
        let mut table = Table::new("rmm.test/1", &["NAME", "SUMMARY"]);
        table.push(vec![json!("Firewall"), json!("Blocks what nobody asked for, on every adapter.")]);
        assert_eq!(
            table.human(Some(32)),
            "NAME      SUMMARY\nFirewall  Blocks what nobody\n          asked for, on every\n          adapter.\n"
        );
        assert_eq!(wrap("abcdefgh ij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn an_empty_list_says_so_to_people_only() {
        let table = Table::new("rmm.test/1", &["NAME"]);
        assert_eq!(table.render(Output::Table).unwrap(), "NAME\n(none)\n");
        assert_eq!(table.render(Output::Csv).unwrap(), "name\n");
    }

    #[test]
    fn a_document_keeps_its_meaning_in_every_form() {
        let value = json!({"schema": "rmm.x/1", "a": {"b": 1, "c": ["x", "y"]}});
        assert_eq!(document(&value, Output::Jsonl).unwrap().lines().count(), 1);
        assert_eq!(document(&value, Output::Csv).unwrap(), "path,value\nschema,rmm.x/1\na.b,1\na.c,\"x, y\"\n");
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
