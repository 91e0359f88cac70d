use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmm::store::{AuditEvent, AuditFilter, Owner, Store};
use rmm::time::{Clock as _, SystemClock};

use super::Fleet;

fn open(fleet: &Fleet) -> Store {
    Store::open(&fleet.path(".rmm/rmm.db"), Arc::new(SystemClock)).unwrap()
}

fn event(action: &str) -> AuditEvent {
    AuditEvent {
        at: SystemClock.now(),
        user: None,
        action: action.into(),
        target: None,
        details: serde_json::Value::Null,
        ip: None,
        success: true,
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What lies in the state folder beside the database itself.
fn beside(fleet: &Fleet) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(fleet.path(".rmm"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("rmm.db."))
        .collect();
    found.sort();
    found
}

#[test]
fn a_copy_is_put_back_and_what_was_there_is_kept() {
    let fleet = Fleet::small();
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    fleet.rmm(&["backup", "copy.db", "--verify"]).code(0).says("1 device").says("verified");
    fleet.rmm(&["backup", "copy.db"]).code(1).complains("RMM0506").complains("already");
    open(&fleet).audit(&event("later")).unwrap();
    fleet.rmm(&["restore", "copy.db"]).code(6).complains("RMM0304").complains("--yes");
    fleet.rmm(&["audit", "list", "--action", "later"]).code(0).says("later");
    let restored = fleet.rmm(&["restore", "copy.db", "--yes", "--output", "json"]).code(0).json();
    assert_eq!((&restored["schema"], &restored["devices"]), (&"rmm.restore/1".into(), &1.into()));
    fleet.rmm(&["audit", "list", "--action", "later"]).code(0).says("(none)");
    fleet.rmm(&["audit", "list"]).code(0).says("change.done").says("database.restored");
    fleet.rmm(&["audit", "verify"]).code(0);
    let kept = beside(&fleet);
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(restored["before"], kept[0].display().to_string());
    fleet.rmm(&["audit", "list", "--db", &kept[0].display().to_string(), "--action", "later"]).code(0).says("later");
}

#[test]
fn a_copy_made_while_others_write_is_whole() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    let store = open(&fleet);
    let done = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut rows = 0;
            while !done.load(Ordering::Relaxed) {
                store.audit(&event("busy")).unwrap();
                // Others want to write too.
                store.device_states().unwrap();
                store.audit_list(&AuditFilter { limit: 20, ..AuditFilter::default() }).unwrap();
                rows += 1;
            }
            rows
        });
        // Also where the test fails: else it would never end.
        let stop = Stop(&done);
        for n in 0..5 {
            fleet.rmm(&["backup", &format!("copy-{n}.db"), "--verify"]).code(0);
        }
        drop(stop);
        writer.join().unwrap()
    });
    assert!(written > 0);
    let rows = |file: &str| Store::look_at(&fleet.path(file)).unwrap().audit_rows;
    assert!(rows("copy-0.db") < rows("copy-4.db"));
}

#[test]
fn nothing_is_restored_while_a_daemon_or_a_run_is_at_work() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["backup", "copy.db"]).code(0);
    let (daemon, run) = (Owner::named("daemon"), Owner::named("run"));
    let hour = chrono::TimeDelta::hours(1);
    let store = open(&fleet);
    store.lease_daemon(&daemon, hour).unwrap();
    drop(store);
    fleet.rmm(&["restore", "copy.db", "--yes"]).code(6).complains("RMM0305").complains("daemon");
    let store = open(&fleet);
    store.release_all(&daemon).unwrap();
    store.lease_run("r-7", &run, hour).unwrap();
    drop(store);
    fleet.rmm(&["restore", "copy.db", "--yes"]).code(6).complains("r-7");
    let store = open(&fleet);
    store.release_all(&run).unwrap();
    // Somebody has it open, without a lease.
    store.device_states().unwrap();
    fleet.rmm(&["restore", "copy.db", "--yes"]).code(1).complains("RMM0504");
    drop(store);
    assert_eq!(beside(&fleet), Vec::<PathBuf>::new(), "nothing was touched");
    // A lease that was held when the copy was made holds no longer.
    let store = open(&fleet);
    store.lease_daemon(&daemon, hour).unwrap();
    fleet.rmm(&["backup", "leased.db"]).code(0);
    store.release_all(&daemon).unwrap();
    drop(store);
    fleet.rmm(&["restore", "leased.db", "--yes"]).code(0);
    assert_eq!(open(&fleet).leases().unwrap(), []);
}

