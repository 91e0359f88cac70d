//! Notifications against real receivers: an HTTPS server with a certificate of an own authority, a real SMTP server,
//! sockets of the system log. Time is the clock that is passed in; nothing sleeps.

mod channels;
mod command;
mod https;
mod logs;
mod mail;
mod queue;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use rmm::access::{Redactor, SecretError, Secrets};
use rmm::model::alert::Subject;
use rmm::model::delivery::{Message, Occasion};
use rmm::model::{Alert, AlertKey, AlertState, Config, Delivery, DeliveryState, Severity, Signal};
use rmm::notify::{Answer, Channel, Parcel, Parts, SendError, Surroundings, Worker, open};
use rmm::store::{AlertBatch, DeliveryFilter, Store};
use rmm::time::{Clock as _, FixedClock};
use secrecy::SecretString;

/// Secrets of a test: each is named `NAME` and has the value `value-of-NAME` unless it was put there.
#[derive(Clone)]
struct Known {
    redactor: Redactor,
    values: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Secrets for Known {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        let value: SecretString = self.values.lock().unwrap().get(name).cloned().unwrap_or_else(|| format!("value-of-{name}")).into();
        self.redactor.learn(name, &value);
        Ok(value)
    }
}

/// A database, a clock, secrets and a worker.
struct House {
    dir: tempfile::TempDir,
    clock: Arc<FixedClock>,
    store: Store,
    secrets: Known,
    signals: Arc<Mutex<Vec<Signal>>>,
    worker: Arc<Worker>,
}

fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

impl House {
    /// With the channels of this `rmm.toml`.
    fn new(toml: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::new(noon()));
        let store = Store::open(&dir.path().join("rmm.db"), Arc::clone(&clock) as _).unwrap();
        let secrets = Known { redactor: Redactor::new(), values: Arc::default() };
        let signals: Arc<Mutex<Vec<Signal>>> = Arc::default();
        let worker = Worker::new(Parts {
            store: store.clone(),
            clock: Arc::clone(&clock) as _,
            secrets: Arc::new(secrets.clone()),
            redactor: secrets.redactor.clone(),
            root: dir.path().to_path_buf(),
            host: "rmm.example.com".into(),
            wake: Arc::new(tokio::sync::Notify::new()),
            signals: {
                let signals = Arc::clone(&signals);
                Arc::new(move |signal| signals.lock().unwrap().push(signal))
            },
        });
        worker.configure(&config(toml));
        Self { dir, clock, store, secrets, signals, worker }
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings {
            root: self.dir.path().to_path_buf(),
            secrets: Arc::new(self.secrets.clone()),
            redactor: self.secrets.redactor.clone(),
            base_url: Some("https://rmm.example.com".into()),
            host: "rmm.example.com".into(),
        }
    }

    fn secret(&self, name: &str, value: impl Into<String>) {
        self.secrets.values.lock().unwrap().insert(name.into(), value.into());
    }

    fn queue(&self, deliveries: Vec<Delivery>) {
        self.store.commit_alerts(&AlertBatch { deliveries, ..AlertBatch::default() }).unwrap();
    }

    fn delivery(&self, id: &str) -> Delivery {
        self.store.delivery(id).unwrap().unwrap()
    }

    fn in_state(&self, state: DeliveryState) -> Vec<Delivery> {
        self.store.deliveries(&DeliveryFilter { states: vec![state], ..DeliveryFilter::default() }).unwrap()
    }

    /// Lets the worker work, moving the clock to what is due next, until nothing is due any more or `rounds` are over.
    async fn play(&self, rounds: usize) {
        for _ in 0..rounds {
            let Some(next) = self.worker.settle().await.unwrap() else { return };
            self.clock.set(next.max(self.clock.now()));
        }
    }
}

/// `rmm.toml`, read the way the product reads it.
fn config(toml: &str) -> Config {
    let options = rmm::repo::LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: noon() };
    let loaded = rmm::repo::compile(vec![("rmm.toml".into(), toml.to_owned())], &options, rmm::repo::World::default());
    loaded.set.unwrap_or_else(|| panic!("{:#?}", loaded.problems)).config
}

/// One channel of a configuration, ready to send.
fn channel(house: &House, toml: &str) -> Result<Box<dyn Channel>, SendError> {
    let config = config(toml);
    let declared = config.notifications.channels.values().next().unwrap();
    open(rmm::model::channel::Options::of(declared).unwrap().unwrap(), &house.surroundings())
}

/// Sends one message through one channel.
async fn send(house: &House, toml: &str, message: &Message, to: Option<&str>, receipt: Option<&str>) -> Result<Answer, SendError> {
    let parcel = Parcel { id: "d-1", recipient: to, message, receipt, at: noon() };
    channel(house, toml)?.send(&parcel).await
}

fn alert(id: &str, severity: Severity, title: &str) -> Alert {
    Alert {
        id: id.into(),
        key: AlertKey { subject: Subject::Device("db-1".into()), kind: "DiskSpace".into(), instance: "/var".into() },
        severity,
        title: title.into(),
        message: "only 1.2 GB are left".into(),
        source: "threshold DiskSpace".into(),
        value: Some(7.0),
        unit: Some("%".into()),
        state: AlertState::Active,
        suppressed: None,
        count: 1,
        created_at: noon(),
        last_at: noon(),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        notes: Vec::new(),
        progress: serde_json::json!({"tier": 3}),
    }
}

fn message(occasion: Occasion, alerts: Vec<Alert>) -> Message {
    Message {
        occasion,
        organization: "Example Ltd".into(),
        alerts,
        site: Some("Berlin".into()),
        because: "rule Critical to On-Call".into(),
        note: String::new(),
    }
}

/// A delivery that is due at noon and `seconds`.
fn delivery(id: &str, to: &str, alert: Option<Alert>, occasion: Occasion, seconds: i64) -> Delivery {
    let at = noon() + TimeDelta::seconds(seconds);
    Delivery {
        id: id.into(),
        channel: to.into(),
        recipient: None,
        alert: alert.as_ref().map(|alert| alert.id.clone()),
        message: message(occasion, alert.into_iter().collect()),
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: at,
        created_at: at,
        sent_at: None,
        error: None,
        receipt: None,
    }
}

/// A raised critical alert for a channel.
fn raised(id: &str, to: &str, of: &str) -> Delivery {
    delivery(id, to, Some(alert(of, Severity::Critical, "DiskSpace of /var: 7 %")), Occasion::Raised, 0)
}
