use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::Place;
use crate::model::event::EventRecord;
use crate::model::facts::Status;
use crate::model::monitor::{Events, Http, Ping, Priority, Rate, Service};
use crate::time::Span;

fn at(seconds: i64) -> DateTime<Utc> {
    "2026-11-21T07:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
}

fn monitor(name: &str, check: Check) -> Arc<Monitor> {
    Arc::new(Monitor {
        name: name.into(),
        description: None,
        targets: Vec::new(),
        exclude: Vec::new(),
        check,
        every: Span::seconds(60),
        timeout: Span::seconds(5),
        confirm: Confirm { failures: 2, successes: 1 },
        severity: Severity::High,
        place: Place::default(),
    })
}

fn on(device: &str, monitor: &Arc<Monitor>) -> Assigned {
    Assigned { device: device.into(), address: device.into(), port: 22, monitor: Arc::clone(monitor), simulated: None }
}

fn watch(assigned: Vec<Assigned>) -> Watch {
    let mut watch = Watch::default();
    watch.reload(assigned, at(0));
    watch
}

fn down(reason: &str) -> Probed {
    Probed { ok: false, reason: reason.into(), ..Probed::default() }
}

fn up() -> Probed {
    Probed { ok: true, latency_ms: Some(3.0), loss_percent: Some(0.0), reason: "3 ms".into(), expires: None }
}

#[test]
fn each_check_is_due_once_an_interval_and_the_fleet_is_spread_over_it() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch((0..600).map(|i| on(&format!("d-{i}"), &ping)).collect());
    let mut seen: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let mut most = 0;
    for second in 1..=120 {
        let due = watch.due(at(second), usize::MAX);
        most = most.max(due.len());
        for each in due {
            *seen.entry(each.assigned.device).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 600);
    assert!(seen.values().all(|n| *n == 2), "{seen:?}");
    assert!(most < 30, "{most} in one second");
}

#[test]
fn what_was_missed_is_looked_at_once() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping)]);
    assert_eq!(watch.due(at(3600), 10).len(), 1);
    assert_eq!(watch.due(at(3600), 10).len(), 0);
    assert!(watch.next_at().unwrap() > at(3600) && watch.next_at().unwrap() <= at(3660));
}

#[test]
fn a_clock_that_is_set_back_stops_no_check() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping)]);
    assert_eq!(watch.due(at(60), 10).len(), 1);
    let looked: usize = (0..=120).map(|second| watch.due(at(second - 3600), 10).len()).sum();
    assert_eq!(looked, 2);
}

#[test]
fn a_failure_is_told_when_it_is_confirmed_and_cleared_when_it_is_over() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping)]);
    let due = watch.due(at(60), 1).remove(0);
    assert_eq!(watch.probed(&due, &down("no answer"), at(60)), Outcome::default());
    let outcome = watch.probed(&due, &down("no answer"), at(120));
    let [Signal::Raised(finding)] = &outcome.signals[..] else { panic!("{:?}", outcome.signals) };
    assert_eq!((&*finding.key.kind, &*finding.title, &*finding.source), ("Ping", "Ping: no answer", "monitor Ping"));
    assert_eq!((outcome.checks[0].up, outcome.checks[0].since, outcome.checks[0].changed), (false, at(60), true));
    let outcome = watch.probed(&due, &up(), at(180));
    assert!(matches!(&outcome.signals[..], [Signal::Cleared { .. }]));
    assert_eq!(outcome.measures.iter().map(|(_, m)| m.metric).collect::<Vec<_>>(), ["Latency", "PacketLoss"]);
}

#[test]
fn a_transition_is_not_announced_again_after_a_restart() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping)]);
    watch.restore("a", "Ping", false, at(-600));
    let due = watch.due(at(60), 1).remove(0);
    let outcome = watch.probed(&due, &down("no answer"), at(60));
    assert_eq!((outcome.checks[0].since, outcome.checks[0].changed), (at(-600), false));
    // Raised again, which the alert engine counts up.
    assert!(matches!(&outcome.signals[..], [Signal::Raised(_)]));
}

