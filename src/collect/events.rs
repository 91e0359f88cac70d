//! Records of a device's logs: fetched after a cursor, so that nothing is read twice and nothing is lost, in one form
//! whatever log they come from. What they mean is `watch`'s business, keeping them the store's.

mod journal;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::model::event::EventRecord;
use crate::model::monitor::{Check, Monitor, Priority};
use crate::model::{Device, Platform, Shell};
use crate::transport::{Session, TransportError};

/// Most records of one log of a device and round; what is beyond comes with the next one.
const MOST: usize = 500;
/// Most bytes of one answer.
const MOST_BYTES: u64 = 4 << 20;
/// Longest message that is kept.
const LONGEST: usize = 4096;

/// What kind of log a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The systemd journal.
    Journal,
    /// The Windows event log.
    Windows,
}

impl Log {
    /// That of a device: by the system that is declared for it, the journal where none is.
    pub const fn of(device: &Device) -> Self {
        match device.os {
            Some(Platform::Windows) => Self::Windows,
            Some(Platform::Linux | Platform::Macos) | None => Self::Journal,
        }
    }

    /// The logs that are read, by the names under which their records and cursors are kept.
    pub const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Journal => &["journal"],
            Self::Windows => &["System", "Application", "Security"],
        }
    }
}

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

/// New records of one log.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Which log.
    pub source: Arc<str>,
    /// The oldest first.
    pub records: Vec<EventRecord>,
    /// Where to go on the next time; keep it together with the records.
    pub cursor: Option<String>,
}

/// What came of asking.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fetched {
    /// By log.
    pub parts: Vec<Part>,
    /// Whether there are more already.
    pub more: bool,
    /// Why records may be missing, or why there are none.
    pub problem: Option<String>,
}

impl Fetched {
    /// The new records of all logs.
    pub fn records(&self) -> impl Iterator<Item = &EventRecord> {
        self.parts.iter().flat_map(|part| &part.records)
    }

    fn says(&mut self, problem: &str) {
        match &mut self.problem {
            Some(said) => *said = format!("{said}; {problem}"),
            None => self.problem = Some(problem.to_owned()),
        }
    }
}

/// Fetches what the logs of a device hold after `cursors`, by log. Where there is none, the place is noted from which on
/// records count, and none is read.
pub async fn fetch(
    session: &dyn Session,
    device: &Device,
    wanted: &Wanted,
    cursors: &BTreeMap<&str, String>,
    cancel: &CancellationToken,
) -> Result<Fetched, TransportError> {
    let log = if session.shell() == Shell::PowerShell { Log::Windows } else { Log::of(device) };
    match log {
        Log::Journal => journal::fetch(session, &device.name, wanted, cursors.get(journal::SOURCE).map(String::as_str), cancel).await,
        Log::Windows => windows::fetch(session, &device.name, wanted.priority, cursors, cancel).await,
    }
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
