//! What the monitors of the repository want looked at, when, and what the results mean: confirmation, transitions,
//! signals, restarts of services. Pure: the clock comes in, nothing is asked or written here. `reach` looks, the loop wires.

mod assign;
mod confirm;
mod records;
mod services;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use super::measure::Measure;
use crate::diagnose::{Category, Diagnose as _};
use crate::model::alert::Subject;
use crate::model::monitor::{Check, Confirm, Monitor};
use crate::model::{ActionCall, AlertKey, Finding, Section, Severity, Signal};
use crate::transport::{Target, TransportError};
pub use assign::assign;
pub use confirm::{Standing, Turn};

/// The check that every device has without any file: whether it could be observed. Also the type of its alerts.
pub const REACHABLE: &str = "Offline";

/// Instance of an alert about a certificate that expires.
const CERTIFICATE: &str = "certificate";

/// A device that could not be observed is asked again this soon, as long as that is not confirmed.
const AGAIN: i64 = 30;

/// A clock that goes back by more was set back; by less, it is being adjusted.
const SET_BACK: TimeDelta = TimeDelta::seconds(2);

/// A monitor on a device.
#[derive(Debug, Clone)]
pub struct Assigned {
    /// Device by name.
    pub device: Arc<str>,
    /// Where it is.
    pub address: Arc<str>,
    /// Port of its connection, as far as the monitor means that.
    pub port: u16,
    /// The monitor.
    pub monitor: Arc<Monitor>,
    /// How a simulated device is reached; absent for all others.
    pub simulated: Option<Arc<Target>>,
}

/// Something to look at now.
#[derive(Debug, Clone)]
pub struct Due {
    /// What, and on which device.
    pub assigned: Assigned,
    /// For when it was wanted.
    pub at: DateTime<Utc>,
}

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Probed {
    /// Whether it is as it should be.
    pub ok: bool,
    /// Milliseconds that the answer took.
    pub latency_ms: Option<f64>,
    /// Share of packets that were lost.
    pub loss_percent: Option<f64>,
    /// In a few words: what is wrong, or what was found.
    pub reason: String,
    /// When the certificate expires, where one was seen.
    pub expires: Option<DateTime<Utc>>,
}

/// A state of a check that is to be recorded: `CheckState` of the store, with what it belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckRow {
    /// Device by name.
    pub device: Arc<str>,
    /// Name of the monitor, or [`REACHABLE`].
    pub check: Arc<str>,
    /// Whether it is up.
    pub up: bool,
    /// Since when it is so.
    pub since: DateTime<Utc>,
    /// When it was looked at.
    pub at: DateTime<Utc>,
    /// Milliseconds that the answer took.
    pub latency_ms: Option<f64>,
    /// Share of packets that were lost.
    pub loss_percent: Option<f64>,
    /// Why.
    pub reason: String,
    /// Whether it changed; rows that did not need no history.
    pub changed: bool,
}

/// A service that is to be started again.
#[derive(Debug, Clone, PartialEq)]
pub struct Restart {
    /// Device by name.
    pub device: Arc<str>,
    /// The service.
    pub service: Arc<str>,
    /// The monitor that says so.
    pub monitor: Arc<str>,
    /// How: the action of the catalogue.
    pub call: ActionCall,
}

/// What follows from a result.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// For the alert engine.
    pub signals: Vec<Signal>,
    /// For the store.
    pub checks: Vec<CheckRow>,
    /// Latency and loss, by device.
    pub measures: Vec<(Arc<str>, Measure)>,
    /// Services to start again, those that others depend on first.
    pub restarts: Vec<Restart>,
    /// Devices to observe again sooner than planned, and when.
    pub again: Vec<(Arc<str>, DateTime<Utc>)>,
}

impl Outcome {
    /// Adds what follows from another result.
    pub fn merge(&mut self, other: Self) {
        self.signals.extend(other.signals);
        self.checks.extend(other.checks);
        self.measures.extend(other.measures);
        self.restarts.extend(other.restarts);
        self.again.extend(other.again);
    }
}

