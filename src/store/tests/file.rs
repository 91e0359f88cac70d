//! The file: created, refused, left as it was.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::diagnose::{Category, Diagnose};
use crate::store::StoreError;

#[test]
fn the_file_and_its_directory_are_for_the_owner_alone() {
    let house = house();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&house.path), 0o600);
    assert_eq!(mode(house.path.parent().unwrap()), 0o700);
    house.store.set_status("a", super::super::Status::Online, None, noon()).unwrap();
    assert_eq!(mode(&house.path.with_extension("db-wal")), 0o600);
}

#[test]
fn a_second_opening_finds_what_the_first_has_written() {
    let house = house();
    house.store.put_observations(&[observation("a", noon(), &[("software.os", json!({"id": "debian"}))])]).unwrap();
    assert_eq!(again(&house.path).unwrap().facts("a", None).unwrap().value("software.os.id"), Some(&json!("debian")));
}

#[test]
fn many_that_open_a_new_database_at_once_all_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/rmm.db");
    std::thread::scope(|scope| {
        let openers: Vec<_> = (0..8).map(|_| scope.spawn(|| again(&path).map(drop))).collect();
        for opener in openers {
            opener.join().unwrap().unwrap();
        }
    });
    assert_eq!(again(&path).unwrap().integrity_check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_newer_database_is_refused_and_not_a_byte_of_it_changes() {
    let house = house();
    let path = house.path.clone();
    drop(house.store);
    stranger(&path).pragma_update(None, "user_version", 99).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = again(&path).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 99, .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_database_whose_log_is_not_yet_copied_back_is_refused_and_not_a_byte_changes() {
    let house = house();
    let other = stranger(&house.path);
    other.pragma_update(None, "user_version", 99).unwrap();
    let log = house.path.with_extension("db-wal");
    // As a killed process leaves it: both files, copied while somebody has them open.
    let left = tempfile::tempdir().unwrap();
    let path = left.path().join("rmm.db");
    std::fs::copy(&house.path, &path).unwrap();
    std::fs::copy(&log, path.with_extension("db-wal")).unwrap();
    let before = (std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("db-wal")).unwrap());
    assert!(matches!(again(&path).unwrap_err(), StoreError::Newer { found: 99, .. }));
    assert_eq!((std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("db-wal")).unwrap()), before);
}

