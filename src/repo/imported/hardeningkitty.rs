//! Lists of HardeningKitty: a CSV file, a control per line. What each method of them means is in `methods.rs` and `registry.rs`.

use std::sync::Arc;

use serde::Deserialize;

use super::draft::Part;
use super::{About, Imported, methods};
use crate::diagnose::Diagnostic;
use crate::model::Place;

/// Largest list, and most lines.
const MAX_BYTES: usize = 16 << 20;
const MAX_ROWS: usize = 100_000;
/// The columns that say something. Without one of them lines would say less than they mean.
const COLUMNS: [&str; 12] = [
    "ID",
    "Name",
    "Method",
    "MethodArgument",
    "RegistryPath",
    "RegistryItem",
    "ClassName",
    "Namespace",
    "Property",
    "DefaultValue",
    "RecommendedValue",
    "Operator",
];

/// One line.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Row {
    #[serde(rename = "ID", default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    pub(super) method: String,
    #[serde(rename = "MethodArgument", default)]
    pub(super) argument: String,
    #[serde(default)]
    pub(super) registry_path: String,
    #[serde(default)]
    pub(super) registry_item: String,
    #[serde(default)]
    pub(super) class_name: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) property: String,
    #[serde(rename = "DefaultValue", default)]
    pub(super) default: String,
    #[serde(rename = "RecommendedValue")]
    pub(super) recommended: String,
    pub(super) operator: String,
}

/// Reads a list. An error is something that is no list at all; lines without a setting are in `left_out`.
pub fn read(path: &str, text: &str) -> Result<Imported, Vec<Diagnostic>> {
    let file: Arc<str> = path.into();
    let wrong_at = |line: u64, why: String| {
        let place = Place { file: Arc::clone(&file), line: u32::try_from(line).unwrap_or(0), column: 0, length: 0 };
        Diagnostic::error("RMM0570", why).at(&place)
    };
    let wrong = |line: u64, why: String| vec![wrong_at(line, why)];
    if text.len() > MAX_BYTES {
        return Err(wrong(0, "the list is larger than 16 MiB".into()));
    }
    // Lines are counted where they end with both characters, too.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut head = csv::Reader::from_reader(text.as_bytes());
    let headers = head.headers().map_err(|error| wrong(1, format!("this is no list of HardeningKitty: {error}")))?.clone();
    let missing: Vec<&str> = COLUMNS.into_iter().filter(|column| !headers.iter().any(|h| h == *column)).collect();
    if !missing.is_empty() {
        let problem = wrong_at(1, format!("this is no list of HardeningKitty: it has no column {}", missing.join(", ")));
        let only = headers.get(0).filter(|_| headers.len() == 1).unwrap_or_default();
        return Err(vec![match [(';', "semicolons"), ('\t', "tabs")].into_iter().find(|(separator, _)| only.contains(*separator)) {
            Some((_, word)) => problem.advice(format!("it has {word} between its fields: save it with commas, or take the list as it was")),
            None => problem.advice("take a file of the folder lists/ of HardeningKitty as it is"),
        }]);
    }
    // A last line of our own. Where it does not come by itself, it stands in a field that was not closed, with all that is lost there.
    let end = text.trim_end().len();
    let closed = format!("{text}\n{}\n", ",".repeat(headers.len() - 1));
    let mut reader = csv::Reader::from_reader(closed.as_bytes());
    let mut imported = Imported::default();
    let mut record = csv::StringRecord::new();
    let mut line = 1;
    loop {
        let more = reader.read_record(&mut record).map_err(|error| {
            let line = error.position().map_or(line, csv::Position::line);
            let why = match error.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("the line has {len} fields and the first one {expected_len}")
                }
                _ => format!("the line cannot be read: {error}"),
            };
            vec![wrong_at(line, why).advice("look for a quotation mark that is missing, or a comma in a field without quotation marks")]
        })?;
        if !more {
            return Err(wrong(line, "a quotation mark of this line is not closed".into()));
        }
        let byte = record.position().map_or(0, csv::Position::byte);
        if usize::try_from(byte).is_ok_and(|byte| byte >= end) {
            break;
        }
        line = record.position().map_or(line, csv::Position::line);
        if imported.controls >= MAX_ROWS {
            return Err(wrong(line, "the list has more than 100,000 lines".into()));
        }
        let row: Row = record.deserialize(Some(&headers)).map_err(|error| wrong(line, format!("the line cannot be read: {error}")))?;
        let note = format!("{} {}", row.id, row.name);
        let about =
            About { file: &file, line: u32::try_from(line).unwrap_or(0), note: note.trim(), code: "RMM0571", part: part(&row.name) };
        imported.take(methods::controls(&row), &about);
    }
    if imported.controls == 0 {
        return Err(wrong(1, "the list has no lines".into()));
    }
    Ok(imported)
}

/// Which devices a line is for, by the words that lists put behind its name.
fn part(name: &str) -> Part {
    let ends = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if ends(&["(DC)", "(DC only)"]) {
        Part::Controllers
    } else if ends(&["(Member)", "(MS only)"]) {
        Part::Members
    } else {
        Part::All
    }
}
