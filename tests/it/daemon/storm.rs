//! Many edits in quick succession, half of them broken, while changes are being carried out.

use super::*;

/// A team's own setting that waits on the device until it is let, and notes each time with which value it ran.
const SLOW: &str = r#"//! setting: Slow
//! summary: A file that takes its time.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: string}
//! probe: files
//! compare: script
//! phase: files
//! risk: low
//! examples:
//!   - {/tmp/x: y}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.sha256 == sha256(desired) }
fn apply(device, key, desired) { device.run(["sh", "-c", "echo \"$2\" >>\"$1.log\"; until [ -e \"$1.go\" ]; do sleep 0.05; done; printf %s \"$2\" >\"$1\"", "sh", key, desired]); }
"#;

const EDITS: usize = 200;
const OPEN: &str = "SELECT State FROM Alerts WHERE AlertType = 'Repository' AND State IN ('Triggered', 'Active')";

fn edit(yard: &Yard, text: &str) {
    yard.file(
        "policies/p.yaml",
        &format!("policies:\n  P:\n    targets: \"*\"\n    remediate: true\n    settings:\n      Slow: {{\"{{{{ vars.dir }}}}/one\": {text}, \"{{{{ vars.dir }}}}/two\": {text}}}\n"),
    );
}

#[test]
fn an_apply_in_a_storm_of_edits_ends_with_the_set_with_which_it_began_and_the_last_one_is_in_force_after_it() {
    // All of ten seconds where somebody has the time.
    let pause = Duration::from_millis(if std::env::var_os("RMM_KILLS").is_some() { 50 } else { 10 });
    let yard = Yard::new(&["a"]);
    yard.file("scripts/slow.rhai", SLOW);
    // Where each edit is read on its own, the alert comes and goes so often that it is over only when it has been calm.
    yard.file("notifications.yaml", "alerts: {flapping: {times: 4, within: 30m, calm: 1s}}\n");
    edit(&yard, "start");
    let daemon = yard.daemon();
    let log = |name: &str| yard.read("a", name).unwrap_or_default();
    daemon.until("the first change is in flight", || log("one.log") == "start\n" || log("two.log") == "start\n");
    let run = yard.sql("SELECT Id || ' ' || PolicySet FROM Runs");
    let hash = run[0].split(' ').nth(1).unwrap().to_owned();
    assert!(daemon.log().contains(&hash), "the set in force at the start is {hash}\n{}", daemon.log());
    for i in 0..EDITS {
        if i % 2 == 0 {
            yard.file("policies/p.yaml", "policies: {P: {targets: ['*'], settings: {Nonsense: 1}}}\n");
        } else {
            edit(&yard, &format!("edit-{i}"));
        }
        // Edits come one after another; one of the broken ones stays long enough to be read for certain.
        std::thread::sleep(pause);
        if i == EDITS / 2 {
            daemon.says("policy set refused");
            daemon.until("an alert", || !yard.sql(OPEN).is_empty());
        }
    }
    let last = format!("edit-{}", EDITS - 1);
    // The last set is in force while the apply still waits.
    let forced = || daemon.log().lines().filter(|line| line.contains("policy set in force")).count();
    daemon.until("a set of the storm in force", || forced() > 0);
    daemon.until("the end of the alert", || yard.sql(OPEN).is_empty());
    assert_eq!(yard.sql("SELECT count(*) FROM Runs"), ["1"], "nothing else was begun on the device");
    for name in ["one.go", "two.go"] {
        std::fs::write(yard.device("a").join(name), "").unwrap();
    }
    daemon.until("the last edit", || ["one", "two"].iter().all(|name| yard.read("a", name).as_deref() == Some(&*last)));
    daemon.until("the end of the runs", || yard.sql("SELECT Id FROM Runs WHERE State = 'running'").is_empty());
    // Both changes of the first run had its value; then came the last set, and nothing of what was between.
    assert_eq!((log("one.log"), log("two.log")), (format!("start\n{last}\n"), format!("start\n{last}\n")));
    let runs = yard.sql("SELECT PolicySet || ' ' || State FROM Runs ORDER BY StartedAt, Id");
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!(runs[0], format!("{hash} done"));
    assert!(!runs[1].starts_with(&hash) && runs[1].ends_with(" done"), "{runs:?}");
    // The alert was raised, and is over.
    let alerts = yard.sql("SELECT State FROM Alerts WHERE AlertType = 'Repository'");
    assert!(!alerts.is_empty() && alerts.iter().all(|state| state == "Resolved"), "{alerts:?}");
    eprintln!("{EDITS} edits: {} sets came into force while the apply was in flight or after", forced());
    assert_eq!(daemon.stop().0, Some(0));
}
