//! Records of logs against the monitors: which of them count, and when they are an alert.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{Outcome, Watch};
use crate::model::Signal;
use crate::model::event::EventRecord;
use crate::model::monitor::{Check, Events, Monitor};

/// Most signals of one monitor and device from one batch; the rest is said in one.
const MOST: usize = 10;
/// Longest message that is quoted.
const LONGEST: usize = 300;

/// Most names of writers that are told apart for one monitor on one device within a day: anybody there can write to the log
/// under any name, and each would be an alert of its own.
const MOST_ORIGINS: usize = 50;
/// What the others are called.
const OTHERS: &str = "others";

impl Watch {
    /// What new records of a device's log mean. Give each record once.
    pub fn records(&mut self, device: &Arc<str>, records: &[EventRecord], now: DateTime<Utc>) -> Outcome {
        let mut outcome = Outcome::default();
        let monitors: Vec<Arc<Monitor>> = self.logs(device).map(Arc::clone).collect();
        for monitor in monitors {
            let Check::Events(events) = &monitor.check else { continue };
            let expression = self.expressions.get(&monitor.name).cloned().flatten();
            let counts = |record: &&EventRecord| counts(events, expression.as_ref(), record);
            // One problem per unit: what a web server says and what the kernel says are not the same.
            let mut by_origin: BTreeMap<&str, Vec<&EventRecord>> = BTreeMap::new();
            let known = self.origins.entry((Arc::clone(device), Arc::clone(&monitor.name))).or_default();
            if known.0 != now.date_naive() {
                *known = (now.date_naive(), BTreeSet::new());
            }
            for record in records.iter().filter(counts) {
                if known.1.len() < MOST_ORIGINS && !known.1.contains(&*record.origin) {
                    known.1.insert(record.origin.as_str().into());
                }
                let origin = if known.1.contains(&*record.origin) { &*record.origin } else { OTHERS };
                by_origin.entry(origin).or_default().push(record);
            }
            let mut said = 0;
            for (origin, found) in by_origin {
                let key = (Arc::clone(device), Arc::clone(&monitor.name), Arc::from(origin));
                let Some(last) = found.last() else { continue };
                let title = match events.rate {
                    Some(rate) => {
                        let times = self.counted.entry(key.clone()).or_default();
                        times.extend(found.iter().map(|record| record.at));
                        times.retain(|at| *at > now - rate.within.delta());
                        let most = rate.count as usize;
                        if times.len() < most {
                            if times.is_empty() {
                                self.counted.remove(&key);
                            }
                            continue;
                        }
                        let title = format!("{}: {} records of {origin} within {}", monitor.name, times.len(), rate.within);
                        // Counted from new: the same records are not an alert twice.
                        self.counted.remove(&key);
                        title
                    }
                    None if found.len() > 1 => {
                        format!("{}: {} records of {origin}, the last: {}", monitor.name, found.len(), short(&last.message))
                    }
                    None => format!("{}: {origin}: {}", monitor.name, short(&last.message)),
                };
                said += 1;
                if said > MOST {
                    break;
                }
                let mut finding = super::finding(&key, monitor.severity, title, "monitor", last.at);
                finding.message = found
                    .iter()
                    .rev()
                    .take(MOST)
                    .map(|record| format!("{} {}\n", record.at.format("%H:%M:%S"), short(&record.message)))
                    .collect();
                outcome.signals.push(Signal::Occurred(finding));
            }
        }
        outcome
    }
}

/// Whether a record is one that the monitor is about.
fn counts(events: &Events, expression: Option<&regex_lite::Regex>, record: &EventRecord) -> bool {
    let unit = record.origin.trim_end_matches(".service");
    record.priority <= events.priority.number()
        && (events.units.is_empty() || events.units.iter().any(|wanted| wanted == unit || *wanted == record.origin))
        && (events.matches.is_none() || expression.is_some_and(|expression| expression.is_match(&record.message)))
}

fn short(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut out: String = line.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if out.len() < line.len() {
        out.push_str(" ...");
    }
    out
}
