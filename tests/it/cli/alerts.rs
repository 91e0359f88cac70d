use std::sync::Arc;

use chrono::Utc;
use rmm::alert::Desk;
use rmm::model::alert::Subject;
use rmm::model::{AlertKey, EventRecord, Finding, Severity, Signal};
use rmm::repo::{LoadOptions, load};
use rmm::store::Store;
use rmm::time::SystemClock;

use super::Fleet;

/// Two devices, a channel, and a rule for everything.
fn fleet() -> Fleet {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "[notifications.channels.team]\ntype = \"webhook\"\nurl = \"https://hooks.example.com/team\"\n");
    fleet.write("devices.yaml", "groups:\n  Web: {}\ndevices:\n  web-1: {groups: [Web]}\n  db-1: {}\n");
    fleet.write("notifications.yaml", "rules: {All: {channels: [team], repeat: 30m}}\n");
    fleet
}

/// As the daemon of this repository would hold it.
fn desk(fleet: &Fleet) -> (Desk, Store) {
    let root = fleet.path("");
    let loaded = load(&LoadOptions { root: root.clone(), env: None, environment: Vec::new(), now: Utc::now() });
    let store = Store::open(&root.join(".rmm/rmm.db"), Arc::new(SystemClock)).unwrap();
    (Desk::new(Arc::new(loaded.set.unwrap()), store.clone(), Utc::now()).unwrap(), store)
}

fn raised(device: &str, kind: &str, severity: Severity) -> Signal {
    Signal::Raised(Finding {
        key: AlertKey { subject: Subject::Device(device.into()), kind: kind.into(), instance: "".into() },
        severity,
        title: format!("{kind} is wrong"),
        message: String::new(),
        source: "test".into(),
        value: None,
        unit: None,
        at: Utc::now(),
    })
}

