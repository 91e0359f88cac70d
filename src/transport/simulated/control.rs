//! The control file: what simulated devices are told to do, line by line, read anew whenever it has changed.
//!
//! `DEVICE WORD ...`, where `*` is every device, `#` begins a comment, and a word is `METRIC=VALUE` (names and units of
//! thresholds), `latency=MILLISECONDS`, `service:NAME=running|stopped|failed`, `offline` or `hang`. Later lines win. What
//! is no such word is left out with a line in the log: a load test goes on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use chrono::{DateTime, Utc};

use crate::model::threshold::metric;

/// Largest file that is read.
const MOST: u64 = 4 << 20;

/// What one device is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Orders {
    /// Metrics by name.
    pub(super) metrics: BTreeMap<&'static str, f64>,
    /// States of services by name.
    pub(super) services: BTreeMap<String, String>,
    /// Milliseconds that an answer takes.
    pub(super) latency_ms: Option<f64>,
    /// It is not there.
    pub(super) offline: bool,
    /// It never answers.
    pub(super) hang: bool,
    /// Since when all this holds, at the earliest.
    pub(super) since: Option<DateTime<Utc>>,
}

impl Orders {
    fn word(&mut self, word: &str) -> bool {
        match word.split_once('=') {
            None if word == "offline" => self.offline = true,
            None if word == "hang" => self.hang = true,
            Some((name, state)) if name.starts_with("service:") && ["running", "stopped", "failed"].contains(&state) => {
                self.services.insert(name["service:".len()..].to_owned(), state.to_owned());
            }
            Some((name, value)) => {
                let Some(value) = value.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0) else { return false };
                if name.eq_ignore_ascii_case("latency") {
                    self.latency_ms = Some(value);
                } else {
                    let Some(metric) = metric(name) else { return false };
                    self.metrics.insert(metric.name, value);
                }
            }
            None => return false,
        }
        true
    }
}

/// Lines by device, in their order.
#[derive(Debug, Default)]
struct File {
    stamp: Option<(SystemTime, u64)>,
    lines: HashMap<String, Vec<String>>,
}

/// Control files by path.
#[derive(Debug, Default)]
pub(super) struct Control {
    files: Mutex<HashMap<String, Arc<File>>>,
}

impl Control {
    /// What a device is told by this file; nothing where there is none.
    pub(super) fn of(&self, path: Option<&str>, device: &str) -> Orders {
        let Some(path) = path else { return Orders::default() };
        let file = self.read(path);
        let mut orders = Orders { since: file.stamp.map(|(time, _)| time.into()), ..Orders::default() };
        for words in ["*", device].into_iter().filter_map(|name| file.lines.get(name)).flatten() {
            for word in words.split_ascii_whitespace() {
                orders.word(word);
            }
        }
        orders
    }

    fn read(&self, path: &str) -> Arc<File> {
        let stamp =
            std::fs::metadata(path).ok().filter(|meta| meta.len() <= MOST).and_then(|meta| Some((meta.modified().ok()?, meta.len())));
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(path).filter(|known| known.stamp == stamp) {
            return Arc::clone(known);
        }
        let text = stamp.and_then(|_| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let mut lines: HashMap<String, Vec<String>> = HashMap::new();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some((device, words)) = line.split_once([' ', '\t']) else { continue };
            for word in words.split_ascii_whitespace().filter(|word| !Orders::default().word(word)) {
                tracing::warn!("{path}: simulated devices do not know '{}'", word.escape_debug());
            }
            lines.entry(device.to_owned()).or_default().push(words.to_owned());
        }
        let file = Arc::new(File { stamp, lines });
        files.insert(path.to_owned(), Arc::clone(&file));
        file
    }
}
