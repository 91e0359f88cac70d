//! Thresholds over a fleet: which limits hold for which device, and what its values lead to.
//!
//! A value that is not beyond a limit costs a few comparisons and leaves nothing behind; what is or was beyond one has a
//! [`Watch`] of its own, per device, threshold and instance.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::fleet::Fleet;
use super::watch::{Level, Step, Watch, level};
use crate::model::alert::Subject;
use crate::model::threshold::{Limits, METRICS, Worse};
use crate::model::{AlertKey, Finding, Severity, Signal, Threshold};
use crate::plan::Targeting;

/// One measured value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading<'a> {
    pub metric: &'a str,
    pub instance: &'a str,
    pub value: f64,
}

/// Earlier values of a series, oldest first: (device, metric, instance, from, before).
pub(super) type History<'a> = dyn Fn(&str, &str, &str, DateTime<Utc>, DateTime<Utc>) -> Vec<(DateTime<Utc>, f64)> + 'a;

/// Device, threshold and instance.
type Series = (Arc<str>, Arc<str>, Arc<str>);

/// Measured from here, not by the device: that these values come in says nothing about the others.
const FROM_OUTSIDE: [&str; 2] = ["Latency", "PacketLoss"];
/// Intervals without a value after which the hold time starts again, and an instance counts as gone.
const GAP_INTERVALS: i32 = 3;

/// A threshold with the limits that hold for a device.
#[derive(Debug, Clone)]
struct Applied {
    metric: usize,
    threshold: Arc<Threshold>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Watches {
    applied: Vec<Applied>,
    /// By threshold and instance; only what is or was beyond a limit.
    open: BTreeMap<(Arc<str>, Arc<str>), Watch>,
    /// Metrics of which values have come since the start, a bit each. Of the others is looked up what was pending before it.
    seen: u32,
}

/// The watches of a fleet.
#[derive(Debug)]
pub(super) struct Thresholds {
    devices: HashMap<Arc<str>, Watches>,
    /// Said before the start.
    said: BTreeMap<Series, (Level, DateTime<Utc>)>,
    gap: TimeDelta,
}

impl Thresholds {
    pub(super) fn new(fleet: &Fleet) -> Self {
        Self { devices: HashMap::new(), said: BTreeMap::new(), gap: gap(fleet) }
    }

    /// An alert of before the start that is still open.
    pub(super) fn said(&mut self, key: &AlertKey, severity: Severity, at: DateTime<Utc>) {
        if let Subject::Device(device) = &key.subject {
            let level = if severity >= Severity::Critical { Level::Critical } else { Level::Warning };
            self.said.insert((Arc::clone(device), Arc::clone(&key.kind), Arc::clone(&key.instance)), (level, at));
        }
    }

    /// Another policy set is in force: limits are looked up again, and what they no longer cover is over.
    pub(super) fn reload(&mut self, fleet: &Fleet, now: DateTime<Utc>, out: &mut Vec<Signal>) {
        self.gap = gap(fleet);
        let names: Vec<Arc<str>> = self.devices.keys().cloned().collect();
        for name in names {
            self.again(fleet, &name, now, out);
        }
    }

    /// What is known of a device has changed: it may be in other groups now.
    pub(super) fn again(&mut self, fleet: &Fleet, name: &str, now: DateTime<Utc>, out: &mut Vec<Signal>) {
        let Some(watches) = self.devices.get_mut(name) else { return };
        if fleet.device(name).is_none() {
            // The engine resolves whatever is about a device that is gone.
            self.devices.remove(name);
            return;
        }
        watches.applied = applied(fleet, name);
        let device: Arc<str> = name.into();
        watches.open.retain(|(threshold, instance), watch| {
            let kept = watches.applied.iter().any(|applied| applied.threshold.name == *threshold);
            if !kept && watch.raised.is_some() {
                out.push(cleared(&device, threshold, instance, now, "no longer watched"));
            }
            kept
        });
    }

