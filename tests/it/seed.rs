//! The two workflows of the seed file, unchanged, from their beginning to their end on real Debian devices: what each action names
//! is really done, and seen on the device.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rmm::apply::Parts;
use rmm::model::job::JobPhase;
use rmm::model::workflow_run::Cause;
use rmm::model::{JobState, StepState, Trigger, WorkflowRun, WorkflowState};
use rmm::store::{AlertFilter, JobFilter, Started};
use rmm::time::{Clock, FixedClock};
use rmm::workflow::{Driver, Event, Which, new_run, rule, start};
use tokio_util::sync::CancellationToken;

use crate::daemon::Daemon;
use crate::daemon::hook::Hook;
use crate::debian::{Debian, Device, Package};

/// As it was given.
const SEED: &str = include_str!("../../src/repo/tests/fixtures/all/workflows/seed.yaml");

/// A file that every device has to have as it is here; a package that spoils it makes the device unwell.
const POLICIES: &str = r#"
policies:
  SecurityBaseline:
    targets: ["*"]
    settings:
      Files: {/etc/rmm-demo.conf: {content: "safe\n", mode: "0644"}}
  Tools:
    targets: [New Devices]
    remediate: true
    schedule: Weekly Sun 3AM
    settings:
      Packages: {rmm-tool: present}
"#;

/// A version of the package, with what its installation leaves in that file, and whether it wants a restart.
fn version(number: &str, leaves: &str, restart: bool) -> Package {
    let restart = if restart { "; : >/run/reboot-required" } else { "" };
    Package::new("rmm-demo", number).postinst(&format!("echo {leaves} >/etc/rmm-demo.conf{restart}"))
}

/// Devices in the groups that the file names.
fn declare(debian: &Debian, devices: &[(&Device, &str)]) {
    let mut text = String::from(
        "groups:\n  Fleet: {match: \"*\", connection: {user: root, elevate: none}}\n  Pilot: {}\n  Production: {}\n  New Devices: {}\ndevices:\n",
    );
    for (device, groups) in devices {
        let (name, port) = (&device.name, device.port);
        text += &format!("  {name}: {{address: 127.0.0.1, connection: {{port: {port}}}, groups: [{groups}]}}\n");
    }
    debian.file("devices.yaml", &text);
}

/// Everything that the file wants: policies, and a channel.
fn house(debian: &Debian, devices: &[(&Device, &str)]) {
    declare(debian, devices);
    debian.file("workflows/seed.yaml", SEED);
    debian.file("policies/p.yaml", POLICIES);
    debian.file("notifications.yaml", "rules:\n  All: {channels: [chat]}\n");
    debian.file(
        "rmm.toml",
        "[general]\norganization = \"Test\"\n[limits]\nmax_percent = 100\n[notifications.channels.chat]\ntype = \"teams\"\nurl = { secret = \"CHAT\" }\n",
    );
}

/// A driver whose clock is played: what somebody waits for comes at once.
struct Played {
    parts: Parts,
    clock: Arc<FixedClock>,
}

impl Played {
    fn new(debian: &Debian, now: &str) -> Self {
        let clock = Arc::new(FixedClock::new(now.parse().unwrap()));
        let parts = debian.parts(clock.clone());
        Self { parts, clock }
    }

    /// Starts it as its schedule does, at its next moment.
    fn start(&self, workflow: &str) -> String {
        let workflow = &self.parts.set.workflows[workflow];
        let [Trigger::Schedule(schedule)] = workflow.triggers.as_slice() else { panic!("{:?}", workflow.triggers) };
        let moment = schedule.next(self.clock.now()).unwrap();
        self.clock.set(moment);
        let cause = Cause { kind: "schedule".into(), key: Some(format!("schedule:{}", moment.format("%FT%TZ"))), ..Cause::default() };
        let run = new_run(&self.parts.set, workflow, cause, &self.parts.actor, moment, rand::random());
        let started = start(&self.parts.store, &run, rule(workflow, &run.cause)).unwrap();
        assert_eq!(started, Started::Begun(WorkflowState::Running));
        run.id
    }

    /// Drives a run to its end. What waits is shown to `on`, and then its moment has come.
    async fn drive(&self, run: &str, mut on: impl FnMut(&Event)) -> WorkflowRun {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let parts = self.parts.clone();
        let driver = Driver {
            parts: Box::new(move || parts.clone()),
            which: Which::One(run.to_owned()),
            stop: CancellationToken::new(),
            abort: CancellationToken::new(),
            on: Box::new(move |event| drop(sender.send(event))),
        };
        let driving = tokio::spawn(Arc::new(driver).run());
        while let Some(event) = receiver.recv().await {
            on(&event);
            let until = match &event {
                Event::Step { state: StepState::Waiting, until, .. } => *until,
                Event::Job(job) if job.state == JobState::Waiting => job.wake_at,
                _ => None,
            };
            if let Some(until) = until {
                self.clock.set(until.max(self.clock.now()));
            }
        }
        driving.await.unwrap().unwrap().unwrap()
    }

