//! Runs over this machine itself, standing in for several devices, each with a directory of its own. The clock is passed in.

mod later;
mod queue;
mod steps;
mod stopped;
mod time;
mod updates;

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Driver, Event, Which, new_run, rule};
use crate::access::{Redactor, SecretStore};
use crate::apply::Parts;
use crate::model::run::Actor;
use crate::model::workflow_run::Cause;
use crate::model::{JobState, StepState, WorkflowRun, WorkflowState};
use crate::repo::{LoadOptions, PolicySet, World, compile};
use crate::store::{JobFilter, Started, Store};
use crate::time::FixedClock;

/// Writes a line into the log of its device, and fails where there is a file `fail`. Twice is not once.
const COUNT: &str = r#"//! action: Count
//! summary: Counts.
//! platforms: [linux]
//! parameters: {type: object, required: [dir, word], properties: {dir: {type: string}, word: {type: string}}}
//! risk: low
//! idempotent: false
//! examples: [{dir: /tmp, word: one}]
fn run(device, params) {
    let answer = device.run(["sh", "-c", "[ ! -e \"$1/fail\" ] && echo \"$2\" >>\"$1/log\" && echo \"did $2\"", "sh", params.dir, params.word]);
    return #{word: params.word, said: answer.stdout};
}
fn rollback(device, params, result) { device.run(["sh", "-c", "echo \"undid $2\" >>\"$1/log\"", "sh", params.dir, result.word]); }
"#;

/// The same, and doing it twice is the same as doing it once.
const AGAIN: &str = r#"//! action: Again
//! summary: Makes a file.
//! platforms: [linux]
//! parameters: {type: object, required: [dir], properties: {dir: {type: string}}}
//! guard: AllowUpdates
//! risk: low
//! idempotent: true
//! examples: [{dir: /tmp}]
fn run(device, params) { device.run(["sh", "-c", "echo try >>\"$1/tries\"; [ ! -e \"$1/fail\" ] && : >\"$1/made\"", "sh", params.dir]); }
"#;

/// A Saturday.
fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

/// A repository, its database and the directories of its devices.
struct House {
    set: Arc<PolicySet>,
    store: Store,
    clock: Arc<FixedClock>,
    folder: tempfile::TempDir,
    devices: Vec<String>,
}

impl House {
    /// Devices `d1` and so on, and these workflows.
    fn new(devices: usize, workflows: &str) -> Self {
        Self::with(devices, workflows, "")
    }

    fn with(devices: usize, workflows: &str, policies: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FixedClock::new(noon()));
        let names: Vec<String> = (1..=devices).map(|n| format!("d{n}")).collect();
        for name in &names {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let set = Self::load(&folder, &names, workflows, policies, COUNT);
        let store = Store::open(&folder.path().join(".rmm/rmm.db"), clock.clone()).unwrap();
        Self { set, store, clock, folder, devices: names }
    }

    fn load(folder: &tempfile::TempDir, names: &[String], workflows: &str, policies: &str, count: &str) -> Arc<PolicySet> {
        let root = folder.path().to_str().unwrap();
        let mut text = String::from(
            "groups:\n  First: {match: {device: d1}}\n  All:\n    match: \"*\"\n    connection: {transport: local, elevate: none}\n  Away: {}\ndevices:\n",
        );
        for name in names {
            text += &format!("  {name}: {{os: linux, vars: {{dir: '{root}/{name}'}}}}\n");
        }
        let files = [
            ("rmm.toml", "[general]\norganization = \"Example\"\n"),
            ("devices.yaml", &text),
            ("scripts/count.rhai", count),
            ("scripts/again.rhai", AGAIN),
            ("workflows/w.yaml", workflows),
            ("policies/p.yaml", policies),
        ];
        let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
        let options = LoadOptions { root: folder.path().into(), env: None, environment: Vec::new(), now: noon() };
        let loaded = compile(files, &options, World::default());
        assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
        Arc::new(loaded.set.unwrap())
    }

    fn parts(&self) -> Parts {
        let secrets = Arc::new(SecretStore::new(self.folder.path(), Redactor::new()));
        Parts {
            set: Arc::clone(&self.set),
            store: self.store.clone(),
            sessions: crate::apply::sessions(&self.set, &secrets),
            secrets,
            redactor: Redactor::new(),
            clock: self.clock.clone(),
            actor: kim(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// What was done on a device, in order.
    fn log(&self, device: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(device).join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn later(&self, delta: TimeDelta) {
        use crate::time::Clock as _;
        self.clock.set(self.clock.now() + delta);
    }

    fn start(&self, workflow: &str, cause: Cause) -> (String, Started) {
        use crate::time::Clock as _;
        let workflow = &self.set.workflows[workflow];
        let run = new_run(&self.set, workflow, cause, &kim(), self.clock.now(), rand::random());
        let started = self.store.start_workflow(&run, rule(workflow, &run.cause)).unwrap();
        (run.id, started)
    }

    fn by_hand(&self, workflow: &str) -> String {
        self.start(workflow, Cause { kind: "manual".into(), ..Cause::default() }).0
    }

    /// Drives until `enough`, or until the run (all of them where none is named) has ended.
    async fn drive(&self, which: Which, enough: impl FnMut(&Event) -> bool) -> Vec<Event> {
        Self::drive_with(self.parts(), which, enough).await
    }

    /// The same with other parts.
    async fn drive_with(parts: Parts, which: Which, mut enough: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let driver = Driver {
            parts: Box::new(move || parts.clone()),
            which,
            stop: stop.clone(),
            abort: CancellationToken::new(),
            on: Box::new(move |event| drop(sender.send(event))),
        };
        let driving = tokio::spawn(Arc::new(driver).run());
        let mut events = Vec::new();
        while let Some(event) = receiver.recv().await {
            if enough(&event) {
                stop.cancel();
            }
            events.push(event);
        }
        driving.await.unwrap().unwrap();
        events
    }

    async fn to_the_end(&self, run: &str) -> WorkflowRun {
        self.drive(Which::One(run.to_owned()), |_| false).await;
        self.store.workflow_run(run).unwrap().unwrap()
    }

    fn states(&self, run: &str) -> Vec<StepState> {
        self.store.workflow_steps(run).unwrap().into_iter().map(|step| step.state).collect()
    }

    fn jobs(&self, run: &str) -> Vec<(String, JobState)> {
        let jobs = self.store.jobs(&JobFilter { run: Some(run.to_owned()), ..JobFilter::default() }).unwrap();
        jobs.into_iter().map(|job| (job.device.to_string(), job.state)).collect()
    }

    fn result(&self, run: &str, step: usize) -> Value {
        self.store.workflow_steps(run).unwrap()[step].result.clone()
    }
}

fn kim() -> Actor {
    Actor { user: "kim".into(), from: "test".into() }
}

/// A step waits.
fn waits(event: &Event) -> bool {
    matches!(event, Event::Step { state: StepState::Waiting, .. })
}

/// A job waits.
fn job_waits(event: &Event) -> bool {
    matches!(event, Event::Job(job) if job.state == JobState::Waiting)
}

fn ended(run: &WorkflowRun, state: WorkflowState, why: &str) {
    assert_eq!(run.state, state, "{run:#?}");
    let error = run.error.as_deref().unwrap_or_default();
    assert!(error.contains(why), "'{error}' does not say '{why}'");
}

/// `Count` with a word, on devices.
fn count(word: &str, on: &str) -> String {
    format!("action: Count, on: {on}, with: {{dir: '{{{{ vars.dir }}}}', word: {word}}}")
}
