//! Devices, metrics, verdicts, policy sets, retention.

use super::*;
use crate::model::DevicePlan;
use crate::store::{DeviceRow, GroupRow, PutVerdict, Retention, SiteRow, Status as Answers};

fn device(name: &str) -> DeviceRow {
    DeviceRow { name: name.into(), address: "192.0.2.7".into(), tags: vec!["x".into()], ..DeviceRow::default() }
}

#[test]
fn a_device_that_is_no_longer_declared_is_kept_and_marked_until_it_returns() {
    let house = house();
    house.store.sync_devices(&[device("a"), device("b")]).unwrap();
    house.store.put_observations(&[observation("b", noon(), &[("software.os", json!({}))])]).unwrap();
    house.clock.set(minutes(1));
    house.store.sync_devices(&[device("a")]).unwrap();
    let states = house.store.device_states().unwrap();
    assert_eq!(states.iter().map(|s| s.removed_at).collect::<Vec<_>>(), [None, Some(minutes(1))]);
    let mut seen = 0;
    house.store.facts_fleet(&[], None, |_, _| seen += 1).unwrap();
    assert_eq!(seen, 0, "removed devices are no longer of the fleet");
    assert_eq!(house.store.facts("b", None).unwrap().sections.len(), 1, "what was known is kept");
    house.store.sync_devices(&[device("a"), device("b")]).unwrap();
    assert_eq!(house.store.device_states().unwrap()[1].removed_at, None);
}

#[test]
fn synchronising_what_is_the_same_writes_nothing() {
    let house = house();
    house.store.sync_devices(&[device("a")]).unwrap();
    house.clock.set(minutes(1));
    house.store.sync_devices(&[device("a")]).unwrap();
    let updated: String = stranger(&house.path).query_row("SELECT UpdatedAt FROM Devices", [], |row| row.get(0)).unwrap();
    assert_eq!(updated, "2026-11-21T12:00:00.000Z");
}

#[test]
fn the_status_knows_since_when_and_why() {
    let house = house();
    assert_eq!(house.store.set_status("a", Answers::Online, None, noon()).unwrap(), Answers::Unknown);
    assert_eq!(house.store.set_status("a", Answers::Offline, Some("no route"), minutes(1)).unwrap(), Answers::Online);
    assert_eq!(house.store.set_status("a", Answers::Offline, Some("time-out"), minutes(2)).unwrap(), Answers::Offline);
    let state = house.store.device_states().unwrap().remove(0);
    assert_eq!((state.status, state.since, state.last_seen), (Answers::Offline, Some(minutes(1)), Some(noon())));
    assert_eq!(state.reason.as_deref(), Some("time-out"));
}

#[test]
fn sites_and_groups_follow_what_is_declared() {
    let house = house();
    let site = SiteRow { id: "b".into(), name: "Berlin".into(), ..SiteRow::default() };
    let group = GroupRow { name: "All".into(), ..GroupRow::default() };
    house.store.sync_sites(std::slice::from_ref(&site), std::slice::from_ref(&group)).unwrap();
    house.store.sync_sites(&[SiteRow { name: "Potsdam".into(), ..site }], &[]).unwrap();
    let db = stranger(&house.path);
    assert_eq!(db.query_row("SELECT Name FROM Sites", [], |row| row.get::<_, String>(0)).unwrap(), "Potsdam");
    assert_eq!(db.query_row("SELECT count(*) FROM DeviceGroups", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
}

fn plan(changes: Vec<crate::model::Change>) -> DevicePlan {
    DevicePlan { device: "a".into(), os: None, platform: None, site: None, groups: vec![], facts_at: None, compliant: 3, changes }
}

#[test]
fn the_history_of_verdicts_grows_only_where_a_verdict_changes() {
    let house = house();
    let put = |minute: i64, hash: u8, plan: &DevicePlan| {
        house
            .store
            .put_verdicts("set", Some("3f2c1ab"), minutes(minute), &[PutVerdict { input_hash: [hash; 16], blob: &[hash], plan }])
            .unwrap();
    };
    put(0, 1, &plan(vec![change("Timezone", State::Change), change("Firewall", State::Report)]));
    put(1, 2, &plan(vec![change("Timezone", State::Change), change("Firewall", State::Report)]));
    put(2, 3, &plan(vec![change("Timezone", State::Held), change("Firewall", State::Report)]));
    put(3, 4, &plan(vec![change("Firewall", State::Report)]));
    let history = house.store.verdict_history("a", None, 100).unwrap();
    let short: Vec<_> = history.iter().map(|v| (v.setting.as_str(), v.state.as_str(), v.from, v.to)).collect();
    assert_eq!(
        short,
        [
            ("Timezone", "change", noon(), Some(minutes(2))),
            ("Firewall", "report", noon(), None),
            ("Timezone", "held", minutes(2), Some(minutes(3))),
        ]
    );
    assert_eq!((history[0].place.as_str(), history[0].commit.as_deref()), ("policies/base.yaml:7", Some("3f2c1ab")));
    assert_eq!(house.store.verdict_history("a", Some("Timezone"), 100).unwrap().len(), 2);
    let mut latest = Vec::new();
    house.store.verdicts_all(|device, hash, blob| latest.push((device.to_owned(), hash, blob.to_vec()))).unwrap();
    assert_eq!(latest, [("a".to_owned(), [4; 16], vec![4])]);
    house.store.forget_verdicts().unwrap();
    house.store.verdicts_all(|_, _, _| panic!("forgotten")).unwrap();
    assert_eq!(house.store.verdict_history("a", None, 100).unwrap().len(), 3);
}

#[test]
fn a_policy_set_is_kept_as_it_was() {
    let house = house();
    let policies = [("Base".to_owned(), "{\"settings\":{}}".to_owned())];
    house.store.record_policy_set("abc", None, &policies).unwrap();
    house.store.record_policy_set("abc", Some("3f2c1ab"), &policies).unwrap();
    assert_eq!(house.store.policy_set("abc").unwrap(), policies);
    assert_eq!(house.store.policy_set("def").unwrap(), []);
}

#[test]
fn retention_forgets_the_past_and_never_the_present_or_the_audit() {
    let house = house();
    for minute in [0, 10] {
        house.store.put_observations(&[observation("a", minutes(minute), &[("software.os", json!(minute))])]).unwrap();
    }
    house.store.create_run(&run("r-1"), &[]).unwrap();
    house.store.set_run_state("r-1", RunState::Done, &actor()).unwrap();
    house.store.create_run(&run("r-2"), &[]).unwrap();
    house.clock.set(minutes(61));
    assert_eq!(house.store.forget(&Retention { history: TimeDelta::minutes(1), ..Retention::default() }).unwrap(), 2);
    assert_eq!(house.store.facts("a", None).unwrap().value("software.os"), Some(&json!(10)));
    assert_eq!(house.store.runs(9).unwrap().len(), 1, "a run that is not finished stays");
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 3);
}
