//! How the daemon is doing: what readiness, liveness, the watchdog of the service manager and `/metrics` are answered from.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use super::labelled::Labelled;
use crate::store::WorkflowFigures;

/// The loop comes round at least so often; a longer silence means that it hangs.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// A figure for each state.
type ByState = Family<Vec<(String, String)>, Gauge>;

/// Figures for `/metrics`.
pub(super) struct Figures {
    pub(super) devices: Gauge,
    pub(super) online: Gauge,
    pub(super) offline: Gauge,
    pub(super) visits: Counter,
    pub(super) visits_failed: Counter,
    pub(super) visits_late: Counter,
    pub(super) visits_in_flight: Gauge,
    pub(super) samples: Counter,
    pub(super) samples_kept: Counter,
    pub(super) sections_changed: Counter,
    pub(super) planned: Counter,
    pub(super) wanting: Gauge,
    pub(super) runs: Counter,
    pub(super) changes_failed: Counter,
    pub(super) suspended: Gauge,
    pub(super) reloads: Counter,
    pub(super) reloads_refused: Counter,
    pub(super) reload_seconds: Histogram,
    pub(super) leader: Gauge,
    pub(super) labelled: Labelled,
    workflow_runs: ByState,
    jobs: ByState,
}

/// Shared by everything that the daemon consists of.
pub struct Vitals {
    begun: Instant,
    beat: AtomicU64,
    leads: AtomicBool,
    draining: AtomicBool,
    registry: Mutex<Registry>,
    pub(super) figures: Figures,
}

impl Default for Vitals {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("rmm");
        let mut gauge = |name: &str, help: &str| {
            let gauge: Gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let devices = gauge("devices", "Devices declared");
        let online = gauge("devices_online", "Devices that answered last");
        let offline = gauge("devices_offline", "Devices that could not be reached");
        let visits_in_flight = gauge("visits_in_flight", "Devices being observed");
        let wanting = gauge("devices_wanting", "Devices with changes that wait to be carried out");
        let suspended = gauge("suspensions", "Suspensions in force");
        let leader = gauge("leader", "1 where this daemon is at work, 0 where it waits as standby");
        let mut counter = |name: &str, help: &str| {
            let counter: Counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let visits = counter("visits", "Observations begun");
        let visits_failed = counter("visits_failed", "Observations that failed");
        let visits_late = counter("visits_late", "Observations put off since too many were under way");
        let samples = counter("samples", "Moments of a device at which something was measured");
        let samples_kept = counter("samples_kept", "Those of them that are in the database");
        let sections_changed = counter("devices_changed", "Observations that found something changed");
        let planned = counter("devices_planned", "Devices planned");
        let runs = counter("runs", "Runs begun");
        let changes_failed = counter("devices_failed", "Devices on which a run failed");
        let reloads = counter("reloads", "Policy sets taken into force");
        let reloads_refused = counter("reloads_refused", "Policy sets refused");
        let reload_seconds = Histogram::new(exponential_buckets(0.01, 2.0, 10));
        registry.register("reload_seconds", "Time for reading the repository", reload_seconds.clone());
        let (workflow_runs, jobs) = (ByState::default(), ByState::default());
        registry.register("workflow_runs", "Runs of workflows by state", workflow_runs.clone());
        registry.register("jobs", "Actions on devices that wait or are under way, by state", jobs.clone());
        let figures = Figures {
            devices,
            online,
            offline,
            visits,
            visits_failed,
            visits_late,
            visits_in_flight,
            samples,
            samples_kept,
            sections_changed,
            planned,
            wanting,
            runs,
            changes_failed,
            suspended,
            reloads,
            reloads_refused,
            reload_seconds,
            leader,
            labelled: Labelled::new(&mut registry),
            workflow_runs,
            jobs,
        };
        Self {
            begun: Instant::now(),
            beat: AtomicU64::new(0),
            leads: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            registry: Mutex::new(registry),
            figures,
        }
    }
}

impl Vitals {
    /// The loop came round.
    pub(super) fn beat(&self) {
        self.beat.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// This daemon is at work, or waits as standby.
    pub(super) fn lead(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
        self.figures.leader.set(i64::from(leads));
    }

    /// Runs and jobs as they were counted just now.
    pub(super) fn count(&self, counted: &WorkflowFigures) {
        for (family, counts) in [(&self.figures.workflow_runs, &counted.runs), (&self.figures.jobs, &counted.jobs)] {
            // A state in which nothing is any more is not one of before.
            family.clear();
            for (state, n) in counts {
                family.get_or_create(&vec![("state".to_owned(), state.clone())]).set(*n);
            }
        }
    }

    /// Nothing new is begun any more.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the loop is alive.
    pub fn alive(&self) -> bool {
        self.alive_after(self.begun.elapsed())
    }

    /// Whether it is, so long after the start.
    pub(super) fn alive_after(&self, elapsed: Duration) -> bool {
        let last = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        elapsed.saturating_sub(last) < SILENCE
    }

    /// Whether it is at work; the error says why not.
    pub fn ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::Relaxed) {
            Err("draining")
        } else if !self.leads.load(Ordering::Relaxed) {
            Err("standby")
        } else if !self.alive() {
            Err("the loop hangs")
        } else {
            Ok(())
        }
    }

    /// In the text form of Prometheus (OpenMetrics).
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Writing into a text does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
