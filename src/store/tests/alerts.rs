//! Alerts, deliveries, silences.

use std::collections::BTreeMap;

use super::*;
use crate::model::alert::{Note, Silence, Subject, Suppression};
use crate::model::delivery::{Message, Occasion};
use crate::model::{Alert, AlertKey, AlertState, Delivery, DeliveryState, Severity};
use crate::store::{AlertBatch, AlertFilter, AuditEvent, DeliveryFilter, DeliveryResult, StoreError};

fn alert(id: &str, subject: Subject) -> Alert {
    Alert {
        id: id.into(),
        key: AlertKey { subject, kind: "DiskSpace".into(), instance: "/var".into() },
        severity: Severity::Critical,
        title: "DiskSpace of /var: 7 %".into(),
        message: "critical at 10 %".into(),
        source: "threshold DiskSpace".into(),
        value: Some(7.0),
        unit: Some("%".into()),
        state: AlertState::Active,
        suppressed: None,
        count: 1,
        created_at: noon(),
        last_at: noon(),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        notes: vec![Note { at: noon(), by: "rmm".into(), text: "raised".into() }],
        progress: json!({"told": ["ops"]}),
    }
}

fn on(device: &str) -> Subject {
    Subject::Device(device.into())
}

fn delivery(id: &str, alert: Option<&str>, due: DateTime<Utc>) -> Delivery {
    let message = Message {
        occasion: Occasion::Raised,
        organization: "Example".into(),
        alerts: vec![],
        site: None,
        because: "rule All".into(),
        note: String::new(),
    };
    Delivery {
        id: id.into(),
        channel: "ops".into(),
        recipient: None,
        alert: alert.map(str::to_owned),
        message,
        state: DeliveryState::Pending,
        attempts: 0,
        due_at: due,
        created_at: noon(),
        sent_at: None,
        error: None,
        receipt: None,
    }
}

fn event(action: &str) -> AuditEvent {
    AuditEvent { at: noon(), user: Some("kim".into()), action: action.into(), target: None, details: json!(null), ip: None, success: true }
}

fn batch(alerts: Vec<Alert>) -> AlertBatch {
    AlertBatch { alerts, ..AlertBatch::default() }
}

fn result(state: DeliveryState) -> DeliveryResult {
    DeliveryResult { state, error: None, receipt: None, due_at: None, sent_at: None, rest: Vec::new() }
}

