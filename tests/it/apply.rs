//! `rmm plan` and `rmm apply` over a fleet: what is refused, what is held, what waits, what fails.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::fleet::{Fleet, Said};

const NOTE: &str = "      Files:\n        \"{{ vars.dir }}/note\": {content: \"hello\\n\"}\n";

/// Waits until the device waits: a script that goes on once a file `go` is there, and leaves `name` behind.
const GATE: &str = r#"//! setting: Gate
//! summary: Waits for a file, then makes its own.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {enum: [open]}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: open}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.type == "file" }
fn apply(device, key, desired) {
    device.run(["sh", "-c", "until [ -e \"$1.go\" ]; do sleep 0.02; done; : >\"$1\"", "sh", key]);
}
"#;

/// Half works, and can take back what it did.
const HALF: &str = r#"//! setting: Half
//! summary: Writes the file, but not what was asked.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: y}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.sha256 == sha256(desired) }
fn apply(device, key, desired) { device.write_file(key, "half of it"); }
fn rollback(device, key, before) {
    if before == () || before.type == "absent" { device.run(["rm", "-f", "--", key]); }
}
"#;

fn simple(devices: usize) -> Fleet {
    let fleet = Fleet::new(devices);
    fleet.policy(NOTE);
    fleet
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn runs(fleet: &Fleet) -> String {
    fleet.sql("SELECT count(*) FROM Runs").remove(0)
}

#[test]
fn a_plan_tells_by_its_exit_code_and_apply_converges() {
    let fleet = simple(3);
    fleet.rmm(&["plan", "--detailed-exitcode"]).ends(2).says("Plan: 3 changes on 3 devices");
    assert_eq!(fleet.read(1, "note"), None);
    fleet.apply(&[]).ends(0).says("3 done");
    assert_eq!(fleet.read(3, "note").as_deref(), Some("hello\n"));
    fleet.rmm(&["plan", "--detailed-exitcode", "--refresh", "always"]).ends(0);
    fleet.apply(&[]).ends(0);
    assert_eq!(runs(&fleet), "1");
    fleet.intact();
}

#[test]
fn only_what_is_targeted_is_changed() {
    let fleet = simple(2);
    fleet.policy(&format!("{NOTE}        \"{{{{ vars.dir }}}}/other\": {{content: other}}\n"));
    let other = format!("Files.{}", fleet.dir(1).join("other").display());
    fleet.apply(&["dev-01", "--target", &other]).ends(0).says("1 done");
    assert_eq!((fleet.read(1, "other").as_deref(), fleet.read(1, "note"), fleet.read(2, "other")), (Some("other"), None, None));
    fleet.apply(&["dev-03"]).ends(3);
    fleet.apply(&["--target", "Flies"]).ends(3);
}

#[test]
fn limits_refuse_before_anything_is_done() {
    let fleet = simple(4);
    for limit in [["--max-devices", "3"], ["--max-percent", "50"]] {
        fleet.apply(&limit).ends(6).says("RMM0302");
    }
    fleet.rmm(&["apply"]).ends(6).says("RMM0304");
    fleet.file("rmm.toml", "[limits]\nmax_percent = 20\n");
    fleet.apply(&[]).ends(6).says("RMM0302");
    assert_eq!((runs(&fleet).as_str(), fleet.read(1, "note")), ("0", None));
    fleet.apply(&["dev-01"]).ends(0);
    fleet.apply(&["--max-percent", "100"]).ends(0).says("3 done");
}

#[test]
fn destructive_changes_need_permission() {
    let fleet = simple(1);
    fleet.file("scripts/half.rhai", &HALF.replace("risk: low", "risk: destructive"));
    fleet.policy("      Half:\n        \"{{ vars.dir }}/half\": half of it\n");
    fleet.apply(&[]).ends(6).says("RMM0303").says("--allow-destructive");
    assert_eq!((runs(&fleet).as_str(), fleet.read(1, "half")), ("0", None));
    fleet.apply(&["--allow-destructive"]).ends(0);
    assert_eq!(fleet.read(1, "half").as_deref(), Some("half of it"));
}

#[test]
fn a_saved_plan_is_refused_once_it_is_stale_and_leaves_out_what_others_have_changed() {
    let fleet = simple(2);
    let file = fleet.repo().join("saved.plan");
    let plan = file.to_str().unwrap();
    fleet.rmm(&["plan", "--out", plan]).ends(0);
    // Somebody was faster on one device.
    std::fs::write(fleet.dir(1).join("note"), "by hand\n").unwrap();
    fleet.apply(&[plan]).ends(0).says("1 done, 1 stale");
    assert_eq!((fleet.read(1, "note").as_deref(), fleet.read(2, "note").as_deref()), (Some("by hand\n"), Some("hello\n")));

    fleet.rmm(&["plan", "--refresh", "always", "--out", plan]).ends(0);
    let text = std::fs::read_to_string(&file).unwrap();
    let mut old: Value = serde_json::from_str(&text).unwrap();
    old["expiresAt"] = json!("2020-01-01T00:00:00Z");
    std::fs::write(&file, old.to_string()).unwrap();
    fleet.apply(&[plan]).ends(7).says("RMM0301").says("expired");

    std::fs::write(&file, &text).unwrap();
    fleet.policy(&NOTE.replace("hello", "bye"));
    fleet.apply(&[plan]).ends(7).says("RMM0301").says("stale plan");
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    fleet.apply(&[plan]).ends(1).says("RMM0308");
    assert_eq!(fleet.read(1, "note").as_deref(), Some("by hand\n"));
}

#[test]
fn a_saved_plan_that_was_altered_is_refused() {
    let fleet = simple(2);
    let file = fleet.repo().join("saved.plan");
    let plan = file.to_str().unwrap();
    fleet.rmm(&["plan", "dev-01", "--out", plan]).ends(0);
    let text = std::fs::read_to_string(&file).unwrap();
    let good: Value = serde_json::from_str(&text).unwrap();
    let altered = |alter: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        alter(&mut value["devices"][0]);
        std::fs::write(&file, value.to_string()).unwrap();
        fleet.apply(&[plan]).ends(6).says("RMM0309");
    };
    altered(&|device| device["changes"][0]["desired"]["content"] = json!("evil\n"));
    altered(&|device| device["changes"][0]["policy"] = json!("Other"));
    altered(&|device| device["device"] = json!("dev-02"));
    altered(&|device| device["device"] = json!("dev-99"));
    altered(&|device| device["changes"][0]["key"] = json!("/etc/evil"));
    altered(&|device| device["changes"][0]["setting"] = json!("Directories"));
    assert_eq!((runs(&fleet).as_str(), fleet.read(1, "note"), fleet.read(2, "note")), ("0", None, None));
    std::fs::write(&file, text).unwrap();
    fleet.apply(&[plan]).ends(0).says("1 done");
}

