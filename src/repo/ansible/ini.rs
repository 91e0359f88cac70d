//! Inventories in the ini form: sections of hosts, of child groups and of variables.

use serde_json::Value;

use super::{Inventory, Source, Vars};
use crate::model::Place;

enum Section {
    Hosts(String),
    Children(String),
    Vars(String),
    /// A section whose head is wrong: what stands in it is not looked at.
    Unknown,
}

pub(super) fn inventory(source: &Source, into: &mut Inventory) {
    let mut section = Section::Hosts("ungrouped".into());
    for (i, raw) in source.text.lines().enumerate() {
        let line = raw.trim();
        let at = Place {
            file: source.path.clone(),
            line: i as u32 + 1,
            column: (raw.len() - raw.trim_start().len()) as u32 + 1,
            length: line.chars().count() as u32,
        };
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        // `[web]` is a section; a host may begin with a bracket too, but then something follows.
        if let Some(head) = line.strip_prefix('[').and_then(|rest| strip(rest).strip_suffix(']')) {
            section = head_of(head, into, &at);
            continue;
        }
        match &section {
            Section::Unknown => {}
            Section::Hosts(group) => host(line, group, into, &at),
            Section::Children(parent) => into.child(parent, strip(line), &at),
            Section::Vars(group) => match line.split_once('=') {
                Some((key, value)) => {
                    let value = (literal(unquoted(value.trim())), at.clone());
                    into.group(group, &at).vars.insert(key.trim().to_owned(), value);
                }
                None => into.wrong("a variable is written name=value", &at),
            },
        }
    }
}

fn head_of(head: &str, into: &mut Inventory, at: &Place) -> Section {
    let (name, kind) = head.split_once(':').unwrap_or((head, ""));
    let name = name.trim().to_owned();
    match kind {
        "" => {
            into.group(&name, at);
            Section::Hosts(name)
        }
        "children" => {
            into.group(&name, at);
            Section::Children(name)
        }
        "vars" => {
            into.group(&name, at);
            Section::Vars(name)
        }
        other => {
            into.wrong(format!("a section is [group], [group:children] or [group:vars]; ':{}' is none of them", other.escape_debug()), at);
            Section::Unknown
        }
    }
}

/// Without a comment at its end.
fn strip(text: &str) -> &str {
    text.split_once(" #").map_or(text, |(before, _)| before).trim_end()
}

fn host(line: &str, group: &str, into: &mut Inventory, at: &Place) {
    let words = match words(line) {
        Ok(words) => words,
        Err(why) => return into.wrong(why, at),
    };
    let Some((name, rest)) = words.split_first() else { return };
    let mut vars = Vars::new();
    let (name, port) = split_port(name);
    if let Some(port) = port {
        vars.insert("ansible_port".into(), (Value::from(port), at.clone()));
    }
    for word in rest {
        match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                vars.insert(key.to_owned(), (literal(value), at.clone()));
            }
            _ => into.wrong(format!("'{}' is no variable; write name=value", word.escape_debug()), at),
        }
    }
    into.hosts(name, group, &vars, at);
}

/// `host:2222`, but not an IPv6 address or the colon of a range.
fn split_port(name: &str) -> (&str, Option<u16>) {
    let Some((host, port)) = name.rsplit_once(':') else { return (name, None) };
    let plain = !host.contains(':') || host.ends_with(']');
    match port.parse() {
        Ok(port) if plain => (host, Some(port)),
        _ => (name, None),
    }
}

/// Words as a shell splits them, up to a comment.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut quote: Option<char> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some('"') | None, '\\') => word.extend(chars.next()),
            (None, '\'' | '"') => (quote, begun) = (Some(c), true),
            (None, '#') if !begun && word.is_empty() => break,
            (None, c) if c.is_whitespace() => {
                if begun || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            (_, c) => word.push(c),
        }
    }
    if quote.is_some() {
        return Err("a quoted text is not closed on its line".into());
    }
    if begun || !word.is_empty() {
        words.push(word);
    }
    Ok(words)
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// A value of the ini form: Python's words for true, false and nothing, whole numbers, else text.
fn literal(text: &str) -> Value {
    match text {
        "True" | "true" => Value::Bool(true),
        "False" | "false" => Value::Bool(false),
        "None" => Value::Null,
        _ => match text.parse::<i64>() {
            // A number that would lose its leading zero is a text.
            Ok(number) if number.to_string() == text => Value::from(number),
            _ => Value::String(text.to_owned()),
        },
    }
}