#[test]
fn an_alert_comes_back_as_it_was_written_whatever_it_is_about() {
    let house = house();
    let mut written = vec![
        alert("a-1", on("db-1")),
        alert("a-2", Subject::Site("Berlin".into())),
        Alert { suppressed: Some(Suppression::PartOf("a-1".into())), state: AlertState::Triggered, ..alert("a-3", Subject::System) },
    ];
    house.store.commit_alerts(&batch(written.clone())).unwrap();
    assert_eq!(house.store.open_alerts().unwrap(), written);
    written[0].state = AlertState::Resolved;
    written[0].resolved_at = Some(minutes(5));
    written[0].count = 3;
    house.store.commit_alerts(&batch(vec![written[0].clone()])).unwrap();
    assert_eq!(house.store.alert("a-1").unwrap().as_ref(), Some(&written[0]));
    assert_eq!(house.store.open_alerts().unwrap(), written[1..]);
    let known: (Option<String>, String, i64, String) = stranger(&house.path)
        .query_row("SELECT DeviceId, Severity, AutoResolved, NotificationsSent FROM Alerts WHERE AlertId = 'a-1'", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .unwrap();
    assert_eq!(known, (Some("db-1".into()), "Critical".into(), 1, "[]".into()), "as report writers know it");
}

#[test]
fn steps_of_an_alert_that_the_model_does_not_allow_are_refused_and_nothing_of_the_batch_is_written() {
    let house = house();
    let states = [AlertState::Triggered, AlertState::Active, AlertState::Acknowledged, AlertState::Resolved, AlertState::Archived];
    let way = |to: AlertState| match to {
        AlertState::Acknowledged => vec![AlertState::Active, AlertState::Acknowledged],
        AlertState::Archived => vec![AlertState::Resolved, AlertState::Archived],
        other => vec![other],
    };
    for (i, from) in states.into_iter().enumerate() {
        for to in states {
            let id = format!("a-{i}-{to}");
            for state in way(from) {
                house.store.commit_alerts(&batch(vec![Alert { state, ..alert(&id, on("a")) }])).unwrap();
            }
            let other = format!("b-{i}-{to}");
            let step = batch(vec![alert(&other, on("a")), Alert { state: to, ..alert(&id, on("a")) }]);
            let done = house.store.commit_alerts(&step);
            let legal = from == to || from.may_become(to);
            assert_eq!(done.is_ok(), legal, "{from} -> {to}");
            if let Err(error) = done {
                assert!(matches!(error, StoreError::Step { .. }), "{error}");
            }
            assert_eq!(house.store.alert(&id).unwrap().unwrap().state, if legal { to } else { from });
            assert_eq!(house.store.alert(&other).unwrap().is_some(), legal);
        }
    }
}

#[test]
fn an_acknowledgement_by_another_process_is_not_overwritten_by_who_has_not_seen_it() {
    let house = house();
    let daemon = &house.store;
    let seen = daemon.commit_alerts(&batch(vec![alert("a-1", on("a"))])).unwrap();
    let command = again(&house.path).unwrap();
    let before = daemon.data_version().unwrap();
    let mut acknowledged = command.alert("a-1").unwrap().unwrap();
    acknowledged.state = AlertState::Acknowledged;
    command
        .commit_alerts(&AlertBatch { alerts: vec![acknowledged], audit: vec![event("alert.acknowledged")], ..AlertBatch::default() })
        .unwrap();
    assert_ne!(daemon.data_version().unwrap(), before);
    let counted = AlertBatch { seen: Some(seen), ..batch(vec![Alert { count: 2, ..alert("a-1", on("a")) }]) };
    assert_eq!(code(daemon.commit_alerts(&counted)), "RMM0591");
    let (now, changed) = daemon.alerts_after(seen).unwrap();
    assert_eq!(changed.iter().map(|a| a.state).collect::<Vec<_>>(), [AlertState::Acknowledged]);
    let again = AlertBatch { seen: Some(now), ..batch(vec![Alert { count: 2, ..changed[0].clone() }]) };
    daemon.commit_alerts(&again).unwrap();
    // What it wrote itself does not count.
    daemon.commit_alerts(&again).unwrap();
    assert_eq!(daemon.alert("a-1").unwrap().unwrap().count, 2);
}

#[test]
fn what_a_store_commits_itself_does_not_change_its_data_version() {
    let house = house();
    let before = house.store.data_version().unwrap();
    house.store.commit_alerts(&batch(vec![alert("a-1", on("a"))])).unwrap();
    assert_eq!(house.store.data_version().unwrap(), before);
}

#[test]
fn alerts_are_found_by_everything_that_a_filter_names() {
    let house = house();
    let low = Alert { severity: Severity::Low, created_at: minutes(1), ..alert("a-2", on("b")) };
    let over = Alert { state: AlertState::Resolved, created_at: minutes(2), ..alert("a-3", on("b")) };
    let site = Alert { created_at: minutes(3), ..alert("a-4", Subject::Site("b".into())) };
    house.store.commit_alerts(&batch(vec![alert("a-1", on("a")), low, over, site])).unwrap();
    let ids = |filter: AlertFilter| house.store.alerts(&filter).unwrap().into_iter().map(|a| a.id).collect::<Vec<_>>().join(" ");
    let any = AlertFilter::default;
    assert_eq!(ids(any()), "a-4 a-3 a-2 a-1");
    assert_eq!(ids(AlertFilter { open_only: true, ..any() }), "a-4 a-2 a-1");
    assert_eq!(ids(AlertFilter { device: Some("b".into()), ..any() }), "a-3 a-2");
    assert_eq!(ids(AlertFilter { min_severity: Some(Severity::Medium), limit: 2, ..any() }), "a-4 a-3");
    assert_eq!(ids(AlertFilter { states: vec![AlertState::Resolved], kind: Some("DiskSpace".into()), ..any() }), "a-3");
    assert_eq!(ids(AlertFilter { since: Some(minutes(2)), ..any() }), "a-4 a-3");
    assert_eq!(ids(AlertFilter { kind: Some("CPU".into()), ..any() }), "");
}

#[test]
fn a_delivery_is_claimed_once_and_finished_with_its_alert() {
    let house = house();
    let deliveries = vec![delivery("d-1", Some("a-1"), noon()), delivery("d-2", None, minutes(9))];
    let raised = AlertBatch { deliveries, ..batch(vec![alert("a-1", on("a"))]) };
    house.store.commit_alerts(&raised).unwrap();
    assert_eq!(house.store.due_deliveries_to("ops", noon(), 10).unwrap(), [raised.deliveries[0].clone()]);
    assert!(house.store.claim_delivery("d-1", noon()).unwrap());
    assert!(!house.store.claim_delivery("d-1", noon()).unwrap(), "somebody has it");
    // Deciding the same thing again adds nothing, and does not set it back.
    house.store.commit_alerts(&raised).unwrap();
    assert_eq!(house.store.delivery("d-1").unwrap().unwrap().state, DeliveryState::Sending);
    let sent = DeliveryResult { receipt: Some("thread-7".into()), sent_at: Some(minutes(1)), ..result(DeliveryState::Sent) };
    house.store.finish_delivery("d-1", &sent).unwrap();
    assert_eq!(house.store.receipts("a-1", "ops").unwrap().as_deref(), Some("thread-7"));
    assert_eq!(code(house.store.finish_delivery("d-1", &sent)), "RMM0590");
    assert_eq!(code(house.store.finish_delivery("d-9", &sent)), "RMM0510");
    assert_eq!(house.store.next_delivery_after(noon()).unwrap(), Some(minutes(9)));
    let told: String = stranger(&house.path).query_row("SELECT NotificationsSent FROM Alerts", [], |row| row.get(0)).unwrap();
    assert_eq!(told, "[\"ops\"]");
    // And writing the alert again does not forget it.
    house.store.commit_alerts(&batch(vec![alert("a-1", on("a"))])).unwrap();
    let told: String = stranger(&house.path).query_row("SELECT NotificationsSent FROM Alerts", [], |row| row.get(0)).unwrap();
    assert_eq!(told, "[\"ops\"]");
}

#[test]
fn a_delivery_that_is_no_longer_wanted_is_cancelled_unless_it_is_on_its_way() {
    let house = house();
    let deliveries = vec![delivery("d-1", None, noon()), delivery("d-2", None, noon())];
    house.store.commit_alerts(&AlertBatch { deliveries, ..AlertBatch::default() }).unwrap();
    house.store.claim_delivery("d-2", noon()).unwrap();
    house.store.commit_alerts(&AlertBatch { cancel: vec!["d-1".into(), "d-2".into(), "d-3".into()], ..AlertBatch::default() }).unwrap();
    let states = |id: &str| house.store.delivery(id).unwrap().unwrap().state;
    assert_eq!((states("d-1"), states("d-2")), (DeliveryState::Cancelled, DeliveryState::Sending));
    assert!(!house.store.claim_delivery("d-1", noon()).unwrap());
}

#[test]
fn a_dead_delivery_is_tried_again_from_the_beginning_when_a_person_says_so() {
    let house = house();
    house.store.commit_alerts(&AlertBatch { deliveries: vec![delivery("d-1", None, noon())], ..AlertBatch::default() }).unwrap();
    assert_eq!(code(house.store.retry_delivery("d-1", noon(), event("delivery.retried"))), "RMM0590");
    house.store.claim_delivery("d-1", noon()).unwrap();
    let dead = DeliveryResult { error: Some("550 no such user".into()), ..result(DeliveryState::Dead) };
    house.store.finish_delivery("d-1", &dead).unwrap();
    let found = house.store.deliveries(&DeliveryFilter { states: vec![DeliveryState::Dead], ..DeliveryFilter::default() }).unwrap();
    assert_eq!((found[0].attempts, found[0].error.as_deref()), (1, Some("550 no such user")));
    house.store.retry_delivery("d-1", minutes(3), event("delivery.retried")).unwrap();
    let waits = house.store.delivery("d-1").unwrap().unwrap();
    assert_eq!((waits.state, waits.attempts, waits.due_at), (DeliveryState::Pending, 0, minutes(3)));
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 1);
}

