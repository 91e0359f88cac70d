//! A test as YAML that people like to read: short things on one line, long ones in blocks.

use serde_json::Value;

use crate::model::policy_test::PolicyTest;

/// Things that are not longer than this stand on one line.
const WIDTH: usize = 110;
/// Words that a YAML reader of some version takes for something else than a text.
const WORDS: [&str; 11] = ["true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf"];

/// A file with one test. `schema` is the way from the file to the schema of tests.
pub fn to_yaml(test: &PolicyTest, schema: &str) -> String {
    let mut out = format!("# yaml-language-server: $schema={schema}\ntests:\n");
    let value = serde_json::to_value(test).unwrap_or_default();
    for (i, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
        let lead = if i == 0 { "  - " } else { "    " };
        out += lead;
        // Sections stand below their category even where they would fit on a line.
        let block = if matches!(key.as_str(), "facts" | "expect") { 2 } else { 0 };
        member(&mut out, key, value, 4, block);
    }
    out
}

/// `key: value`, the line begun already. `block` is how many levels are never put on one line.
fn member(out: &mut String, key: &str, value: &Value, indent: usize, block: usize) {
    *out += &scalar(key, true);
    out.push(':');
    let flat = if let Value::String(text) = value { scalar(text, false) } else { flow(value) };
    let empty = matches!(value, Value::Object(map) if map.is_empty()) || matches!(value, Value::Array(list) if list.is_empty());
    let nested = matches!(value, Value::Object(_)) && block > 0 || flat.chars().count() + indent + key.len() > WIDTH;
    if !nested || empty || !(value.is_object() || value.is_array()) {
        *out += &format!(" {flat}\n");
        return;
    }
    out.push('\n');
    let inner = indent + 2;
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                *out += &" ".repeat(inner);
                member(out, key, value, inner, block.saturating_sub(1));
            }
        }
        Value::Array(list) if list.iter().all(|item| item.is_string() && flow(item).len() < 60) => lines(out, list, inner),
        Value::Array(list) => {
            for item in list {
                *out += &format!("{}- {}\n", " ".repeat(inner), flow(item));
            }
        }
        _ => {}
    }
}

/// Names in as many lines as they need.
fn lines(out: &mut String, list: &[Value], indent: usize) {
    let pad = " ".repeat(indent);
    *out += &format!("{pad}[");
    let mut used = indent + 1;
    for (i, item) in list.iter().enumerate() {
        let text = format!("{}{}", flow(item), if i + 1 == list.len() { "]" } else { "," });
        if i > 0 {
            if used + text.len() + 1 > WIDTH {
                *out += &format!("\n{pad} ");
                used = indent + 1;
            } else {
                out.push(' ');
                used += 1;
            }
        }
        used += text.len();
        *out += &text;
    }
    out.push('\n');
}

/// A value on one line.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text, true),
        Value::Array(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members: Vec<String> = map.iter().map(|(key, value)| format!("{}: {}", scalar(key, true), flow(value))).collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// A text, quoted where it would be read as something else. Within braces and brackets a comma has to be quoted too.
fn scalar(text: &str, inside: bool) -> String {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '/'));
    let rest = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-' | '+' | '@' | '(' | ')' | ' ') || (c == ',' && !inside));
    if first && rest && !text.ends_with(' ') && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let quoted = serde_json::to_string(text).unwrap_or_default();
    // JSON leaves these as they are, YAML does not take them.
    quoted
        .chars()
        .map(|c| if matches!(c, '\u{7f}'..='\u{9f}' | '\u{feff}') { format!("\\u{:04x}", c as u32) } else { c.to_string() })
        .collect()
}
