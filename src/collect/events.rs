//! Records of a device's logs: fetched after a cursor, so that nothing is read twice and nothing is lost, in one form
//! whatever log they come from. What they mean is `watch`'s business, keeping them the store's.

mod journal;
mod windows;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::Finding;
use crate::model::event::EventRecord;
use crate::model::monitor::{Check, Monitor, Priority};
use crate::script::quote;
use crate::transport::{Command, Session, TransportError};
pub use journal::JOURNAL;
pub use windows::parse as parse_windows;

/// Most records of one device and round; what is beyond comes with the next one.
const MOST: usize = 500;
/// Most bytes of one answer.
const MOST_BYTES: u64 = 4 << 20;
/// Longest message that is kept.
const LONGEST: usize = 4096;

/// What to ask a log for: everything that one of the monitors is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    units: Vec<String>,
    priority: Priority,
}

impl Wanted {
    /// What these monitors want together; `None` where none of them is about a log.
    pub fn of<'m>(monitors: impl IntoIterator<Item = &'m Monitor>) -> Option<Self> {
        let mut wanted: Option<Self> = None;
        let mut all = false;
        for monitor in monitors {
            let Check::Events(events) = &monitor.check else { continue };
            // The kernel is no unit.
            all |= events.units.is_empty() || events.units.iter().any(|unit| unit == "kernel");
            let wanted = wanted.get_or_insert_with(|| Self { units: Vec::new(), priority: events.priority });
            wanted.priority = wanted.priority.max(events.priority);
            wanted.units.extend(events.units.iter().cloned());
        }
        wanted.map(|mut wanted| {
            if all {
                wanted.units.clear();
            }
            wanted.units.sort();
            wanted.units.dedup();
            wanted
        })
    }
}

/// What came of asking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    /// New records, the oldest first.
    pub records: Vec<EventRecord>,
    /// Where to go on the next time; keep it together with the records.
    pub cursor: Option<String>,
    /// Whether there are more already.
    pub more: bool,
    /// Why records may be missing, or why there are none.
    pub problem: Option<String>,
}

/// Fetches what the systemd journal of a device holds after `cursor`. Without one, the place is noted from which on records
/// count, and none is read.
pub async fn fetch(
    session: &dyn Session,
    device: &str,
    wanted: &Wanted,
    cursor: Option<&str>,
    cancel: &CancellationToken,
) -> Result<Fetched, TransportError> {
    // A cursor is made of a few kinds of characters; anything else has not come from a journal.
    let cursor = cursor.filter(|cursor| journal::is_cursor(cursor));
    let output = session.run(command(wanted, cursor, false), cancel).await?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if let Some(lost) = cursor.filter(|_| stderr.contains("cursor")) {
        // The journal does not know it any more: go on by the time that it names.
        let output = session.run(command(wanted, Some(lost), true), cancel).await?;
        let mut fetched = journal::read(device, &output.stdout, Some(lost));
        fetched.problem = Some("the journal no longer knows where it was read last; records may be missing".into());
        return Ok(fetched);
    }
    let mut fetched = journal::read(device, &output.stdout, cursor);
    let words: String = stderr.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if fetched.records.is_empty() && !words.is_empty() {
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
        let from = journal::time_of(cursor).filter(|_| by_time);
        let after = match from {
            Some(micros) => format!("--since=@{}.{:06}", micros / 1_000_000, micros % 1_000_000),
            None => format!("--after-cursor={cursor}"),
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

/// Adds to a finding what the device's logs said shortly before: the worst first, and of those the latest.
pub fn attach(finding: &mut Finding, records: &[EventRecord]) {
    const SHOWN: usize = 5;
    let mut near: Vec<&EventRecord> = records.iter().filter(|record| Some(&*record.device) == finding.key.subject.device()).collect();
    near.sort_by_key(|record| (record.priority, std::cmp::Reverse(record.at)));
    for record in near.into_iter().take(SHOWN) {
        let line: String = record.message.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
        if !finding.message.is_empty() && !finding.message.ends_with('\n') {
            finding.message.push('\n');
        }
        finding.message.push_str(&format!("{} {}: {line}", record.at.format("%H:%M:%S"), record.origin));
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