#[test]
fn what_was_on_its_way_when_its_process_died_waits_again_and_what_is_under_way_does_not() {
    let house = house();
    let deliveries = ["d-1", "d-2", "d-3"].map(|id| delivery(id, None, noon())).to_vec();
    house.store.commit_alerts(&AlertBatch { deliveries, ..AlertBatch::default() }).unwrap();
    assert_eq!(house.store.claim_deliveries(&["d-1", "d-2", "d-9"], noon()).unwrap(), ["d-1", "d-2"]);
    // A process of this machine and user that is no longer there.
    let owner = crate::store::Owner::this_process();
    let gone = owner.as_str().replace(&format!("/{}/", std::process::id()), "/4194305/");
    stranger(&house.path).execute("UPDATE Deliveries SET Claimer = ?1 WHERE Id = 'd-1'", [gone]).unwrap();
    let lost = house.store.uncertain_deliveries(&BTreeMap::new()).unwrap();
    assert_eq!(lost.iter().map(|d| (d.id.as_str(), d.state, d.attempts)).collect::<Vec<_>>(), [("d-1", DeliveryState::Pending, 1)]);
    assert_eq!(house.store.uncertain_deliveries(&BTreeMap::new()).unwrap(), []);
    house.clock.set(minutes(11));
    assert_eq!(house.store.uncertain_deliveries(&BTreeMap::new()).unwrap()[0].id, "d-2", "no channel takes that long");
}