/// Device, monitor, and which one of several.
type Key = (Arc<str>, Arc<str>, Arc<str>);
/// A day, and names.
type Origins = (NaiveDate, BTreeSet<Arc<str>>);

/// All checks of the fleet and how they stand.
#[derive(Debug, Default)]
pub struct Watch {
    assigned: Vec<Assigned>,
    of_device: HashMap<Arc<str>, Vec<usize>>,
    due: BTreeSet<(DateTime<Utc>, usize)>,
    /// When what is due was asked for last.
    asked_at: Option<DateTime<Utc>>,
    standing: HashMap<Key, Standing>,
    /// Starts of services by the monitor.
    restarted: HashMap<Key, services::Starts>,
    /// Records of the log that count for a rate.
    counted: HashMap<Key, Vec<DateTime<Utc>>>,
    /// Who has written what counted, by device and monitor, on this day.
    origins: HashMap<(Arc<str>, Arc<str>), Origins>,
    /// Certificates that are about to expire, as was said.
    expiring: BTreeSet<Key>,
    expressions: HashMap<Arc<str>, Option<regex_lite::Regex>>,
    empty: Arc<str>,
}

impl Watch {
    /// Puts other monitors in force. What stays keeps its state; for what goes, what was raised is cleared.
    pub fn reload(&mut self, assigned: Vec<Assigned>, now: DateTime<Utc>) -> Outcome {
        let mut outcome = Outcome::default();
        let wanted: BTreeSet<(Arc<str>, Arc<str>)> =
            assigned.iter().map(|a| (Arc::clone(&a.device), Arc::clone(&a.monitor.name))).collect();
        let stays = |key: &Key| &*key.1 == REACHABLE || wanted.contains(&(Arc::clone(&key.0), Arc::clone(&key.1)));
        let mut gone: Vec<Key> =
            self.standing.iter().filter(|(key, standing)| !stays(key) && !standing.up).map(|(key, _)| key.clone()).collect();
        gone.extend(self.expiring.iter().filter(|key| !stays(key)).cloned());
        gone.sort();
        for key in gone {
            outcome.signals.push(Signal::Cleared { key: alert_key(&key), at: now, reason: "it is no longer watched".into() });
        }
        self.standing.retain(|key, _| stays(key));
        self.restarted.retain(|key, _| stays(key));
        self.counted.retain(|key, _| stays(key));
        self.origins.retain(|key, _| wanted.contains(key));
        self.expiring.retain(stays);
        self.expressions.clear();
        self.of_device.clear();
        self.due.clear();
        for (i, each) in assigned.iter().enumerate() {
            self.of_device.entry(Arc::clone(&each.device)).or_default().push(i);
            if each.monitor.check.is_from_here() {
                self.due.insert((first(each, now), i));
            }
            if let Check::Events(events) = &each.monitor.check {
                let expression = events.matches.as_deref().and_then(|text| regex_lite::Regex::new(text).ok());
                self.expressions.insert(Arc::clone(&each.monitor.name), expression);
            }
        }
        self.assigned = assigned;
        outcome
    }

