//! A good service: it begins, ends when asked, waits as standby, and takes over.

use super::*;

#[test]
fn it_keeps_devices_as_the_repository_says_and_ends_when_asked() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let daemon = yard.daemon();
    daemon.until("the first change", || yard.read("a", "app.conf").as_deref() == Some("one\n"));
    yard.wants("two", "true");
    daemon.until("the change of the policy", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    let (code, took) = daemon.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(20), "{took:?}");
    assert_eq!(yard.sql("SELECT count(*) FROM Leases"), ["0"]);
    let told = yard.sql("SELECT Action FROM AuditLog WHERE Action LIKE 'daemon.%' ORDER BY LogId");
    assert_eq!(told, ["daemon.started", "daemon.stopped"]);
    assert_eq!(yard.sql("SELECT count(*) FROM Runs WHERE State <> 'done'"), ["0"]);
}

#[test]
fn a_standby_takes_over_when_the_other_one_dies() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let first = yard.daemon();
    first.says("at work");
    first.until("the first change", || yard.read("a", "app.conf").is_some());
    let second = yard.daemon();
    second.says("standby");
    // A round beside a daemon is refused: there is one at a time.
    yard.once().ends(6).says("RMM0592");
    first.kill();
    let took = second.until("the second one at work", || second.log().contains("at work policy_set"));
    assert!(took < Duration::from_secs(10), "{took:?}");
    yard.wants("two", "true");
    second.until("its work", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    assert_eq!(second.stop().0, Some(0));
}

#[test]
fn the_database_is_not_taken_away_from_under_a_daemon() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let daemon = yard.daemon();
    daemon.says("at work");
    yard.rmm(&["uninstall", "--yes"]).ends(6).says("RMM0592").says("systemctl disable --now");
    daemon.until("the first change", || yard.read("a", "app.conf").is_some());
    assert!(yard.repo().join(".rmm/rmm.db").is_file());
    yard.wants("two", "true");
    daemon.until("its work", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    assert_eq!(daemon.stop().0, Some(0));
    yard.rmm(&["uninstall", "--yes"]).ends(0);
    assert!(!yard.repo().join(".rmm").exists());
}

#[test]
fn only_this_machine_may_ask_how_it_is() {
    let yard = Yard::new(&["a"]);
    yard.file("rmm.toml", "[daemon]\nlisten = \"0.0.0.0:0\"\n");
    let daemon = yard.daemon();
    daemon.says("RMM0660");
}

#[test]
fn the_unit_for_systemd_is_one_that_systemd_takes() {
    let yard = Yard::new(&["a"]);
    let unit = yard.beside("rmm-reconcile.service");
    let option = format!("--service={}", unit.display());
    let root = yard.repo().display().to_string();
    let said = Said::of(&yard.command(&["init", &root, &option]).output().unwrap());
    said.ends(0).says("systemctl enable");
    let text = std::fs::read_to_string(&unit).unwrap();
    for line in ["Type=notify-reload", "WatchdogSec=", "ProtectSystem=strict", "NoNewPrivileges=yes"] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    // A second time, what an administrator may have changed is kept.
    Said::of(&yard.command(&["init", &root, &option]).output().unwrap()).ends(1).says("RMM0668");
    let Ok(verified) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output() else { return };
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}