#[test]
fn a_failing_pilot_keeps_the_others_untouched() {
    let fleet = simple(6);
    fleet.declare(|i| if i <= 2 { "groups: [Pilot]".into() } else { String::new() });
    // The first device's note has a directory in its way.
    std::fs::create_dir_all(fleet.dir(1).join("note/x")).unwrap();
    fleet.apply(&["--stage", "Nobody"]).ends(6).says("RMM0306");
    fleet.apply(&["--stage", "Pilot"]).ends(8).says("stage 'Pilot'");
    assert_eq!(fleet.read(2, "note").as_deref(), Some("hello\n"));
    assert!((3..=6).all(|i| fleet.read(i, "note").is_none()));
    assert_eq!(fleet.states(), ["cancelled 4", "done 1", "failed 1"]);
    fleet.apply(&["--stage", "Pilot", "dev-02", "dev-03"]).ends(0);
    assert_eq!(fleet.read(3, "note").as_deref(), Some("hello\n"));
}

#[test]
fn too_many_failures_stop_the_run() {
    let fleet = simple(4);
    (1..=3).for_each(|i| std::fs::create_dir_all(fleet.dir(i).join("note/x")).unwrap());
    fleet.apply(&["--max-failures", "2", "--concurrency", "1"]).ends(8).says("Stopped: 2 devices failed");
    assert_eq!(fleet.states(), ["cancelled 2", "failed 2"]);
    assert!((3..=4).all(|i| fleet.read(i, "note").is_none()));
}