fn id(fleet: &Fleet, device: &str) -> String {
    let list = fleet.rmm(&["alerts", "history", "--device", device, "--output", "json"]).code(0).json();
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn alerts_are_listed_shown_and_taken_on_beside_a_running_daemon() {
    let fleet = fleet();
    fleet.rmm(&["alerts", "list"]).code(0).says("(none)");
    let (mut desk, store) = desk(&fleet);
    desk.signals(vec![raised("web-1", "Disk", Severity::Critical), raised("db-1", "CPU", Severity::High)], Utc::now()).unwrap();
    fleet.rmm(&["alerts", "list"]).code(0).says("web-1").says("Disk is wrong").says("db-1").says("critical");
    assert!(!fleet.rmm(&["alerts", "list", "--severity", "critical"]).code(0).out.contains("db-1"));
    assert!(!fleet.rmm(&["alerts", "list", "--device", "Web"]).code(0).out.contains("db-1"));
    fleet.rmm(&["alerts", "list", "--device", "wbe-1"]).code(3).complains("web-1");
    let list = fleet.rmm(&["alerts", "list", "--output", "json"]).code(0).json();
    assert_eq!((list["schema"].as_str(), list["items"].as_array().map(Vec::len)), (Some("rmm.alerts/1"), Some(2)));

    let id = id(&fleet, "web-1");
    let end = &id[id.len() - 8..];
    fleet.rmm(&["alerts", "ack", end, "-m", "on my way"]).code(0).says("acknowledged web-1");
    fleet.rmm(&["alerts", "show", &id]).code(0).says("acknowledged: on my way").says("raised to team, rule All: pending");
    fleet.rmm(&["alerts", "ack", &id]).code(1).complains("RMM0615");
    fleet.rmm(&["alerts", "ack", &id, "--take-over"]).code(0);
    // The daemon hears of it, and says so once.
    assert_eq!(desk.external(Utc::now()).unwrap().deliveries, 1);
    assert_eq!(desk.external(Utc::now()).unwrap().deliveries, 0);
    fleet.rmm(&["alerts", "unack", &id]).code(0);
    fleet.rmm(&["alerts", "unack", &id]).code(1).complains("RMM0614");
    fleet.rmm(&["alerts", "resolve", &id, "-m", "replaced"]).code(0).says("resolved web-1");
    fleet.rmm(&["alerts", "resolve", &id]).code(1).complains("RMM0614");
    assert_eq!(desk.external(Utc::now()).unwrap().deliveries, 1);
    fleet.rmm(&["alerts", "note", &id, "-m", "supplier called"]).code(0);
    fleet.rmm(&["alerts", "show", &id, "--output", "json"]).code(0).says("supplier called").says("rmm.alert/1");
    fleet.rmm(&["alerts", "show", "a-nothing"]).code(1).complains("RMM0613");
    assert!(!fleet.rmm(&["alerts", "list"]).code(0).out.contains("web-1"));
    fleet.rmm(&["alerts", "history"]).code(0).says("web-1").says("resolved");
    fleet.rmm(&["audit", "list", "--action", "alert"]).code(0).says("alert.acknowledged").says("alert.taken-over").says("alert.resolved");
    assert!(store.audit_verify(None).unwrap().is_ok());
}

#[test]
fn what_was_done_without_a_daemon_is_told_when_one_starts() {
    let fleet = fleet();
    let (mut first, store) = desk(&fleet);
    first.signals(vec![raised("web-1", "Disk", Severity::Critical)], Utc::now()).unwrap();
    drop(first);
    fleet.rmm(&["alerts", "resolve", &id(&fleet, "web-1")]).code(0);
    let count = || store.deliveries(&rmm::store::DeliveryFilter::default()).unwrap().len();
    assert_eq!(count(), 1);
    drop(desk(&fleet));
    assert_eq!(count(), 2);
    drop(desk(&fleet));
    assert_eq!(count(), 2);
}

#[test]
fn many_at_once_need_a_confirmation_that_names_their_number() {
    let fleet = fleet();
    let (mut desk, _) = desk(&fleet);
    desk.signals(vec![raised("web-1", "Disk", Severity::High), raised("web-1", "CPU", Severity::High)], Utc::now()).unwrap();
    fleet.rmm(&["alerts", "ack"]).code(3).complains("which alerts");
    fleet.rmm(&["alerts", "ack", "--device", "Web"]).code(6).complains("acknowledge 2 alerts");
    fleet.rmm(&["alerts", "ack", "--device", "Web", "--type", "Disk"]).code(0).says("acknowledged web-1: Disk");
    fleet.rmm(&["alerts", "resolve", "--severity", "high", "--yes"]).code(0);
    fleet.rmm(&["alerts", "list"]).code(0).says("(none)");
    fleet.rmm(&["alerts", "resolve", "--severity", "high", "--yes"]).code(0).complains("no alert is meant");
}

#[test]
fn silences_are_made_listed_and_ended() {
    let fleet = fleet();
    fleet.rmm(&["alerts", "silences"]).code(0).says("(none)");
    fleet.rmm(&["alerts", "silence", "--for", "2h", "-m", "x"]).code(6).complains("silence every alert");
    fleet.rmm(&["alerts", "silence", "--device", "nobody", "--for", "2h", "-m", "x"]).code(3);
    fleet.rmm(&["alerts", "silence", "--device", "web-1", "--for", "0s", "-m", "x"]).code(3);
    fleet.rmm(&["alerts", "silence", "--device", "web-1", "--for", "2h"]).code(3);
    fleet.rmm(&["alerts", "silence", "--device", "Web", "--type", "Disk", "--for", "2h", "-m", "new disk"]).code(0).says("Disk on Web");
    let (mut desk, store) = desk(&fleet);
    desk.signals(vec![raised("web-1", "Disk", Severity::High), raised("web-1", "CPU", Severity::High)], Utc::now()).unwrap();
    assert_eq!(store.deliveries(&rmm::store::DeliveryFilter::default()).unwrap().len(), 1);
    fleet.rmm(&["alerts", "list"]).code(0).says("triggered (silence s-");
    let silences = fleet.rmm(&["alerts", "silences", "--output", "json"]).code(0).json();
    assert_eq!(silences["items"][0]["reason"], "new disk");
    let id = silences["items"][0]["id"].as_str().unwrap().to_owned();
    fleet.rmm(&["alerts", "unsilence", &id]).code(0).says("Disk on Web");
    assert_eq!(desk.external(Utc::now()).unwrap().deliveries, 1);
    fleet.rmm(&["alerts", "unsilence", "s-nothing"]).code(1).complains("RMM0616");
    fleet.rmm(&["alerts", "silences"]).code(0).says("(none)");
    fleet.rmm(&["alerts", "silences", "--all"]).code(0).says("over");
    fleet.rmm(&["audit", "list", "--action", "silence"]).code(0).says("silence.created").says("silence.ended");
}

#[test]
fn what_is_open_is_listed_without_a_word_and_counted_by_severity() {
    let fleet = fleet();
    fleet.rmm(&["status"]).code(0).says("none open");
    let (mut desk, _store) = desk(&fleet);
    desk.signals(vec![raised("web-1", "Disk", Severity::Critical), raised("db-1", "CPU", Severity::High)], Utc::now()).unwrap();
    let (short, long) = (fleet.rmm(&["alerts", "--output", "json"]).code(0), fleet.rmm(&["alerts", "list", "--output", "json"]).code(0));
    assert_eq!(short.json()["items"], long.json()["items"]);
    fleet.rmm(&["status"]).code(0).says("1 critical   1 high   0 medium");
    let json = fleet.rmm(&["status", "--output", "json"]).code(0).json();
    assert_eq!((json["openAlerts"]["critical"].as_u64(), json["openAlerts"]["low"].as_u64()), (Some(1), Some(0)));
    // Of the chosen devices only.
    fleet.rmm(&["status", "db-1"]).code(0).says("0 critical   1 high");
}

#[test]
fn an_alert_shows_what_the_log_of_its_device_said() {
    let fleet = fleet();
    let (mut desk, _store) = desk(&fleet);
    let record = |message: &str| EventRecord {
        device: "web-1".into(),
        source: "journal".into(),
        cursor: message.into(),
        at: Utc::now(),
        priority: 3,
        origin: "smartd".into(),
        code: None,
        message: message.into(),
        data: serde_json::Value::Null,
    };
    desk.records(&[record("Device: /dev/sda, 8 unreadable sectors")], Utc::now()).unwrap();
    desk.signals(vec![raised("web-1", "Disk", Severity::Critical)], Utc::now()).unwrap();
    desk.records(&[record("Device: /dev/sda, failed self-check")], Utc::now()).unwrap();
    let shown = fleet.rmm(&["alerts", "show", &id(&fleet, "web-1")]).code(0);
    shown.says("From its log:\n").says("smartd (error): Device: /dev/sda, 8 unreadable sectors\n").says("failed self-check");
}
