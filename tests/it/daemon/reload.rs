//! A changed repository: a valid one takes effect, a broken one does not, and says so.

use super::*;

const OPEN: &str = "SELECT State FROM Alerts WHERE AlertType = 'Repository' AND State IN ('Triggered', 'Active')";

#[test]
fn a_broken_repository_changes_nothing_raises_an_alert_and_is_over_when_mended() {
    let yard = Yard::new(&["a"]);
    yard.wants("one", "true");
    let daemon = yard.daemon();
    daemon.until("the first change", || yard.read("a", "app.conf").is_some());
    // A broken file beside one that would change something.
    yard.file("policies/q.yaml", "policies: [\n");
    yard.wants("two", "true");
    daemon.says("policy set refused");
    daemon.until("an alert", || !yard.sql(OPEN).is_empty());
    assert_eq!(yard.read("a", "app.conf").as_deref(), Some("one\n"), "the last good set is in force");
    std::fs::remove_file(yard.repo().join("policies/q.yaml")).unwrap();
    daemon.until("the mended set", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    daemon.until("the end of the alert", || yard.sql(OPEN).is_empty());
    assert_eq!(daemon.stop().0, Some(0));
}

#[test]
fn files_that_are_renamed_into_place_and_new_folders_are_noticed() {
    let yard = Yard::new(&["a"]);
    let daemon = yard.daemon();
    daemon.says("at work");
    std::fs::write(yard.beside("new.yaml"), policy("one", "true")).unwrap();
    std::fs::create_dir(yard.repo().join("policies")).unwrap();
    std::fs::rename(yard.beside("new.yaml"), yard.repo().join("policies/p.yaml")).unwrap();
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("one\n"));
}

#[test]
fn a_file_system_that_tells_nothing_is_looked_at() {
    let yard = Yard::new(&["a"]);
    yard.file("rmm.toml", "[daemon]\nwatch = \"poll\"\npoll_interval = \"1s\"\n[limits]\nmax_percent = 100\n");
    let daemon = yard.daemon();
    daemon.says("at work");
    yard.wants("one", "true");
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("one\n"));
}

#[test]
fn settings_take_effect_as_they_are_written_and_those_that_cannot_are_named_once() {
    let yard = Yard::new(&["a"]);
    let settings = |more: &str| yard.file("rmm.toml", &format!("[limits]\nmax_percent = 100\n{more}"));
    let later = |daemon: &Daemon| daemon.log().matches("daemon.listen has changed: that takes effect at the next start").count();
    let daemon = yard.daemon();
    daemon.says("at work");
    settings("[daemon]\nlisten = \"127.0.0.1:1\"\nlog_format = \"json\"\n");
    daemon.until("word of what comes later", || later(&daemon) == 1);
    // No longer told by the system but looked for, and an object per line by now.
    settings("[daemon]\nlisten = \"127.0.0.1:1\"\nlog_format = \"json\"\nwatch = \"poll\"\npoll_interval = \"1s\"\n");
    yard.wants("one", "true");
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("one\n"));
    daemon.says("{\"time\":");
    assert_eq!(later(&daemon), 1, "{}", daemon.log());
    // Nothing but errors.
    settings("[general]\nlog_level = \"error\"\n");
    yard.wants("two", "true");
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("two\n"));
    let sets = daemon.log().matches("policy set in force").count();
    yard.wants("three", "true");
    daemon.until("the change", || yard.read("a", "app.conf").as_deref() == Some("three\n"));
    yard.file("policies/q.yaml", "policies: [\n");
    daemon.says("policy set refused");
    assert_eq!(daemon.log().matches("policy set in force").count(), sets, "{}", daemon.log());
    assert_eq!(daemon.stop().0, Some(0));
}
