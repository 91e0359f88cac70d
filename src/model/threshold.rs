//! Thresholds: when a measured value is a problem. What is measured, and in which unit, is in [`METRICS`].

use std::sync::Arc;

use serde::Serialize;

use super::workflow::ActionCall;
use super::{Place, Selector};
use crate::time::Span;

/// When a measured value is a problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Threshold {
    /// Unique name; also that of the metric where none is given.
    pub name: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// What is measured, a name of [`METRICS`].
    pub metric: &'static str,
    /// Devices it is for; every device where empty.
    pub targets: Vec<Selector>,
    /// Devices it is not for, although targeted.
    pub exclude: Vec<Selector>,
    /// The limits where no override holds.
    pub limits: Limits,
    /// What is done about a breach.
    pub remediate: Option<ActionCall>,
    /// How often that is done on one device within 24 hours, at most.
    pub remediate_at_most: u32,
    /// Other limits for some devices; the first that holds counts.
    pub overrides: Vec<Override>,
    /// Where it is declared.
    #[serde(skip)]
    pub place: Place,
}

/// From which value on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// From here on it is a warning.
    pub warning: Option<f64>,
    /// From here on it is critical.
    pub critical: Option<f64>,
    /// From here on it is over (hysteresis); the limit itself where absent.
    pub clear: Option<f64>,
    /// For how long it has to last before it counts.
    pub hold: Span,
    /// Whether more or less is worse.
    pub worse: Worse,
}

/// Limits for some devices.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// Devices it is for: any of these.
    pub targets: Vec<Selector>,
    /// What holds for them, what the override leaves out filled in.
    pub limits: Limits,
    /// Where it stands.
    #[serde(skip)]
    pub place: Place,
}

/// In which direction a value gets worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Worse {
    /// More is worse: load, latency, errors.
    Higher,
    /// Less is worse: free space.
    Lower,
}

/// Something that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As thresholds name it.
    pub name: &'static str,
    /// Unit of the value.
    pub unit: &'static str,
    /// What it is, in a few words.
    pub summary: &'static str,
    /// In which direction it gets worse.
    pub worse: Worse,
    /// Whether it is a share, 0 to 100.
    pub percent: bool,
}

const fn share(name: &'static str, worse: Worse, summary: &'static str) -> Metric {
    Metric { name, unit: "%", summary, worse, percent: true }
}

const fn amount(name: &'static str, unit: &'static str, summary: &'static str) -> Metric {
    Metric { name, unit, summary, worse: Worse::Higher, percent: false }
}

/// Everything that a threshold can be about.
pub const METRICS: [Metric; 17] = [
    share("CPU", Worse::Higher, "processors in use"),
    share("Memory", Worse::Higher, "memory in use"),
    share("Swap", Worse::Higher, "swap space or page file in use"),
    share("DiskSpace", Worse::Lower, "free space of a volume"),
    amount("DiskLatency", "ms", "time that one request to a disk takes"),
    amount("DiskQueue", "requests", "requests that wait for a disk"),
    amount("Load", "per processor", "processes that want to run, five-minute average"),
    amount("Temperature", "degrees C", "temperature of the processors"),
    share("GPU", Worse::Higher, "a graphics adapter in use"),
    share("GPUMemory", Worse::Higher, "memory of a graphics adapter in use"),
    amount("GPUTemperature", "degrees C", "temperature of a graphics adapter"),
    amount("NetworkErrors", "per 5 min", "packets sent or received with errors"),
    amount("NetworkDrops", "per 5 min", "packets dropped"),
    amount("Latency", "ms", "round trip to the device"),
    share("PacketLoss", Worse::Higher, "packets to the device that are lost"),
    share("Battery", Worse::Lower, "charge of the battery"),
    amount("Uptime", "s", "time since the last start"),
];

/// The metric of this name, in any case of letters.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name.eq_ignore_ascii_case(name))
}