#[test]
fn a_device_that_cannot_be_observed_is_asked_again_soon_and_then_offline() {
    let mut watch = watch(Vec::new());
    let device: Arc<str> = "a".into();
    let error = TransportError::Unreachable { address: "a:22".into(), reason: "no route to host".into() };
    let first = watch.collected(&device, Err(&error), at(0));
    assert_eq!((first.signals.len(), &first.again[..]), (0, &[(Arc::clone(&device), at(30))][..]));
    let second = watch.collected(&device, Err(&error), at(30));
    assert!(matches!(&second.signals[..], [Signal::Raised(f)] if &*f.key.kind == REACHABLE && f.severity == Severity::High));
    let refused = TransportError::Authentication { address: "a:22".into(), user: "root".into(), reason: "no key".into() };
    let third = watch.collected(&device, Err(&refused), at(60));
    assert!(matches!(&third.signals[..], [Signal::Cleared { .. }]));
    assert_eq!(watch.collected(&device, Err(&TransportError::Cancelled), at(90)), Outcome::default());
}

#[test]
fn what_is_no_longer_watched_is_cleared() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping), on("b", &ping)]);
    for due in watch.due(at(60), 2) {
        watch.probed(&due, &down("no answer"), at(60));
        watch.probed(&due, &down("no answer"), at(70));
    }
    let outcome = watch.reload(vec![on("b", &ping)], at(80));
    assert!(matches!(&outcome.signals[..], [Signal::Cleared { key, .. }] if key.subject.device() == Some("a")), "{outcome:?}");
}

#[test]
fn a_certificate_is_told_of_before_it_expires_and_when_it_was_renewed() {
    let http = Http {
        url: "https://a/".into(),
        status: Vec::new(),
        contains: None,
        within: None,
        expires: Some(Span::seconds(21 * 86_400)),
        verify: true,
        redirects: 0,
    };
    let mut watch = watch(vec![on("a", &monitor("Web", Check::Http(http)))]);
    let due = watch.due(at(60), 1).remove(0);
    let valid_for = |days| Probed { expires: Some(at(0) + TimeDelta::days(days)), ..up() };
    assert_eq!(watch.probed(&due, &valid_for(90), at(0)).signals.len(), 0);
    let outcome = watch.probed(&due, &valid_for(10), at(0));
    let [Signal::Raised(finding)] = &outcome.signals[..] else { panic!("{:?}", outcome.signals) };
    assert_eq!((&*finding.key.instance, &*finding.title), ("certificate", "Web: the certificate expires in 10 days, on 2026-12-01"));
    assert!(matches!(&watch.probed(&due, &valid_for(90), at(60)).signals[..], [Signal::Cleared { .. }]));
}

fn observed(services: serde_json::Value, seconds: i64) -> BTreeMap<Arc<str>, Section> {
    BTreeMap::from([("software.services".into(), Section::new(services, Status::Ok, at(seconds)))])
}

fn services() -> (Arc<str>, Watch) {
    let service = |depends_on: &[&str]| Service {
        restarts_per_day: 2,
        depends_on: depends_on.iter().map(|s| (*s).to_owned()).collect(),
        startup: None,
    };
    let all = BTreeMap::from([("db".to_owned(), service(&[])), ("app".to_owned(), service(&["db"]))]);
    ("a".into(), watch(vec![on("a", &monitor("Shop", Check::Services(all)))]))
}