#[test]
fn what_is_under_way_is_not_given_up_because_the_clock_was_set() {
    let (house, hands) = (house(), Hands::new());
    let store = Store::open(&house.path, hands.clone()).unwrap();
    store.commit_alerts(&AlertBatch { deliveries: vec![delivery("d-1", None, noon())], ..AlertBatch::default() }).unwrap();
    assert!(store.claim_delivery("d-1", noon()).unwrap());
    hands.set(minutes(60), 1060);
    assert_eq!(store.uncertain_deliveries(&BTreeMap::new()).unwrap(), [], "an hour ahead");
    hands.set(minutes(-60), 1599);
    assert_eq!(store.uncertain_deliveries(&BTreeMap::new()).unwrap(), [], "an hour back");
    hands.set(minutes(-60), 1600);
    assert_eq!(store.uncertain_deliveries(&BTreeMap::new()).unwrap().len(), 1, "no channel takes that long");
}

#[test]
fn what_was_queued_while_the_clock_was_ahead_does_not_wait_until_it_has_come_round() {
    let house = house();
    let ahead = Delivery { created_at: minutes(60), ..delivery("d-2", None, minutes(60)) };
    let deliveries = vec![delivery("d-1", None, minutes(500)), ahead, delivery("d-3", None, minutes(59))];
    house.store.commit_alerts(&AlertBatch { deliveries, ..AlertBatch::default() }).unwrap();
    assert_eq!(house.store.hasten_stray_deliveries(noon(), minutes(60)).unwrap(), 2);
    let due: Vec<String> = house.store.due_deliveries_to("ops", noon(), 10).unwrap().into_iter().map(|one| one.id).collect();
    assert_eq!(due, ["d-1", "d-2"], "what is to be tried again within the longest pause keeps its time");
}

#[test]
fn a_silence_holds_from_its_beginning_to_its_end_and_may_be_ended_once() {
    let house = house();
    let silence = Silence {
        id: "s-1".into(),
        targets: vec!["tag=db".into()],
        kinds: vec![],
        starts_at: minutes(0),
        ends_at: minutes(60),
        reason: "move".into(),
        by: "kim".into(),
    };
    let before = house.store.silences_revision().unwrap();
    house.store.put_silence(&silence, event("silence.created")).unwrap();
    assert!(house.store.silences_revision().unwrap() > before);
    assert_eq!(house.store.silences(Some(minutes(59))).unwrap(), [silence]);
    assert_eq!(house.store.silences(Some(minutes(60))).unwrap(), []);
    house.store.end_silence("s-1", minutes(10), event("silence.ended")).unwrap();
    assert_eq!(house.store.silences(Some(minutes(10))).unwrap(), []);
    assert_eq!(code(house.store.end_silence("s-1", minutes(20), event("silence.ended"))), "RMM0590");
    assert_eq!(code(house.store.end_silence("s-2", minutes(20), event("silence.ended"))), "RMM0510");
    assert_eq!(house.store.silences(None).unwrap()[0].ends_at, minutes(10));
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 2, "what was refused is not remembered as done");
}
