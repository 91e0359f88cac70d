//! Figures of `/metrics` that are told apart by a label: alerts by severity, devices by health, notifications by channel.

use std::sync::atomic::Ordering;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::alert::Counts;
use crate::model::{DeliveryState, Severity};
use crate::notify::Worker;
use crate::report::health::Condition;
use crate::store::{Store, StoreError};

/// Name and value of the one label.
type Label = [(&'static str, String); 1];

/// See the module.
pub(super) struct Labelled {
    alerts: Family<Label, Gauge>,
    health: Family<Label, Gauge>,
    sent: Family<Label, Counter>,
    failed: Family<Label, Counter>,
    in_flight: Family<Label, Gauge>,
    pending: Family<Label, Gauge>,
    dead: Family<Label, Gauge>,
    latency: Family<Label, Histogram>,
}

/// From the tenth of a second to an hour: a receiver that is away for long is seen too.
fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.05, 3.0, 11))
}

fn channel(name: &str) -> Label {
    [("channel", name.to_owned())]
}

impl Labelled {
    /// All of them, without any value yet.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let this = Self {
            alerts: Family::default(),
            health: Family::default(),
            sent: Family::default(),
            failed: Family::default(),
            in_flight: Family::default(),
            pending: Family::default(),
            dead: Family::default(),
            latency: Family::new_with_constructor(latencies),
        };
        registry.register("alerts_open", "Alerts that last, by severity", this.alerts.clone());
        registry.register("devices_health", "Devices by health", this.health.clone());
        registry.register("deliveries_sent", "Notifications taken by the channel since the start", this.sent.clone());
        registry.register("deliveries_failed", "Attempts at notifications that failed since the start", this.failed.clone());
        registry.register("deliveries_in_flight", "Notifications on their way to the channel", this.in_flight.clone());
        registry.register("deliveries_pending", "Notifications that wait for their time or for another try", this.pending.clone());
        registry.register("deliveries_dead", "Notifications given up, until somebody has looked at them", this.dead.clone());
        let help = "From the decision to notify until the channel has taken it, other tries and waiting included";
        registry.register("delivery_latency_seconds", help, this.latency.clone());
        this
    }

    /// How many devices are so.
    pub(super) fn by_health(&self, condition: Condition, count: i64) {
        self.health.get_or_create(&[("health", condition.to_string())]).set(count);
    }

    /// How many alerts last.
    pub(super) fn alerts(&self, counts: &Counts) {
        for severity in [Severity::Info, Severity::Low, Severity::Medium, Severity::High, Severity::Critical] {
            let count = counts.by_severity[severity as usize];
            self.alerts.get_or_create(&[("severity", severity.to_string())]).set(count as i64);
        }
    }

    /// What the sender of notifications has counted.
    pub(super) fn channels(&self, worker: &Worker) {
        for counts in worker.counts() {
            let label = channel(&counts.channel);
            self.sent.get_or_create(&label).inner().store(counts.sent, Ordering::Relaxed);
            self.failed.get_or_create(&label).inner().store(counts.failed, Ordering::Relaxed);
            self.in_flight.get_or_create(&label).set(counts.in_flight as i64);
            // There, and none of them, where nothing waits.
            self.pending.get_or_create(&label).inc_by(0);
            self.dead.get_or_create(&label).inc_by(0);
        }
        for (name, seconds) in worker.take_latencies() {
            self.latency.get_or_create(&channel(&name)).observe(seconds);
        }
    }

    /// What the database holds.
    pub(super) fn queues(&self, store: &Store) -> Result<(), StoreError> {
        let counts = store.delivery_counts()?;
        self.pending.clear();
        self.dead.clear();
        for (name, state, count) in counts {
            let family = match state {
                DeliveryState::Dead => &self.dead,
                DeliveryState::Pending => &self.pending,
                DeliveryState::Sending | DeliveryState::Sent | DeliveryState::Cancelled => continue,
            };
            family.get_or_create(&channel(&name)).set(count as i64);
        }
        Ok(())
    }
}