#[test]
fn a_dead_service_is_started_again_after_what_it_depends_on() {
    let (device, mut watch) = services();
    let both = json!({"db": {"state": "failed", "startup": "enabled"}, "app": {"state": "stopped", "startup": "enabled"}});
    assert!(watch.collected(&device, Ok(&observed(both.clone(), 0)), at(0)).restarts.is_empty());
    let restarts = watch.collected(&device, Ok(&observed(both, 60)), at(60)).restarts;
    assert_eq!(restarts.iter().map(|r| &*r.service).collect::<Vec<_>>(), ["db"]);
    assert_eq!((&*restarts[0].call.action, &restarts[0].call.with["name"]), ("ServiceControl", &json!("db")));
    let one = json!({"db": {"state": "running", "startup": "enabled"}, "app": {"state": "stopped", "startup": "enabled"}});
    let next = watch.collected(&device, Ok(&observed(one, 120)), at(120));
    assert_eq!(next.restarts.iter().map(|r| &*r.service).collect::<Vec<_>>(), ["app"]);
    assert!(next.signals.iter().any(|s| matches!(s, Signal::Cleared { key, .. } if &*key.instance == "db")));
}

#[test]
fn a_service_that_does_not_stay_up_is_given_up_for_the_day() {
    let (device, mut watch) = services();
    let is = |state: &str| json!({"db": {"state": state, "startup": "enabled"}, "app": {"state": "running", "startup": "enabled"}});
    let mut starts = 0;
    let mut given_up = false;
    for minute in 0..59 {
        // It comes up each time, for a minute.
        let state = if minute % 3 == 2 { "running" } else { "failed" };
        let outcome = watch.collected(&device, Ok(&observed(is(state), minute * 60)), at(minute * 60));
        starts += outcome.restarts.len();
        given_up |= outcome.signals.iter().any(|s| matches!(s, Signal::Raised(f) if f.title.contains("does not stay up")));
    }
    assert_eq!((starts, given_up), (2, true));
    assert_eq!(watch.collected(&device, Ok(&observed(is("failed"), 90_000)), at(90_000)).restarts.len(), 1);
}

#[test]
fn what_does_not_come_up_twice_is_not_started_a_third_time_but_told() {
    let service = Service { restarts_per_day: 5, depends_on: Vec::new(), startup: None };
    let all = BTreeMap::from([("db".to_owned(), service)]);
    let (device, mut watch) = (Arc::<str>::from("a"), watch(vec![on("a", &monitor("Shop", Check::Services(all)))]));
    let is = |state: &str| json!({"db": {"state": state, "startup": "enabled"}});
    let mut look = |state: &str, minute: i64| {
        let outcome = watch.collected(&device, Ok(&observed(is(state), minute * 60)), at(minute * 60));
        let told = outcome.signals.iter().any(|s| matches!(s, Signal::Raised(f) if f.title.contains("did not come up")));
        (outcome.restarts.len(), told)
    };
    let looks: Vec<_> = (0..6).map(|minute| look("failed", minute)).collect();
    assert_eq!(looks, [(0, false), (1, false), (1, false), (0, true), (0, true), (0, true)]);
    // It was seen running: a new failure is another one, as long as the day allows.
    assert_eq!(look("running", 6), (0, false));
    let looks: Vec<_> = (7..11).map(|minute| look("failed", minute)).collect();
    assert_eq!(looks, [(0, false), (1, false), (1, false), (0, true)]);
}

#[test]
fn a_masked_service_and_one_that_is_not_installed_are_told_of_but_not_started() {
    let (device, mut watch) = services();
    let found = json!({"db": {"state": "stopped", "startup": "masked"}});
    watch.collected(&device, Ok(&observed(found.clone(), 0)), at(0));
    let outcome = watch.collected(&device, Ok(&observed(found, 60)), at(60));
    assert!(outcome.restarts.is_empty());
    assert_eq!(outcome.signals.iter().filter(|s| matches!(s, Signal::Raised(_))).count(), 2);
}

fn record(origin: &str, priority: u8, message: &str, seconds: i64) -> EventRecord {
    EventRecord {
        device: "a".into(),
        source: "journal".into(),
        cursor: format!("s={seconds}"),
        at: at(seconds),
        priority,
        origin: origin.into(),
        code: None,
        message: message.into(),
        data: serde_json::Value::Null,
    }
}

