use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::*;

fn start() -> DateTime<Utc> {
    "2026-11-21T07:30:00Z".parse().unwrap()
}

/// A device as it answers after `seconds` since its start.
struct Device {
    at: DateTime<Utc>,
    uptime: u64,
    busy: u64,
    idle: u64,
    requests: u64,
    waited: u64,
    errors: u64,
}

impl Device {
    fn new() -> Self {
        Self { at: start(), uptime: 1000, busy: 5000, idle: 95_000, requests: 100, waited: 900, errors: 3 }
    }

    fn later(&self, seconds: u64) -> Self {
        Self { at: self.at + TimeDelta::seconds(seconds.cast_signed()), uptime: self.uptime + seconds, ..*self }
    }

    fn sections(&self) -> BTreeMap<Arc<str>, Section> {
        let cpu = json!({"load_1": 1.0, "load_5": 3.0, "load_15": 2.0, "cores": 2, "user": self.busy, "nice": 0, "system": 0,
            "idle": self.idle, "iowait": 0, "steal": 0, "per_core": [], "mhz": null, "temperature_c": 48.5});
        let disk = |name: &str| {
            json!({"name": name, "reads": self.requests, "writes": 0, "read_bytes": self.requests * 4096, "written_bytes": 0,
                "read_ms": self.waited, "write_ms": 0, "in_flight": 0})
        };
        let link = |name: &str| {
            json!({"name": name, "received_bytes": 1000, "sent_bytes": 500, "received_errors": self.errors, "sent_errors": 0,
                "received_dropped": 0, "sent_dropped": 0})
        };
        let memory = json!({"total_bytes": 1000, "available_bytes": 250, "used_percent": 75.0, "cached_bytes": 100,
            "swap_used_bytes": 10, "swap_total_bytes": 100});
        let volumes = json!([{"mount": "/", "size_bytes": 100, "used_bytes": 91, "available_bytes": 9, "used_percent": 91.0}]);
        [
            ("performance.cpu", cpu),
            ("performance.memory", memory),
            ("performance.volumes", volumes),
            ("performance.disks", json!([disk("sda"), disk("sda1"), disk("nvme0n1"), disk("nvme0n1p1")])),
            ("performance.network", json!([link("lo"), link("eth0"), link("veth12")])),
            ("performance.uptime", json!({"seconds": self.uptime})),
            (
                "performance.gpus",
                json!([{"name": "card0", "busy_percent": 41, "memory_used_bytes": 3, "memory_total_bytes": 12, "temperature_c": 63.5},
                    {"name": "card1", "busy_percent": null, "memory_used_bytes": 3, "memory_total_bytes": null, "temperature_c": null}]),
            ),
        ]
        .into_iter()
        .map(|(name, data)| (name.into(), Section::new(data, Status::Ok, self.at)))
        .collect()
    }
}

fn value(measures: &[Measure], metric: &str, instance: &str) -> Option<f64> {
    measures.iter().find(|m| m.metric == metric && &*m.instance == instance).map(|m| m.value)
}

#[test]
fn the_first_reading_of_a_counter_is_no_value() {
    let mut measurer = Measurer::default();
    let first = measurer.measure("a", &Device::new().sections());
    let names: Vec<&str> = first.iter().map(|m| m.metric).collect();
    assert_eq!(
        names,
        [
            "Uptime",
            "Load",
            "Temperature",
            "Memory",
            "Swap",
            "MemoryAvailable",
            "MemoryCached",
            "DiskSpace",
            "GPU",
            "GPUMemory",
            "GPUTemperature"
        ]
    );
    assert_eq!(["GPU", "GPUMemory", "GPUTemperature"].map(|metric| value(&first, metric, "card0")), [Some(41.0), Some(25.0), Some(63.5)]);
    assert_eq!(value(&first, "Load", ""), Some(1.5));
    assert_eq!(value(&first, "Memory", ""), Some(75.0));
    assert_eq!(value(&first, "Swap", ""), Some(10.0));
    assert_eq!(value(&first, "DiskSpace", "/"), Some(9.0));
}

