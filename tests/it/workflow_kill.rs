//! `kill -9` at random moments of a workflow: what must not be repeated happens once, and every run reaches its end.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::fleet::Fleet;

/// Where many kills are asked for, a fleet of some size; else a few devices show the same.
fn devices() -> usize {
    if std::env::var_os("RMM_KILLS").is_some() { 20 } else { 6 }
}

/// Counts, and takes a moment in the middle: twice is not once.
const COUNT: &str = r#"//! action: Count
//! summary: Writes one more line.
//! platforms: [linux]
//! parameters: {type: object, required: [dir, word], properties: {dir: {type: string}, word: {type: string}}}
//! risk: low
//! idempotent: false
//! examples: [{dir: /tmp, word: one}]
fn run(device, params) {
    device.run(["sh", "-c", "echo \"$2 begins\" >>\"$1/log\"; sleep 0.1", "sh", params.dir, params.word]);
    device.run(["sh", "-c", "echo \"$2 ends\" >>\"$1/log\"", "sh", params.dir, params.word]);
}
"#;

fn step(name: &str, more: &str) -> String {
    format!(
        "    - name: {name}\n      action: Count\n      on: Fleet\n      with: {{dir: \"{{{{ vars.dir }}}}\", word: \"{name} {{{{ vars.round }}}}\"}}\n{more}"
    )
}

fn workflow() -> String {
    let steps = [
        step("one", ""),
        step("two", "      delay: 1s\n      maxParallel: 4\n"),
        step("three", "      parallel: true\n"),
        step("four", "      parallel: true\n"),
        step("five", &format!("      when: steps.three.succeeded == {} && steps.four.ok\n", devices())),
    ];
    format!("Five:\n  steps:\n{}", steps.concat())
}

fn begin(fleet: &Fleet, round: usize) {
    fleet.declare(|i| {
        std::fs::create_dir_all(fleet.dir(i)).unwrap();
        String::new()
    });
    let devices = std::fs::read_to_string(fleet.repo().join("devices.yaml")).unwrap();
    fleet.file("devices.yaml", &devices.replace("match: \"*\"", &format!("match: \"*\"\n    vars: {{round: {round}}}")));
}

fn start(fleet: &Fleet, args: &[&str]) -> Child {
    let all = [&["workflow"], args, &["--output", "jsonl"]].concat();
    fleet.command(&all).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

/// Kills after a share of `whole`. Returns whether it was still at work.
fn kill(mut child: Child, whole: Duration) -> bool {
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let _ = out.read_line(&mut String::new());
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    // The moment of the kill is what is random here; nothing waits for anything.
    std::thread::sleep(whole.mul_f64(rand::random()));
    let killed = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    let _ = reader.join();
    killed
}

fn unfinished(fleet: &Fleet) -> Vec<String> {
    fleet.sql("SELECT Id FROM WorkflowRuns WHERE State NOT IN ('succeeded', 'failed', 'cancelled') ORDER BY Id")
}

/// Every word once on every device, one after another; every run at its end; every transition in the audit.
#[track_caller]
fn check(fleet: &Fleet, rounds: usize) {
    for i in 1..=devices() {
        let log = fleet.read(i, "log").unwrap_or_default();
        for round in 0..=rounds {
            for word in ["one", "two", "three", "four", "five"] {
                for end in ["begins", "ends"] {
                    let line = format!("{word} {round} {end}");
                    let times = log.lines().filter(|known| **known == line).count();
                    assert_eq!(times, 1, "'{line}' on device {i}:\n{log}");
                }
            }
        }
    }
    let wrong = fleet.sql("SELECT Id, State, Reason FROM Jobs WHERE State <> 'succeeded'");
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(fleet.sql("SELECT Id, State, Error FROM WorkflowRuns WHERE State <> 'succeeded'"), Vec::<String>::new());
    fleet.intact();
}

#[test]
fn a_workflow_that_is_killed_at_any_moment_goes_on_and_each_effect_happens_once() {
    let kills: usize = std::env::var("RMM_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let fleet = Fleet::new(devices());
    fleet.file("scripts/count.rhai", COUNT);
    fleet.file("workflows/five.yaml", &workflow());
    begin(&fleet, 0);
    let begun = Instant::now();
    fleet.rmm(&["workflow", "run", "Five", "--yes"]).ends(0);
    let whole = begun.elapsed().min(Duration::from_secs(8));
    check(&fleet, 0);
    let (mut killed, mut round) = (0, 0);
    while killed < kills {
        round += 1;
        begin(&fleet, round);
        killed += usize::from(kill(start(&fleet, &["run", "Five", "--yes"]), whole));
        // A run that was taken up may be killed like any other.
        while killed < kills && rand::random::<f64>() < 0.9 {
            let Some(run) = unfinished(&fleet).first().cloned() else { break };
            killed += usize::from(kill(start(&fleet, &["resume", &run]), whole / 2));
        }
        match unfinished(&fleet).as_slice() {
            [run] => drop(fleet.rmm(&["workflow", "resume", run]).ends(0)),
            // Killed before it was begun: then it is begun now.
            [] if fleet.sql("SELECT count(*) FROM WorkflowRuns") != [(round + 1).to_string()] => {
                fleet.rmm(&["workflow", "run", "Five", "--yes"]).ends(0);
            }
            [] => {}
            several => panic!("{several:?}"),
        }
        check(&fleet, round);
    }
    eprintln!("{killed} kills in {round} rounds, {} jobs", fleet.sql("SELECT count(*) FROM Jobs")[0]);
}
