//! The systemd journal as `journalctl -o json` prints it: one object a line.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::{Fetched, MOST, MOST_BYTES, Part, Wanted, bounded};
use crate::model::event::EventRecord;
use crate::script::quote;
use crate::transport::{Command, Session, TransportError};

/// Most characters of the name of who wrote a record.
const LONGEST_ORIGIN: usize = 200;

/// The name of this log.
pub(super) const SOURCE: &str = "journal";

/// Fetches what came after the cursor.
pub(super) async fn fetch(
    session: &dyn Session,
    device: &str,
    wanted: &Wanted,
    cursor: Option<&str>,
    cancel: &CancellationToken,
) -> Result<Fetched, TransportError> {
    // A cursor is made of a few kinds of characters; anything else has not come from a journal.
    let cursor = cursor.filter(|cursor| is_cursor(cursor));
    let output = session.run(command(wanted, cursor, false), cancel).await?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if let Some(lost) = cursor.filter(|_| stderr.contains("cursor")) {
        // The journal does not know it any more: go on by the time that it names.
        let output = session.run(command(wanted, Some(lost), true), cancel).await?;
        let mut fetched = read(device, &output.stdout, Some(lost));
        fetched.problem = Some("the journal no longer knows where it was read last; records may be missing".into());
        return Ok(fetched);
    }
    let mut fetched = read(device, &output.stdout, cursor);
    let words: String = stderr.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if fetched.records().next().is_none() && !words.is_empty() {
        fetched.problem = Some(format!("the journal cannot be read: {words}"));
    }
    Ok(fetched)
}

/// The newest record, the oldest one, and those after the cursor, with a mark between them.
fn command(wanted: &Wanted, cursor: Option<&str>, by_time: bool) -> Command {
    const SHOWN: &str = "MESSAGE,PRIORITY,_SYSTEMD_UNIT,SYSLOG_IDENTIFIER,_PID,MESSAGE_ID,_BOOT_ID,UNIT";
    let mut line = String::from("LC_ALL=C; export LC_ALL\nj() { journalctl --no-pager -q -o json \"$@\"; }\n");
    line.push_str("j --output-fields=PRIORITY -n 1; echo '#'\n");
    if let Some(cursor) = cursor {
        line.push_str("j --output-fields=PRIORITY | head -n 1; echo '#'\nj");
        let from = time_of(cursor).filter(|_| by_time);
        let after = match from {
            Some(micros) => format!("--since=@{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            // From the record itself on, which is left out here: `--after-cursor` leaves out the first one that counts where the
            // record itself does not count, or is gone.
            None => format!("--cursor={cursor}"),
        };
        let units = wanted.units.iter().map(|unit| format!("--unit={}.service", unit.trim_end_matches(".service")));
        let rest = [format!("--output-fields={SHOWN}"), after, format!("--priority={}", wanted.priority.number())];
        for word in rest.into_iter().chain(units) {
            line.push(' ');
            line.push_str(&quote(&word));
        }
        line.push_str(&format!(" | head -n {MOST}\n"));
    }
    Command { line, elevate: true, timeout: Some(Duration::from_secs(30)), max_output: Some(MOST_BYTES), ..Command::default() }
}

/// Whether a text can be a cursor: `s=...;i=...;b=...;m=...;t=...;x=...`.
fn is_cursor(text: &str) -> bool {
    text.len() <= 300 && text.starts_with("s=") && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"=;".contains(&b))
}

/// The moment that a cursor names, in microseconds since 1970.
fn time_of(cursor: &str) -> Option<u64> {
    let time = cursor.split(';').find_map(|part| part.strip_prefix("t="))?;
    u64::from_str_radix(time, 16).ok()
}