/// What goes wrong on few devices is not lost among many.
#[test]
fn two_bad_devices_among_many_good_ones_are_counted_and_named_with_their_reason() {
    let fleet = simple(22);
    std::fs::create_dir_all(fleet.dir(3).join("note/x")).unwrap();
    fleet.rmm(&["collect"]).ends(0);
    // Another key than the one that is known.
    let known = std::fs::read_to_string(fleet.sshd.path(".ssh/known_hosts")).unwrap();
    crate::sshd::keygen(&fleet.sshd.path("other"), "ed25519", "");
    let other = std::fs::read_to_string(fleet.sshd.path("other.pub")).unwrap();
    let change =
        |line: &str| if line.starts_with("[127.0.1.7]") { format!("[127.0.1.7]:{} {other}", fleet.sshd.port) } else { format!("{line}\n") };
    std::fs::write(fleet.sshd.path(".ssh/known_hosts"), known.lines().map(change).collect::<String>()).unwrap();
    let said = fleet.apply(&["--refresh", "never"]).ends(8).says("20 done, 2 failed");
    let failed: Vec<&str> = said.err.lines().filter(|line| line.trim_start().starts_with("failed")).collect();
    assert_eq!(failed.len(), 2, "{}", said.err);
    assert!(failed.iter().any(|line| line.contains("dev-03") && line.contains("ended with exit code 1: ")), "{failed:?}");
    assert!(
        failed.iter().any(|line| line.contains("dev-07") && line.contains("host key of") && line.contains("has changed")),
        "{failed:?}"
    );
    let read = fleet.rmm(&["status"]).ends(0);
    assert!(read.out.contains("none unfinished"), "{}", read.out);
    assert_eq!(fleet.states(), ["done 20", "failed 2"]);
    assert!((1..=22).filter(|i| ![3, 7].contains(i)).all(|i| fleet.read(i, "note").as_deref() == Some("hello\n")));
}

#[test]
fn a_device_that_cannot_be_observed_is_named_with_the_code_of_its_error() {
    let mut fleet = simple(1);
    fleet.sshd.stop();
    fleet.rmm(&["collect"]).ends(9).says("dev-01: RMM0401: cannot reach 127.0.1.1:");
}

#[test]
fn changes_wait_for_a_device_that_is_away_until_it_returns_or_they_expire() {
    let mut fleet = simple(2);
    fleet.file("rmm.toml", "[connections]\nssh_timeout = \"5s\"\n[limits]\nmax_percent = 100\n");
    fleet.rmm(&["collect"]).ends(0);
    fleet.sshd.stop();
    fleet.apply(&[]).ends(9).says("2 waiting for their device").says("--resume");
    assert_eq!(fleet.states(), ["queued 2"]);
    fleet.apply(&["--resume", "last"]).ends(9);
    fleet.sshd.restart();
    fleet.apply(&["--resume", "last"]).ends(0);
    assert_eq!((fleet.states(), fleet.read(2, "note").as_deref()), (vec!["done 2".to_owned()], Some("hello\n")));

    fleet.policy(&NOTE.replace("hello", "late"));
    fleet.sshd.stop();
    fleet.apply(&["--refresh", "never"]).ends(9);
    let connection = rusqlite::Connection::open(fleet.db()).unwrap();
    connection.execute("UPDATE Runs SET ExpiresAt = StartedAt WHERE State = 'interrupted'", []).unwrap();
    drop(connection);
    fleet.sshd.restart();
    fleet.apply(&["--resume", "last"]).ends(8).says("did not return before");
    assert_eq!((fleet.states(), fleet.read(2, "note").as_deref()), (vec!["failed 2".to_owned()], Some("hello\n")));
    fleet.intact();
}

#[test]
fn an_apply_that_cannot_look_at_a_device_says_so() {
    let mut fleet = simple(1);
    fleet.file("rmm.toml", "[connections]\nssh_timeout = \"5s\"\n[limits]\nmax_percent = 100\n");
    fleet.sshd.stop();
    fleet.apply(&[]).ends(9);
    assert_eq!(runs(&fleet), "0");
}

