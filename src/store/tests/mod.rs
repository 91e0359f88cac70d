//! Every promise of the store, on real files.

mod alerts;
mod audit;
mod crash;
mod daemon;
mod facts;
mod file;
mod journal;
mod membership;
mod records;
mod samples;
mod updates;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Merge, Observation, Store};
use crate::model::facts::{Section, Status};
use crate::model::run::{Actor, ChangeState, Run, RunChange, RunState};
use crate::model::{Change, Place, State};
use crate::time::{Clock, FixedClock, SystemClock};

/// A store in a directory that vanishes with it, at a time that stands still.
struct House {
    store: Store,
    clock: Arc<FixedClock>,
    path: PathBuf,
    _directory: tempfile::TempDir,
}

fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(n)
}

fn house() -> House {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".rmm/rmm.db");
    let clock = Arc::new(FixedClock::new(noon()));
    House { store: Store::open(&path, clock.clone()).unwrap(), clock, path, _directory: directory }
}

/// A clock with both hands.
struct Hands {
    wall: Mutex<DateTime<Utc>>,
    steady: AtomicU64,
}

impl Hands {
    fn new() -> Arc<Self> {
        Arc::new(Self { wall: Mutex::new(noon()), steady: 1000.into() })
    }

    fn set(&self, wall: DateTime<Utc>, steady: u64) {
        *self.wall.lock().unwrap() = wall;
        self.steady.store(steady, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> DateTime<Utc> {
        *self.wall.lock().unwrap()
    }

    fn steady(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.steady.load(Ordering::SeqCst)))
    }
}

fn again(path: &std::path::Path) -> Result<Store, super::StoreError> {
    Store::open(path, Arc::new(SystemClock))
}

fn actor() -> Actor {
    Actor { user: "kim".into(), from: "cli@desk".into() }
}

fn section(data: Value, at: DateTime<Utc>) -> Section {
    Section::new(data, Status::Ok, at)
}

fn observation(device: &str, at: DateTime<Utc>, sections: &[(&str, Value)]) -> Observation {
    let sections: BTreeMap<_, _> = sections.iter().map(|(name, data)| (Arc::from(*name), section(data.clone(), at))).collect();
    Observation { device: device.into(), sections, merge: Merge::Replace }
}

fn change(setting: &str, state: State) -> Change {
    Change {
        restart: false,
        setting: setting.into(),
        key: None,
        state,
        desired: json!("on"),
        observed: json!("off"),
        from: "off".into(),
        to: "on".into(),
        policy: "Base".into(),
        place: Place { file: "policies/base.yaml".into(), line: 7, column: 3, length: 0 },
        other: None,
        severity: crate::model::Severity::Medium,
        risk: crate::model::Risk::Low,
        reboot: crate::model::Reboot::Never,
        phase: crate::model::Phase::System,
        restart_on: Vec::new(),
        held: None,
        reason: None,
        observed_at: None,
        commands: Vec::new(),
    }
}

fn run(id: &str) -> Run {
    Run {
        id: id.into(),
        actor: actor(),
        policy_set: "abc".into(),
        commit: Some("3f2c1ab".into()),
        started_at: noon(),
        finished_at: None,
        expires_at: minutes(60),
        state: RunState::Running,
        options: json!({"maxDevices": 3}),
    }
}

fn run_change(run: &str, seq: i64, device: &str) -> RunChange {
    RunChange {
        run: run.into(),
        seq,
        device: device.into(),
        change: change("Timezone", State::Change),
        state: ChangeState::Pending,
        attempts: 0,
        error: None,
        before: None,
        after: None,
        started_at: None,
        finished_at: None,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, super::StoreError>) -> &'static str {
    use crate::diagnose::Diagnose;
    result.unwrap_err().code()
}

/// A connection that knows nothing of the product: what anybody with `sqlite3` can do.
fn stranger(path: &std::path::Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}
