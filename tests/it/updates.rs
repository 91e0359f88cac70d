//! Updates on real Debian devices: seen, decided about, installed, taken back.

use serde_json::Value;

use crate::debian::{Debian, Device, Package};

/// A device with version 1 of the package, and version 2 in the repository; scanned.
fn outdated(debian: &Debian, name: &str) -> Device {
    let device = debian.device(name);
    device.install("rmm-demo", "1.0-1");
    device
}

fn fleet() -> Option<Debian> {
    let debian = Debian::new()?;
    debian.publish("1.0-1");
    Some(debian)
}

fn list(debian: &Debian, args: &[&str]) -> Vec<Value> {
    let said = debian.rmm(&[&["updates", "list", "--output", "json"], args].concat()).ends(0);
    said.json()["items"].as_array().unwrap().clone()
}

/// Update, offered version, classification, number of devices, state.
fn shown(rows: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    rows.iter()
        .map(|row| {
            let states: Vec<String> = row["state"].as_array().unwrap().iter().map(text).collect();
            let state = states.join(", ").split(" until").next().unwrap().to_owned();
            format!("{} {} {} {} {state}", text(&row["update"]), text(&row["offered"]), text(&row["class"]), row["devices"])
        })
        .collect()
}

fn history(debian: &Debian, device: &str) -> Vec<String> {
    let said = debian.rmm(&["updates", "history", device, "--output", "json"]).ends(0);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("-").to_owned();
    let rows = said.json()["items"].as_array().unwrap().clone();
    rows.iter().map(|row| format!("{} {} -> {}: {}", text(row, "package"), text(row, "from"), text(row, "to"), text(row, "how"))).collect()
}

#[test]
fn an_update_is_found_installed_and_taken_back() {
    let Some(debian) = fleet() else { return };
    let (one, two) = (outdated(&debian, "web-1"), outdated(&debian, "web-2"));
    debian.declare(&[(&one, &["Pilot"]), (&two, &[])]);
    debian.publish("2.0-1");
    debian.rmm(&["updates", "list"]).ends(0).says("not known of web-1 and 1 more");
    debian.rmm(&["updates", "scan"]).ends(0).says("1 update, 1 approved");
    assert_eq!(shown(&list(&debian, &[])), ["rmm-demo 2.0-1 other 2 approved"]);
    assert_eq!(list(&debian, &[])[0]["because"], serde_json::json!(["no rule narrows it"]));
    debian.rmm(&["updates", "install", "Pilot", "--dry-run"]).ends(0).says("2.0-1");
    debian.rmm(&["updates", "install", "Pilot"]).ends(6).says("needs a confirmation");
    assert_eq!(one.version("rmm-demo").as_deref(), Some("1.0-1"));
    debian.rmm(&["updates", "install", "Pilot", "--yes"]).ends(0).says("rmm-demo 1.0-1 -> 2.0-1");
    assert_eq!((one.version("rmm-demo").as_deref(), two.version("rmm-demo").as_deref()), (Some("2.0-1"), Some("1.0-1")));
    // It is known at once: nobody has to collect first.
    assert_eq!(shown(&list(&debian, &[])), ["rmm-demo 2.0-1 other 1 approved"]);
    assert_eq!(history(&debian, "web-1"), ["rmm-demo 1.0-1 -> 2.0-1: InstallUpdates"]);
    debian.rmm(&["updates", "install", "Pilot", "--yes"]).ends(0).says("Nothing is offered that is approved");
    debian.rmm(&["updates", "rollback", "web-1", "--yes"]).ends(0).says("rmm-demo 2.0-1 -> 1.0-1");
    assert_eq!(one.version("rmm-demo").as_deref(), Some("1.0-1"));
    assert_eq!(history(&debian, "web-1"), ["rmm-demo 2.0-1 -> 1.0-1: InstallUpdates, undone", "rmm-demo 1.0-1 -> 2.0-1: InstallUpdates"]);
    // What somebody else changes is seen.
    two.install("rmm-demo", "2.0-1");
    debian.rmm(&["collect", "web-2", "--category", "software", "--force"]).ends(0);
    assert_eq!(history(&debian, "web-2"), ["rmm-demo 1.0-1 -> 2.0-1: seen by a collection"]);
    debian.rmm(&["audit", "verify"]).ends(0);
}

