//! Measured values as they come in.

use std::sync::Arc;

use chrono::{DateTime, Utc};

/// What a value is of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesName {
    /// What was measured.
    pub metric: Arc<str>,
    /// Which one of several; empty where there is one alone.
    pub instance: Arc<str>,
    /// Its unit, where known.
    pub unit: Option<Arc<str>>,
}

/// The values of a device at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceSamples {
    /// Device by name.
    pub device: Arc<str>,
    /// When they were measured.
    pub at: DateTime<Utc>,
    /// The values.
    pub values: Vec<(SeriesName, f64)>,
}