    fn steps(&self, run: &str) -> Vec<(String, StepState)> {
        let steps = self.parts.store.workflow_steps(run).unwrap();
        steps.into_iter().map(|step| (step.name.to_string(), step.state)).collect()
    }

    /// Jobs of a run: step, device, state.
    fn jobs(&self, run: &str) -> Vec<(u32, String, JobState)> {
        let jobs = self.parts.store.jobs(&JobFilter { run: Some(run.to_owned()), ..JobFilter::default() }).unwrap();
        jobs.into_iter().map(|job| (job.step, job.device.to_string(), job.state)).collect()
    }

    fn told(&self, run: &str) -> String {
        let jobs = self.parts.store.jobs(&JobFilter { run: Some(run.to_owned()), ..JobFilter::default() }).unwrap();
        let steps = self.parts.store.workflow_steps(run).unwrap();
        format!("{steps:#?}\n{jobs:#?}")
    }
}

const STEPS: [&str; 4] = ["Scan All Devices", "Install Updates - Pilot", "Verify Pilot Health", "Install Updates - Production"];

fn named(states: [StepState; 4]) -> Vec<(String, StepState)> {
    STEPS.iter().map(|name| (*name).to_owned()).zip(states).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_tuesday_takes_a_bad_update_back_from_the_pilot_and_brings_a_good_one_to_production() {
    use StepState::{Cancelled, Failed, Succeeded};
    let Some(debian) = Debian::new() else { return };
    debian.publish_package(&version("1.0-1", "safe", false));
    let (pilot, other) = (debian.device("pilot-1"), debian.device("web-1"));
    for device in [&pilot, &other] {
        device.install("rmm-demo", "1.0-1");
        // Without a firewall and the like a device is only just healthy enough.
        std::fs::write(device.path("etc/apt/apt.conf.d/20auto-upgrades"), "APT::Periodic::Unattended-Upgrade \"1\";\n").unwrap();
    }
    house(&debian, &[(&pilot, "Pilot"), (&other, "Production")]);
    let installed = || [&pilot, &other].map(|device| device.version("rmm-demo").unwrap_or_default());
    let conf = |device: &Device| std::fs::read_to_string(device.path("etc/rmm-demo.conf")).unwrap();
    let played = Played::new(&debian, "2026-11-01T00:00:00Z");

    // A bad one: the gate sees it.
    debian.publish_package(&version("2.0-1", "spoilt", false));
    let run = played.start("PatchTuesday");
    assert_eq!(played.clock.now(), "2026-11-10T22:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let mut on_the_way = Vec::new();
    let ended = played
        .drive(&run, |event| {
            if matches!(event, Event::Step { step: 1, state: Succeeded, .. }) {
                on_the_way = installed().to_vec();
            }
        })
        .await;
    assert_eq!(on_the_way, ["2.0-1", "1.0-1"], "{}", played.told(&run));
    assert_eq!(played.steps(&run), named([Succeeded, Succeeded, Failed, Cancelled]), "{}", played.told(&run));
    assert_eq!(ended.state, WorkflowState::Failed);
    let error = ended.error.unwrap();
    assert!(error.starts_with("Verify Pilot Health: ") && error.ends_with("; 1 undone"), "{error}");
    assert!(error.contains("1 of 1 settings differ"), "{error}");
    assert_eq!(installed(), ["1.0-1", "1.0-1"]);
    assert_eq!(conf(&pilot), "safe\n");
    assert!(played.jobs(&run).iter().all(|(step, device, _)| *step == 0 || device != "web-1"), "production is untouched");
    let alerts = played.parts.store.alerts(&AlertFilter { open_only: true, ..AlertFilter::default() }).unwrap();
    assert!(alerts.iter().any(|alert| alert.title == "PatchTuesday: the step 'Verify Pilot Health' failed"), "{alerts:#?}");

    // A month later there is a good one. It wants a restart, and production waits a day.
    debian.withdraw("rmm-demo", "2.0-1");
    debian.publish_package(&version("3.0-1", "safe", true));
    let run = played.start("PatchTuesday");
    assert_eq!(played.clock.now(), "2026-12-08T22:00:00Z".parse::<DateTime<Utc>>().unwrap());
    let boots: BTreeMap<&str, usize> = [&pilot, &other].map(|device| (device.name.as_str(), device.boots())).into();
    let (mut waited, mut after_a_day) = (None, Vec::new());
    let ended = played
        .drive(&run, |event| match event {
            Event::Job(job) if job.state == JobState::Waiting && job.phase == JobPhase::Return => {
                let device = if *job.device == *pilot.name { &pilot } else { &other };
                device.comes_back(boots[&*job.device] + 1);
            }
            Event::Step { step: 3, state: StepState::Waiting, until: Some(until), .. } => {
                waited = Some(*until - played.clock.now());
                after_a_day = installed().to_vec();
            }
            _ => {}
        })
        .await;
    assert_eq!(played.steps(&run), named([Succeeded; 4]), "{}", played.told(&run));
    assert_eq!((ended.state, ended.error), (WorkflowState::Succeeded, None));
    assert_eq!((waited, after_a_day), (Some(TimeDelta::hours(24)), vec!["3.0-1".to_owned(), "1.0-1".to_owned()]));
    assert_eq!(installed(), ["3.0-1", "3.0-1"]);
    // The pilot was restarted for it; production was not asked to be.
    assert_eq!((pilot.boots() - boots["pilot-1"], other.boots() - boots["web-1"]), (1, 0));
    assert_eq!(pilot.shutdowns().len(), 1);
    assert!(other.path("run/reboot-required").exists() && !pilot.path("run/reboot-required").exists());
    assert_eq!(played.parts.store.leases().unwrap(), []);
    assert!(played.parts.store.audit_verify(None).unwrap().is_ok());
}

#[test]
fn a_new_device_is_welcomed_by_the_daemon_with_every_step() {
    let Some(debian) = Debian::new() else { return };
    let hook = Hook::new(Duration::ZERO);
    debian.publish_package(&Package::new("rmm-tool", "1.0-1"));
    let device = debian.device("new-1");
    device.run(&["apt-get", "update", "-qq"]);
    house(&debian, &[(&device, "")]);
    let mut command = debian.command(&["reconcile"]);
    command.env("RMM_SECRET_CHAT", &hook.url);
    let daemon = Daemon::of(command, &debian.repo().join("../daemon.log"));
    daemon.says("at work");
    daemon.until("the first look", || debian.sql("SELECT Name FROM WatchedGroups") == ["New Devices"]);
    // It comes into the group: that is all that anybody does.
    declare(&debian, &[(&device, "New Devices")]);
    daemon.until("the end of its run", || !debian.sql("SELECT Id FROM WorkflowRuns WHERE FinishedAt IS NOT NULL").is_empty());
    let jobs = debian.sql("SELECT Action, Device, State, Result FROM Jobs ORDER BY Step");
    assert_eq!(
        debian.sql("SELECT Workflow, Device, State, Error FROM WorkflowRuns"),
        ["OnboardNewDevice new-1 succeeded Null"],
        "{jobs:#?}\n{}",
        daemon.log()
    );
    assert_eq!(debian.sql("SELECT DISTINCT State FROM WorkflowSteps"), ["succeeded"]);
    let with =
        |action: &str, text: &str| assert!(jobs.iter().any(|job| job.starts_with(action) && job.contains(text)), "{action}: {jobs:#?}");
    with("TestWinRMConnection new-1", "succeeded");
    with("InvokeInventory new-1", r#""observed":1"#);
    with("ApplyPolicy new-1", r#""done":1"#);
    with("InstallRequiredApps new-1", r#""done":1"#);
    with("SetDeviceGroup new-1", r#""from":"New Devices""#);
    with("SendNotification  ", r#""channels":["chat"]"#);
    // And each is seen where it was done.
    debian.rmm(&["facts", "new-1", "hardware.cpu"]).ends(0);
    assert_eq!(std::fs::read_to_string(device.path("etc/rmm-demo.conf")).unwrap(), "safe\n");
    assert_eq!(device.version("rmm-tool").as_deref(), Some("1.0-1"));
    let cards = || hook.taken().into_iter().map(|taken| taken.body.to_string()).filter(|card| card.contains("OnboardNewDevice"));
    daemon.until("the card", || cards().next().is_some());
    let card = cards().next().unwrap();
    assert!(card.contains("adaptive") && card.contains("Apply Security Baseline: succeeded"), "{card}");
    assert_eq!(daemon.stop().0, Some(0));
    let shown = debian.rmm(&["devices", "show", "new-1"]).ends(0).out;
    assert!(shown.contains("Production") && !shown.contains("New Devices"), "{shown}");
}