#[test]
fn rules_and_people_decide_what_is_installed() {
    let Some(debian) = fleet() else { return };
    let device = outdated(&debian, "db-1");
    debian.declare(&[(&device, &["Servers"])]);
    debian.suite("stable-security");
    debian.publish("2.0-1");
    let rules =
        |text: &str| debian.file("policies/updates.yaml", &format!("Rules:\n  targets: [Servers]\n  settings:\n    Updates: {text}\n"));
    debian.rmm(&["updates", "scan"]).ends(0);
    let state = || shown(&list(&debian, &[]));
    for (rule, expected) in [
        ("{approve: [{classification: security}]}", "approved"),
        ("{approve: [{classification: security, olderThan: 3d}]}", "waiting"),
        ("{approve: [{classification: [bugfix, feature]}, 'linux-*']}", "not approved"),
        ("{approve: [{severity: high}]}", "not approved"),
        ("{approve: [{source: '*-security'}], defer: {'rmm-*': 14d}}", "deferred"),
        ("{approve: ['*'], deny: ['rmm-*']}", "denied"),
        ("{approve: []}", "not approved"),
        ("{deny: ['docker-*']}", "approved"),
    ] {
        rules(rule);
        assert_eq!(state(), [format!("rmm-demo 2.0-1 security 1 {expected}")], "{rule}");
    }
    rules("{approve: [{classification: security, olderThan: 3d}]}");
    assert_eq!(list(&debian, &[])[0]["because"], serde_json::json!(["policy Rules (policies/updates.yaml:4)"]));
    debian.rmm(&["updates", "install", "db-1", "--yes"]).ends(0).says("Nothing is offered that is approved");
    // A person may say yes to it, for another device, for another version, and for this.
    debian.rmm(&["updates", "approve", "rmm-demo=3.0-1"]).ends(0);
    assert_eq!(state(), ["rmm-demo 2.0-1 security 1 waiting"]);
    debian.rmm(&["updates", "approve", "rmm-demo", "--on", "Servers", "-m", "tested"]).ends(0);
    assert_eq!(state(), ["rmm-demo 2.0-1 security 1 approved"]);
    debian.rmm(&["updates", "deny", "RMM-*"]).ends(0);
    assert_eq!(state(), ["rmm-demo 2.0-1 security 1 denied"]);
    assert_eq!(debian.rmm(&["updates", "decisions", "--output", "json"]).ends(0).json()["items"].as_array().unwrap().len(), 3);
    debian.rmm(&["updates", "forget", "rmm-demo"]).ends(1).says("RMM0740");
    debian.rmm(&["updates", "forget", "RMM-*"]).ends(0);
    debian.rmm(&["updates", "defer", "rmm-demo", "--for", "7d", "--on", "db-1"]).ends(0);
    assert_eq!(state(), ["rmm-demo 2.0-1 security 1 deferred"]);
    debian.rmm(&["updates", "forget", "rmm-demo", "--on", "db-1"]).ends(0);
    // The guard says when, and holds for what people approve too.
    debian.file("policies/window.yaml", "Closed:\n  targets: [Servers]\n  settings: {AllowUpdates: false}\n");
    debian.rmm(&["updates", "install", "db-1", "--yes"]).ends(6).says("held: Closed");
    assert_eq!(device.version("rmm-demo").as_deref(), Some("1.0-1"));
    std::fs::remove_file(debian.repo().join("policies/window.yaml")).unwrap();
    debian.rmm(&["updates", "install", "db-1", "--yes"]).ends(0).says("rmm-demo 1.0-1 -> 2.0-1");
}