#[test]
fn the_second_reading_says_what_happened_in_between() {
    let mut measurer = Measurer::default();
    let first = Device::new();
    let second = Device { busy: 5900, idle: 95_100, requests: 400, waited: 3900, errors: 8, ..first.later(150) };
    measurer.measure("a", &first.sections());
    let found = measurer.measure("a", &second.sections());
    assert_eq!(value(&found, "CPU", ""), Some(90.0));
    assert_eq!(value(&found, "DiskIOPS", "sda"), Some(2.0));
    assert_eq!(value(&found, "DiskLatency", "sda"), Some(10.0));
    assert_eq!(value(&found, "DiskQueue", "sda"), Some(0.02));
    assert_eq!(value(&found, "DiskRead", "nvme0n1"), Some(8192.0));
    assert_eq!(value(&found, "NetworkErrors", "eth0"), Some(10.0));
    for (metric, instance) in [("DiskIOPS", "sda1"), ("DiskIOPS", "nvme0n1p1"), ("NetworkErrors", "lo"), ("NetworkErrors", "veth12")] {
        assert_eq!(value(&found, metric, instance), None, "{metric} {instance}");
    }
    assert!(found.iter().all(|m| unit(m.metric) == Some(m.unit)));
}

#[test]
fn a_device_that_was_started_anew_begins_anew() {
    let mut measurer = Measurer::default();
    let first = Device::new();
    measurer.measure("a", &first.sections());
    let restarted = Device { uptime: 30, busy: 10, idle: 90, requests: 1, waited: 1, errors: 0, ..first.later(300) };
    let found = measurer.measure("a", &restarted.sections());
    assert_eq!(value(&found, "CPU", ""), None);
    assert_eq!(value(&found, "NetworkErrors", "eth0"), None);
    // Started anew, and up for longer than it had been when it was last seen.
    let again = Device { uptime: 200, busy: 500, idle: 900, ..restarted.later(1000) };
    assert_eq!(value(&measurer.measure("a", &again.sections()), "CPU", ""), None);
    let next = Device { busy: 550, idle: 950, ..again.later(300) };
    assert_eq!(value(&measurer.measure("a", &next.sections()), "CPU", ""), Some(50.0));
}

#[test]
fn our_clock_may_be_set_without_a_wrong_value() {
    let mut measurer = Measurer::default();
    let first = Device::new();
    measurer.measure("a", &first.sections());
    let mut back = Device { errors: 13, busy: 5100, idle: 95_100, ..first.later(300) };
    back.at = start() - TimeDelta::hours(1);
    let found = measurer.measure("a", &back.sections());
    assert_eq!(value(&found, "NetworkErrors", "eth0"), Some(10.0));
    assert_eq!(value(&found, "CPU", ""), Some(50.0));
    let mut forward = Device { errors: 23, ..back.later(300) };
    forward.at = back.at + TimeDelta::hours(1);
    assert_eq!(value(&measurer.measure("a", &forward.sections()), "NetworkErrors", "eth0"), None);
}

#[test]
fn counters_of_32_bits_go_round() {
    let mut measurer = Measurer::default();
    let first = Device { waited: u64::from(u32::MAX) - 500, requests: 100, ..Device::new() };
    measurer.measure("a", &first.sections());
    let second = Device { waited: 499, requests: 200, ..first.later(100) };
    assert_eq!(value(&measurer.measure("a", &second.sections()), "DiskLatency", "sda"), Some(10.0));
    // A counter that began anew without a restart is a first reading, and what goes with it stays.
    let anew = Device { waited: 600, requests: 3, ..second.later(100) };
    let found = measurer.measure("a", &anew.sections());
    assert_eq!(value(&found, "DiskIOPS", "sda"), None);
    assert_eq!(value(&found, "DiskQueue", "sda"), Some(0.001));
}

