//! Measures: the numbers that follow from two observations of one device, one after the other. Pure: sections go in,
//! values come out; thresholds and the store take them from here.
//!
//! What a device counts since its start (processor time, requests, packets) becomes a value only with the second
//! reading. Of the first no more is kept than the counters themselves, a few hundred bytes per device.

mod counters;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::model::Section;
use crate::model::facts::Status;
use crate::model::threshold::metric;
use counters::{Before, Disk, Link, Processor, Reading, Stamp, passed, since};

/// Most instances of one kind: volumes, disks, adapters or processors of one device.
const MOST: usize = 64;

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// What is measured: a name of `model::threshold::METRICS` or of [`STORED`].
    pub metric: &'static str,
    /// Which one of several: a mount point, a disk, an adapter; empty where there is one alone.
    pub instance: Arc<str>,
    /// Its unit.
    pub unit: &'static str,
    /// The value.
    pub value: f64,
}

/// Measures that are kept although no threshold names them, with their units.
pub const STORED: [(&str, &str); 11] = [
    ("CPUCore", "%"),
    ("CPUFrequency", "MHz"),
    ("MemoryAvailable", "bytes"),
    ("MemoryCached", "bytes"),
    ("DiskRead", "bytes/s"),
    ("DiskWritten", "bytes/s"),
    ("DiskIOPS", "1/s"),
    ("NetworkReceived", "bytes/s"),
    ("NetworkSent", "bytes/s"),
    ("BatteryHealth", "%"),
    ("BatteryCycles", "cycles"),
];

/// The unit of a measure, where there is one of this name.
pub fn unit(name: &str) -> Option<&'static str> {
    metric(name).map(|metric| metric.unit).or_else(|| STORED.iter().find(|(stored, _)| *stored == name).map(|(_, unit)| *unit))
}

/// Derives measures, and keeps of each device what the next derivation needs.
#[derive(Debug, Default)]
pub struct Measurer {
    devices: HashMap<Arc<str>, Before>,
    /// Names of instances; the same few in the whole fleet.
    names: HashSet<Arc<str>>,
}

impl Measurer {
    /// What these sections say, and what they say together with the ones before. Sections that were not observed say
    /// nothing and forget nothing.
    pub fn measure(&mut self, device: &str, sections: &BTreeMap<Arc<str>, Section>) -> Vec<Measure> {
        let mut out = Out { list: Vec::with_capacity(24), names: &mut self.names };
        let read = |name: &str| sections.get(name).filter(|section| section.status == Status::Ok);
        let uptime = read("performance.uptime").and_then(|section| number(&section.data, "seconds"));
        let stamp = |section: &Section| Stamp::new(section.collected_at, uptime);
        out.gauges(uptime, &read);

        let before = match self.devices.get_mut(device) {
            Some(before) => before,
            None => self.devices.entry(device.into()).or_default(),
        };
        if let Some(section) = read("performance.cpu") {
            let now = Reading::new(stamp(section), processors(&section.data));
            out.processors(before.processors.as_ref(), &now);
            before.processors = Some(now);
        }
        if let Some(section) = read("performance.disks") {
            let now = Reading::new(stamp(section), disks(&section.data, &mut out));
            out.disks(before.disks.as_ref(), &now);
            before.disks = Some(now);
        }
        if let Some(section) = read("performance.network") {
            let now = Reading::new(stamp(section), links(&section.data, &mut out));
            out.links(before.links.as_ref(), &now);
            before.links = Some(now);
        }
        out.list
    }

    /// Whether a reading of this device is kept.
    pub fn remembers(&self, device: &str) -> bool {
        self.devices.contains_key(device)
    }

    /// Keeps only the devices that are still there.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        self.devices.retain(|device, _| is_there(device));
    }

    /// Devices of which something is kept.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Bytes that are kept, without the table's own empty places.
    pub fn bytes(&self) -> usize {
        let devices = self.devices.iter().map(|(name, before)| name.len() + 32 + before.bytes());
        let names = self.names.iter().map(|name| name.len() + 32);
        devices.sum::<usize>() + names.sum::<usize>()
    }
}

/// Values on their way out.
struct Out<'a> {
    list: Vec<Measure>,
    names: &'a mut HashSet<Arc<str>>,
}

