//! A device that is away: what is asked of it waits in the queue, is done in its order when it returns, and what was taken back or has
//! waited too long is never done.

use super::*;
use crate::fleet::Fleet;

/// Writes a word into the log of its device.
const NOTE: &str = r#"//! action: Note
//! summary: Writes a word.
//! platforms: [linux]
//! parameters: {type: object, required: [dir, word], properties: {dir: {type: string}, word: {type: string}}}
//! risk: none
//! idempotent: true
//! examples: [{dir: /tmp, word: one}]
fn run(device, params) { device.run(["sh", "-c", "echo \"$2\" >>\"$1/log\"", "sh", params.dir, params.word]); }
"#;

#[track_caller]
fn ask(fleet: &Fleet, word: &str, more: &[&str]) {
    let word = format!("word={word}");
    fleet.rmm(&[&["run", "Note", "--on", "dev-01", "-p", "dir={{ vars.dir }}", "-p", &word], more].concat()).ends(9);
}

fn jobs(fleet: &Fleet) -> Vec<String> {
    fleet.sql("SELECT json_extract(Params, '$.word'), State, WaitsFor FROM Jobs ORDER BY N")
}

#[test]
fn a_device_that_returns_is_served_in_order_and_what_was_taken_back_or_is_too_late_never_happens() {
    let mut fleet = Fleet::new(1);
    fleet.file("scripts/note.rhai", NOTE);
    fleet.file(
        "rmm.toml",
        "[general]\ndefault_site = \"Here\"\n[limits]\nmax_percent = 100\n[connections]\nssh_timeout = \"5s\"\n[monitoring.schedules]\nstatus = \"* * * * * *\"\n",
    );
    fleet.sshd.stop();
    ask(&fleet, "late", &["--expires", "2s"]);
    for word in ["one", "never", "two"] {
        ask(&fleet, word, &[]);
    }
    ask(&fleet, "behind", &["--expires", "2s"]);
    ask(&fleet, "first", &["--priority", "1"]);
    let run = fleet.sql("SELECT Run FROM Jobs WHERE json_extract(Params, '$.word') = 'never'").remove(0);
    fleet.rmm(&["workflow", "cancel", &run]).ends(0);
    let daemon = Daemon::of(fleet.command(&["reconcile"]), &fleet.repo().join("../daemon.log"));
    daemon.until("what has waited too long", || fleet.sql("SELECT count(*) FROM Jobs WHERE State = 'expired'") == ["2"]);
    daemon.until("that it is away", || fleet.sql("SELECT Status FROM Devices") == ["Offline"]);
    let known = jobs(&fleet);
    assert_eq!(known.iter().filter(|job| job.contains("waiting device")).count(), 1, "one of them looks for it: {known:#?}");
    assert_eq!(fleet.read(1, "log"), None);
    fleet.sshd.restart();
    let served = daemon.until("what waits for it", || fleet.sql("SELECT count(*) FROM Jobs WHERE State = 'succeeded'") == ["3"]);
    // Not by its own next look, which would be a minute later.
    assert!(served < Duration::from_secs(30), "{served:?}");
    assert_eq!(fleet.read(1, "log").unwrap(), "first\none\ntwo\n");
    assert_eq!(
        jobs(&fleet),
        [
            "late expired Null",
            "one succeeded Null",
            "never cancelled Null",
            "two succeeded Null",
            "behind expired Null",
            "first succeeded Null"
        ]
    );
    assert_eq!(daemon.stop().0, Some(0));
    fleet.intact();
}

#[test]
fn what_a_policy_wants_of_a_device_that_is_away_waits_in_one_run() {
    let mut fleet = Fleet::new(1);
    fleet.file(
        "rmm.toml",
        "[general]\ndefault_site = \"Here\"\n[limits]\nmax_percent = 100\n[connections]\nssh_timeout = \"5s\"\n[monitoring.schedules]\nstatus = \"* * * * * *\"\n",
    );
    fleet.policy("      Files:\n        \"{{ vars.dir }}/note\": {content: hello}\n");
    fleet.rmm(&["collect"]).ends(0);
    fleet.sshd.stop();
    let daemon = Daemon::of(fleet.command(&["reconcile"]), &fleet.repo().join("../daemon.log"));
    daemon.until("a change that waits", || fleet.sql("SELECT State FROM RunChanges").contains(&"queued".to_owned()));
    let looks = || daemon.log().matches("not observed").count();
    let seen = looks();
    daemon.until("that it is looked for several times", || looks() > seen + 4);
    assert_eq!(fleet.sql("SELECT count(*) FROM Runs"), ["1"], "another run adds nothing:\n{}", daemon.log());
    fleet.sshd.restart();
    daemon.until("the change", || fleet.read(1, "note").is_some_and(|note| note.trim() == "hello"));
    daemon.until("the end of the run", || fleet.sql("SELECT State FROM Runs") == ["done"]);
    assert_eq!(daemon.stop().0, Some(0));
    fleet.intact();
}
