//! `kill -9` at random moments of an apply: every change ends done exactly once.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Fleet;

/// Where many kills are asked for, a fleet of some size; else a few devices show the same.
fn devices() -> usize {
    if std::env::var_os("RMM_KILLS").is_some() { 20 } else { 6 }
}

/// A team's own setting, idempotent as every setting has to be: the last command of a process that was killed may still be
/// under way on the device when the resumed run looks, and is then carried out a second time.
const APPENDED: &str = r#"//! setting: Appended
//! summary: A line that is written once.
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
fn compliant(observed, desired) { observed != () && observed.sha256 == sha256(desired + "\n") }
fn apply(device, key, desired) { device.run(["sh", "-c", "grep -qxF -e \"$2\" \"$1\" 2>/dev/null || printf '%s\\n' \"$2\" >>\"$1\"", "sh", key, desired]); }
"#;

const SETTINGS: &str = "      Directories:\n        \"{{ vars.dir }}/d\": {mode: \"0750\"}\n      Files:\n        \"{{ vars.dir }}/d/app.conf\": {template: \"round = {{ vars.round }}\\n\", mode: \"0640\"}\n        \"{{ vars.dir }}/old\": absent\n      LineInFile:\n        log: {path: \"{{ vars.dir }}/log\", line: \"round {{ vars.round }}\"}\n      Appended:\n        \"{{ vars.dir }}/once-{{ vars.round }}\": \"round {{ vars.round }}\"\n";

/// Starts an apply that tells of its run in the first line.
fn start(fleet: &Fleet, args: &[&str]) -> Child {
    let all = [&["apply", "--auto-approve", "--max-percent", "100", "--output", "jsonl"], args].concat();
    fleet.command(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills after a share of `whole`, counted from the moment at which changes begin (or, now and then, from the start).
/// Returns whether it was still at work.
fn kill(mut child: Child, whole: Duration, from_start: bool) -> bool {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    if !from_start {
        out.read_line(&mut String::new()).unwrap();
    }
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    // The moment of the kill is what is random here; nothing waits for anything.
    std::thread::sleep(whole.mul_f64(rand::random()));
    let killed = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = reader.join();
    killed
}

fn begin(fleet: &Fleet, round: usize) {
    fleet.declare(|i| {
        std::fs::create_dir_all(fleet.dir(i)).unwrap();
        std::fs::write(fleet.dir(i).join("old"), "x").unwrap();
        String::new()
    });
    let devices = std::fs::read_to_string(fleet.repo().join("devices.yaml")).unwrap();
    fleet.file("devices.yaml", &devices.replace("match: \"*\"", &format!("match: \"*\"\n    vars: {{round: {round}}}")));
}

/// Every device is as the policy says, and as if nothing had been interrupted.
#[track_caller]
fn check(fleet: &Fleet, round: usize) {
    for i in 1..=devices() {
        assert_eq!(fleet.read(i, "d/app.conf"), Some(format!("round = {round}\n")));
        assert_eq!(fleet.read(i, "old"), None);
        let log: String = (0..=round).map(|r| format!("round {r}\n")).collect();
        assert_eq!(fleet.read(i, "log"), Some(log));
        assert_eq!(fleet.read(i, &format!("once-{round}")), Some(format!("round {round}\n")));
    }
    let wrong = fleet.sql(
        "SELECT c.Run, c.Seq, c.State, count(a.LogId) FROM RunChanges c LEFT JOIN AuditLog a ON a.Action = 'change.done'
         AND json_extract(a.Details, '$.run') = c.Run AND json_extract(a.Details, '$.seq') = c.Seq
         GROUP BY c.Run, c.Seq HAVING c.State != 'done' OR count(a.LogId) != 1",
    );
    assert_eq!(wrong, Vec::<String>::new());
    fleet.intact();
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_resumed_and_every_change_is_done_exactly_once() {
    let kills: usize = std::env::var("RMM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(3);
    let fleet = Fleet::new(devices());
    fleet.file("scripts/appended.rhai", APPENDED);
    fleet.policy(SETTINGS);
    begin(&fleet, 0);
    fleet.rmm(&["collect"]).ends(0);
    let begun = Instant::now();
    fleet.apply(&["--max-percent", "100"]).ends(0);
    let whole = begun.elapsed().min(Duration::from_secs(4));
    check(&fleet, 0);
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        begin(&fleet, round);
        let from_start = round % 5 == 0;
        killed += usize::from(kill(start(&fleet, &["--refresh", "always"]), whole, from_start));
        // A resumed run may be killed like any other.
        while killed < kills && rand::random::<f64>() < 0.9 && !unfinished(&fleet).is_empty() {
            killed += usize::from(kill(start(&fleet, &["--resume", "last"]), whole, false));
        }
        if let Some(run) = unfinished(&fleet).first() {
            fleet.rmm(&["status"]).ends(0).says(run).says("unfinished");
            fleet.apply(&["--resume", "last"]).ends(0);
        } else {
            // Killed before anything was begun, or after everything was done: a new one does what is left.
            fleet.apply(&["--max-percent", "100", "--refresh", "always"]).ends(0);
        }
        assert_eq!(unfinished(&fleet), Vec::<String>::new());
        check(&fleet, round);
    }
    eprintln!("{killed} kills in {round} rounds, {} changes", fleet.sql("SELECT count(*) FROM RunChanges")[0]);
}

fn unfinished(fleet: &Fleet) -> Vec<String> {
    fleet.sql("SELECT Id FROM Runs WHERE State IN ('running', 'interrupted')")
}

#[test]
fn a_new_apply_after_a_kill_takes_the_devices_over_and_tells_of_the_run_that_is_left() {
    let fleet = Fleet::new(2);
    fleet.file(
        "scripts/slow.rhai",
        &APPENDED.replace("Appended", "Slow").replace("printf", "until [ -e \\\"$1.go\\\" ]; do sleep 0.05; done; printf"),
    );
    fleet.policy("      Slow:\n        \"{{ vars.dir }}/slow\": x\n");
    fleet.rmm(&["collect"]).ends(0);
    let mut child = start(&fleet, &[]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while fleet.sql("SELECT State FROM RunChanges WHERE State = 'started'").len() < 2 {
        assert!(Instant::now() < deadline, "nothing is begun");
        std::thread::yield_now();
    }
    // While it lives, no other run comes near its devices, and what is refused leaves nothing behind.
    fleet.apply(&[]).ends(6).says("RMM0305");
    assert_eq!(fleet.sql("SELECT count(*) FROM Runs"), ["1"]);
    fleet.rmm(&["status"]).ends(0).says("is being carried out");
    child.kill().unwrap();
    child.wait().unwrap();
    let run = unfinished(&fleet).remove(0);
    // What it had begun on the devices ends with its connection.
    let pattern = format!("sleep.*{}", fleet.dir(1).join("slow").display());
    while Command::new("pgrep").args(["-f", &pattern]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "the command on the device outlives its master");
        std::thread::yield_now();
    }
    for i in 1..=2 {
        std::fs::write(fleet.dir(i).join("slow.go"), "").unwrap();
    }
    fleet.apply(&["--refresh", "always"]).ends(0).says(&run);
    assert_eq!(unfinished(&fleet), [run]);
    // The old run finds everything done.
    fleet.apply(&["--resume", "last"]).ends(0);
    assert_eq!(unfinished(&fleet), Vec::<String>::new());
    assert_eq!(fleet.read(1, "slow").as_deref(), Some("x\n"));
    fleet.intact();
}