#[test]
fn what_was_not_observed_says_nothing_and_forgets_nothing() {
    let mut measurer = Measurer::default();
    let first = Device::new();
    measurer.measure("a", &first.sections());
    let mut between = first.later(150).sections();
    between.remove("performance.cpu");
    between.insert("performance.network".into(), Section::new(Value::Null, Status::Unknown("damaged".into()), start()));
    assert_eq!(value(&measurer.measure("a", &between), "NetworkErrors", "eth0"), None);
    let last = Device { errors: 13, busy: 5300, idle: 95_100, ..first.later(300) };
    let found = measurer.measure("a", &last.sections());
    assert_eq!(value(&found, "NetworkErrors", "eth0"), Some(10.0));
    assert_eq!(value(&found, "CPU", ""), Some(75.0));
}

#[test]
fn readings_that_are_hours_apart_say_nothing_about_now() {
    let mut measurer = Measurer::default();
    let first = Device::new();
    measurer.measure("a", &first.sections());
    assert_eq!(value(&measurer.measure("a", &first.later(7200).sections()), "DiskIOPS", "sda"), None);
}

#[test]
fn ten_thousand_devices_are_a_few_megabytes() {
    let mut measurer = Measurer::default();
    let sections = Device::new().sections();
    for i in 0..10_000 {
        measurer.measure(&format!("device-{i:05}"), &sections);
    }
    let each = measurer.bytes() / measurer.devices();
    assert!(each < 400, "{each} bytes per device");
    measurer.retain(|device| device.ends_with('7'));
    assert_eq!(measurer.devices(), 1000);
}

struct NoSecrets;

impl crate::access::Secrets for NoSecrets {
    fn resolve(&self, name: &str) -> Result<secrecy::SecretString, crate::access::SecretError> {
        panic!("a simulated device asks for the secret {name}")
    }
}

#[tokio::test]
async fn a_simulated_device_that_is_told_to_be_busy_is_measured_so_at_its_next_observation() {
    use crate::collect::{Collector, Limits, Request};
    use crate::model::device::{Connection, Simulation, TransportKind};
    use crate::time::FixedClock;
    use crate::transport::{SessionOptions, Sessions, Target};

    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("control");
    std::fs::write(&control, "").unwrap();
    let clock = Arc::new(FixedClock::new(start()));
    let sessions = Sessions::with_clock(SessionOptions::default(), Arc::new(NoSecrets), Arc::clone(&clock) as _);
    let simulation = Simulation { control: Some(control.to_str().unwrap().to_owned()), ..Simulation::default() };
    let connection = Connection { transport: Some(TransportKind::Simulated), simulation: Some(simulation), ..Connection::default() };
    let target = Target { name: "sim-1".into(), address: "sim-1".into(), connection, platform: None };
    let cancel = tokio_util::sync::CancellationToken::new();
    let request = Request::full();
    let mut measurer = Measurer::default();
    let mut values = Vec::new();
    for (minute, orders) in [(0, ""), (5, ""), (10, "sim-1 CPU=97 DiskSpace=7 NetworkErrors=40\n"), (15, "# over\n")] {
        clock.set(start() + TimeDelta::minutes(minute));
        std::fs::write(&control, orders).unwrap();
        let session = sessions.open(&target, &cancel).await.unwrap();
        let seen = Collector::collect(session.as_ref(), &request, None, clock.as_ref(), &cancel, Limits::default()).await.unwrap();
        assert_eq!(seen.problems, Vec::<String>::new());
        assert!(seen.sections.values().filter(|section| section.status == Status::Ok).count() > 40);
        let found = measurer.measure("sim-1", &seen.sections);
        values.push(["CPU", "DiskSpace", "NetworkErrors"].map(|metric| found.iter().find(|m| m.metric == metric).map(|m| m.value)));
    }
    assert_eq!(values[0][0], None);
    assert!(values[1][0].unwrap() < 60.0 && values[1][1].unwrap() > 20.0);
    assert!((values[2][0].unwrap() - 97.0).abs() < 0.1 && (values[2][1].unwrap() - 7.0).abs() < 0.1);
    assert!((values[2][2].unwrap() - 40.0).abs() < 1.0);
    assert!(values[3][0].unwrap() < 60.0);
}
