//! People, rotas, hours and maintenance of `notifications.yaml`; hosts and what hangs on them.

use super::*;
use chrono::{DateTime, Utc};

use crate::model::duty::MaintenanceTime;

const CONFIG: &str = "[notifications.channels.team]\ntype = \"webhook\"\nurl = \"https://hooks.example.com/team\"\n";

fn compiled(files: &[(&str, &str)]) -> Loaded {
    let mut all: Vec<(Arc<str>, String)> = vec![("rmm.toml".into(), CONFIG.into())];
    all.extend(files.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())));
    compile(all, &options(), World::default())
}

fn notifications(text: &str) -> PolicySet {
    let loaded = compiled(&[("notifications.yaml", text)]);
    assert_eq!(loaded.problems, Vec::new());
    loaded.set.unwrap()
}

/// The only problem: its code and place, and what it says.
fn mistake(text: &str) -> (String, String) {
    let loaded = compiled(&[("notifications.yaml", text)]);
    let all = spots(&loaded);
    assert_eq!(all.len(), 1, "{text}: {:#?}", loaded.problems);
    (all[0].replace(" notifications.yaml:", " "), loaded.problems[0].message.clone())
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_rota_hands_over_at_its_hour_also_where_daylight_saving_ends() {
    let set = notifications(
        "
people: {kim: {email: kim@example.com}, ada: {phone: '+491701234567'}, dana: {slack: '@dana'}}
onCall:
  Weekly:
    people: [kim, ada]
    start: 2026-10-19
    handOver: '09:00'
    timezone: Europe/Berlin
    overrides: [{person: dana, from: 2026-10-28 18:00, until: 2026-10-29}]
  Shifts: {people: [kim, ada], start: 2026-10-19, turn: 12h}
",
    );
    let duty = |rota: &str, time: &str| set.rotas[rota].on_duty(at(time)).map(str::to_owned).unwrap_or_default();
    // 26 October 2026, 09:00 in Berlin is 08:00 UTC: the clock went back the day before.
    for (time, who) in [
        ("2026-10-19T06:59:59Z", "ada"),
        ("2026-10-19T07:00:00Z", "kim"),
        ("2026-10-26T07:59:59Z", "kim"),
        ("2026-10-26T08:00:00Z", "ada"),
        ("2026-10-28T16:59:59Z", "ada"),
        ("2026-10-28T17:00:00Z", "dana"),
        ("2026-10-28T23:00:00Z", "ada"),
        ("2026-11-02T08:00:00Z", "kim"),
    ] {
        assert_eq!(duty("Weekly", time), who, "{time}");
    }
    assert_eq!([duty("Shifts", "2026-10-19T11:59:00Z"), duty("Shifts", "2026-10-19T12:00:00Z")], ["kim", "ada"]);
}

#[test]
fn holidays_are_no_business_hours_and_hours_belong_to_the_day_on_which_they_begin() {
    let set = notifications(
        "
businessHours: {hours: '08:00-18:00', holidays: [2026-11-24, 12-25]}
quietHours: {days: [Fri], hours: '22:00-06:00', except: [High, Critical]}
",
    );
    let hours = set.business_hours.as_ref().unwrap();
    for (time, inside) in [
        ("2026-11-23T12:00:00Z", true),
        ("2026-11-24T12:00:00Z", false),
        ("2026-11-25T08:00:00Z", true),
        ("2026-11-28T12:00:00Z", false),
        ("2026-12-25T12:00:00Z", false),
        ("2028-12-25T12:00:00Z", false),
    ] {
        assert_eq!(hours.contains(at(time)), inside, "{time}");
    }
    assert_eq!(hours.next_edge(at("2026-11-23T18:00:00Z")), Some(at("2026-11-25T08:00:00Z")));
    let quiet = &set.quiet_hours.as_ref().unwrap().hours;
    assert!(quiet.contains(at("2026-11-27T23:00:00Z")) && quiet.contains(at("2026-11-28T05:59:59Z")));
    assert!(!quiet.contains(at("2026-11-28T23:00:00Z")) && !quiet.contains(at("2026-11-27T05:00:00Z")));
}

#[test]
fn maintenance_is_weekly_scheduled_or_once() {
    let set = notifications(
        "
businessHours: {hours: '08:00-18:00', timezone: Europe/Berlin}
maintenance:
  Scheduled: {schedule: Second Tuesday 10PM, for: 4h}
  Weekly: {days: [Tue], hours: '22:00-02:00', timezone: UTC}
  Once: {from: 2026-12-24 18:00, until: 2026-12-25}
",
    );
    let of = |name: &str| &set.maintenance[name].when;
    // 8 December 2026 is the second Tuesday; 22:00 in Berlin is 21:00 UTC.
    let scheduled = of("Scheduled");
    assert!(!scheduled.contains(at("2026-12-08T20:59:59Z")) && scheduled.contains(at("2026-12-08T21:00:00Z")));
    assert!(scheduled.contains(at("2026-12-09T00:59:59Z")) && !scheduled.contains(at("2026-12-09T01:00:00Z")));
    assert_eq!(scheduled.next_edge(at("2026-12-01T00:00:00Z")), Some(at("2026-12-08T21:00:00Z")));
    assert_eq!(scheduled.next_edge(at("2026-12-08T21:00:00Z")), Some(at("2026-12-09T01:00:00Z")));
    assert!(of("Weekly").contains(at("2026-11-25T01:00:00Z")) && !of("Weekly").contains(at("2026-11-26T01:00:00Z")));
    assert_eq!(*of("Once"), MaintenanceTime::Once { from: at("2026-12-24T17:00:00Z"), until: at("2026-12-24T23:00:00Z") });
}

#[test]
fn mistakes_are_found_where_they_stand() {
    for (text, at, words) in [
        ("onCall: {R: {people: [kim], start: 2026-01-05}}", "RMM0611 1:23", "nobody knows how to reach 'kim'"),
        ("people: {kim: {}}", "RMM0611 1:10", "nobody knows how to reach 'kim'"),
        ("people: {kim: {email: kim}}", "RMM0103 1:23", "holds an @"),
        ("people: {kim: {phone: '0170'}}", "RMM0103 1:23", "international form"),
        ("onCall: {R: {people: ['#night'], start: 2026-01-05, handOver: late}}", "RMM0103 1:63", "time of the day"),
        ("maintenance: {M: {targets: '*'}}", "RMM0612 1:15", "in one way"),
        ("maintenance: {M: {hours: '01:00-02:00', schedule: Daily, for: 1h}}", "RMM0612 1:15", "in one way"),
        ("maintenance: {M: {schedule: Daily}}", "RMM0612 1:29", "how long"),
        ("maintenance: {M: {from: 2026-12-24}}", "RMM0612 1:15", "belong together"),
        ("maintenance: {M: {from: 2026-12-24, until: 2026-12-23}}", "RMM0103 1:44", "ends before it begins"),
        ("quietHours: {hours: '22-06'}", "RMM0115 1:21", "not a span"),
        ("businessHours: {hours: '08:00-18:00', holidays: [xmas]}", "RMM0103 1:50", "every year"),
        ("rules: {A: {channels: [team], repeat: 5}}", "RMM0103 1:39", "at least a minute"),
    ] {
        let (spot, message) = mistake(text);
        assert_eq!(spot, at, "{text}: {message}");
        assert!(message.contains(words), "{text}: {message}");
    }
}

#[test]
fn devices_that_hang_on_one_another_in_a_circle_are_refused() {
    let found = |devices: &str| spots(&compiled(&[("devices.yaml", devices)]));
    assert_eq!(found("devices: {a: {host: b}, b: {dependsOn: [c]}, c: {}}\n"), Vec::<String>::new());
    assert_eq!(found("devices: {a: {host: b}, b: {dependsOn: [c]}, c: {host: a}}\n"), ["RMM0610 devices.yaml:1:21"]);
    assert_eq!(found("devices: {a: {host: a}}\n"), ["RMM0610 devices.yaml:1:21"]);
    assert_eq!(found("devices: {a: {host: d}}\n"), ["RMM0108 devices.yaml:1:21"]);
}
