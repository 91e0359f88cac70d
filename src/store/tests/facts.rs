//! Facts: only changes are rows, and every past day can be read.

use super::*;
use crate::store::PutOutcome;

fn os(version: &str) -> (&'static str, Value) {
    (
        "software.os",
        json!({"family": "linux", "pretty_name": format!("Debian {version}"), "version_id": version, "kernel": "6.1", "fqdn": "a.example.com"}),
    )
}

fn count(house: &House, table: &str) -> i64 {
    stranger(&house.path).query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn unchanged_sections_write_no_row_but_are_known_to_be_fresh() {
    let house = house();
    let first =
        house.store.put_observations(&[observation("a", noon(), &[os("12"), ("security.firewall", json!({"enabled": true}))])]).unwrap();
    assert_eq!(first, PutOutcome { changed: 2, unchanged: 0 });
    let before = house.store.fingerprints().unwrap();
    let second = house.store.put_observations(&[observation("a", minutes(5), &[os("12")])]).unwrap();
    assert_eq!(second, PutOutcome { changed: 0, unchanged: 1 });
    assert_eq!(count(&house, "SectionHistory"), 0);
    let facts = house.store.facts("a", None).unwrap();
    assert_eq!(facts.sections["software.os"].collected_at, minutes(5));
    assert_eq!(facts.sections["security.firewall"].collected_at, noon(), "what was not looked at is as old as before");
    let after = house.store.fingerprints().unwrap();
    assert_eq!((after[0].generation, after[0].hash), (before[0].generation, before[0].hash));
    assert_eq!(after[0].oldest, Some(noon()));
}

#[test]
fn the_state_at_any_past_moment_can_be_read() {
    let house = house();
    for (minute, version) in [(0, "10"), (10, "11"), (20, "11"), (30, "12")] {
        house.store.put_observations(&[observation("a", minutes(minute), &[os(version)])]).unwrap();
    }
    let at = |minute: i64| house.store.facts("a", Some(minutes(minute))).unwrap().value("software.os.version_id").cloned();
    assert_eq!(at(-1), None);
    assert_eq!(at(0), Some(json!("10")));
    assert_eq!(at(9), Some(json!("10")));
    assert_eq!(at(10), Some(json!("11")));
    assert_eq!(at(29), Some(json!("11")));
    assert_eq!(at(30), Some(json!("12")));
    assert_eq!(at(9999), Some(json!("12")));
    let seen = |minute: i64| house.store.facts("a", Some(minutes(minute))).unwrap().sections["software.os"].collected_at;
    assert_eq!(seen(25), minutes(20), "the evidence is as old as the last observation before");
    assert_eq!(seen(15), minutes(10));
}

#[test]
fn the_history_of_a_path_shows_its_changes_and_not_those_of_its_neighbours() {
    let house = house();
    for (minute, port, root) in [(0, "22", "yes"), (10, "22", "no"), (20, "2222", "no"), (30, "22", "no")] {
        house
            .store
            .put_observations(&[observation("a", minutes(minute), &[("security.sshd", json!({"port": port, "permitrootlogin": root}))])])
            .unwrap();
    }
    let root = house.store.history("a", "security.sshd.permitrootlogin").unwrap();
    let short: Vec<_> = root.iter().map(|v| (v.from, v.to, v.value.clone().unwrap())).collect();
    assert_eq!(short, [(noon(), Some(minutes(10)), json!("yes")), (minutes(10), None, json!("no"))]);
    assert_eq!(root[1].last_seen, minutes(30));
    assert_eq!(house.store.history("a", "security.sshd.port").unwrap().len(), 3);
    assert_eq!(house.store.history("a", "security.sshd.absent").unwrap()[0].value, None);
    assert_eq!(house.store.history("a", "no.such").unwrap(), []);
}

#[test]
fn volatile_sections_keep_the_latest_alone_and_do_not_move_the_fingerprint() {
    let house = house();
    house.store.put_observations(&[observation("a", noon(), &[os("12"), ("performance.cpu", json!({"load_1": 1.0}))])]).unwrap();
    let before = house.store.fingerprints().unwrap();
    house.store.put_observations(&[observation("a", minutes(5), &[("performance.cpu", json!({"load_1": 2.0}))])]).unwrap();
    assert_eq!(house.store.facts("a", None).unwrap().value("performance.cpu.load_1"), Some(&json!(2.0)));
    assert_eq!(count(&house, "SectionHistory"), 0);
    assert_eq!(house.store.fingerprints().unwrap(), before);
}

#[test]
fn a_change_of_a_lasting_section_moves_the_fingerprint() {
    let house = house();
    house.store.put_observations(&[observation("a", noon(), &[os("12")])]).unwrap();
    let before = house.store.fingerprints().unwrap();
    house.store.put_observations(&[observation("a", minutes(1), &[os("13")])]).unwrap();
    let after = house.store.fingerprints().unwrap();
    assert!(after[0].generation > before[0].generation);
    assert_ne!(after[0].hash, before[0].hash);
}

#[test]
fn merged_probes_keep_earlier_answers_and_their_age() {
    let house = house();
    house
        .store
        .put_observations(&[observation("a", noon(), &[("files", json!({"/a": {"type": "file"}, "/b": {"type": "absent"}}))])])
        .unwrap();
    let mut more = observation("a", minutes(5), &[("files", json!({"/b": {"type": "dir"}, "/c": {"type": "link"}}))]);
    more.merge = Merge::Probes;
    house.store.put_observations(&[more.clone()]).unwrap();
    let facts = house.store.facts("a", None).unwrap();
    assert_eq!(facts.value("files"), Some(&json!({"/a": {"type": "file"}, "/b": {"type": "dir"}, "/c": {"type": "link"}})));
    assert_eq!(facts.sections["files"].collected_at, noon());
    more.merge = Merge::Replace;
    house.store.put_observations(&[more]).unwrap();
    let facts = house.store.facts("a", None).unwrap();
    assert_eq!(facts.value("files"), Some(&json!({"/b": {"type": "dir"}, "/c": {"type": "link"}})));
    assert_eq!(facts.sections["files"].collected_at, minutes(5));
}

#[test]
fn an_older_observation_does_not_replace_a_newer_one() {
    let house = house();
    house.store.put_observations(&[observation("a", minutes(5), &[os("13")])]).unwrap();
    house.store.put_observations(&[observation("a", noon(), &[os("12")])]).unwrap();
    assert_eq!(house.store.facts("a", None).unwrap().value("software.os.version_id"), Some(&json!("13")));
}

#[test]
fn what_could_not_be_observed_keeps_its_reason() {
    let house = house();
    let status = Status::Unknown("not root".into());
    let sections = BTreeMap::from([(Arc::from("security.firewall"), Section::new(Value::Null, status.clone(), noon()))]);
    house.store.put_observations(&[Observation { device: "a".into(), sections, merge: Merge::Replace }]).unwrap();
    assert_eq!(house.store.facts("a", None).unwrap().sections["security.firewall"].status, status);
}

#[test]
fn an_answer_beyond_the_bound_is_unknown_and_the_rest_of_the_batch_is_kept() {
    let house = house();
    let huge = json!("x".repeat(9 * 1024 * 1024));
    house.store.put_observations(&[observation("a", noon(), &[("network.routes", huge.clone()), os("12")])]).unwrap();
    let facts = house.store.facts("a", None).unwrap();
    assert!(matches!(&facts.sections["network.routes"].status, Status::Unknown(why) if why.contains("at most")));
    assert_eq!(facts.value("software.os.version_id"), Some(&json!("12")));
    let again = house.store.put_observations(&[observation("a", minutes(1), &[("network.routes", huge)])]).unwrap();
    assert_eq!(again, PutOutcome { changed: 0, unchanged: 1 });
}

#[test]
fn the_fleet_is_handed_over_in_order_with_the_sections_asked_for() {
    let house = house();
    let fleet: Vec<_> = (0..300)
        .map(|n| {
            observation(
                &format!("d{n:03}"),
                noon(),
                &[os(&n.to_string()), ("security.sshd", json!({"n": n})), ("security.users", json!({}))],
            )
        })
        .collect();
    house.store.put_observations(&fleet).unwrap();
    let mut seen = Vec::new();
    house
        .store
        .facts_fleet(&["security.sshd", "software"], None, |device, facts| {
            assert_eq!(facts.sections.len(), 2);
            assert_eq!(facts.value("security.sshd.n").map(|n| format!("d{n:0>3}", n = n.to_string())), Some(device.to_owned()));
            seen.push(device.to_owned());
        })
        .unwrap();
    assert_eq!(seen, fleet.iter().map(|o| o.device.clone()).collect::<Vec<_>>());
    let mut some = Vec::new();
    house.store.facts_fleet(&[], Some(&["d007", "nobody", "d003"]), |device, facts| some.push((device.to_owned(), facts))).unwrap();
    assert_eq!(some.iter().map(|s| s.0.as_str()).collect::<Vec<_>>(), ["d003", "d007"]);
    assert_eq!(some[0].1, house.store.facts("d003", None).unwrap());
}

#[test]
fn the_inventory_view_shows_one_document_per_device_and_category() {
    let house = house();
    house
        .store
        .put_observations(&[observation(
            "a",
            noon(),
            &[os("12"), ("software.packages", json!({"zsh": "5"})), ("security.users", json!({}))],
        )])
        .unwrap();
    let db = stranger(&house.path);
    let (data, at): (String, String) = db
        .query_row("SELECT Data, CollectedAt FROM Inventory WHERE DeviceId = 'a' AND Category = 'Software'", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!((&data["packages"]["zsh"], &data["os"]["version_id"]), (&json!("5"), &json!("12")));
    assert_eq!(at, "2026-11-21T12:00:00.000Z");
    let os: String = db.query_row("SELECT OSName || ' ' || FQDN FROM Devices WHERE DeviceId = 'a'", [], |row| row.get(0)).unwrap();
    assert_eq!(os, "Debian 12 a.example.com");
}

#[test]
fn of_a_section_only_the_members_that_are_asked_for_are_read() {
    let house = house();
    let packages = json!({"curl": "8 \"q\"", "\u{e9}t\u{e9}": {"deep": [1, {}]}, "zsh": "5"});
    let users = json!(["not", "a", "map"]);
    house
        .store
        .put_observations(&[observation("a", noon(), &[("software.packages", packages), ("security.users", users.clone())])])
        .unwrap();
    let wanted = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let members = BTreeMap::from([
        ("software.packages".to_owned(), wanted(&["curl", "nothing", "\u{e9}t\u{e9}"])),
        ("security.users".to_owned(), wanted(&["not"])),
    ]);
    let mut seen = Vec::new();
    house.store.facts_fleet_map(&[], &members, None, |_, facts| facts, |facts| seen.push(facts)).unwrap();
    let data = |name: &str| (*seen[0].sections[name].data).clone();
    assert_eq!(data("software.packages"), json!({"curl": "8 \"q\"", "\u{e9}t\u{e9}": {"deep": [1, {}]}}));
    assert_eq!(data("security.users"), users);
    assert_eq!(seen[0].sections["software.packages"].hash, house.store.facts("a", None).unwrap().sections["software.packages"].hash);
}
