//! Records of the event log as others have collected them, in the lines that our script makes of such records: what a line holds is
//! theirs, its form is ours. Run by hand: `tests/windows-output`.

use super::*;
use crate::transport::recordings::{self, Kind, Recording, Took};

#[test]
#[ignore = "reads the recordings that tests/windows-output names"]
fn recordings_of_windows_events_are_read() {
    recordings::each(Kind::Events, take);
}

/// One record as it was collected.
struct Collected {
    log: &'static str,
    /// As our script says it, but for its number.
    line: Map<String, Value>,
    /// Whether its collector calls it a refusal; nothing where it does not say.
    refused: Option<bool>,
}

fn take(recording: &Recording) -> Result<Took, String> {
    let all: Vec<Collected> = recording.text.lines().filter_map(collected).collect();
    if all.is_empty() {
        return Ok(Took::Nothing("no record of System, Application or Security with a time".into()));
    }
    for log in Log::Windows.sources() {
        let own: Vec<&Collected> = all.iter().filter(|one| one.log == *log).collect();
        if own.is_empty() {
            continue;
        }
        let mut text = format!("{}\n", json!({"log": log, "newest": {"number": own.len(), "at": 1}, "oldest": {"number": 1, "at": 0}}));
        for (number, one) in own.iter().enumerate() {
            let mut line = one.line.clone();
            line.insert("RecordId".into(), json!(number + 1));
            text += &format!("{}\r\n", Value::Object(line));
        }
        text += &format!("{}\n", json!({"log": log, "done": true}));
        let fetched = read("ws-1", &text, &BTreeMap::from([(*log, Cursor { number: 0, at: 0 })]));
        let found: Vec<&EventRecord> = fetched.records().collect();
        if found.len() != own.len() {
            return Err(format!("{} of {} records of {log} are read", found.len(), own.len()));
        }
        for (record, one) in found.iter().zip(own) {
            check(record, one)?;
        }
    }
    Ok(Took::Records(all.len()))
}

/// Of the two collectors whose forms the data sets have.
fn collected(line: &str) -> Option<Collected> {
    let Ok(Value::Object(event)) = serde_json::from_str(line) else { return None };
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let log = *Log::Windows.sources().iter().find(|source| text("Channel") == Some(**source))?;
    let provider = text("ProviderName").or(text("SourceName"))?;
    let at = text("@timestamp").or(text("TimeCreated"))?.replacen(' ', "T", 1);
    let at = if at.ends_with('Z') { at } else { format!("{at}Z") };
    let keywords = match event.get("Keywords") {
        Some(Value::Number(number)) => number.as_i64().map(i64::cast_unsigned).or(number.as_u64()),
        Some(Value::String(hex)) => u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok(),
        _ => None,
    };
    let refused = text("EventType").map(|kind| kind == "AUDIT_FAILURE");
    let audit = text("EventType").is_some_and(|kind| kind.starts_with("AUDIT"));
    let level = match (text("Level").and_then(|level| level.parse::<u64>().ok()), text("Severity")) {
        (Some(level), _) => level,
        (None, _) if audit => 0,
        (None, Some("CRITICAL")) => 1,
        (None, Some("ERROR")) => 2,
        (None, Some("WARNING")) => 3,
        (None, _) => 4,
    };
    let line = json!({
        "Id": event.get("EventID").and_then(Value::as_i64), "Level": level, "LevelDisplayName": "",
        "Keywords": format!("{:x}", keywords.unwrap_or(0)), "ProviderName": provider,
        "MachineName": text("Hostname"), "TaskDisplayName": text("Category").unwrap_or_default(), "TimeCreated": at,
        "Message": text("Message").unwrap_or_default(),
    });
    let Value::Object(line) = line else { return None };
    Some(Collected { log, line, refused })
}

fn check(record: &EventRecord, one: &Collected) -> Result<(), String> {
    let text = |key: &str| one.line.get(key).and_then(Value::as_str).unwrap_or_default();
    let told = || format!("{} {} of {}", text("ProviderName"), one.line["Id"], text("TimeCreated"));
    let (message, whole) = (record.message.as_str(), text("Message"));
    // It is cut between two letters.
    if !whole.starts_with(message) || (message.len() < whole.len() && message.len() + 3 < super::super::LONGEST) {
        return Err(format!("{}: the message became {message:?}", told()));
    }
    if record.origin != text("ProviderName") || record.code != one.line["Id"].as_i64() {
        return Err(format!("{}: the source became {} {:?}", told(), record.origin, record.code));
    }
    if record.at != DateTime::parse_from_rfc3339(text("TimeCreated")).map_err(|error| error.to_string())? {
        return Err(format!("{}: the time became {}", told(), record.at));
    }
    match one.refused {
        Some(refused) if one.line["Level"] == 0 && refused != (record.priority == 4) => {
            Err(format!("{}: the priority became {}", told(), record.priority))
        }
        _ => Ok(()),
    }
}
