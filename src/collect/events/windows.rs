//! The Windows event log as `catalog/collectors/eventlog.ps1` prints it: for each log an object with its newest and oldest
//! record, then one object a record.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Fetched, LONGEST, Log, MOST, MOST_BYTES, Part, bounded};
use crate::model::event::EventRecord;
use crate::model::monitor::Priority;
use crate::model::{Operation, Shell};
use crate::transport::{Command, Session, TransportError};

/// What is sent to it.
const SCRIPT: &str = include_str!("../../catalog/collectors/eventlog.ps1");

/// Bytes of one log after which the rest is left for the next time: a last record of the largest size in each of them still fits.
const ENOUGH: u64 = MOST_BYTES / 4;
/// Seconds of one log after which the rest is left for the next time; all of them together have a minute.
const SECONDS: u64 = 12;

/// Fetches what came after the cursors.
pub(super) async fn fetch(
    session: &dyn Session,
    device: &str,
    least: Priority,
    cursors: &BTreeMap<&str, String>,
    cancel: &CancellationToken,
) -> Result<Fetched, TransportError> {
    let cursors: BTreeMap<&str, Cursor> = cursors.iter().filter_map(|(log, text)| Some((*log, Cursor::parse(text)?))).collect();
    let output = session.run(command(least, &cursors), cancel).await?;
    let mut fetched = read(device, &String::from_utf8_lossy(&output.stdout), &cursors);
    let words: String = String::from_utf8_lossy(&output.stderr).trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if fetched.parts.is_empty() && (output.code != 0 || !words.is_empty()) {
        fetched.says(&format!("the event log cannot be read: {words}"));
    }
    Ok(fetched)
}

/// A place in a log. Numbers begin anew when a log is cleared, so the time goes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    number: u64,
    /// Milliseconds since 1970.
    at: i64,
}

impl Cursor {
    /// `41877@1780000000123`.
    fn parse(text: &str) -> Option<Self> {
        let (number, at) = text.split_once('@')?;
        Some(Self { number: number.parse().ok()?, at: at.parse().ok()? })
    }

    fn of(value: &Value) -> Option<Self> {
        Some(Self { number: value.get("number")?.as_u64()?, at: value.get("at")?.as_i64()? })
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.number, self.at)
    }
}

fn command(least: Priority, cursors: &BTreeMap<&str, Cursor>) -> Command {
    // Levels of Windows: 1 critical, 2 error, 3 warning, 4 and 0 information, 5 verbose.
    let levels: &[u8] = match least.number() {
        0..=2 => &[1],
        3 => &[1, 2],
        4 => &[1, 2, 3],
        5..=6 => &[1, 2, 3, 4, 0],
        _ => &[1, 2, 3, 4, 0, 5],
    };
    let logs: Vec<Value> = Log::Windows
        .sources()
        .iter()
        .map(|log| match cursors.get(log) {
            Some(cursor) => json!({"name": log, "number": cursor.number, "at": cursor.at}),
            None => json!({"name": log}),
        })
        .collect();
    let asked = json!({
        "logs": logs, "levels": levels, "failures": least.number() >= 4,
        "most": MOST, "bytes": ENOUGH, "seconds": SECONDS, "longest": LONGEST,
    });
    let rendered = crate::script::render(&Operation::PowerShell { script: SCRIPT.into(), params: asked }, Shell::PowerShell);
    Command {
        line: rendered.line,
        input: rendered.input.unwrap_or_default(),
        elevate: false,
        timeout: Some(Duration::from_mins(1)),
        max_output: Some(MOST_BYTES),
    }
}

/// One log while its lines are read.
struct Reading {
    name: &'static str,
    newest: Option<Cursor>,
    records: Vec<(Cursor, EventRecord)>,
    seen: usize,
    after: u64,
    /// All records that count have been told.
    whole: bool,
    /// There are more than were told.
    cut: bool,
}

fn read(device: &str, stdout: &str, cursors: &BTreeMap<&str, Cursor>) -> Fetched {
    let mut fetched = Fetched::default();
    let mut reading: Option<Reading> = None;
    for line in stdout.trim_start_matches('\u{feff}').split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        // A line that was cut says nothing; it comes again.
        let Ok(Value::Object(object)) = serde_json::from_str(line.trim().trim_start_matches('\u{feff}')) else { continue };
        if let Some(log) = object.get("log").and_then(Value::as_str) {
            // A name of ours: the keys of cursors are not what somebody else says.
            let Some(name) = Log::Windows.sources().iter().find(|source| **source == log) else { continue };
            if let Some(problem) = object.get("problem").and_then(Value::as_str) {
                let words: String = problem.chars().filter(|c| !c.is_control()).take(200).collect();
                fetched.says(&format!("the log {name} cannot be read: {words}"));
                continue;
            }
            if object.contains_key("done") {
                if let Some(reading) = reading.as_mut().filter(|reading| reading.name == *name) {
                    reading.whole = true;
                }
                continue;
            }
            if object.contains_key("more") {
                if let Some(reading) = reading.as_mut().filter(|reading| reading.name == *name) {
                    reading.cut = true;
                }
                continue;
            }
            close(&mut fetched, reading.take(), cursors);
            reading = Some(open(&mut fetched, name, &object, cursors));
        } else if let Some(reading) = reading.as_mut() {
            reading.seen += 1;
            if let Some((cursor, record)) = record(device, reading.name, &object)
                && cursor.number > reading.after
            {
                reading.records.push((cursor, record));
            }
        }
    }
    close(&mut fetched, reading, cursors);
    fetched
}