#[test]
fn a_file_that_is_no_database_is_damaged_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    for content in [b"hello".to_vec(), vec![7; 20_000]] {
        let path = directory.path().join("rmm.db");
        std::fs::write(&path, &content).unwrap();
        let error = again(&path).unwrap_err();
        assert_eq!((error.code(), error.category()), ("RMM0502", Category::Fatal));
        assert!(error.advice().unwrap().contains("backup"));
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_database_that_was_cut_off_is_damaged_and_left_as_it_was() {
    let house = house();
    let path = house.path.clone();
    drop(house.store);
    let whole = std::fs::read(&path).unwrap();
    let half = &whole[..whole.len() / 2];
    std::fs::write(&path, half).unwrap();
    assert_eq!(code(again(&path)), "RMM0502");
    assert_eq!(std::fs::read(&path).unwrap(), half);
}

#[test]
fn a_database_with_overwritten_pages_is_damaged() {
    let house = house();
    let path = house.path.clone();
    drop(house.store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192 * 2..8192 * 6].fill(0xa5);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(code(again(&path)), "RMM0502");
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("other.db");
    stranger(&path).execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1);").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert_eq!(code(again(&path)), "RMM0507");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_read_only_database_is_refused_and_left_as_it_was() {
    let house = house();
    let path = house.path.clone();
    drop(house.store);
    let before = std::fs::read(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(code(again(&path)), "RMM0503");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_lock_that_does_not_end_is_an_error_that_may_be_tried_again() {
    let house = house();
    let other = stranger(&house.path);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    house.store.writer().busy_timeout(std::time::Duration::ZERO).unwrap();
    let error = house.store.set_status("a", super::super::Status::Online, None, noon()).unwrap_err();
    assert_eq!((error.code(), error.category()), ("RMM0504", Category::Transient));
    other.execute_batch("ROLLBACK").unwrap();
    house.store.set_status("a", super::super::Status::Online, None, noon()).unwrap();
}

#[test]
fn readers_go_on_while_another_process_writes() {
    let house = house();
    house.store.set_status("a", super::super::Status::Online, None, noon()).unwrap();
    let other = stranger(&house.path);
    other.execute_batch("BEGIN IMMEDIATE; UPDATE Devices SET Status = 'Offline';").unwrap();
    assert_eq!(house.store.device_states().unwrap()[0].status, super::super::Status::Online);
}

#[test]
fn a_full_disk_loses_nothing_that_was_committed() {
    let house = house();
    house.store.put_observations(&[observation("a", noon(), &[("software.os", json!({"id": "debian"}))])]).unwrap();
    let pages: i64 = house.store.writer().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    house.store.writer().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    let big = json!({"text": "x".repeat(200_000)});
    let error = house.store.put_observations(&[observation("b", noon(), &[("software.os", big.clone())])]).unwrap_err();
    assert_eq!((error.code(), error.category()), ("RMM0505", Category::Fatal));
    assert_eq!(house.store.device_states().unwrap().len(), 1, "the transaction is undone as a whole");
    assert_eq!(house.store.facts("a", None).unwrap().value("software.os.id"), Some(&json!("debian")));
    assert_eq!(house.store.integrity_check().unwrap(), Vec::<String>::new());
    house.store.writer().pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    house.store.put_observations(&[observation("b", noon(), &[("software.os", big)])]).unwrap();
}

#[test]
fn a_backup_holds_everything_and_overwrites_nothing() {
    let house = house();
    house.store.put_observations(&[observation("a", noon(), &[("software.os", json!({"id": "debian"}))])]).unwrap();
    let to = house.path.with_file_name("copy.db");
    house.store.backup(&to).unwrap();
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(code(house.store.backup(&to)), "RMM0506");
    let copy = again(&to).unwrap();
    assert_eq!(copy.facts("a", None).unwrap(), house.store.facts("a", None).unwrap());
    assert_eq!(copy.integrity_check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_backup_of_much_comes_to_an_end_while_others_write() {
    const MOST: usize = 3000;
    let house = house();
    let big = json!({"text": "x".repeat(100_000)});
    let many: Vec<_> = (0..200).map(|i| observation(&format!("d{i}"), noon(), &[("software.os", big.clone())])).collect();
    house.store.put_observations(&many).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            (0..MOST)
                .take_while(|i| {
                    let status = if i % 2 == 0 { super::super::Status::Online } else { super::super::Status::Offline };
                    house.store.set_status("d1", status, None, noon()).unwrap();
                    !done.load(std::sync::atomic::Ordering::Relaxed)
                })
                .count()
        });
        house.store.backup(&house.path.with_file_name("copy.db")).unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(written < MOST, "it ended only when the writer did");
    crate::store::Store::check(&house.path.with_file_name("copy.db")).unwrap();
}

#[test]
fn the_tables_columns_and_indexes_that_report_writers_know_are_there() {
    let house = house();
    let db = stranger(&house.path);
    let known = [
        (
            "Devices",
            "DeviceId Hostname FQDN IPAddress MACAddress SiteId GroupIds OSName OSVersion OSBuild LastSeen LastInventory Status AgentVersion Tags CustomFields CreatedAt UpdatedAt",
        ),
        ("Sites", "SiteId Name Location Timezone RelayAgent ContactEmail CreatedAt"),
        ("DeviceGroups", "GroupId Name Description ParentGroupId PolicyId CreatedAt"),
        ("Inventory", "InventoryId DeviceId Category Data CollectedAt"),
        (
            "Alerts",
            "AlertId DeviceId AlertType Severity Title Message Source CreatedAt AcknowledgedAt AcknowledgedBy ResolvedAt ResolvedBy AutoResolved NotificationsSent",
        ),
        ("Actions", "ActionId DeviceId ActionType Status Priority Payload Result ScheduledAt StartedAt CompletedAt CreatedBy CreatedAt"),
        ("Metrics", "MetricId DeviceId MetricType Value Unit Timestamp"),
        ("MetricRollups", "DeviceId Metric Instance Unit Hour Min Avg Max Count"),
        ("AuditLog", "LogId Timestamp User Action Target Details IPAddress Success"),
        ("Policies", "PolicySet Name Data"),
    ];
    for (table, columns) in known {
        db.prepare(&format!("SELECT {} FROM {table}", columns.replace(' ', ", "))).unwrap_or_else(|e| panic!("{table}: {e}"));
    }
    for index in [
        "idx_devices_status",
        "idx_devices_site",
        "idx_inventory_device",
        "idx_inventory_date",
        "idx_alerts_device",
        "idx_alerts_severity",
        "idx_alerts_created",
        "idx_actions_status",
        "idx_actions_device",
        "idx_metrics_device_type",
    ] {
        assert!(db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?1").unwrap().exists([index]).unwrap(), "{index}");
    }
}