#[test]
fn guards_exceptions_and_approvals_hold_changes() {
    let fleet = simple(1);
    let policy = |more: &str, guard: &str| {
        fleet.file("policies/test.yaml", &format!("policies:\n  Test:\n    targets: [\"*\"]\n    settings:\n{NOTE}{more}{guard}"));
    };
    let hour = |h: i64| (chrono::Utc::now() + chrono::Duration::hours(h)).format("%H:%M").to_string();
    let guard = format!(
        "  Frozen:\n    targets: [\"*\"]\n    settings: {{AllowChanges: false}}\n    activeHours: \"{}-{}\"\n    timezone: UTC\n",
        hour(-2),
        hour(2)
    );
    policy("    remediate: true\n", &guard);
    fleet.rmm(&["plan"]).ends(0).says("held: Frozen until");
    fleet.apply(&[]).ends(0);
    let exception = "    remediate: true\n    exceptions:\n      - {device: dev-01, setting: Files, until: 2999-12-31, reason: \"on order\", approvedBy: kim}\n";
    policy(exception, "");
    fleet.rmm(&["plan"]).ends(0).says("held: exception until 2999-12-31 (on order)");
    fleet.apply(&[]).ends(0);
    policy("    remediate: approve\n", "");
    fleet.apply(&[]).ends(0).says("waits for approval");
    assert_eq!((runs(&fleet).as_str(), fleet.read(1, "note")), ("0", None));
    fleet.apply(&["--approve"]).ends(0).says("1 done");
}

#[test]
fn a_run_is_not_resumed_into_a_window_that_forbids_changes() {
    let mut fleet = simple(1);
    fleet.file("rmm.toml", "[connections]\nssh_timeout = \"5s\"\n[limits]\nmax_percent = 100\n");
    let exception = |fleet: &Fleet, until: &str| {
        let text = format!(
            "policies:\n  Test:\n    targets: [\"*\"]\n    remediate: true\n    settings:\n{NOTE}    exceptions:\n      - {{device: dev-01, setting: Files, until: {until}, reason: \"moving\", approvedBy: kim}}\n"
        );
        fleet.file("policies/test.yaml", &text);
    };
    exception(&fleet, "2020-01-01");
    fleet.rmm(&["collect"]).ends(0);
    fleet.sshd.stop();
    fleet.apply(&[]).ends(9);
    fleet.sshd.restart();
    // The run belongs to this state of the repository; that a hold begins meanwhile is played by one written into both.
    exception(&fleet, "2999-12-31");
    fleet.rmm(&["plan"]).ends(0);
    let connection = rusqlite::Connection::open(fleet.db()).unwrap();
    let hash = fleet.rmm(&["plan", "--output", "json"]).ends(0).json()["policySet"].as_str().unwrap().to_owned();
    connection.execute("UPDATE Runs SET PolicySet = ?1", [hash]).unwrap();
    drop(connection);
    fleet.apply(&["--resume", "last"]).ends(6).says("RMM0304").says("moving");
    assert_eq!((fleet.states(), fleet.read(1, "note")), (vec!["queued 1".to_owned()], None));
}

/// A service that restarts after a file: `cron` stands in for it by a script of the team.
const DAEMON: &str = r#"//! setting: Daemon
//! summary: Counts its restarts.
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
fn compliant(observed, desired) { true }
fn apply(device, key, desired) { }
fn restart(device, key, desired) { device.run(["sh", "-c", "echo again >>\"$1\"", "sh", key]); }
"#;

#[test]
fn a_service_restarts_after_what_it_depends_on_was_changed_and_only_then() {
    let fleet = simple(1);
    fleet.file("scripts/daemon.rhai", DAEMON);
    let note = fleet.dir(1).join("note");
    let daemon =
        format!("      Daemon:\n        \"{{{{ vars.dir }}}}/restarts\": {{state: running, restartOn: ['Files.{}']}}\n", note.display());
    fleet.policy(&format!("{NOTE}{daemon}"));
    fleet.apply(&[]).ends(0);
    assert_eq!(fleet.read(1, "restarts").as_deref(), Some("again\n"));
    fleet.apply(&["--refresh", "always"]).ends(0);
    assert_eq!(fleet.read(1, "restarts").as_deref(), Some("again\n"));
}