#[test]
fn what_was_not_shown_is_not_installed() {
    let Some(debian) = fleet() else { return };
    for version in ["1.0-1", "2.0-1"] {
        debian.publish_package(&Package::new("rmm-lib", version));
        debian.publish_package(&Package::new("rmm-app", version).depends(&format!("rmm-lib (>= {version})")));
    }
    debian.publish_package(&Package::new("rmm-new", "1.0-1"));
    let device = outdated(&debian, "app-1");
    device.install("rmm-lib", "1.0-1");
    device.install("rmm-app", "1.0-1");
    debian.declare(&[(&device, &[])]);
    debian.publish("2.0-1");
    debian.rmm(&["updates", "scan"]).ends(0);
    debian.rmm(&["updates", "deny", "rmm-lib"]).ends(0);
    // A newer one than was seen appears, and is not what was decided about.
    debian.publish_package(&Package::new("rmm-demo", "3.0-1").depends("rmm-new"));
    device.run(&["apt-get", "update", "-qq"]);
    let said = debian.rmm(&["updates", "install", "app-1", "--yes"]).ends(0);
    let said =
        said.says("rmm-demo 1.0-1 -> 2.0-1").says("left out rmm-app 2.0-1: it would also update rmm-lib to 2.0-1, which is not approved");
    drop(said);
    assert_eq!(device.version("rmm-demo").as_deref(), Some("2.0-1"));
    assert_eq!(["rmm-lib", "rmm-app"].map(|name| device.version(name)), [Some("1.0-1".to_owned()), Some("1.0-1".to_owned())]);
    // What needs something new is left out, unless that was allowed.
    debian.rmm(&["updates", "scan"]).ends(0);
    debian.rmm(&["updates", "install", "app-1", "--name", "rmm-demo", "--yes"]).ends(0).says("it needs rmm-new, which is not installed");
    assert_eq!(device.version("rmm-demo").as_deref(), Some("2.0-1"));
    debian.rmm(&["updates", "install", "app-1", "--name", "rmm-demo", "--full", "--yes"]).ends(0).says("rmm-new (absent) -> 1.0-1");
    // What came with it goes with it.
    debian.rmm(&["updates", "rollback", "app-1", "--yes"]).ends(0);
    assert_eq!((device.version("rmm-demo").as_deref(), device.version("rmm-new")), (Some("2.0-1"), None));
    // Gone from the repository and from the cache: what cannot be brought back is said.
    debian.withdraw("rmm-demo", "1.0-1");
    device.run(&["apt-get", "update", "-qq"]);
    device.run(&["apt-get", "clean"]);
    let runs = debian.rmm(&["updates", "history", "app-1", "--output", "json"]).ends(0).json();
    let run = runs["items"].as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
    debian.rmm(&["updates", "rollback", "--run", &run, "--yes"]).ends(8).says("0 brought back, 1 not: rmm-demo 1.0-1");
}

#[test]
fn a_bad_update_is_taken_back_held_and_denied() {
    let Some(debian) = fleet() else { return };
    let devices = [outdated(&debian, "a-1"), outdated(&debian, "a-2")];
    debian.declare(&[(&devices[0], &[]), (&devices[1], &[])]);
    debian.publish("2.0-1");
    debian.rmm(&["updates", "scan"]).ends(0);
    debian.rmm(&["updates", "install", "*", "--yes"]).ends(0);
    debian.rmm(&["updates", "uninstall", "rmm-demo=2.0-1", "--yes", "-m", "breaks"]).ends(0).says("rmm-demo 2.0-1 -> 1.0-1");
    for device in &devices {
        assert_eq!(device.version("rmm-demo").as_deref(), Some("1.0-1"), "{}", device.name);
        assert_eq!(device.run(&["apt-mark", "showhold"]).trim(), "rmm-demo");
    }
    assert_eq!(shown(&list(&debian, &[])), ["rmm-demo 2.0-1 other 2 denied"]);
    debian.rmm(&["updates", "install", "*", "--yes"]).ends(0).says("Nothing is offered that is approved");
}

