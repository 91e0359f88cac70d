//! Runs over this machine itself, standing in for several devices, each with a directory of its own. The clock is passed in.

mod alone;
mod hidden;
mod hours;
mod journal;
mod limits;
mod places;
mod restart;
mod resumed;
mod samples;
mod saved;
mod silence;
mod slow;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::survey::{Refresh, Survey};
use super::{ApplyOptions, Event, Executor, Finished, Task, from_plan, new_run, stages_of};
use crate::access::{Redactor, SecretStore};
use crate::model::config::Amount;
use crate::model::facts::{Section, Status};
use crate::model::plan::Plan;
use crate::model::run::{Actor, ChangeState, Run, RunChange, RunState};
use crate::plan::{PlanOptions, Scope};
use crate::repo::{LoadOptions, PolicySet, World, compile};
use crate::store::{Merge, Observation, Step, Store};
use crate::time::{Clock, FixedClock};

/// Goes on once a file `go` is there, notes in `log` that it ran, and fails where there is a file `fail`.
const STEP: &str = r#"//! setting: Steps
//! summary: Makes a file, when it is told to.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: x}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.type == "file" && observed.sha256 == sha256(desired) }
fn apply(device, key, desired) {
    device.run(["sh", "-c", "until [ -e \"$1.go\" ]; do sleep 0.01; done; echo ran >>\"$1.log\"; [ ! -e \"$1.fail\" ] && printf %s \"$2\" >\"$1\"", "sh", key, desired]);
}
"#;

/// A service: it runs where its file says so.
const DAEMON: &str = r#"//! setting: Daemon
//! summary: Counts its starts and restarts.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: object, properties: {state: {enum: [running]}, restartOn: {type: array, items: {type: string}}}}
//! probe: files
//! compare: script
//! phase: services
//! risk: low
//! examples:
//!   - {/tmp/x: {state: running}}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.sha256 == sha256("running") }
fn apply(device, key, desired) { device.run(["sh", "-c", "echo start >>\"$1.log\"; printf running >\"$1\"", "sh", key]); }
fn restart(device, key, desired) { device.run(["sh", "-c", "echo restart >>\"$1.log\"", "sh", key]); }
"#;

/// A Saturday.
fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn minutes(n: i64) -> DateTime<Utc> {
    noon() + TimeDelta::minutes(n)
}

type OnEvent = dyn Fn(&Event) + Send + Sync;

/// A repository, its database and the directories of its devices.
struct House {
    set: Arc<PolicySet>,
    store: Store,
    clock: Arc<FixedClock>,
    secrets: Arc<SecretStore>,
    events: Arc<Mutex<Vec<Event>>>,
    folder: tempfile::TempDir,
}

impl House {
    /// These devices (name, and more of it in YAML's flow form) under these policies. `DIR` stands for the directory of all.
    fn new(devices: &[(&str, &str)], policies: &str) -> Self {
        Self::with(devices, policies, &[])
    }

