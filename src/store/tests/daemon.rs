//! What the daemon has to know again: schedules, its lease, events, suspensions, checks, health.

use std::sync::Arc;

use super::*;
use crate::model::{EventRecord, Suspension, SuspensionKind};
use crate::store::{AuditEvent, ChangeOutcome, CheckState, Convergence, EventFilter, HealthRow, Owner};

fn event(action: &str) -> AuditEvent {
    AuditEvent { at: noon(), user: Some("kim".into()), action: action.into(), target: None, details: json!(null), ip: None, success: true }
}

#[test]
fn a_due_moment_is_claimed_once_wherever_the_clock_is_set() {
    let house = house();
    let claim = |due, follows| house.store.claim_schedule("collect", minutes(due), follows, minutes(due)).unwrap();
    assert!(claim(0, None) && claim(5, Some(minutes(0))));
    assert!(!claim(5, Some(minutes(0))));
    assert!(!claim(0, None), "the clock was set back");
    assert!(claim(60, None) && claim(10, Some(minutes(5))), "a clock that was ahead leaves room for what comes before");
    assert!(!claim(60, None));
    house.store.finish_schedule("collect", minutes(5), "late").unwrap();
    assert_eq!(house.store.schedules().unwrap()[0].finished_at, None, "the end of an earlier one is not its end");
    house.clock.set(minutes(11));
    house.store.finish_schedule("collect", minutes(10), "done").unwrap();
    let row = house.store.schedules().unwrap().remove(0);
    assert_eq!((row.due, row.finished_at, row.outcome.as_deref()), (minutes(10), Some(minutes(11)), Some("done")));
}

#[test]
fn one_daemon_holds_the_database_until_its_time_is_up() {
    let house = house();
    let (one, two) = (Owner::named("one"), Owner::named("two"));
    let ttl = TimeDelta::seconds(30);
    house.store.lease_daemon(&one, ttl).unwrap();
    assert_eq!(code(house.store.lease_daemon(&two, ttl)), "RMM0592");
    house.clock.set(noon() + TimeDelta::seconds(20));
    house.store.lease_daemon(&one, ttl).unwrap();
    let lease = house.store.daemon().unwrap().unwrap();
    assert_eq!((lease.acquired_at, lease.expires_at), (noon(), noon() + TimeDelta::seconds(50)));
    house.clock.set(noon() + TimeDelta::seconds(51));
    house.store.lease_daemon(&two, ttl).unwrap();
    assert_eq!(house.store.heartbeat(&one, ttl).unwrap(), 0, "it was taken over");
}

#[test]
fn a_lease_between_processes_of_one_machine_does_not_follow_a_clock_that_is_set() {
    let (house, hands) = (house(), Hands::new());
    let store = Store::open(&house.path, hands.clone()).unwrap();
    let (one, two, far) = (Owner::this_process(), Owner::this_process(), Owner::named("elsewhere/1/1/1/1"));
    let ttl = TimeDelta::seconds(120);
    store.lease_device("a", "r-1", &one, ttl).unwrap();
    store.lease_device("b", "r-2", &far, ttl).unwrap();
    // An hour ahead after a minute: the holder lives; of one elsewhere nothing better is known than the clock.
    hands.set(noon() + TimeDelta::hours(1), 1060);
    assert_eq!(code(store.lease_device("a", "r-3", &two, ttl)), "RMM0509");
    assert_eq!(store.leases().unwrap().len(), 1);
    store.lease_device("b", "r-3", &two, ttl).unwrap();
    // An hour back: it ends all the same when its holder gives no sign of life.
    hands.set(noon() - TimeDelta::hours(1), 1119);
    assert_eq!(store.heartbeat(&one, ttl).unwrap(), 1);
    hands.set(noon() - TimeDelta::hours(1), 1238);
    assert_eq!(code(store.lease_device("a", "r-3", &two, ttl)), "RMM0509");
    hands.set(noon() - TimeDelta::hours(1), 1239);
    store.lease_device("a", "r-3", &two, ttl).unwrap();
}

fn record(cursor: &str, minute: i64, priority: u8) -> EventRecord {
    EventRecord {
        device: "a".into(),
        source: "journal".into(),
        cursor: cursor.into(),
        at: minutes(minute),
        priority,
        origin: "sshd".into(),
        code: None,
        message: format!("record {cursor}"),
        data: json!({"pid": 7}),
    }
}

#[test]
fn records_that_were_read_twice_are_kept_once_and_the_cursor_moves_with_them() {
    let house = house();
    assert_eq!(house.store.event_cursor("a", "journal").unwrap(), None);
    let records = [record("c1", 1, 6), record("c2", 2, 3)];
    assert_eq!(house.store.put_events("a", "journal", &records, Some("c2")).unwrap(), 2);
    assert_eq!(house.store.put_events("a", "journal", &[records[1].clone(), record("c3", 3, 4)], Some("c3")).unwrap(), 1);
    assert_eq!(house.store.put_events("b", "journal", &records[..1], None).unwrap(), 1, "another device");
    assert_eq!(house.store.put_events("a", "System", &records[..1], None).unwrap(), 1, "another log");
    assert_eq!(house.store.event_cursor("a", "journal").unwrap().as_deref(), Some("c3"));
    assert_eq!(house.store.event_cursor("b", "journal").unwrap(), None);
    let filter = EventFilter { device: Some("a".into()), source: Some("journal".into()), priority: Some(4), ..EventFilter::default() };
    assert_eq!(house.store.events(&filter).unwrap(), [record("c3", 3, 4), records[1].clone()]);
    let early = EventFilter { until: Some(minutes(2)), ..EventFilter::default() };
    assert_eq!(house.store.events(&early).unwrap().len(), 3);
}