#[test]
fn a_copy_that_is_damaged_newer_or_none_is_refused_and_nothing_is_touched() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.rmm(&["backup", "copy.db"]).code(0);
    let before = std::fs::read(fleet.path(".rmm/rmm.db")).unwrap();
    let whole = std::fs::read(fleet.path("copy.db")).unwrap();
    let mut bytes = whole.clone();
    bytes[8192 * 2..8192 * 6].fill(0xa5);
    std::fs::write(fleet.path("damaged.db"), &bytes).unwrap();
    std::fs::write(fleet.path("half.db"), &whole[..whole.len() / 2]).unwrap();
    std::fs::write(fleet.path("newer.db"), &whole).unwrap();
    let newer = rusqlite::Connection::open(fleet.path("newer.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    std::fs::write(fleet.path("altered.db"), &whole).unwrap();
    let altered = rusqlite::Connection::open(fleet.path("altered.db")).unwrap();
    altered.execute_batch("DROP TRIGGER audit_refuses_update; UPDATE AuditLog SET User = 'nobody' WHERE LogId = 1").unwrap();
    drop(altered);
    for (file, code) in [
        ("damaged.db", "RMM0502"),
        ("half.db", "RMM0502"),
        ("newer.db", "RMM0501"),
        ("altered.db", "audit record"),
        ("rmm.toml", "RMM0502"),
        ("none.db", "no such file"),
    ] {
        fleet.rmm(&["restore", file, "--yes"]).code(1).complains(code);
    }
    fleet.rmm(&["restore", ".rmm/rmm.db", "--yes"]).code(3);
    assert_eq!(std::fs::read(fleet.path(".rmm/rmm.db")).unwrap(), before);
    assert_eq!(beside(&fleet), Vec::<PathBuf>::new());
    fleet.rmm(&["backup", "--db", "none.db", "x.db"]).code(1).complains("no such file");
    assert!(!fleet.path("x.db").exists() && !fleet.path("none.db").exists());
}

#[test]
fn a_damaged_or_missing_database_is_replaced() {
    let fleet = Fleet::small();
    fleet.rmm(&["apply", "--auto-approve"]).code(0);
    fleet.rmm(&["backup", "copy.db"]).code(0);
    std::fs::write(fleet.path(".rmm/rmm.db"), "not a database").unwrap();
    fleet.rmm(&["status"]).code(1).complains("RMM0502");
    fleet.rmm(&["restore", "copy.db", "--yes"]).code(0).says("The one before is");
    fleet.rmm(&["audit", "list"]).code(0).says("change.done");
    std::fs::remove_dir_all(fleet.path(".rmm")).unwrap();
    fleet.rmm(&["restore", "copy.db", "--yes"]).code(0);
    fleet.rmm(&["audit", "list"]).code(0).says("change.done");
}

#[test]
fn a_repository_that_is_not_valid_is_saved_too() {
    let fleet = Fleet::small();
    fleet.rmm(&["collect"]).code(0);
    fleet.write("policies/b.yaml", "x: [");
    let saved = fleet.rmm(&["backup", "copy.db", "--output", "json"]).code(0).json();
    assert_eq!((&saved["schema"], &saved["devices"]), (&"rmm.backup/1".into(), &1.into()));
}