    /// One device `d` with more scripts, under these policies (indented by two), if any.
    fn scripted(scripts: &[(&'static str, &str)], policies: &str) -> Self {
        let policies = if policies.is_empty() { String::new() } else { format!("policies:\n{policies}") };
        Self::with(&[("d", "")], &policies, scripts)
    }

    fn with(devices: &[(&str, &str)], policies: &str, scripts: &[(&'static str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_str().unwrap();
        let mut text = String::from(
            "sites: {A: {}, B: {}}\ngroups:\n  Pilot: {}\n  Big: {match: {where: 'facts.hardware.memory.total_gb > 0'}}\n  All:\n    match: \"*\"\n    connection: {transport: local, elevate: none}\ndevices:\n",
        );
        for (name, more) in devices {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            text += &format!("  {name}: {{os: linux, vars: {{dir: '{root}/{name}'}}{more}}}\n");
        }
        let files = [
            ("rmm.toml", "[general]\norganization = \"Example\"\n[connections]\ncommand_timeout = \"60s\"\n[limits]\nmax_percent = 100\n"),
            ("devices.yaml", &text),
            ("scripts/steps.rhai", STEP),
            ("scripts/daemon.rhai", DAEMON),
            ("policies/p.yaml", &policies.replace("DIR", root)),
        ];
        let files: Vec<(Arc<str>, String)> =
            files.iter().chain(scripts).map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect();
        let options = LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now: noon() };
        let loaded = compile(files, &options, World::default());
        assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
        let clock = Arc::new(FixedClock::new(noon()));
        let store = Store::open(&folder.path().join(".rmm/rmm.db"), clock.clone()).unwrap();
        let secrets = Arc::new(SecretStore::new(folder.path(), Redactor::new()));
        let house = Self { set: Arc::new(loaded.set.unwrap()), store, clock, secrets, events: Arc::default(), folder };
        // Who is known a little is not asked for everything.
        let os = json!({"family": "linux", "id": "debian", "pretty_name": "Debian 12", "hostname": "x", "timezone": "UTC", "init": "systemd", "package_manager": "apt"});
        let known: Vec<Observation> = devices.iter().map(|(name, _)| house.section(name, "software.os", os.clone())).collect();
        house.store.put_observations(&known).unwrap();
        house
    }

    /// Policies of one device `d` that want these settings (indented by six).
    fn one(settings: &str) -> Self {
        Self::new(&[("d", "")], &format!("policies:\n  P:\n    targets: ['*']\n    remediate: true\n    settings:\n{settings}"))
    }

    fn section(&self, device: &str, name: &str, data: Value) -> Observation {
        let section = Section::new(data, Status::Ok, self.clock.now());
        Observation { device: device.into(), sections: BTreeMap::from([(Arc::from(name), section)]), merge: Merge::Replace }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::write(self.path(path), text).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    /// How often something ran, by its log.
    fn ran(&self, path: &str) -> usize {
        self.read(&format!("{path}.log")).map_or(0, |log| log.lines().count())
    }

    /// Observes everything that the plan looks at, and plans.
    async fn plan(&self) -> Plan {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let survey = Survey::new(&self.set, &self.store, &self.secrets, &clock);
        let seen = survey.refresh(&Scope::default(), Refresh::Always, None, &CancellationToken::new(), &|_| {}).await.unwrap();
        assert_eq!((seen.unreachable, seen.failed), (0, 0));
        survey.plan(&Scope::default(), &PlanOptions::default()).unwrap()
    }

    /// A plan as a new run, not begun yet.
    fn run(&self, plan: &Plan) -> (Run, Vec<RunChange>) {
        let run = new_run(&self.set, &actor(), self.clock.now(), rand::random(), json!({}));
        let changes = from_plan(plan, &run.id);
        (run, changes)
    }

    fn executor(&self, run: &str, options: ApplyOptions, on: Box<OnEvent>) -> Arc<Executor> {
        let events = Arc::clone(&self.events);
        Arc::new(Executor {
            set: Arc::clone(&self.set),
            store: self.store.clone(),
            sessions: super::sessions(&self.set, &self.secrets),
            secrets: Arc::clone(&self.secrets),
            redactor: Redactor::new(),
            clock: self.clock.clone(),
            actor: actor(),
            run: run.to_owned(),
            options,
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            leased: false,
            crashed: AtomicBool::new(false),
            on: Box::new(move |event| {
                on(&event);
                events.lock().unwrap().push(event);
            }),
        })
    }

    async fn carry_out(&self, run: &str, task: Task, options: ApplyOptions, on: Box<OnEvent>) -> Finished {
        let stages = stages_of(&self.set, &self.store, &options.stages, task.changes()).unwrap();
        self.executor(run, options, on).carry_out(task, stages).await.unwrap()
    }

    /// Carries out a plan as a new run, and returns the run's id with how it ended.
    async fn apply(&self, plan: &Plan, options: ApplyOptions, on: Box<OnEvent>) -> (String, Finished) {
        let (run, changes) = self.run(plan);
        let id = run.id.clone();
        let finished = self.carry_out(&id, Task::Begin(Box::new(run), changes), options, on).await;
        (id, finished)
    }

    /// Goes on with everything that is left of a run.
    async fn resume(&self, run: &str) -> Finished {
        let left = self.store.run_changes(run).unwrap().into_iter().filter(|c| !c.state.is_final()).collect();
        self.carry_out(run, Task::Resume(left), options(), Box::new(|_| {})).await
    }

    /// The journal of a run whose process died: the first changes went through these states, all others were not begun.
    fn died(&self, plan: &Plan, steps: &[&[ChangeState]]) -> String {
        let (run, changes) = self.run(plan);
        self.store.create_run(&run, &changes).unwrap();
        for (change, states) in changes.iter().zip(steps) {
            for state in *states {
                self.store.transition(&run.id, change.seq, *state, &Step::default(), &actor()).unwrap();
            }
        }
        run.id
    }

    /// `FILE state` of every change, in order.
    fn states(&self, run: &str) -> Vec<String> {
        let name = |change: &RunChange| Path::new(change.change.key.as_deref().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        self.store.run_changes(run).unwrap().iter().map(|c| format!("{} {}", name(c), c.state)).collect()
    }

    /// What the journal says of one change.
    fn error(&self, run: &str, seq: i64) -> String {
        self.store.run_changes(run).unwrap().into_iter().find(|c| c.seq == seq).and_then(|c| c.error).unwrap_or_default()
    }

    /// Devices that had their turn.
    fn begun(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let of = |event: &Event| if let Event::Device { device, .. } = event { Some(device.clone()) } else { None };
        events.iter().filter_map(of).collect()
    }
}

fn actor() -> Actor {
    Actor { user: "kim".into(), from: "cli@desk".into() }
}

fn options() -> ApplyOptions {
    ApplyOptions { concurrency: 10, per_site: None, max_failures: Amount::Count(100), stages: Vec::new() }
}

fn nothing() -> Box<OnEvent> {
    Box::new(|_| {})
}

/// Does something when a change reaches a state.
fn when(file: &'static str, state: ChangeState, act: impl Fn() + Send + Sync + 'static) -> Box<OnEvent> {
    Box::new(move |event| {
        if matches!(event, Event::Change { setting, state: now, .. } if *now == state && setting.ends_with(file)) {
            act();
        }
    })
}

/// A step that may go on at once, once per name, for `settings`.
fn steps(house: &House, names: &[&str]) {
    for name in names {
        house.write(&format!("{name}.go"), "");
    }
}