    /// How many watches are open.
    pub(super) fn watches(&self) -> usize {
        self.devices.values().map(|watches| watches.open.len()).sum()
    }

    /// Takes the values of a device in that were measured at `at`.
    pub(super) fn feed<'a>(
        &mut self,
        fleet: &Fleet,
        device: &Arc<str>,
        at: DateTime<Utc>,
        readings: impl Iterator<Item = Reading<'a>>,
        history: &History<'_>,
        out: &mut Vec<Signal>,
    ) {
        if !self.devices.contains_key(device) {
            if fleet.device(device).is_none() {
                return;
            }
            let open = self.said.iter().filter(|((name, ..), _)| name == device);
            let open = open
                .map(|((_, threshold, instance), (level, at))| ((Arc::clone(threshold), Arc::clone(instance)), Watch::said(*level, *at)));
            let watches = Watches { applied: applied(fleet, device), open: open.collect(), seen: 0 };
            self.said.retain(|(name, ..), _| name != device);
            self.devices.insert(Arc::clone(device), watches);
        }
        let gap = self.gap;
        let Some(watches) = self.devices.get_mut(device) else { return };
        let mut seen = [false; 2];
        let mut metrics = 0;
        for reading in readings.filter(|reading| reading.value.is_finite()) {
            seen[usize::from(FROM_OUTSIDE.contains(&reading.metric))] = true;
            let Some(metric) = METRICS.iter().position(|metric| metric.name == reading.metric) else { continue };
            metrics |= 1 << metric;
            for applied in watches.applied.iter().filter(|applied| applied.metric == metric) {
                let limits = &applied.limits;
                if watches.open.is_empty() && level(limits, reading.value).is_none() {
                    continue;
                }
                let key = (Arc::clone(&applied.threshold.name), Arc::from(reading.instance));
                let known = watches.open.remove(&key);
                if known.is_none() && level(limits, reading.value).is_none() {
                    continue;
                }
                let mut watch = if limits.hold.as_seconds() > 0 && watches.seen & (1 << metric) == 0 {
                    let from = at - limits.hold.delta() - gap;
                    resumed(known, limits, gap, from, history(device, reading.metric, reading.instance, from, at))
                } else {
                    known.unwrap_or_else(|| Watch::new(at))
                };
                match watch.take(limits, reading.value, at, gap) {
                    Step::Forget => {}
                    Step::Pending => drop(watches.open.insert(key, watch)),
                    Step::Raised(level) => {
                        out.push(Signal::Raised(finding(device, applied, &reading, level, at)));
                        watches.open.insert(key, watch);
                    }
                    Step::Cleared => {
                        let reason = format!("back at {}", amount(reading.value, METRICS[metric].unit));
                        out.push(cleared(device, &key.0, &key.1, at, &reason));
                    }
                }
            }
        }
        watches.seen |= metrics;
        if !watches.open.is_empty() {
            vanished(device, watches, seen, at, gap, out);
        }
    }
}

/// The watch of a series as it was before a restart, from the values that came before.
fn resumed(known: Option<Watch>, limits: &Limits, gap: TimeDelta, from: DateTime<Utc>, before: Vec<(DateTime<Utc>, f64)>) -> Watch {
    let said = known.and_then(|watch| watch.raised);
    let begin = |at| said.map_or_else(|| Watch::new(at), |level| Watch::said(level, at));
    let mut watch = begin(from);
    for (at, value) in before {
        if matches!(watch.take(limits, value, at, gap), Step::Forget | Step::Cleared) {
            watch = begin(at);
        }
    }
    // What was said is what the alerts say.
    watch.raised = said.or(watch.raised);
    watch
}

