use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::AlertKey;
use crate::model::alert::{AlertState, Subject};

fn now() -> DateTime<Utc> {
    "2026-11-21T07:30:00Z".parse().unwrap()
}

fn facts() -> Facts {
    let document = json!({
        "security": {"firewall": {"enabled": true}, "time_sync": {"enabled": true}, "sshd": {"permitrootlogin": "no"}},
        "software": {"pending_reboot": {"required": false}, "automatic_updates": {"enabled": true}, "updates": {"security": 0}},
    });
    Facts::from_value(document.as_object().unwrap(), now())
}

fn plan(compliant: u32) -> DevicePlan {
    serde_json::from_value(json!({"device": "a", "compliant": compliant, "changes": []})).unwrap()
}

fn alert(kind: &str, source: &str, severity: Severity) -> Alert {
    Alert {
        id: "a-1".into(),
        key: AlertKey { subject: Subject::Device("a".into()), kind: kind.into(), instance: "".into() },
        severity,
        title: format!("{kind} is wrong"),
        message: String::new(),
        source: Arc::from(source),
        value: None,
        unit: None,
        state: AlertState::Active,
        suppressed: None,
        count: 1,
        created_at: now(),
        last_at: now(),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        notes: Vec::new(),
        progress: json!(null),
    }
}

fn health(change: impl FnOnce(&mut Known<'_>)) -> Health {
    let (facts, plan) = (facts(), plan(10));
    let mut known =
        Known { up: Some(true), availability: Some(1.0), alerts: &[], measured_at: Some(now()), facts: &facts, plan: Some(&plan) };
    change(&mut known);
    judge(&known, now())
}

fn points(health: &Health) -> Vec<Option<u8>> {
    health.parts.iter().map(|part| part.points).collect()
}

#[test]
fn a_device_that_lacks_nothing_has_all_points() {
    let health = health(|_| {});
    assert_eq!((health.score, health.condition, points(&health)), (Some(100), Condition::Healthy, vec![Some(25); 4]));
    assert!(health.parts.iter().all(|part| part.missing.is_empty() && part.unknown.is_empty()));
}

#[test]
fn what_is_not_known_neither_gives_nor_takes_points() {
    let nothing = Facts::default();
    let health = health(|known| {
        known.facts = kept(&nothing);
        known.measured_at = None;
    });
    assert_eq!((health.score, points(&health)), (Some(100), vec![Some(25), None, None, Some(25)]));
    assert_eq!(health.parts[1].unknown, ["how busy it is: it was never measured"]);
    assert_eq!(health.parts[2].unknown.len(), 5);
}

/// A reference that lives as long as the test.
fn kept(facts: &Facts) -> &'static Facts {
    Box::leak(Box::new(facts.clone()))
}

#[test]
fn of_what_nothing_is_known_the_score_is_unknown() {
    let nothing = Facts::default();
    let known = Known { up: None, availability: None, alerts: &[], measured_at: None, facts: &nothing, plan: None };
    let health = judge(&known, now());
    assert_eq!((health.score, health.condition), (None, Condition::Unknown));
    let offline = judge(&Known { up: Some(false), ..known }, now());
    assert_eq!((offline.score, offline.condition), (Some(0), Condition::Offline));
}

#[test]
fn alerts_cost_points_where_they_belong_and_each_says_so() {
    let cpu = alert("CPU", "threshold CPU", Severity::High);
    let web = alert("Web", "monitor Web", Severity::Medium);
    let both = [&cpu, &web];
    let found = health(|known| known.alerts = Box::leak(Box::new(both.map(|a| &*Box::leak(Box::new(a.clone()))))));
    assert_eq!(points(&found), [Some(20), Some(15), Some(25), Some(25)]);
    assert_eq!(found.parts[1].missing, [Missing { points: 10, reason: "CPU is wrong".into() }]);
    assert_eq!((found.score, found.condition), (Some(85), Condition::Healthy));
    let worst = alert("CPU", "threshold CPU", Severity::Critical);
    let found = health(|known| known.alerts = Box::leak(Box::new([&*Box::leak(Box::new(worst))])));
    assert_eq!((found.score, found.condition), (Some(85), Condition::Critical));
}

#[test]
fn missing_points_never_add_up_to_more_than_there_are() {
    let bad = json!({
        "security": {"firewall": {"enabled": false}, "time_sync": {"enabled": false}, "sshd": {"permitrootlogin": "yes", "passwordauthentication": "yes"}},
        "software": {"pending_reboot": {"required": true}, "automatic_updates": {"enabled": false}, "updates": {"security": 40}},
    });
    let bad = kept(&Facts::from_value(bad.as_object().unwrap(), now()));
    let health = health(|known| known.facts = bad);
    let security = &health.parts[2];
    assert_eq!((security.points, security.missing.iter().map(|m| m.points).sum::<u8>()), (Some(0), 25));
    assert_eq!(security.missing[0].reason, "the firewall is off");
}

#[test]
fn a_day_with_an_outage_costs_points() {
    let half = health(|known| known.availability = Some(0.95));
    assert_eq!(half.parts[0].points, Some(12));
    assert!(half.parts[0].missing[0].reason.contains("95.0 %"));
    assert_eq!(health(|known| known.availability = Some(0.9995)).parts[0].points, Some(25));
}