/// Reads the three parts of the answer.
fn read(device: &str, stdout: &[u8], cursor: Option<&str>) -> Fetched {
    let text = String::from_utf8_lossy(stdout);
    let mut parts = text.split("#\n");
    let newest = parts.next().and_then(|part| part.lines().find_map(object));
    let newest_cursor =
        newest.as_ref().and_then(|record| record.get("__CURSOR")?.as_str()).filter(|cursor| is_cursor(cursor)).map(str::to_owned);
    let Some(cursor) = cursor else { return fetched(Vec::new(), newest_cursor) };
    let oldest = parts.next().and_then(|part| part.lines().find_map(object));
    let lines = parts.next().unwrap_or_default();
    let since = time_of(cursor);
    let mut seen = 0;
    let mut records: Vec<EventRecord> = Vec::new();
    // A line that was cut says nothing; it comes again.
    for line in lines.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let Some(object) = object(line) else { continue };
        seen += 1;
        if let Some(record) = record(device, &object).filter(|record| record.cursor != cursor) {
            records.push(record);
        }
    }
    let more = seen >= MOST;
    let last = records.last().map(|record| record.cursor.clone());
    let cursor = match (last, newest_cursor) {
        // Everything up to the newest record was looked through, whether it counted or not.
        (last, Some(newest)) if !more => match last {
            Some(last) if time_of(&last) > time_of(&newest) => last,
            _ if time_of(&newest) >= since => newest,
            last => last.unwrap_or_else(|| cursor.to_owned()),
        },
        (Some(last), _) => last,
        (None, _) => cursor.to_owned(),
    };
    let rotated = oldest.as_ref().and_then(realtime).zip(since).is_some_and(|(oldest, since)| oldest > since);
    let problem = rotated.then(|| "the journal was rotated since it was read last; records may be missing".to_owned());
    Fetched { more, problem, ..fetched(records, Some(cursor)) }
}

fn fetched(records: Vec<EventRecord>, cursor: Option<String>) -> Fetched {
    Fetched { parts: vec![Part { source: SOURCE.into(), records, cursor }], ..Fetched::default() }
}

fn object(line: &str) -> Option<Map<String, Value>> {
    let line = line.trim();
    if !line.starts_with('{') {
        return None;
    }
    serde_json::from_str(line).ok()
}

fn realtime(object: &Map<String, Value>) -> Option<u64> {
    object.get("__REALTIME_TIMESTAMP")?.as_str()?.parse().ok()
}

fn record(device: &str, object: &Map<String, Value>) -> Option<EventRecord> {
    let micros = realtime(object)?;
    let at: DateTime<Utc> = DateTime::from_timestamp_micros(i64::try_from(micros).ok()?)?;
    let cursor = object.get("__CURSOR")?.as_str().filter(|cursor| is_cursor(cursor))?.to_owned();
    let text = |key: &str| object.get(key).and_then(text_of).filter(|text| !text.is_empty());
    // What the service manager says about a unit belongs to that unit.
    let unit = text("UNIT").or_else(|| text("_SYSTEMD_UNIT")).map(|unit| unit.trim_end_matches(".service").to_owned());
    let origin = unit.filter(|unit| unit != "init.scope").or_else(|| text("SYSLOG_IDENTIFIER")).unwrap_or_default();
    // A name, whoever gives it: it becomes part of the key of an alert.
    let origin: String = origin.chars().filter(|c| !c.is_control()).take(LONGEST_ORIGIN).collect();
    let mut data = Map::new();
    for (name, key) in [("identifier", "SYSLOG_IDENTIFIER"), ("pid", "_PID"), ("messageId", "MESSAGE_ID"), ("boot", "_BOOT_ID")] {
        if let Some(value) = text(key) {
            data.insert(name.into(), json!(bounded(&value)));
        }
    }
    Some(EventRecord {
        device: device.into(),
        source: SOURCE.into(),
        cursor,
        at,
        priority: text("PRIORITY").and_then(|p| p.parse().ok()).filter(|p| *p <= 7).unwrap_or(6),
        origin: if origin.is_empty() { SOURCE.into() } else { origin },
        code: None,
        message: bounded(&text("MESSAGE").unwrap_or_default()),
        data: Value::Object(data),
    })
}

