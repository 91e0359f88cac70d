//! The Windows event log as `Get-WinEvent | ConvertTo-Json` prints it: one object, or a list of them.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use super::bounded;
use crate::model::event::EventRecord;

/// Records of one log in the order of their numbers, those after `cursor` only.
pub fn parse(device: &str, log: &str, text: &str, cursor: Option<u64>) -> Vec<EventRecord> {
    let list = match serde_json::from_str(text.trim_start_matches('\u{feff}').trim()) {
        Ok(Value::Array(list)) => list,
        Ok(object @ Value::Object(_)) => vec![object],
        _ => return Vec::new(),
    };
    let mut records: Vec<(u64, EventRecord)> = list
        .iter()
        .filter_map(Value::as_object)
        .filter_map(|object| record(device, log, object))
        .filter(|(number, _)| cursor.is_none_or(|cursor| *number > cursor))
        .collect();
    records.sort_by_key(|(number, _)| *number);
    records.dedup_by_key(|(number, _)| *number);
    records.into_iter().map(|(_, record)| record).collect()
}

fn record(device: &str, log: &str, object: &Map<String, Value>) -> Option<(u64, EventRecord)> {
    let number = object.get("RecordId")?.as_u64()?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut data = Map::new();
    for (name, key) in [("computer", "MachineName"), ("level", "LevelDisplayName"), ("task", "TaskDisplayName")] {
        if let Some(value) = text(key) {
            data.insert(name.into(), json!(bounded(value)));
        }
    }
    let record = EventRecord {
        device: device.into(),
        source: text("LogName").unwrap_or(log).into(),
        cursor: number.to_string(),
        at: moment(object.get("TimeCreated")?)?,
        // Windows counts from critical (1) to verbose (5); 0 is for what is always written.
        priority: match object.get("Level").and_then(Value::as_u64) {
            Some(1) => 2,
            Some(2) => 3,
            Some(3) => 4,
            Some(5) => 7,
            _ => 6,
        },
        origin: bounded(text("ProviderName").unwrap_or("unknown")),
        code: object.get("Id").and_then(Value::as_i64),
        message: bounded(text("Message").unwrap_or_default()),
        data: Value::Object(data),
    };
    Some((number, record))
}

/// `/Date(1780000000000)/` of Windows PowerShell, RFC 3339 of later ones, or an object that holds either.
fn moment(value: &Value) -> Option<DateTime<Utc>> {
    match value {
        Value::Object(object) => moment(object.get("value").or_else(|| object.get("DateTime"))?),
        Value::String(text) => match text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            Some(number) => {
                let end = number.char_indices().skip(1).find(|(_, c)| "+-".contains(*c)).map_or(number.len(), |(at, _)| at);
                DateTime::from_timestamp_millis(number[..end].parse().ok()?)
            }
            None => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "\u{feff}[
        {\"Id\": 7031, \"Level\": 2, \"LevelDisplayName\": \"Error\", \"ProviderName\": \"Service Control Manager\", \"LogName\": \"System\", \"RecordId\": 41877,
         \"TimeCreated\": \"\\/Date(1780000000123)\\/\", \"MachineName\": \"WS-1\", \"Message\": \"The Print Spooler service terminated unexpectedly.\"},
        {\"Id\": 6008, \"Level\": 1, \"ProviderName\": \"EventLog\", \"RecordId\": 41875, \"TimeCreated\": \"2026-05-28T20:26:40.5+00:00\", \"Message\": null}
    ]";

    #[test]
    fn both_spellings_of_a_moment_and_all_levels_are_read() {
        let records = parse("ws-1", "System", SYSTEM, None);
        assert_eq!(
            records.iter().map(|r| (&*r.cursor, r.priority, r.code)).collect::<Vec<_>>(),
            [("41875", 2, Some(6008)), ("41877", 3, Some(7031))]
        );
        assert_eq!((records[0].at.timestamp_millis(), records[1].at.timestamp_millis()), (1_780_000_000_500, 1_780_000_000_123));
        assert_eq!(
            (&*records[1].source, &*records[1].origin, &records[1].data["computer"]),
            ("System", "Service Control Manager", &json!("WS-1"))
        );
    }

    #[test]
    fn only_what_comes_after_the_cursor_counts() {
        assert_eq!(parse("ws-1", "System", SYSTEM, Some(41875)).len(), 1);
        assert_eq!(parse("ws-1", "System", SYSTEM, Some(41877)).len(), 0);
    }

    #[test]
    fn one_record_is_an_object_and_nonsense_is_nothing() {
        let one = "{\"Id\": 1, \"RecordId\": 5, \"TimeCreated\": {\"value\": \"/Date(1780000000000+0200)/\", \"DisplayHint\": 2}}";
        let records = parse("ws-1", "Application", one, None);
        assert_eq!((&*records[0].source, records[0].at.timestamp()), ("Application", 1_780_000_000));
        for text in ["", "Get-WinEvent : No events were found", "[1, null, {}]", "{\"RecordId\": -1}"] {
            assert_eq!(parse("ws-1", "System", text, None), Vec::new(), "{text}");
        }
    }
}