impl Out<'_> {
    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn push(&mut self, metric: &'static str, instance: &Arc<str>, value: f64) {
        if value.is_finite()
            && let Some(unit) = unit(metric)
        {
            self.list.push(Measure { metric, instance: Arc::clone(instance), unit, value: rounded(value) });
        }
    }

    fn one(&mut self, metric: &'static str, value: Option<f64>) {
        let instance = self.name("");
        if let Some(value) = value {
            self.push(metric, &instance, value);
        }
    }

    /// What one observation says alone.
    fn gauges<'s>(&mut self, uptime: Option<f64>, read: &impl Fn(&str) -> Option<&'s Section>) {
        self.one("Uptime", uptime);
        if let Some(cpu) = read("performance.cpu").map(|section| &section.data) {
            let cores = number(cpu, "cores").filter(|cores| *cores > 0.0);
            self.one("Load", number(cpu, "load_5").zip(cores).map(|(load, cores)| load / cores));
            self.one("Temperature", number(cpu, "temperature_c"));
            let mhz: Vec<f64> = list(cpu.get("mhz")).iter().filter_map(Value::as_f64).collect();
            self.one("CPUFrequency", (!mhz.is_empty()).then(|| mhz.iter().sum::<f64>() / mhz.len() as f64));
        }
        if let Some(memory) = read("performance.memory").map(|section| &section.data) {
            let share = |part: &str, all: &str| {
                let all = number(memory, all).filter(|all| *all > 0.0)?;
                Some((number(memory, part)? / all * 100.0).clamp(0.0, 100.0))
            };
            self.one("Memory", share("available_bytes", "total_bytes").map(|free| 100.0 - free));
            self.one("Swap", share("swap_used_bytes", "swap_total_bytes"));
            self.one("MemoryAvailable", number(memory, "available_bytes"));
            self.one("MemoryCached", number(memory, "cached_bytes"));
        }
        if let Some(section) = read("performance.volumes") {
            for volume in list(Some(&section.data)).iter().take(MOST) {
                let (Some(mount), Some(used)) = (text(volume, "mount"), number(volume, "used_percent")) else { continue };
                let mount = self.name(mount);
                self.push("DiskSpace", &mount, (100.0 - used).clamp(0.0, 100.0));
            }
        }
        if let Some(section) = read("performance.gpus") {
            for gpu in list(Some(&section.data)).iter().take(MOST) {
                let Some(name) = text(gpu, "name") else { continue };
                let name = self.name(name);
                let total = number(gpu, "memory_total_bytes").filter(|total| *total > 0.0);
                let memory = number(gpu, "memory_used_bytes").zip(total).map(|(used, total)| (used / total * 100.0).clamp(0.0, 100.0));
                let measured =
                    [("GPU", number(gpu, "busy_percent")), ("GPUMemory", memory), ("GPUTemperature", number(gpu, "temperature_c"))];
                for (metric, value) in measured {
                    if let Some(value) = value {
                        self.push(metric, &name, value);
                    }
                }
            }
        }
        if let Some(battery) = read("hardware.battery").map(|section| &section.data) {
            self.one("Battery", number(battery, "capacity_percent"));
            self.one("BatteryHealth", number(battery, "health_percent"));
            self.one("BatteryCycles", number(battery, "cycles"));
        }
    }

    fn processors(&mut self, before: Option<&Reading<Processor>>, now: &Reading<Processor>) {
        let Some(before) = before.filter(|before| passed(before.at, now.at).is_some()) else { return };
        // The first is all of them together. A machine that was given more processors meanwhile begins anew.
        if before.items.len() != now.items.len() {
            return;
        }
        for (i, (old, new)) in before.items.iter().zip(&now.items).enumerate() {
            let Some(share) = new.busy_since(*old) else { continue };
            if i == 0 {
                self.one("CPU", Some(share));
            } else {
                let core = self.name(&(i - 1).to_string());
                self.push("CPUCore", &core, share);
            }
        }
    }

    fn disks(&mut self, before: Option<&Reading<Disk>>, now: &Reading<Disk>) {
        let Some((before, seconds)) = before.and_then(|before| Some((before, passed(before.at, now.at)?))) else { return };
        for new in &now.items {
            let Some(old) = before.items.iter().find(|old| old.name == new.name) else { continue };
            let requests = since(old.requests, new.requests);
            let waited = since(old.milliseconds, new.milliseconds);
            if let Some(requests) = requests {
                self.push("DiskIOPS", &new.name, requests / seconds);
                // A disk that was left alone keeps nobody waiting.
                let each = if requests > 0.0 { waited.map(|waited| waited / requests) } else { Some(0.0) };
                if let Some(each) = each {
                    self.push("DiskLatency", &new.name, each);
                }
            }
            // As many requests are under way at a time as they took together in that time.
            if let Some(waited) = waited {
                self.push("DiskQueue", &new.name, waited / (seconds * 1000.0));
            }
            if let Some(bytes) = since(old.read, new.read) {
                self.push("DiskRead", &new.name, bytes / seconds);
            }
            if let Some(bytes) = since(old.written, new.written) {
                self.push("DiskWritten", &new.name, bytes / seconds);
            }
        }
    }

    fn links(&mut self, before: Option<&Reading<Link>>, now: &Reading<Link>) {
        let Some((before, seconds)) = before.and_then(|before| Some((before, passed(before.at, now.at)?))) else { return };
        for new in &now.items {
            let Some(old) = before.items.iter().find(|old| old.name == new.name) else { continue };
            let rates = [
                ("NetworkErrors", old.errors, new.errors, 300.0),
                ("NetworkDrops", old.dropped, new.dropped, 300.0),
                ("NetworkReceived", old.received, new.received, 1.0),
                ("NetworkSent", old.sent, new.sent, 1.0),
            ];
            for (metric, old, new_value, per) in rates {
                if let Some(count) = since(old, new_value) {
                    self.push(metric, &new.name, count / seconds * per);
                }
            }
        }
    }
}