/// The first line of a log: what it holds, and whether something between it and the cursor is gone.
fn open(fetched: &mut Fetched, name: &'static str, object: &Map<String, Value>, cursors: &BTreeMap<&str, Cursor>) -> Reading {
    let place = |key: &str| object.get(key).and_then(Cursor::of);
    let (newest, oldest) = (place("newest"), place("oldest"));
    let mut after = 0;
    if let Some(cursor) = cursors.get(name) {
        // The record that was read last is still there: older ones may have a later time, where the clock was set.
        let same = place("known").is_some_and(|known| known == *cursor);
        let begun_anew = newest.is_some_and(|newest| newest.number < cursor.number)
            || oldest.is_some_and(|oldest| oldest.number <= cursor.number && oldest.at > cursor.at);
        let cleared = begun_anew && !same;
        if cleared {
            fetched.says(&format!("the log {name} was cleared since it was read last; records may be missing"));
        } else {
            after = cursor.number;
            if oldest.is_some_and(|oldest| oldest.number > cursor.number + 1) {
                fetched.says(&format!("the log {name} has been overwritten since it was read last; records may be missing"));
            }
        }
    }
    Reading { name, newest, records: Vec::new(), seen: 0, after, whole: false, cut: false }
}

fn close(fetched: &mut Fetched, reading: Option<Reading>, cursors: &BTreeMap<&str, Cursor>) {
    let Some(mut reading) = reading else { return };
    reading.records.sort_by_key(|(cursor, _)| cursor.number);
    reading.records.dedup_by_key(|(cursor, _)| cursor.number);
    let more = reading.cut || reading.seen >= MOST;
    let last = reading.records.last().map(|(cursor, _)| *cursor);
    let known = cursors.get(reading.name).copied();
    // Up to the newest record everything was looked through, whether it counted or not; not so where there is more, or where
    // the answer broke off. Where nothing was known before, the place alone was asked for.
    let through = reading.newest.filter(|_| (reading.whole && !more) || known.is_none());
    let next = match (last, through) {
        (Some(last), Some(through)) if through.number > last.number => Some(through),
        (Some(last), _) => Some(last),
        (None, through) => through.or(known),
    };
    // Where none of them could be read nothing is gained by asking again at once.
    fetched.more |= more && last.is_some();
    let records = reading.records.into_iter().map(|(_, record)| record).collect();
    fetched.parts.push(Part { source: reading.name.into(), records, cursor: next.map(|cursor| cursor.to_string()) });
}

fn record(device: &str, log: &str, object: &Map<String, Value>) -> Option<(Cursor, EventRecord)> {
    /// Set where somebody was refused.
    const AUDIT_FAILURE: u64 = 0x10_0000_0000_0000;
    let number = object.get("RecordId")?.as_u64()?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let at: DateTime<Utc> = DateTime::parse_from_rfc3339(text("TimeCreated")?).ok()?.to_utc();
    let cursor = Cursor { number, at: at.timestamp_millis() };
    let keywords = text("Keywords").and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
    let mut data = Map::new();
    for (name, key) in [("computer", "MachineName"), ("level", "LevelDisplayName"), ("task", "TaskDisplayName")] {
        if let Some(value) = text(key) {
            data.insert(name.into(), json!(bounded(value)));
        }
    }
    let record = EventRecord {
        device: device.into(),
        source: log.into(),
        cursor: cursor.to_string(),
        at,
        priority: match object.get("Level").and_then(Value::as_u64) {
            Some(1) => 2,
            Some(2) => 3,
            Some(3) => 4,
            Some(5) => 7,
            _ if keywords & AUDIT_FAILURE != 0 => 4,
            _ => 6,
        },
        // A name, whoever gives it: it becomes part of the key of an alert.
        origin: text("ProviderName").unwrap_or("unknown").chars().filter(|c| !c.is_control()).take(200).collect(),
        code: object.get("Id").and_then(Value::as_i64),
        message: bounded(text("Message").unwrap_or_default()),
        data: Value::Object(data),
    };
    Some((cursor, record))
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