#[test]
fn a_change_that_fails_is_rolled_back_and_others_go_on() {
    let fleet = simple(1);
    fleet.file("scripts/half.rhai", HALF);
    fleet.policy(&format!("{NOTE}      Half:\n        \"{{{{ vars.dir }}}}/half\": all of it\n"));
    fleet.apply(&[]).ends(8).says("1 failed and rolled back");
    assert_eq!((fleet.read(1, "half"), fleet.read(1, "note").as_deref()), (None, Some("hello\n")));
    assert_eq!(fleet.states(), ["done 1", "rolledBack 1"]);
}

fn gated(devices: usize) -> Fleet {
    let fleet = Fleet::new(devices);
    fleet.file("scripts/gate.rhai", GATE);
    fleet.policy("      Gate:\n        \"{{ vars.dir }}/gate\": open\n");
    fleet.rmm(&["collect"]).ends(0);
    fleet
}

fn started(fleet: &Fleet) -> usize {
    fleet.sql("SELECT Seq FROM RunChanges WHERE State = 'started'").len()
}

fn begin(fleet: &Fleet, args: &[&str]) -> Child {
    let all = [&["apply", "--auto-approve", "--concurrency", "2"], args].concat();
    let child = fleet.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("two changes are begun", || started(fleet) == 2);
    child
}

fn interrupt(child: &Child) {
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

fn open(fleet: &Fleet, devices: usize) {
    (1..=devices).for_each(|i| std::fs::write(fleet.dir(i).join("gate.go"), "").unwrap());
}

#[test]
fn the_first_interrupt_lets_what_is_in_flight_finish_and_the_run_can_be_resumed() {
    let fleet = gated(4);
    let child = begin(&fleet, &[]);
    interrupt(&child);
    // Nobody else has a turn; the two in flight end once they can.
    open(&fleet, 4);
    Said::of(&child.wait_with_output().unwrap()).ends(130).says("--resume");
    assert_eq!(fleet.states(), ["cancelled 2", "done 2"]);
    fleet.apply(&["--resume", "last"]).ends(0);
    assert_eq!(fleet.states(), ["done 4"]);
    fleet.apply(&["--resume", "last"]).ends(6).says("RMM0307");
    fleet.intact();
}

#[test]
fn the_second_interrupt_stops_at_once() {
    let fleet = gated(3);
    let mut child = begin(&fleet, &[]);
    interrupt(&child);
    // Two signals that wait together are one.
    let mut err = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Stopping") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut err, &mut line).unwrap() > 0, "it ended without a word");
    }
    interrupt(&child);
    Said::of(&child.wait_with_output().unwrap()).ends(130);
    assert_eq!(fleet.states(), ["cancelled 1", "interrupted 2"]);
    open(&fleet, 3);
    fleet.apply(&["--resume", "last"]).ends(0);
    assert_eq!(fleet.states(), ["done 3"]);
    fleet.intact();
}

#[test]
fn a_restart_that_was_due_before_a_run_was_stopped_happens_when_it_is_resumed() {
    let fleet = gated(2);
    fleet.file("scripts/daemon.rhai", DAEMON);
    let causes: Vec<String> = (1..=2).map(|i| format!("'Gate.{}'", fleet.dir(i).join("gate").display())).collect();
    fleet.policy(&format!(
        "      Gate:\n        \"{{{{ vars.dir }}}}/gate\": open\n      Daemon:\n        \"{{{{ vars.dir }}}}/restarts\": {{state: running, restartOn: [{}]}}\n",
        causes.join(", ")
    ));
    let child = begin(&fleet, &[]);
    interrupt(&child);
    open(&fleet, 2);
    Said::of(&child.wait_with_output().unwrap()).ends(130);
    assert_eq!((fleet.states(), fleet.read(1, "restarts")), (vec!["cancelled 2".to_owned(), "done 2".to_owned()], None));
    fleet.apply(&["--resume", "last"]).ends(0);
    assert_eq!(fleet.read(1, "restarts").as_deref(), Some("again\n"));
}