#[test]
fn who_is_away_has_what_was_shown_installed_on_return_less_what_is_denied_by_then() {
    let Some(debian) = fleet() else { return };
    let devices = ["c-1", "c-2", "c-3"].map(|name| outdated(&debian, name));
    let [here, away, spared] = &devices;
    debian.declare(&[(here, &[]), (away, &[]), (spared, &[])]);
    debian.publish("2.0-1");
    debian.rmm(&["updates", "scan"]).ends(0);
    away.power_off();
    spared.power_off();
    let said = debian.rmm(&["updates", "install", "*", "--yes"]).ends(9);
    said.says("2 devices are away: c-2, c-3").says("rmm updates install '*' --expires ");
    assert_eq!(here.version("rmm-demo").as_deref(), Some("2.0-1"));
    assert_eq!(debian.sql("SELECT count(*) FROM Jobs"), ["0"]);
    let said = debian.rmm(&["updates", "install", "*", "--yes", "--expires", "2d"]).ends(9);
    said.says("2 devices are away: c-2, c-3").says("rmm workflow cancel w-");
    assert_eq!(debian.sql("SELECT Device, State FROM Jobs ORDER BY Device"), ["c-2 pending", "c-3 pending"]);
    debian.rmm(&["updates", "deny", "rmm-demo", "--on", "c-3", "-m", "breaks"]).ends(0);
    away.power_on();
    spared.power_on();
    debian.rmm(&["reconcile", "--once"]);
    assert_eq!(debian.sql("SELECT Device, State FROM Jobs ORDER BY Device"), ["c-2 succeeded", "c-3 succeeded"]);
    assert_eq!((away.version("rmm-demo").as_deref(), spared.version("rmm-demo").as_deref()), (Some("2.0-1"), Some("1.0-1")));
    let left = "SELECT json_extract(Result, '$.left[0].reason') FROM Jobs WHERE Device = 'c-3'";
    assert!(debian.sql(left)[0].starts_with("denied by now: "), "{:?}", debian.sql(left));
}

#[test]
fn what_an_installation_that_failed_has_changed_is_known_and_taken_back() {
    let Some(debian) = fleet() else { return };
    debian.publish_package(&Package::new("rmm-bad", "1.0-1"));
    let device = outdated(&debian, "b-1");
    device.install("rmm-bad", "1.0-1");
    debian.declare(&[(&device, &[])]);
    debian.publish("2.0-1");
    debian.publish_package(&Package::new("rmm-bad", "2.0-1").postinst("exit 7"));
    debian.rmm(&["updates", "scan"]).ends(0);
    debian.rmm(&["updates", "install", "b-1", "--yes"]).ends(8).says("the package manager failed, 2 packages have changed");
    assert_eq!(device.version("rmm-demo").as_deref(), Some("2.0-1"));
    assert!(history(&debian, "b-1").contains(&"rmm-demo 1.0-1 -> 2.0-1: InstallUpdates".to_owned()), "{:?}", history(&debian, "b-1"));
    debian.rmm(&["updates", "rollback", "b-1", "--yes"]).ends(0);
    assert_eq!(["rmm-demo", "rmm-bad"].map(|name| device.version(name)), [Some("1.0-1".to_owned()), Some("1.0-1".to_owned())]);
}

#[test]
fn a_debian_device_restarts_turns_off_and_comes_back() {
    let Some(debian) = fleet() else { return };
    let device = debian.device("r-1");
    debian.declare(&[(&device, &[])]);
    let booted = || {
        debian.rmm(&["collect", "r-1", "--category", "software", "--force"]).ends(0);
        debian.rmm(&["facts", "r-1", "software.os.boot_time", "--output", "json"]).ends(0).out
    };
    let first = booted();
    assert_eq!(booted(), first);
    std::fs::write(device.path("run/reboot-required"), "").unwrap();
    debian.rmm(&["exec", "r-1", "--", "shutdown", "-r", "+1", "updates"]).ends(0);
    device.comes_back(2);
    assert_ne!(booted(), first);
    assert!(!device.path("run/reboot-required").exists());
    assert_eq!(device.shutdowns(), ["shutdown -r +1 updates"]);
    device.power_off();
    debian.rmm(&["exec", "r-1", "--", "true"]).ends(9);
    device.power_on();
    debian.rmm(&["exec", "r-1", "--", "true"]).ends(0);
}