fn processors(cpu: &Value) -> Vec<Processor> {
    let of = |times: &Value| {
        let time = |key: &str| times.get(key).and_then(Value::as_u64).unwrap_or(0);
        let busy = ["user", "nice", "system", "steal"].iter().fold(0, |sum: u64, key| sum.wrapping_add(time(key)));
        Processor::new(busy, time("idle").wrapping_add(time("iowait")))
    };
    std::iter::once(cpu).chain(list(cpu.get("per_core")).iter().take(MOST)).map(of).collect()
}

fn disks(data: &Value, out: &mut Out<'_>) -> Vec<Disk> {
    // Partitions are many, and are left out after that.
    let all: Vec<(&str, &Value)> = list(Some(data)).iter().take(4 * MOST).filter_map(|disk| Some((text(disk, "name")?, disk))).collect();
    let whole = all.iter().filter(|(name, _)| !all.iter().any(|(disk, _)| is_part_of(name, disk)));
    let of = |(name, disk): &(&str, &Value)| {
        let count = |key: &str| disk.get(key).and_then(Value::as_u64).unwrap_or(0);
        Disk {
            name: out.name(name),
            requests: count("reads").wrapping_add(count("writes")),
            milliseconds: count("read_ms").wrapping_add(count("write_ms")),
            read: count("read_bytes"),
            written: count("written_bytes"),
        }
    };
    whole.take(MOST).map(of).collect()
}

/// Whether a name is that of a partition: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_part_of(name: &str, disk: &str) -> bool {
    name.strip_prefix(disk).is_some_and(|rest| {
        let rest = if disk.ends_with(|c: char| c.is_ascii_digit()) { rest.strip_prefix('p').unwrap_or_default() } else { rest };
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())
    })
}

fn links(data: &Value, out: &mut Out<'_>) -> Vec<Link> {
    let named = list(Some(data)).iter().filter_map(|link| Some((text(link, "name")?, link)));
    // Of containers there are as many as one likes, each with an adapter that comes and goes.
    let own = named.filter(|(name, _)| *name != "lo" && !name.starts_with("veth"));
    let of = |(name, link): (&str, &Value)| {
        let count = |key: &str| link.get(key).and_then(Value::as_u64).unwrap_or(0);
        Link {
            name: out.name(name),
            received: count("received_bytes"),
            sent: count("sent_bytes"),
            errors: count("received_errors").wrapping_add(count("sent_errors")),
            dropped: count("received_dropped").wrapping_add(count("sent_dropped")),
        }
    };
    own.take(MOST).map(of).collect()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn number(value: &Value, key: &str) -> Option<f64> {
    value.get(key)?.as_f64()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str()
}

/// Three digits after the point: the same input prints and stores the same everywhere.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// When a set of sections was observed: the latest of its moments.
pub fn observed_at(sections: &BTreeMap<Arc<str>, Section>) -> Option<DateTime<Utc>> {
    sections.values().filter(|section| section.status == Status::Ok).map(|section| section.collected_at).max()
}
