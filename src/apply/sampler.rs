//! What was measured, as the database takes it. The one way from an observation to samples, for commands and for the daemon.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::collect::measure::{Measure, Measurer, observed_at};
use crate::model::Section;
use crate::store::{DeviceSamples, SeriesName};

/// Makes samples, and remembers of each device what the next ones need.
#[derive(Debug, Default)]
pub struct Sampler {
    measurer: Measurer,
    /// Names of metrics and units as they are written, shared by all samples.
    names: HashMap<&'static str, Arc<str>>,
}

impl Sampler {
    /// What these sections say, and what they say together with those before. `at` where they do not say when they were seen.
    pub fn observed(&mut self, device: &Arc<str>, sections: &BTreeMap<Arc<str>, Section>, at: DateTime<Utc>) -> Option<DeviceSamples> {
        let measures = self.measurer.measure(device, sections);
        self.samples(device, measures, observed_at(sections).unwrap_or(at))
    }

    /// Measures as samples; none where nothing was measured.
    pub fn samples(&mut self, device: &Arc<str>, measures: Vec<Measure>, at: DateTime<Utc>) -> Option<DeviceSamples> {
        if measures.is_empty() {
            return None;
        }
        let mut shared = |name: &'static str| Arc::clone(self.names.entry(name).or_insert_with(|| name.into()));
        let values = measures
            .into_iter()
            .map(|m| (SeriesName { metric: shared(m.metric), instance: m.instance, unit: Some(shared(m.unit)) }, m.value))
            .collect();
        Some(DeviceSamples { device: Arc::clone(device), at, values })
    }

    /// Takes in what was observed before, so that the next observation says what happened since.
    pub fn recall(&mut self, device: &str, sections: &BTreeMap<Arc<str>, Section>) {
        self.measurer.measure(device, sections);
    }

    /// Whether an observation of this device is remembered.
    pub fn remembers(&self, device: &str) -> bool {
        self.measurer.remembers(device)
    }

    /// Keeps only the devices that are still there.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.measurer.retain(is_there);
    }
}