    /// Forgets devices that are no longer there.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.standing.retain(|key, _| is_there(&key.0));
        self.restarted.retain(|key, _| is_there(&key.0));
        self.counted.retain(|key, _| is_there(&key.0));
        self.origins.retain(|key, _| is_there(&key.0));
        self.expiring.retain(|key| is_there(&key.0));
    }

    /// How a check stood when the process before this one ended: a transition is announced once.
    pub fn restore(&mut self, device: &str, check: &str, up: bool, since: DateTime<Utc>) {
        let (monitor, instance) = check.split_once(':').unwrap_or((check, ""));
        self.standing.insert((device.into(), monitor.into(), instance.into()), Standing::known(up, since));
    }

    /// An alert of a monitor that is still open from before: what it is about counts as down, whatever was recorded of the check.
    /// Were the process killed between the one and the other, nobody would ever clear it.
    pub fn raised(&mut self, device: &str, monitor: &str, instance: &str, since: DateTime<Utc>) {
        let key: Key = (device.into(), monitor.into(), instance.into());
        if instance == CERTIFICATE {
            self.expiring.insert(key);
        } else if self.standing.get(&key).is_none_or(|standing| standing.up) {
            self.standing.insert(key, Standing::known(false, since));
        }
    }

    /// When something is due next.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes at most `limit` of what is due. What was missed is looked at once, not many times.
    pub fn due(&mut self, now: DateTime<Utc>, limit: usize) -> Vec<Due> {
        // A clock that was set back would have everything wait until it has come round again.
        if self.asked_at.replace(now).is_some_and(|before| now < before - SET_BACK) {
            let all = std::mem::take(&mut self.due);
            self.due = all.into_iter().map(|(_, i)| (first(&self.assigned[i], now), i)).collect();
        }
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((at, i)) = self.due.first().copied().filter(|(at, _)| *at <= now)
        {
            self.due.remove(&(at, i));
            let each = &self.assigned[i];
            let every = each.monitor.every.delta().max(TimeDelta::seconds(1));
            let missed = ((now - at).num_milliseconds() / every.num_milliseconds().max(1)).saturating_add(1);
            let next = at + TimeDelta::milliseconds(every.num_milliseconds().saturating_mul(missed));
            self.due.insert((next, i));
            due.push(Due { assigned: each.clone(), at });
        }
        due
    }

    /// Monitors of a device's log: what to fetch from it when it is observed.
    pub fn logs<'a>(&'a self, device: &str) -> impl Iterator<Item = &'a Arc<Monitor>> {
        let all = self.of_device.get(device).map_or(&[][..], Vec::as_slice);
        all.iter().map(|i| &self.assigned[*i].monitor).filter(|monitor| matches!(monitor.check, Check::Events(_)))
    }

    /// Whether services of a device are watched: its observation has to hold `software.services` then.
    pub fn wants_services(&self, device: &str) -> bool {
        let all = self.of_device.get(device).map_or(&[][..], Vec::as_slice);
        all.iter().any(|i| matches!(self.assigned[*i].monitor.check, Check::Services(_)))
    }

    /// What a look at something found.
    pub fn probed(&mut self, due: &Due, result: &Probed, at: DateTime<Utc>) -> Outcome {
        let mut outcome = Outcome::default();
        let (device, monitor) = (&due.assigned.device, &due.assigned.monitor);
        let key = (Arc::clone(device), Arc::clone(&monitor.name), Arc::clone(&self.empty));
        self.turn(&key, monitor.confirm, monitor.severity, "monitor", result, at, &mut outcome);
        let measure = |metric, unit, value| Measure { metric, instance: Arc::clone(&monitor.name), unit, value };
        if let Some(latency) = result.latency_ms {
            outcome.measures.push((Arc::clone(device), measure("Latency", "ms", latency)));
        }
        if let Some(loss) = result.loss_percent {
            outcome.measures.push((Arc::clone(device), measure("PacketLoss", "%", loss)));
        }
        if let (Check::Http(http), Some(expires)) = (&monitor.check, result.expires)
            && let Some(before) = http.expires
        {
            let key = (key.0, key.1, Arc::from(CERTIFICATE));
            let days = (expires - at).num_days();
            if expires - before.delta() <= at {
                self.expiring.insert(key.clone());
                let when = if expires <= at {
                    format!("expired on {}", expires.date_naive())
                } else {
                    format!("expires in {days} days, on {}", expires.date_naive())
                };
                let severity = if expires <= at { monitor.severity.max(Severity::High) } else { Severity::Medium };
                let mut finding = finding(&key, severity, format!("{}: the certificate {when}", monitor.name), "monitor", at);
                finding.value = Some(days as f64);
                finding.unit = Some("days".into());
                outcome.signals.push(Signal::Raised(finding));
            } else if self.expiring.remove(&key) {
                outcome.signals.push(Signal::Cleared { key: alert_key(&key), at, reason: format!("valid until {}", expires.date_naive()) });
            }
        }
        outcome
    }

    /// What observing a device found, or why it could not be observed: the check that every device has. `took` is the
    /// time from opening the session to the answer; services are judged where they were observed.
    pub fn collected(
        &mut self,
        device: &Arc<str>,
        result: Result<&std::collections::BTreeMap<Arc<str>, Section>, &TransportError>,
        at: DateTime<Utc>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let key = (Arc::clone(device), Arc::from(REACHABLE), Arc::clone(&self.empty));
        let probed = match result {
            Ok(_) => Probed { ok: true, reason: "it answers".into(), ..Probed::default() },
            Err(TransportError::Cancelled) => return outcome,
            // It answered, and refused: it is there.
            Err(error) if matches!(error.category(), Category::Configuration) => {
                Probed { ok: true, reason: format!("it answers, yet: {error}"), ..Probed::default() }
            }
            Err(error) => Probed { ok: false, reason: error.to_string(), ..Probed::default() },
        };
        self.turn(&key, Confirm::default(), Severity::High, "availability", &probed, at, &mut outcome);
        if !probed.ok && self.standing.get(&key).is_some_and(|standing| standing.up) {
            outcome.again.push((Arc::clone(device), at + TimeDelta::seconds(AGAIN)));
        }
        if let Ok(sections) = result {
            self.judge_services(device, sections, at, &mut outcome);
        }
        outcome
    }

    /// One result of a check: what it changes, and what is said.
    #[allow(clippy::too_many_arguments)] // each of them is one word of the sentence that it becomes
    fn turn(
        &mut self,
        key: &Key,
        confirm: Confirm,
        severity: Severity,
        source: &str,
        result: &Probed,
        at: DateTime<Utc>,
        outcome: &mut Outcome,
    ) {
        let standing = self.standing.entry(key.clone()).or_insert_with(|| Standing::first(at));
        let turn = standing.take(result.ok, confirm, at);
        if turn != Turn::Early {
            outcome.checks.push(CheckRow {
                device: Arc::clone(&key.0),
                check: if key.2.is_empty() { Arc::clone(&key.1) } else { format!("{}:{}", key.1, key.2).into() },
                up: standing.up,
                since: standing.since,
                at,
                latency_ms: result.latency_ms,
                loss_percent: result.loss_percent,
                reason: result.reason.clone(),
                changed: matches!(turn, Turn::Down | Turn::Up | Turn::First),
            });
        }
        if !standing.up && turn != Turn::Early {
            let what = if key.2.is_empty() { key.1.to_string() } else { format!("{} of {}", key.1, key.2) };
            let mut finding = finding(key, severity, format!("{what}: {}", result.reason), source, at);
            finding.value = result.latency_ms;
            finding.unit = result.latency_ms.map(|_| "ms".into());
            outcome.signals.push(Signal::Raised(finding));
        } else if turn == Turn::Up {
            outcome.signals.push(Signal::Cleared { key: alert_key(key), at, reason: result.reason.clone() });
        }
    }
}

/// When a check is due for the first time: spread over its interval, the same after each restart.
fn first(each: &Assigned, now: DateTime<Utc>) -> DateTime<Utc> {
    let every = each.monitor.every.delta().num_milliseconds().max(1000);
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in each.device.bytes().chain([0]).chain(each.monitor.name.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let offset = ((hash >> 16) % every.cast_unsigned()).cast_signed();
    let past = now.timestamp_millis().rem_euclid(every);
    now + TimeDelta::milliseconds((offset - past).rem_euclid(every))
}

fn alert_key(key: &Key) -> AlertKey {
    AlertKey { subject: Subject::Device(Arc::clone(&key.0)), kind: Arc::clone(&key.1), instance: Arc::clone(&key.2) }
}

fn finding(key: &Key, severity: Severity, title: String, source: &str, at: DateTime<Utc>) -> Finding {
    let source = if source == "monitor" { format!("monitor {}", key.1).into() } else { source.into() };
    Finding { key: alert_key(key), severity, title, message: String::new(), source, value: None, unit: None, at }
}
