//! One simulated machine: its counters and levels, moved on to the moment at which it is asked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sha2::Digest as _;

use super::control::Orders;
use super::files::Files;
use crate::model::device::Simulation;

/// Days after which a machine is started anew.
const UP_DAYS: i64 = 120;
/// Seconds of one swing of the load.
const SWING: f64 = 3600.0;
/// Seconds that a flapping device is busy, and then not.
const FLAP: i64 = 300;
/// Ticks per second of a processor.
const TICKS: f64 = 100.0;

/// Services that every machine has.
pub(super) const SERVICES: [&str; 8] = ["cron", "dbus", "nginx", "postgresql", "rsyslog", "ssh", "systemd-journald", "systemd-timesyncd"];

/// A number from 0 to 1 that follows from all this and nothing else.
pub(super) fn draw(name: &str, seed: u64, more: &[u64]) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in name.bytes().chain(more.iter().flat_map(|n| n.to_le_bytes())) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    // The last bytes alone would hardly reach the upper bits.
    hash = (hash ^ (hash >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x81da_def4_bc2d_d44d);
    ((hash ^ (hash >> 33)) >> 11) as f64 / (1u64 << 53) as f64
}

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counters {
    pub(super) busy: f64,
    pub(super) idle: f64,
    pub(super) requests: f64,
    pub(super) waited_ms: f64,
    pub(super) bytes: f64,
    pub(super) errors: f64,
    pub(super) drops: f64,
}

/// Levels of this moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Levels {
    pub(super) load: f64,
    pub(super) memory: f64,
    pub(super) swap: f64,
    pub(super) disk_free: f64,
    pub(super) temperature: f64,
    pub(super) battery: Option<f64>,
}

/// A machine.
pub(super) struct Machine {
    pub(super) name: String,
    pub(super) seed: u64,
    pub(super) cores: u32,
    pub(super) counters: Counters,
    pub(super) levels: Levels,
    pub(super) files: Files,
    /// States that services were given by hand, and their start-up.
    pub(super) services: BTreeMap<String, (String, String)>,
    /// Versions of packages that are no longer those of the beginning.
    pub(super) versions: BTreeMap<String, String>,
    /// What the control file says of services.
    pub(super) ordered: BTreeMap<String, String>,
    /// What was carried out once, by its key.
    pub(super) receipts: super::once::Receipts,
    pub(super) now: DateTime<Utc>,
    booted: i64,
    forced_uptime: Option<f64>,
    flaps: bool,
    /// How large the inventory's stamp is to differ: it grows with every change.
    pub(super) changes: u64,
}

impl Machine {
    pub(super) fn new(name: &str, simulation: &Simulation) -> Self {
        let seed = simulation.seed;
        let draw = |what: u64| draw(name, seed, &[what]);
        Self {
            name: name.to_owned(),
            seed,
            cores: [2, 4, 4, 8][(draw(10) * 4.0) as usize % 4],
            counters: Counters::default(),
            levels: Levels::default(),
            files: Files::default(),
            services: BTreeMap::new(),
            versions: BTreeMap::new(),
            ordered: BTreeMap::new(),
            receipts: super::once::Receipts::new(),
            now: DateTime::UNIX_EPOCH,
            booted: i64::MIN,
            forced_uptime: None,
            flaps: draw(11) * 100.0 < f64::from(simulation.flapping),
            changes: 0,
        }
    }

    /// Seconds since its start.
    pub(super) fn uptime(&self) -> f64 {
        self.forced_uptime.unwrap_or_else(|| (self.now.timestamp_millis() as f64 / 1000.0 - self.booted as f64).max(1.0))
    }

    /// When it was started.
    pub(super) fn booted(&self) -> i64 {
        self.booted
    }

    /// A number of its own.
    pub(super) fn draw(&self, what: u64) -> f64 {
        draw(&self.name, self.seed, &[what])
    }