#[test]
fn what_is_suspended_stays_so_until_it_is_resumed_once() {
    let house = house();
    let suspension = Suspension {
        kind: SuspensionKind::Setting,
        name: "Services.sshd".into(),
        device: Some("a".into()),
        since: noon(),
        by: "rmm".into(),
        reason: "failed three times".into(),
        automatic: true,
        policy_set: Some("abc".into()),
    };
    assert!(house.store.suspend(&suspension, event("setting.suspended")).unwrap());
    assert!(!house.store.suspend(&suspension, event("setting.suspended")).unwrap());
    assert_eq!(house.store.suspensions().unwrap(), std::slice::from_ref(&suspension));
    house.store.note_change_outcome("a", "Services.sshd", ChangeOutcome::Failed).unwrap();
    let resume = || house.store.resume_suspension(SuspensionKind::Setting, "Services.sshd", Some("a"), event("setting.resumed"));
    resume().unwrap();
    assert_eq!(house.store.convergence("a", "Services.sshd").unwrap(), Convergence::default());
    assert_eq!(code(resume()), "RMM0510");
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap().rows, 2);
}

#[test]
fn failures_and_reversals_are_counted_one_after_another() {
    let house = house();
    let note = |outcome| {
        let counters = house.store.note_change_outcome("a", "Timezone", outcome).unwrap();
        (counters.failures, counters.reverted)
    };
    assert_eq!(note(ChangeOutcome::Failed), (1, 0));
    assert_eq!(note(ChangeOutcome::Failed), (2, 0));
    assert_eq!(note(ChangeOutcome::Done), (0, 0));
    assert_eq!(note(ChangeOutcome::Reverted), (0, 1));
    assert_eq!(note(ChangeOutcome::Done), (0, 1), "done is not yet lasting");
    assert_eq!(note(ChangeOutcome::Reverted), (0, 2));
    house.clock.set(noon() + TimeDelta::days(8));
    assert_eq!(note(ChangeOutcome::Reverted), (0, 1), "it had lasted for a week");
}

#[test]
fn availability_follows_from_every_change_of_a_check() {
    let house = house();
    let put = |up, minute| {
        let state = CheckState { up, since: minutes(minute), at: minutes(minute), latency_ms: Some(1.5), loss_percent: None, reason: None };
        house.store.put_checks(&[("a", "reach", &state)]).unwrap();
    };
    put(true, 0);
    put(true, 5);
    put(false, 30);
    put(true, 45);
    let share = |from, to| house.store.availability("a", "reach", minutes(from), minutes(to)).unwrap();
    assert_eq!(share(0, 60), Some(0.75));
    assert_eq!(share(30, 45), Some(0.0));
    assert_eq!(share(-60, 0), None);
    assert_eq!(share(-60, 30), Some(1.0), "nothing is known of the time before");
    assert_eq!(house.store.check_history("a", "reach", minutes(1)).unwrap().len(), 2);
    assert_eq!(house.store.checks("a").unwrap()[0].1.since, minutes(45));
    assert_eq!(house.store.checks_all().unwrap().len(), 1);
}

#[test]
fn a_score_that_is_as_it_was_is_not_written() {
    let house = house();
    let row = |score, minute| (Arc::from("a"), HealthRow { score, at: minutes(minute), parts: json!({"cpu": 25}) });
    let put = |score, minute| house.store.put_health(&[("a".into(), Some(row(score, minute).1))]).unwrap();
    put(90, 0);
    put(90, 1);
    assert_eq!(house.store.health(None).unwrap(), [row(90, 0)]);
    put(70, 2);
    assert_eq!(house.store.health(Some("a")).unwrap(), [row(70, 2)]);
    assert_eq!(house.store.health(Some("b")).unwrap(), []);
    house.store.put_health(&[("a".into(), None)]).unwrap();
    assert_eq!(house.store.health(None).unwrap(), []);
}

#[test]
fn what_has_lasted_for_weeks_begins_to_count_anew() {
    let house = house();
    let reverted = |days| {
        house.clock.set(noon() + TimeDelta::days(days));
        house.store.note_change_outcome("a", "Timezone", ChangeOutcome::Done).unwrap();
        house.store.note_change_outcome("a", "Timezone", ChangeOutcome::Reverted).unwrap().reverted
    };
    assert_eq!([0, 1, 30, 60, 61, 62].map(reverted), [1, 2, 1, 1, 2, 3]);
}