/// Instances that the device no longer speaks of although it speaks: a volume that is not mounted any more.
fn vanished(device: &Arc<str>, watches: &mut Watches, seen: [bool; 2], at: DateTime<Utc>, gap: TimeDelta, out: &mut Vec<Signal>) {
    let applied = &watches.applied;
    watches.open.retain(|(threshold, instance), watch| {
        let Some(applied) = applied.iter().find(|applied| applied.threshold.name == *threshold) else {
            // Said before the start about a threshold that no longer covers the device.
            out.push(cleared(device, threshold, instance, at, "no longer watched"));
            return false;
        };
        let outside = usize::from(FROM_OUTSIDE.contains(&METRICS[applied.metric].name));
        let gone = seen[outside] && at - watch.last_at > gap;
        if gone && watch.raised.is_some() {
            out.push(cleared(device, threshold, instance, at, "no longer reported"));
        }
        !gone
    });
}

fn gap(fleet: &Fleet) -> TimeDelta {
    fleet.set().config.monitoring.health_check_interval.delta().max(TimeDelta::minutes(1)) * GAP_INTERVALS
}

/// The thresholds that hold for a device, each with the limits of the first override that means it.
fn applied(fleet: &Fleet, device: &str) -> Vec<Applied> {
    let set = fleet.set();
    let holds = |threshold: &&Arc<Threshold>| {
        (threshold.targets.is_empty() || fleet.any(&threshold.targets, device) == Targeting::Yes)
            && fleet.any(&threshold.exclude, device) != Targeting::Yes
    };
    let found = set.thresholds.values().filter(holds).filter_map(|threshold| {
        let metric = METRICS.iter().position(|metric| metric.name == threshold.metric)?;
        let over = threshold.overrides.iter().find(|over| fleet.any(&over.targets, device) == Targeting::Yes);
        let limits = over.map_or(threshold.limits, |over| over.limits);
        (limits.warning.is_some() || limits.critical.is_some()).then(|| Applied { metric, threshold: Arc::clone(threshold), limits })
    });
    found.collect()
}

fn key(device: &Arc<str>, threshold: &Arc<str>, instance: &Arc<str>) -> AlertKey {
    AlertKey { subject: Subject::Device(Arc::clone(device)), kind: Arc::clone(threshold), instance: Arc::clone(instance) }
}

fn cleared(device: &Arc<str>, threshold: &Arc<str>, instance: &Arc<str>, at: DateTime<Utc>, reason: &str) -> Signal {
    Signal::Cleared { key: key(device, threshold, instance), at, reason: reason.to_owned() }
}

fn finding(device: &Arc<str>, applied: &Applied, reading: &Reading<'_>, level: Level, at: DateTime<Utc>) -> Finding {
    let metric = &METRICS[applied.metric];
    let (word, limit) = match level {
        Level::Warning => ("warning", applied.limits.warning),
        Level::Critical => ("critical", applied.limits.critical.or(applied.limits.warning)),
    };
    let name = &applied.threshold.name;
    let what = if reading.instance.is_empty() { name.to_string() } else { format!("{name} of {}", reading.instance) };
    let value = amount(reading.value, metric.unit);
    let limit = limit.map(|limit| format!(" ({word} at {})", amount(limit, metric.unit))).unwrap_or_default();
    let lasts = applied.limits.hold;
    let side = if applied.limits.worse == Worse::Higher { "or more" } else { "or less" };
    let message = if lasts.as_seconds() == 0 {
        applied.threshold.description.clone().unwrap_or_default()
    } else {
        let described = applied.threshold.description.as_deref().map(|text| format!("{text} ")).unwrap_or_default();
        format!("{described}The limit {side} has been reached for {lasts}.")
    };
    Finding {
        key: key(device, name, &Arc::from(reading.instance)),
        severity: level.severity(),
        title: format!("{what}: {value}{limit}"),
        message,
        source: format!("threshold {name}").into(),
        value: Some(reading.value),
        unit: Some(metric.unit.to_owned()),
        at,
    }
}

/// `7 %`, `12.5 ms`.
fn amount(value: f64, unit: &str) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    format!("{rounded} {unit}")
}