/// A field: a text, bytes as numbers where it is none, or the first of several.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items.iter().map(|item| item.as_u64().and_then(|n| u8::try_from(n).ok())).collect();
            match bytes {
                Some(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                None => items.iter().find_map(|item| item.as_str().map(str::to_owned)),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(n: u64) -> String {
        format!("s=a1;i={n:x};b=b2;m={n:x};t={:x};x=ff", 1_780_000_000_000_000 + n)
    }

    fn line(n: u64, message: &str) -> String {
        let record = json!({"__CURSOR": cursor(n), "__REALTIME_TIMESTAMP": (1_780_000_000_000_000 + n).to_string(), "PRIORITY": "3",
            "_SYSTEMD_UNIT": "nginx.service", "SYSLOG_IDENTIFIER": "nginx", "_PID": "12", "MESSAGE": message});
        format!("{record}\n")
    }

    fn answer(newest: u64, oldest: u64, lines: &str) -> Vec<u8> {
        format!("{}#\n{}#\n{lines}", line(newest, ""), line(oldest, "")).into_bytes()
    }

    /// The one log of a journal.
    fn part(fetched: &Fetched) -> &Part {
        let [part] = &fetched.parts[..] else { panic!("{fetched:?}") };
        part
    }

    #[test]
    fn without_a_cursor_only_the_place_is_noted() {
        let fetched = read("a", format!("{}#\n", line(7, "old")).as_bytes(), None);
        assert_eq!(fetched, super::fetched(Vec::new(), Some(cursor(7))));
    }

    #[test]
    fn records_have_one_form_and_the_cursor_moves_to_what_was_looked_through() {
        let fetched = read("a", &answer(20, 1, &line(12, "worker died")), Some(&cursor(10)));
        let [record] = &part(&fetched).records[..] else { panic!("{fetched:?}") };
        assert_eq!((&*record.origin, record.priority, &*record.message, &*record.cursor), ("nginx", 3, "worker died", &*cursor(12)));
        assert_eq!((part(&fetched).cursor.clone(), &fetched.problem, fetched.more), (Some(cursor(20)), &None, false));
        // One that came while it was being read.
        let fetched = read("a", &answer(20, 1, &line(25, "later")), Some(&cursor(10)));
        assert_eq!(part(&fetched).cursor, Some(cursor(25)));
    }

    #[test]
    fn nothing_is_read_twice_and_what_is_left_comes_next() {
        let lines: String = (11..=510).map(|n| line(n, "x")).collect();
        let first = read("a", &answer(9000, 1, &lines), Some(&cursor(10)));
        let of = part(&first);
        assert_eq!((of.records.len(), first.more, of.cursor.as_deref()), (500, true, Some(&*cursor(510))));
        let again = read("a", &answer(9000, 1, &line(510, "x")), of.cursor.as_deref());
        assert_eq!(part(&again).records, Vec::new());
        let cut = format!("{}{}", line(11, "x"), line(12, "y").trim_end());
        assert_eq!(read("a", &answer(30, 1, &cut), Some(&cursor(10))).records().count(), 1);
    }

    #[test]
    fn a_rotated_journal_is_said_and_an_empty_one_keeps_the_place() {
        let fetched = read("a", &answer(90, 50, &line(60, "x")), Some(&cursor(10)));
        assert!(fetched.problem.unwrap().contains("rotated"));
        assert_eq!(part(&read("a", b"#\n#\n", Some(&cursor(10)))).cursor, Some(cursor(10)));
    }

    #[test]
    fn bytes_several_values_and_hostile_fields_are_read_or_left_out() {
        let record = |fields: Value| {
            let mut object = json!({"__CURSOR": cursor(1), "__REALTIME_TIMESTAMP": "1780000000000001"});
            object.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            record("a", object.as_object().unwrap())
        };
        assert_eq!(record(json!({"MESSAGE": [104, 105, 255]})).unwrap().message, "hi\u{fffd}");
        assert_eq!(record(json!({"MESSAGE": ["one", "two"], "PRIORITY": "99"})).unwrap().message, "one");
        assert_eq!(record(json!({"MESSAGE": "x".repeat(100_000)})).unwrap().message.len(), 4096);
        assert_eq!(record(json!({"UNIT": "db.service", "_SYSTEMD_UNIT": "init.scope"})).unwrap().origin, "db");
        assert_eq!(record(json!({"_SYSTEMD_UNIT": "init.scope", "SYSLOG_IDENTIFIER": "systemd"})).unwrap().origin, "systemd");
        assert_eq!(record(json!({"__CURSOR": "s=1;$(reboot)"})), None);
        assert!(!is_cursor("s=1 --vacuum-size=1") && !is_cursor("") && is_cursor(&cursor(3)));
        assert_eq!(time_of(&cursor(5)), Some(1_780_000_000_000_005));
    }
}