    /// Moves it on to this moment.
    pub(super) fn advance(&mut self, now: DateTime<Utc>, orders: &Orders, simulation: &Simulation) {
        self.flaps = self.draw(11) * 100.0 < f64::from(simulation.flapping);
        let cycle = UP_DAYS * 86_400;
        let offset = (self.draw(12) * cycle as f64) as i64;
        let booted = (now.timestamp() - offset).div_euclid(cycle) * cycle + offset;
        let seconds = |at: DateTime<Utc>| at.timestamp_millis() as f64 / 1000.0;
        let (from, to) = (seconds(self.now), seconds(now));
        if booted != self.booted || to < from {
            // Started (anew), or seen for the first time: as if it had run ever since, the orders since they were given.
            self.booted = booted;
            self.counters = Counters::default();
            let ordered = orders.since.map_or(to, seconds).clamp(booted as f64, to);
            self.count(booted as f64, ordered, &Orders::default(), false);
            self.count(ordered, to, orders, false);
        } else {
            self.count(from, to, orders, self.flaps && (now.timestamp() / FLAP) % 2 == 0);
        }
        self.now = now;
        let order = |metric: &str| orders.metrics.get(metric).copied();
        let swing = |what: u64, from: f64, to: f64| {
            let mean = from + (to - from) * self.draw(what);
            mean + (to - from) * 0.1 * (std::f64::consts::TAU * (seconds(now) / SWING + self.draw(what + 1))).sin()
        };
        let share = |value: f64| value.clamp(0.0, 100.0);
        let cpu =
            order("CPU").map_or_else(|| if self.flaps && (now.timestamp() / FLAP) % 2 == 0 { 98.0 } else { swing(20, 8.0, 45.0) }, share);
        self.levels = Levels {
            load: order("Load").unwrap_or(cpu / 100.0),
            memory: order("Memory").map_or_else(|| swing(30, 30.0, 70.0), share),
            swap: order("Swap").map_or_else(|| swing(40, 2.0, 15.0), share),
            disk_free: order("DiskSpace").map_or_else(|| swing(50, 35.0, 80.0), share),
            temperature: order("Temperature").unwrap_or_else(|| swing(60, 38.0, 60.0)),
            battery: order("Battery").map(share),
        };
        self.forced_uptime = order("Uptime");
        self.ordered.clone_from(&orders.services);
    }

    /// Counts on from one moment to another.
    fn count(&mut self, from: f64, to: f64, orders: &Orders, busy: bool) {
        let passed = (to - from).max(0.0);
        if passed <= 0.0 {
            return;
        }
        // The swing's own integral: a day that is skipped costs no more than a second.
        let (mean, phase) = (8.0 + 37.0 * self.draw(20), self.draw(21));
        let whole = |t: f64| -(std::f64::consts::TAU * (t / SWING + phase)).cos() * SWING / std::f64::consts::TAU * 3.7;
        let usual = (mean + (whole(to) - whole(from)) / passed).clamp(0.0, 100.0);
        let order = |metric: &str| orders.metrics.get(metric).copied();
        let cpu = order("CPU").map_or(if busy { 98.0 } else { usual }, |cpu| cpu.min(100.0));
        let ticks = passed * TICKS * f64::from(self.cores);
        let requests = passed * (1.0 + 30.0 * self.draw(70));
        let counters = &mut self.counters;
        counters.busy += ticks * cpu / 100.0;
        counters.idle += ticks * (1.0 - cpu / 100.0);
        counters.requests += requests;
        counters.waited_ms += match order("DiskQueue") {
            Some(queue) => passed * 1000.0 * queue,
            None => requests * order("DiskLatency").unwrap_or(1.5),
        };
        counters.bytes += passed * 40_000.0 * (1.0 + usual);
        counters.errors += passed * order("NetworkErrors").unwrap_or(0.0) / 300.0;
        counters.drops += passed * order("NetworkDrops").unwrap_or(0.0) / 300.0;
    }

    /// State and start-up of a service, where it exists.
    pub(super) fn service(&self, name: &str) -> Option<(String, String)> {
        let own = self.services.get(name).cloned();
        let own = own.or_else(|| (SERVICES.contains(&name)).then(|| ("running".to_owned(), "enabled".to_owned())));
        match (own, self.ordered.get(name)) {
            (Some((_, startup)), Some(state)) => Some((state.clone(), startup)),
            (None, Some(state)) => Some((state.clone(), "enabled".to_owned())),
            (own, None) => own,
        }
    }

    /// Names of its services.
    pub(super) fn service_names(&self) -> impl Iterator<Item = &str> {
        let more = self.services.keys().chain(self.ordered.keys()).map(String::as_str);
        let all: std::collections::BTreeSet<&str> = SERVICES.into_iter().chain(more).collect();
        all.into_iter()
    }

    /// What its inventory is known by.
    pub(super) fn stamp(&self) -> String {
        let services: Vec<String> = self.service_names().map(|name| format!("{name}{:?}", self.service(name))).collect();
        hex::encode(sha2::Sha256::digest(format!("{} {} {} {services:?}", self.name, self.seed, self.changes)))
    }
}
