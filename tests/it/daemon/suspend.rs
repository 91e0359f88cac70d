//! Suspended by hand: seen, and left alone.

use super::*;

#[test]
fn what_is_suspended_is_held_in_the_plan_and_left_alone_until_it_is_resumed() {
    for suspended in [&["device", "a"][..], &["policy", "P"]] {
        let yard = Yard::new(&["a"]);
        yard.wants("one", "true");
        yard.rmm(&[&["suspend"], suspended, &["--reason", "on the bench"]].concat()).ends(0);
        yard.rmm(&["plan"]).ends(0).says("on the bench");
        yard.once().ends(0);
        assert_eq!(yard.read("a", "app.conf"), None);
        yard.rmm(&["suspend"]).ends(0).says("on the bench");
        yard.rmm(&[&["resume"], suspended].concat()).ends(0);
        yard.rmm(&[&["resume"], suspended].concat()).ends(1).says("RMM0667");
        yard.once().ends(0);
        assert_eq!(yard.read("a", "app.conf").as_deref(), Some("one\n"));
        let told = yard.sql("SELECT Action FROM AuditLog WHERE Action LIKE 'suspension.%' ORDER BY LogId");
        assert_eq!(told, ["suspension.added", "suspension.removed"]);
    }
}

#[test]
fn what_does_not_exist_cannot_be_suspended() {
    let yard = Yard::new(&["alpha"]);
    yard.rmm(&["suspend", "device", "alpa"]).ends(3).says("did you mean 'alpha'?");
    yard.rmm(&["suspend", "setting", "Files"]).ends(3).says("--device");
}

#[test]
fn a_running_daemon_hears_of_it() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let daemon = yard.daemon();
    daemon.until("the first change", || yard.read("a", "app.conf").is_some());
    yard.rmm(&["suspend", "device", "a"]).ends(0);
    yard.wants("two", "true");
    daemon.says("policy set in force");
    yard.rmm(&["resume", "device", "a"]).ends(0);
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
}
