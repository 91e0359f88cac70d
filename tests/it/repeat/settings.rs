//! Every setting that can be set.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rmm::catalog::SettingDef;
use rmm::model::Platform;
use rmm::model::plan::State;
use rmm::plan::{PlanOptions, Planner, Question, judge};
use rmm::script::{Recorder, SharedHost, shown};
use rmm::time::{Clock as _, SystemClock};
use serde_json::json;

use super::*;
use crate::debian::{Debian, Package};

/// What is set on the device in a folder.
const REAL: &str = r#"
policies:
  Repeat:
    targets: ["*"]
    remediate: true
    settings:
      Files: {/etc/repeat.conf: {content: "it's\n", mode: "0640", owner: root, group: adm}, /etc/repeat-gone: absent}
      Directories: {/srv/repeat: {mode: "0750", group: adm}, /srv/repeat-gone: absent}
      LineInFile: {umask: {path: /etc/login.defs, match: '^[[:space:]]*UMASK', line: "UMASK 027"}}
      CronJobs: {repeat: {schedule: "30 2 * * *", user: root, command: "/bin/true --date $(date +%F)"}}
      Limits: {"* hard core": 0}
      PasswordMaxAge: 365
      PasswordMinAge: 1
      PasswordWarnAge: 10
      Groups: {repeaters: {gid: 4321}, repeat-gone: absent}
      Users: {repeatkim: {shell: /bin/sh, groups: [repeaters], comment: "Kim, twice", home: /home/repeatkim}, games: absent}
      AuthorizedKeys: {repeatkim: {keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq0lY3HjVb4Wm1p0zT0h1Y2n2o9Zk5o1oD9Zz0bX1Yc kim@example"], exclusive: true}}
      SshdConfig: {MaxAuthTries: 3}
      Packages: {rmm-tool: present, rmm-gone: absent}
      Timezone: Europe/Berlin
"#;

/// Setting, key, what is wanted, a section of the facts with what it holds before, and what it holds afterwards.
type Case = (&'static str, Option<&'static str>, Value, (&'static str, Value), Value);

/// What belongs to the machine below: the facts before and after, and what is wanted.
fn recorded() -> Vec<Case> {
    vec![
        ("AutomaticUpdates", None, json!("Enabled"), ("software.automatic_updates", json!({"enabled": false})), json!({"enabled": true})),
        (
            "Firewall",
            None,
            json!("Enabled"),
            ("security.firewall", json!({"enabled": false, "backend": "ufw"})),
            json!({"enabled": true, "backend": "ufw"}),
        ),
        ("Hostname", None, json!("web-2"), ("software.os", os("web-1")), os("web-2")),
        (
            "KernelModules",
            Some("cramfs"),
            json!("blocked"),
            ("modules", json!({"cramfs": {"loaded": true, "blocked": false, "available": true}})),
            json!({"cramfs": {"loaded": false, "blocked": true, "available": true}}),
        ),
        (
            "MountOptions",
            Some("/tmp"),
            json!({"options": ["nodev"]}),
            ("hardware.mounts", json!({"/tmp": {"device": "tmpfs", "fs": "tmpfs", "options": ["rw"]}})),
            json!({"/tmp": {"device": "tmpfs", "fs": "tmpfs", "options": ["rw", "nodev"]}}),
        ),
        ("PasswordMinLength", None, json!(14), ("security.password_policy", json!({"min_length": 8})), json!({"min_length": 14})),
        ("PendingReboot", None, json!(false), ("software.pending_reboot", json!({"required": true})), json!({"required": false})),
        (
            "Services",
            Some("nginx"),
            json!({"state": "running", "startup": "enabled"}),
            ("software.services", json!({"nginx": {"state": "stopped", "startup": "disabled"}})),
            json!({"nginx": {"state": "running", "startup": "enabled"}}),
        ),
        (
            "Sysctl",
            Some("net.ipv4.ip_forward"),
            json!(1),
            ("sysctl", json!({"net.ipv4.ip_forward": {"runtime": "0", "configured": null}})),
            json!({"net.ipv4.ip_forward": {"runtime": "1", "configured": "1"}}),
        ),
        (
            "TimeSync",
            None,
            json!({"servers": ["ntp.example"]}),
            ("security.time_sync", json!({"service": "chrony", "enabled": false, "servers": []})),
            json!({"service": "chrony", "enabled": true, "servers": ["ntp.example"]}),
        ),
    ]
}

fn os(name: &str) -> Value {
    json!({"family": "linux", "id": "debian", "init": "systemd", "package_manager": "apt", "hostname": name, "is_root": true})
}

/// What is asked for where this is observed: commands, and whether anything is to be done at all.
fn planned(def: &SettingDef, (key, desired): (Option<&str>, &Value), seen: (&str, Value)) -> (State, Vec<String>) {
    let mut all =
        facts(&[("software.os", os("pc-1")), ("hardware.fstab", json!({"/tmp": {"device": "tmpfs", "fs": "tmpfs", "options": ["rw"]}}))]);
    all.sections.extend(facts(&[seen]).sections);
    let question = Question { def, key, desired, platform: Some(Platform::Linux) };
    let verdict = judge(&question, &all, &|_| None, chrono::DateTime::UNIX_EPOCH);
    let recorder = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(all))));
    if verdict.state == State::Change {
        let host: SharedHost = recorder.clone();
        def.program.apply(&host, key, desired, verdict.observed.as_ref()).unwrap_or_else(|e| panic!("{}: {e}", def.name));
    }
    let asked = recorder.lock().unwrap().operations.iter().map(|operation| shown(operation, &str::to_owned).line).collect();
    (verdict.state, asked)
}

/// Key and value of every example.
fn examples(def: &SettingDef) -> Vec<(Option<String>, Value)> {
    let of = |example: &Value| match (&def.keyed, example) {
        (Some(_), Value::Object(map)) => map.iter().map(|(key, value)| (Some(key.clone()), value.clone())).collect(),
        _ => vec![(None, example.clone())],
    };
    def.examples.iter().flat_map(of).collect()
}

#[test]
fn every_setting_that_is_set_twice_changes_nothing_the_second_time() {
    let Some(debian) = Debian::new() else { return };
    for package in ["rmm-tool", "rmm-gone"] {
        debian.publish_package(&Package::new(package, "1.0-1"));
    }
    let device = Arc::new(debian.device("pc-1"));
    device.install("rmm-gone", "1.0-1");
    device.run(&["groupadd", "repeat-gone"]);
    device.run(&["sh", "-c", "mkdir -p /srv/repeat-gone /etc/cron.d; echo x >/etc/repeat-gone"]);
    debian.declare(&[(&device, &[])]);
    debian.file("policies/p.yaml", REAL);
    debian.rmm(&["apply", "--auto-approve", "--allow-destructive"]).ends(0);
    // Observed afresh, nothing is left to be done.
    debian.rmm(&["plan", "--refresh", "always", "--detailed-exitcode"]).ends(0);
    let after = fingerprint(&device.path("/"));

    // Carried out once more all the same, as after a crash between a change and its record.
    let parts = debian.parts(Arc::new(SystemClock));
    let none = |_: &str| None;
    let planner = Planner::new(&parts.set, &none);
    let (declared, known) = (&parts.set.devices["pc-1"], Arc::new(parts.store.facts("pc-1", None).unwrap()));
    let (options, now) = (PlanOptions { compliant: true, ..PlanOptions::default() }, SystemClock.now());
    let plan = planner.decide(declared, planner.evaluate(declared, &known, &options, now), &options, now);
    let mut tried: BTreeSet<String> = BTreeSet::new();
    for change in &plan.changes {
        assert_eq!(change.state, State::Compliant, "{}", change.label());
        let host: SharedHost = Arc::new(Mutex::new(Inside { device: Arc::clone(&device), facts: Arc::clone(&known) }));
        let observed = Some(&change.observed).filter(|observed| !observed.is_null());
        let def = &parts.set.catalog.settings[&*change.setting];
        def.program.apply(&host, change.key.as_deref(), &change.desired, observed).unwrap_or_else(|e| panic!("{}: {e}", change.label()));
        assert_eq!(differences(&after, &fingerprint(&device.path("/"))), Vec::<String>::new(), "{}", change.label());
        tried.insert(change.setting.to_string());
    }

    for (name, key, desired, (section, before), after) in recorded() {
        let def = &parts.set.catalog.settings[name];
        assert_eq!(def.check(key, &desired), [], "{name}");
        let (state, first) = planned(def, (key, &desired), (section, before));
        assert!(state == State::Change && !first.is_empty(), "{name}: {state:?} {first:?}");
        assert_eq!(planned(def, (key, &desired), (section, after)), (State::Compliant, Vec::new()), "{name}");
        tried.insert(name.to_owned());
    }
    // What exists elsewhere only asks for the same each time, and for nothing that adds up; what counts as done there is tested with
    // the catalogue.
    let on_linux = |def: &SettingDef| def.platforms.contains(&Platform::Linux) && def.remediable_on(Some(Platform::Linux));
    for def in parts.set.catalog.settings.values().filter(|def| def.remediable() && !on_linux(def)) {
        for (key, desired) in examples(def) {
            let asked = || {
                let windows = facts(&[("software.os", json!({"family": "windows", "id": "windows", "init": "none", "hostname": "pc-1"}))]);
                let recorder = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(windows))));
                let host: SharedHost = recorder.clone();
                let ended = def.program.apply(&host, key.as_deref(), &desired, None).map_err(|error| error.to_string());
                let recorder = recorder.lock().unwrap();
                (recorder.operations.iter().map(|operation| shown(operation, &str::to_owned).line).collect::<Vec<_>>(), ended)
            };
            let first = asked();
            assert_eq!(first, asked(), "{}", def.name);
            let adds = ADDS_UP.iter().find(|word| first.0.iter().any(|line| line.contains(*word)));
            assert_eq!(adds, None, "{} {desired}: {first:#?}", def.name);
        }
        tried.insert(def.name.to_string());
    }
    let all: BTreeSet<String> =
        parts.set.catalog.settings.values().filter(|def| def.remediable()).map(|def| def.name.to_string()).collect();
    assert_eq!(tried, all, "a setting is not tried here");
}
