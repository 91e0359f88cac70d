//! The numbers of a section as samples.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::series::SeriesName;
use super::{DeviceSamples, Store, StoreError};
use crate::model::facts::{Section, Status};

/// Most series that one section becomes.
const MOST_SERIES: usize = 1000;
/// Members that name the instance in a list of objects.
const INSTANCE: [&str; 2] = ["name", "mount"];

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Device by name.
    pub device: String,
    /// What was measured: `memory.used_percent`.
    pub metric: String,
    /// Which one of several: a mount point, an interface; empty where there is one alone.
    pub instance: String,
    /// The value. Those that are not finite are left out.
    pub value: f64,
    /// Unit, where known.
    pub unit: Option<String>,
    /// When it was measured.
    pub at: DateTime<Utc>,
}

impl Sample {
    /// The numbers of a `performance.*` section: `performance.volumes` → `volumes.used_percent` of each mount point.
    pub fn of_section(device: &str, name: &str, section: &Section) -> Vec<Self> {
        let mut samples = Vec::new();
        if section.status != Status::Ok {
            return samples;
        }
        let family = name.strip_prefix("performance.").unwrap_or(name);
        let mut push = |member: &str, instance: &str, value: &Value| {
            if let Some(value) = value.as_f64()
                && samples.len() < MOST_SERIES
            {
                samples.push(Self {
                    device: device.to_owned(),
                    metric: format!("{family}.{member}"),
                    instance: instance.to_owned(),
                    value,
                    unit: unit(member).map(str::to_owned),
                    at: section.collected_at,
                });
            }
        };
        match &*section.data {
            Value::Object(members) => {
                for (member, value) in members {
                    match value {
                        Value::Array(values) => values.iter().enumerate().for_each(|(i, value)| push(member, &i.to_string(), value)),
                        value => push(member, "", value),
                    }
                }
            }
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    let named = INSTANCE.iter().find_map(|key| item.get(key)?.as_str());
                    let instance = named.map_or_else(|| i.to_string(), str::to_owned);
                    item.as_object().into_iter().flatten().for_each(|(member, value)| push(member, &instance, value));
                }
            }
            _ => {}
        }
        samples
    }
}

fn unit(member: &str) -> Option<&'static str> {
    [("_percent", "%"), ("bytes", "B"), ("_ms", "ms"), ("_c", "C"), ("seconds", "s"), ("mhz", "MHz")]
        .into_iter()
        .find_map(|(end, unit)| member.ends_with(end).then_some(unit))
}

impl Store {
    /// Keeps single samples: those of one device at one moment become one row.
    pub fn put_metrics(&self, samples: &[Sample]) -> Result<(), StoreError> {
        type Values = Vec<(SeriesName, f64)>;
        let mut rows: BTreeMap<(&str, DateTime<Utc>), Values> = BTreeMap::new();
        for sample in samples {
            let name = SeriesName {
                metric: sample.metric.as_str().into(),
                instance: sample.instance.as_str().into(),
                unit: sample.unit.as_deref().map(Into::into),
            };
            rows.entry((&sample.device, sample.at)).or_default().push((name, sample.value));
        }
        let batch: Vec<_> = rows.into_iter().map(|((device, at), values)| DeviceSamples { device: device.into(), at, values }).collect();
        self.put_samples(&batch)
    }
}