#[test]
fn records_that_match_are_an_alert_and_others_are_not() {
    let events = Events {
        units: vec!["sshd".into()],
        priority: Priority::Warning,
        matches: Some("Failed password for (root|admin)".into()),
        rate: None,
    };
    let mut watch = watch(vec![on("a", &monitor("Logins", Check::Events(events)))]);
    let device: Arc<str> = "a".into();
    let records = [
        record("sshd", 4, "Failed password for root from 192.0.2.1", 1),
        record("sshd", 4, "Failed password for alice from 192.0.2.1", 2),
        record("sshd", 6, "Failed password for root from 192.0.2.1", 3),
        record("cron", 3, "Failed password for root", 4),
    ];
    let outcome = watch.records(&device, &records, at(10));
    let [Signal::Occurred(finding)] = &outcome.signals[..] else { panic!("{:?}", outcome.signals) };
    assert_eq!((&*finding.key.instance, finding.key.subject.device(), finding.at), ("sshd", Some("a"), at(1)));
}

#[test]
fn a_rate_is_an_alert_when_it_is_reached_and_not_before() {
    let events = Events { rate: Some(Rate { count: 3, within: Span::seconds(60) }), ..Events::default() };
    let mut watch = watch(vec![on("a", &monitor("Errors", Check::Events(events)))]);
    let device: Arc<str> = "a".into();
    let mut said = Vec::new();
    for second in [0, 50, 100, 105, 120, 130] {
        said.push(watch.records(&device, &[record("app", 3, "oops", second)], at(second)).signals.len());
    }
    assert_eq!(said, [0, 0, 0, 1, 0, 0]);
}

#[test]
fn a_clock_that_is_set_back_does_not_have_checks_wait_until_it_has_come_round() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    let mut watch = watch(vec![on("a", &ping)]);
    assert_eq!(watch.due(at(3660), 1).len(), 1);
    // The next one would be in an hour and a minute.
    assert_eq!(watch.due(at(60), 1).len(), usize::from(watch.next_at() == Some(at(60))));
    assert!(watch.next_at().is_some_and(|next| next <= at(120)), "{:?}", watch.next_at());
    assert_eq!(watch.due(at(120), 1).len(), 1);
}

#[test]
fn an_alert_of_before_whose_check_was_not_recorded_is_cleared_by_the_first_good_result() {
    let ping = monitor("Ping", Check::Ping(Ping::default()));
    for recorded in [false, true] {
        let mut watch = watch(vec![on("a", &ping)]);
        if recorded {
            watch.restore("a", "Ping", true, at(-600));
        }
        watch.raised("a", "Ping", "", at(-5));
        let due = watch.due(at(60), 1).remove(0);
        assert!(matches!(&watch.probed(&due, &up(), at(60)).signals[..], [Signal::Cleared { .. }]));
        assert!(watch.probed(&due, &up(), at(120)).signals.is_empty());
    }
}

#[test]
fn a_log_with_ever_new_writers_is_no_flood_of_alerts() {
    for rate in [None, Some(Rate { count: 2, within: Span::seconds(60) })] {
        let events = Events { rate, ..Events::default() };
        let mut watch = watch(vec![on("a", &monitor("Errors", Check::Events(events)))]);
        let device: Arc<str> = "a".into();
        let mut keys = std::collections::HashSet::new();
        for round in 0..200 {
            let records: Vec<EventRecord> = (0..20).map(|n| record(&format!("x{}", round * 10 + n % 10), 3, "oops", round)).collect();
            for signal in watch.records(&device, &records, at(round)).signals {
                let crate::model::Signal::Occurred(finding) = signal else { panic!("{signal:?}") };
                keys.insert(finding.key);
            }
        }
        assert!((10..=51).contains(&keys.len()), "{}", keys.len());
        assert!(watch.counted.len() <= 51, "{}", watch.counted.len());
    }
}
