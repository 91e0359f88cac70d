//! The audit: appended to, never changed, and it shows when somebody did.

use super::*;
use crate::store::audit::{FIRST_SINCE, listing};
use crate::store::{AuditEvent, AuditFilter, Broken, Head};

fn event(action: &str) -> AuditEvent {
    AuditEvent {
        at: noon(),
        user: Some("kim".into()),
        action: action.into(),
        target: Some("db-1".into()),
        details: json!({"n": 1}),
        ip: Some("cli@desk".into()),
        success: true,
    }
}

fn filled(rows: usize) -> House {
    let house = house();
    let events: Vec<_> = (0..rows).map(|n| event(&format!("change.{n}"))).collect();
    house.store.audit_all(&events).unwrap();
    house
}

/// What somebody does who owns the file and knows what a trigger is.
fn tamper(house: &House, sql: &str) {
    let db = stranger(&house.path);
    for trigger in ["audit_appends_only", "audit_refuses_update", "audit_refuses_delete", "audit_head_follows", "audit_head_stays"] {
        db.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    db.execute_batch(sql).unwrap();
}

fn broken(house: &House) -> Broken {
    house.store.audit_verify(None).unwrap().unwrap_err()
}

#[test]
fn an_untouched_audit_verifies_and_reads_back_as_written() {
    let house = filled(3);
    let verified = house.store.audit_verify(None).unwrap().unwrap();
    assert_eq!(verified.rows, 3);
    let rows = house.store.audit_list(&AuditFilter::default()).unwrap();
    assert_eq!(rows.iter().map(|r| r.id).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(rows[1].event, event("change.1"));
    assert_eq!(rows[2].hash, verified.head.hash);
}

#[test]
fn an_empty_audit_verifies() {
    assert_eq!(house().store.audit_verify(None).unwrap().unwrap().rows, 0);
}

#[test]
fn no_statement_updates_deletes_or_replaces_a_row() {
    let house = filled(3);
    let before = house.store.audit_verify(None).unwrap().unwrap();
    for recursive in [false, true] {
        let db = stranger(&house.path);
        db.pragma_update(None, "recursive_triggers", recursive).unwrap();
        for statement in [
            "UPDATE AuditLog SET User = 'eve'",
            "UPDATE OR REPLACE AuditLog SET LogId = 1 WHERE LogId = 2",
            "DELETE FROM AuditLog",
            "DELETE FROM AuditLog WHERE LogId = 3",
            "REPLACE INTO AuditLog SELECT * FROM AuditLog WHERE LogId = 2",
            "INSERT OR REPLACE INTO AuditLog (LogId, Action, PreviousHash, Hash) VALUES (2, 'x', zeroblob(32), zeroblob(32))",
            "INSERT INTO AuditLog (Action, PreviousHash, Hash) VALUES ('x', zeroblob(32), zeroblob(32))",
            "INSERT INTO AuditLog (LogId, Action, PreviousHash, Hash) VALUES (9, 'x', (SELECT Hash FROM AuditHead), zeroblob(32))",
            "INSERT INTO AuditLog SELECT * FROM AuditLog WHERE LogId = 1 ON CONFLICT (LogId) DO UPDATE SET User = 'eve'",
            "UPDATE AuditHead SET Rows = 2",
            "REPLACE INTO AuditHead VALUES (1, 0, zeroblob(32))",
            "DELETE FROM AuditHead",
        ] {
            let error = db.execute_batch(statement).expect_err(statement);
            assert!(error.to_string().contains("append-only"), "{statement}: {error}");
        }
    }
    assert_eq!(house.store.audit_verify(None).unwrap().unwrap(), before);
}

#[test]
fn an_altered_row_is_found() {
    for column in ["Timestamp = 'x'", "User = NULL", "Action = 'y'", "Target = ''", "Details = '{}'", "IPAddress = 'z'", "Success = 0"] {
        let house = filled(5);
        tamper(&house, &format!("UPDATE AuditLog SET {column} WHERE LogId = 3"));
        assert_eq!(broken(&house), Broken { row: 3, why: "it was altered".into() }, "{column}");
    }
}

#[test]
fn a_row_that_is_missing_in_the_middle_is_found() {
    let house = filled(5);
    tamper(&house, "DELETE FROM AuditLog WHERE LogId = 3");
    assert_eq!(broken(&house).row, 3);
}

#[test]
fn rows_that_are_missing_at_the_end_are_found() {
    let house = filled(5);
    tamper(&house, "DELETE FROM AuditLog WHERE LogId > 3");
    assert_eq!(broken(&house).row, 4);
}

#[test]
fn a_row_that_was_hashed_anew_breaks_the_next_one() {
    let house = filled(5);
    let link = super::super::chain::Link {
        id: 3,
        at: "2026-11-21T12:00:00.000Z",
        user: Some("eve"),
        action: "change.2",
        target: Some("db-1"),
        details: Some("{\"n\":1}"),
        ip: Some("cli@desk"),
        success: 1,
    };
    let previous = house.store.audit_list(&AuditFilter { after: Some(1), limit: 1, ..Default::default() }).unwrap()[0].hash;
    let hash = hex::encode(link.hash(&previous));
    tamper(&house, &format!("UPDATE AuditLog SET User = 'eve', Hash = x'{hash}' WHERE LogId = 3"));
    assert_eq!(broken(&house).row, 4);
}

#[test]
fn a_cut_end_with_a_rewritten_head_is_found_by_a_head_noted_elsewhere_and_by_nothing_else() {
    let house = filled(5);
    let noted: Head = house.store.audit_verify(None).unwrap().unwrap().head.to_string().parse().unwrap();
    tamper(
        &house,
        "DELETE FROM AuditLog WHERE LogId > 3; UPDATE AuditHead SET Rows = 3, Hash = (SELECT Hash FROM AuditLog WHERE LogId = 3)",
    );
    assert!(house.store.audit_verify(None).unwrap().is_ok());
    assert!(house.store.audit_verify(Some(&noted)).unwrap().is_err());
    house.store.audit_all(&[event("a"), event("b"), event("c")]).unwrap();
    assert_eq!(house.store.audit_verify(Some(&noted)).unwrap().unwrap_err().row, 5);
}

#[test]
fn large_details_are_cut_and_their_hash_is_kept() {
    let house = house();
    let mut large = event("big");
    large.details = json!({"output": "\"".repeat(300_000)});
    house.store.audit(&large).unwrap();
    let stored: i64 = stranger(&house.path).query_row("SELECT length(Details) FROM AuditLog", [], |row| row.get(0)).unwrap();
    assert!(stored <= 100 * 1024, "{stored}");
    let row = house.store.audit_list(&AuditFilter::default()).unwrap().remove(0);
    assert_eq!((&row.event.details["truncated"], &row.event.details["bytes"]), (&json!(true), &json!(600_013)));
    assert!(house.store.audit_verify(None).unwrap().is_ok());
}

#[test]
fn a_list_can_be_narrowed_and_read_on() {
    let house = house();
    let mut other = event("run.started");
    other.user = Some("lee".into());
    other.target = Some("r-1".into());
    other.at = minutes(5);
    house.store.audit_all(&[event("change.started"), event("change.done"), event("changeling"), other]).unwrap();
    let ids = |filter: AuditFilter| house.store.audit_list(&filter).unwrap().iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(AuditFilter { action: Some("change".into()), ..Default::default() }), [1, 2]);
    assert_eq!(ids(AuditFilter { user: Some("lee".into()), ..Default::default() }), [4]);
    assert_eq!(ids(AuditFilter { target: Some("r-1".into()), ..Default::default() }), [4]);
    assert_eq!(ids(AuditFilter { from: Some(minutes(1)), ..Default::default() }), [4]);
    assert_eq!(ids(AuditFilter { until: Some(minutes(1)), ..Default::default() }), [1, 2, 3]);
    assert_eq!(ids(AuditFilter { limit: 2, ..Default::default() }), [3, 4]);
    assert_eq!(ids(AuditFilter { after: Some(1), limit: 2, ..Default::default() }), [2, 3]);
}

#[test]
fn a_list_since_a_moment_holds_what_follows_a_clock_that_was_set_back() {
    let house = house();
    let at = |minute| AuditEvent { at: minutes(minute), ..event("change.done") };
    house.store.audit_all(&[at(0), at(10), at(3), at(12)]).unwrap();
    let ids = |filter: AuditFilter| house.store.audit_list(&filter).unwrap().iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids(AuditFilter { from: Some(minutes(3)), ..Default::default() }), [2, 3, 4]);
    assert_eq!(ids(AuditFilter { from: Some(minutes(5)), target: Some("db-1".into()), ..Default::default() }), [2, 4]);
    assert_eq!(ids(AuditFilter { from: Some(minutes(5)), after: Some(2), ..Default::default() }), [4]);
    assert!(ids(AuditFilter { from: Some(minutes(20)), ..Default::default() }).is_empty());
}

#[test]
fn a_list_of_a_target_since_a_moment_does_not_look_through_all_rows() {
    let house = house();
    let db = stranger(&house.path);
    let plan = |sql: &str| {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = statement.raw_query();
        rows.next().unwrap().unwrap().get::<_, String>("detail").unwrap()
    };
    assert!(plan(FIRST_SINCE).contains("SEARCH AuditLog USING COVERING INDEX idx_audit_timestamp"), "{}", plan(FIRST_SINCE));
    for oldest in [false, true] {
        let on_target = plan(&listing(oldest, true));
        assert!(on_target.contains("USING INDEX idx_audit_target (Target=? AND rowid>?)"), "{on_target}");
        let of_all = plan(&listing(oldest, false));
        assert!(of_all.contains("USING INTEGER PRIMARY KEY (rowid>?)"), "{of_all}");
    }
}

#[test]
fn values_are_data_and_never_sql() {
    let house = house();
    let mut event = event("'); DROP TABLE AuditLog; --");
    event.target = Some("$(reboot) ' \" \0".into());
    house.store.audit(&event).unwrap();
    assert_eq!(house.store.audit_list(&AuditFilter::default()).unwrap()[0].event, event);
    assert!(house.store.audit_verify(None).unwrap().is_ok());
}
