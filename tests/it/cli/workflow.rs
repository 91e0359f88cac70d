use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use super::{Ended, Fleet, rmm};

/// Writes a line to a file of its own for every device: what happened, and how often, can be counted.
const NOTE: &str = r#"//! action: Note
//! summary: Appends a line to a file.
//! platforms: [linux]
//! parameters:
//!   type: object
//!   additionalProperties: false
//!   required: [file]
//!   properties: {file: {type: string}, fail: {type: boolean}, slow: {type: string}}
//! risk: low
//! idempotent: false
//! examples: [{file: /tmp/x}]

fn run(device, params) {
    device.run(["sh", "-c", "echo \"$2\" >> \"$1\"; echo noted $2", "sh", params.file, device.name]);
    if params.slow != () { device.run(["sh", "-c", "while ! [ -e \"$1\" ]; do sleep 0.05; done", "sh", params.slow]); }
    if params.fail == true { device.run(["sh", "-c", "echo so it is >&2; exit 7"]); }
    #{ noted: 1 }
}

fn rollback(device, params, result) {
    device.run(["sh", "-c", "echo \"undo $2\" >> \"$1\"", "sh", params.file, device.name]);
}
"#;

/// The same, and it interrupts people.
fn loud() -> String {
    NOTE.replace("action: Note", "action: Loud").replace("risk: low", "risk: high\n//! confirm: true")
}

/// Asks the device first.
const ASK: &str = r#"//! action: Ask
//! summary: Does what the device says.
//! platforms: [linux]
//! risk: low
//! idempotent: true
//! examples: [{}]

fn run(device, params) {
    let answer = device.run(["uname"]);
    if answer.stdout.contains("Linux") { device.run(["true"]); } else { device.run(["false"]); }
}
"#;

/// Three devices that are this machine, and these workflows; `FILE` in them is a file that the actions write.
fn fleet(workflows: &str) -> Fleet {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n");
    fleet.write(
        "devices.yaml",
        "groups:\n  Web: {}\ndevices:\n  a: {os: linux, groups: [Web], connection: {transport: local}}\n  b: {os: linux, groups: [Web], connection: {transport: local}}\n  c: {os: linux, connection: {transport: local}}\n",
    );
    fleet.write("scripts/note.rhai", NOTE);
    fleet.write("scripts/loud.rhai", &loud());
    fleet.write("scripts/ask.rhai", ASK);
    let workflows =
        workflows.replace("FILE", fleet.path("effects").to_str().unwrap()).replace("GATE", fleet.path("gate").to_str().unwrap());
    fleet.write("workflows/w.yaml", &workflows);
    fleet
}

const SIMPLE: &str = "Simple:\n  description: Notes twice.\n  trigger: [\"Schedule: Second Tuesday 10PM\", Manual]\n  steps:\n    - {name: First, action: Note, on: [Web], with: {file: FILE}}\n    - {name: Second, action: Note, on: [{device: c}], with: {file: FILE}, when: 'steps[\"First\"].failed == 0'}\n";

fn effects(fleet: &Fleet) -> Vec<String> {
    let text = std::fs::read_to_string(fleet.path("effects")).unwrap_or_default();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

fn status(fleet: &Fleet, run: &str) -> serde_json::Value {
    fleet.rmm(&["workflow", "status", run, "--output", "json"]).code(0).json()
}

/// The id of the run that a command has told of.
#[track_caller]
fn detached(ended: &Ended) -> String {
    ended.out.trim().to_owned()
}

#[test]
fn a_workflow_runs_to_its_end_and_its_status_says_so() {
    let fleet = fleet(SIMPLE);
    fleet.rmm(&["workflow", "list"]).code(0).says("Simple").says("Second Tuesday 10PM (UTC); by hand").says("never");
    fleet.rmm(&["workflow", "run", "Simple"]).code(0).says("succeeded, 2 of 2 steps done").complains("succeeded    First");
    assert_eq!(effects(&fleet), ["a", "b", "c"]);
    fleet.rmm(&["workflow", "list"]).code(0).says("succeeded");
    fleet.rmm(&["workflow", "status"]).code(0).says("Simple").says("succeeded").says("2 of 2 steps");
    fleet.rmm(&["workflow", "status", "last", "-v"]).code(0).says("succeeded   a, b");
    let run = status(&fleet, "last");
    assert_eq!(run["schema"], "rmm.workflow-run/1");
    assert_eq!(run["steps"][0]["devices"]["succeeded"], 2);
    assert_eq!(run["driven"], "nobody");
    assert_eq!(run["cause"]["kind"], "manual");
    let id = run["id"].as_str().unwrap();
    assert_eq!(status(&fleet, &id[id.len() - 6..])["id"], id);
}

#[test]
fn a_dry_run_shows_the_commands_once_for_all_alike_and_writes_nothing() {
    let text = "Look:\n  steps:\n    - {name: Note it, action: Note, on: [Web], with: {file: FILE}}\n    - {name: Ask it, action: Ask, on: [{device: c}]}\n    - {name: Sign-off, approval: {role: Operator, within: 12h}}\n    - {name: Never, action: Note, on: [Web], with: {file: FILE}, when: 'trigger.level == \"high\"'}\n    - {name: Perhaps, workflow: Inner, when: 'steps[\"Note it\"].failed == 0'}\nInner:\n  steps:\n    - {name: Loud one, action: Loud, on: [Web], with: {file: FILE}, onFailure: rollback}\n";
    let fleet = fleet(text);
    let shown = fleet.rmm(&["workflow", "run", "Look", "--dry-run", "-p", "level=low"]).code(0);
    let shown = shown
        .says("1. Note it")
        .says("on 2 devices: a, b")
        .says("the commands after the first may differ")
        .says("waits for approval by an Operator");
    let shown = shown.says("is left out: its condition does not hold").says("whether it begins shows when its turn comes");
    let shown = shown.says("5.1. Loud one").says("interrupts people").says("5 steps on 3 devices. Nothing was done.");
    assert!(shown.out.contains("$ uname"), "{}", shown.out);
    // The name of the device is in the command: the two are not alike.
    assert_eq!(shown.out.lines().filter(|line| line.contains("echo noted")).count(), 4, "{}", shown.out);
    assert!(effects(&fleet).is_empty());
    let value = fleet.rmm(&["workflow", "run", "Look", "--dry-run", "--output", "json"]).code(0).json();
    assert_eq!(value["steps"][0]["devices"], serde_json::json!(["a", "b"]));
    assert_eq!(fleet.rmm(&["workflow", "status", "--output", "csv"]).code(0).out.lines().count(), 1, "no run was kept");
}

#[test]
fn what_interrupts_people_is_asked_for_with_the_real_number() {
    let fleet = fleet(
        "Loud:\n  steps:\n    - {name: One, action: Loud, on: [Web], with: {file: FILE}}\n    - {name: Two, action: Note, on: ['*'], with: {file: FILE}}\n",
    );
    fleet.rmm(&["workflow", "run", "Loud"]).code(6).complains("RMM0304").complains("run Loud (Loud) on 2 devices").complains("--yes");
    assert!(effects(&fleet).is_empty());
    fleet.rmm(&["workflow", "run", "Loud", "--yes"]).code(0);
    assert_eq!(effects(&fleet), ["a", "a", "b", "b", "c"]);
}

#[test]
fn a_device_is_named_for_steps_without_devices() {
    let fleet = fleet("About:\n  steps:\n    - {name: Note it, action: Note, with: {file: FILE}}\n");
    fleet.rmm(&["workflow", "run", "About"]).code(3).complains("RMM0708").complains("--device NAME");
    fleet.rmm(&["workflow", "run", "About", "--device", "d"]).code(3).complains("RMM0704");
    fleet.rmm(&["workflow", "run", "About", "--device", "b"]).code(0);
    assert_eq!(effects(&fleet), ["b"]);
    fleet.rmm(&["workflow", "run", "Abuot"]).code(3).complains("did you mean 'About'?");
}

#[test]
fn a_failure_is_exit_code_8_with_what_was_printed_and_resuming_tries_only_that_again() {
    let fleet = fleet(
        "Fails:\n  steps:\n    - {name: Good, action: Note, on: [{device: a}], with: {file: FILE}}\n    - {name: Bad, action: Note, on: [{device: b}], with: {file: FILE, fail: true}}\n    - {name: After, action: Note, on: [{device: c}], with: {file: FILE}}\n",
    );
    let ended = fleet.rmm(&["workflow", "run", "Fails"]).code(8).says("failed, 1 of 3 steps done").says("so it is").says("exit 7");
    ended.complains("rmm workflow resume w-");
    assert_eq!(effects(&fleet), ["a", "b"]);
    fleet.rmm(&["workflow", "resume", "last"]).code(8);
    assert_eq!(effects(&fleet), ["a", "b", "b"], "what succeeded is not done again");
    fleet.rmm(&["workflow", "output", "last", "b", "--grep", "so it"]).code(0).says("so it is").says("exit 7");
    fleet.rmm(&["workflow", "output", "--grep", "noted a", "--output", "json"]).code(0).says("\"device\": \"a\"");
    fleet.rmm(&["workflow", "output", "last", "--grep", "nobody said this"]).code(0).complains("nothing was printed that fits");
}

#[test]
fn what_was_undone_is_told_and_not_resumed() {
    let fleet = fleet(
        "Undo:\n  steps:\n    - {name: Good, action: Note, on: [Web], with: {file: FILE}}\n    - {name: Bad, action: Note, on: [{device: c}], with: {file: FILE, fail: true}, onFailure: rollback}\n",
    );
    fleet.rmm(&["workflow", "run", "Undo"]).code(8).says("undone on 2 of 2 devices");
    assert_eq!(effects(&fleet), ["a", "b", "c", "undo a", "undo b"]);
    fleet.rmm(&["workflow", "resume", "last"]).code(6).complains("RMM0706").complains("what it did was undone");
    fleet.rmm(&["workflow", "show", "Undo"]).code(0).says("if it fails, the steps so far are undone");
}

#[test]
fn an_approval_waits_for_a_person_and_the_run_goes_on_from_there() {
    let fleet = fleet(
        "Ask:\n  steps:\n    - {name: First, action: Note, on: [{device: a}], with: {file: FILE}}\n    - {name: Sign-off, approval: {role: Operator}}\n    - {name: Last, action: Note, on: [{device: b}], with: {file: FILE}}\n",
    );
    let started = fleet.rmm(&["workflow", "run", "Ask", "--detach"]).code(0).complains("No daemon runs");
    let id = detached(&started);
    fleet.rmm(&["workflow", "approve", &id]).code(6).complains("RMM0707");
    // Driven until it waits, then its process ends.
    let mut driver = rmm(fleet.dir.path(), &["workflow", "resume", &id, "--output", "jsonl"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().contains("rmm.workflow-events/1"));
    assert!(lines.any(|line| line.unwrap().contains("waits for approval")), "it never waits");
    fleet.rmm(&["workflow", "status", &id]).code(0).says("waits for approval by an Operator").says(&format!("rmm workflow approve {id}"));
    driver.kill().unwrap();
    driver.wait().unwrap();
    assert_eq!(effects(&fleet), ["a"]);
    fleet.rmm(&["workflow", "approve", &id, "Nothing"]).code(3).complains("RMM0704");
    fleet
        .rmm(&["workflow", "approve", &id, "--reason", "looks good"])
        .code(0)
        .says("approved Sign-off of Ask")
        .complains("rmm workflow resume");
    fleet.rmm(&["workflow", "resume", &id]).code(0).says("looks good").says("succeeded");
    assert_eq!(effects(&fleet), ["a", "b"]);
    fleet.rmm(&["audit", "list", "--output", "json"]).code(0).says("workflow.step.succeeded").says("looks good");
    fleet.rmm(&["workflow", "resume", &id]).code(6).complains("nothing of it is left to do");
}

#[test]
fn a_rejected_approval_fails_the_run() {
    let fleet = fleet(
        "Ask:\n  steps:\n    - {name: Sign-off, approval: {role: Operator}, delay: 1s}\n    - {name: Last, action: Note, on: [{device: b}], with: {file: FILE}}\n",
    );
    let id = detached(&fleet.rmm(&["workflow", "run", "Ask", "--detach"]).code(0));
    let mut driver = rmm(fleet.dir.path(), &["workflow", "resume", &id, "--output", "jsonl"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("waits for approval")), "it never waits");
    fleet.rmm(&["workflow", "approve", &id, "--reject", "-m", "not today"]).code(0).says("rejected Sign-off");
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.last().unwrap().contains("\"event\":\"finished\""), "{rest:?}");
    assert_eq!(driver.wait().unwrap().code(), Some(8));
    fleet.rmm(&["workflow", "status", &id]).code(0).says("not today");
    assert!(effects(&fleet).is_empty());
}

#[test]
fn an_interrupt_lets_what_is_in_flight_finish_and_the_run_goes_on_later() {
    let fleet = fleet(
        "Slow:\n  steps:\n    - {name: One, action: Note, on: [{device: a}], with: {file: FILE, slow: GATE}}\n    - {name: Two, action: Note, on: [{device: b}], with: {file: FILE}}\n",
    );
    let mut driver = rmm(fleet.dir.path(), &["workflow", "run", "Slow", "--output", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let running = |line: &str| line.contains("\"event\":\"job\"") && line.contains("\"state\":\"running\"");
    assert!(lines.any(|line| running(&line.unwrap())), "it never begins");
    let queue = fleet.rmm(&["workflow", "queue"]).code(0).says("under way");
    let job = queue.out.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    fleet.rmm(&["workflow", "queue", "cancel", &job]).code(6).complains("RMM0709").complains("it is under way");
    fleet.rmm(&["workflow", "status", "last"]).code(0).says("driven by process");
    std::process::Command::new("kill").args(["-INT", &driver.id().to_string()]).status().unwrap();
    let mut said = BufReader::new(driver.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("Stopping")));
    fleet.write("gate", "");
    assert_eq!(driver.wait().unwrap().code(), Some(130));
    assert!(said.any(|line| line.unwrap().contains("rmm workflow resume")));
    assert_eq!(effects(&fleet), ["a"]);
    fleet.rmm(&["workflow", "resume", "last"]).code(0);
    assert_eq!(effects(&fleet), ["a", "b"], "nothing twice, nothing lost");
}

#[test]
fn a_cancelled_run_ends_although_nobody_drives_it() {
    let fleet =
        fleet("Slow:\n  concurrency: skip\n  steps:\n    - {name: One, action: Note, on: [{device: a}], with: {file: FILE}, delay: 24h}\n");
    let id = detached(&fleet.rmm(&["workflow", "run", "Slow", "--detach"]).code(0));
    fleet.rmm(&["workflow", "run", "Slow"]).code(6).complains("RMM0705").complains(&id);
    fleet.rmm(&["workflow", "cancel", "last", "--reason", "wrong group"]).code(0).says("cancelled").says("wrong group");
    assert_eq!(status(&fleet, &id)["state"], "cancelled");
    fleet.rmm(&["workflow", "cancel", &id]).code(6).complains("RMM0709");
    assert!(effects(&fleet).is_empty());
}

#[test]
fn a_device_that_is_away_keeps_its_work_in_the_queue_until_it_is_cancelled() {
    let fleet = fleet("Away:\n  steps:\n    - {name: One, action: Note, on: [{device: a}, {device: gone}], with: {file: FILE}}\n");
    let devices =
        fleet.read("devices.yaml") + "  gone: {os: linux, address: 127.0.0.1, connection: {transport: ssh, port: 1, user: nobody}}\n";
    fleet.write("devices.yaml", &devices);
    fleet.rmm(&["workflow", "run", "Away"]).code(9).says("1 cannot be reached").complains("1 device waits in the queue");
    let queue = fleet.rmm(&["workflow", "queue"]).code(0).says("gone").says("cannot be reached");
    let job = queue.out.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert_eq!(fleet.rmm(&["workflow", "queue", "--output", "json"]).code(0).json()["items"][0]["waitsFor"], "device");
    fleet.rmm(&["workflow", "queue", "cancel", &job, "-m", "sold"]).code(0).says("cancelled Note on gone");
    fleet.rmm(&["workflow", "queue", "cancel", &job]).code(6).complains("it has ended already: cancelled");
    fleet.rmm(&["workflow", "queue"]).code(0).says("(none)");
    assert_eq!(effects(&fleet), ["a"]);
}

#[test]
fn the_graph_has_a_node_for_each_step_and_nothing_that_mermaid_would_misread() {
    let fleet = fleet(
        "Graph:\n  steps:\n    - {name: 'One \"x\" [end] | #1', action: Note, on: [Web], with: {file: FILE}, onFailure: rollback-and-notify}\n    - {name: Sign-off, approval: {role: Operator}}\n    - {name: Stop, end: failed, when: 'steps[\"Sign-off\"].ok == false'}\n    - {name: Two, action: Note, on: [Web], with: {file: FILE}, delay: 24h}\n",
    );
    let graph = fleet.rmm(&["workflow", "show", "Graph", "--format", "mermaid"]).code(0).out;
    assert!(graph.starts_with("flowchart TD\n"), "{graph}");
    let line = regex_lite::Regex::new(
        r#"^    (?:[a-z0-9]+(?:\[|\(\[|\{\{|\[\[)"[^"\[\]{}|<>]*(?:<br>[^"\[\]{}|<>]*)*"(?:\]|\]\)|\}\}|\]\])|[a-z0-9]+ (?:-->|-- "[^"]*" -->|-\. "[^"]*" \.->) [a-z0-9]+)$"#,
    )
    .unwrap();
    for text in graph.lines().skip(1) {
        assert!(line.is_match(text), "{text}");
    }
    for arrow in
        ["start --> s0", "s0 --> s1", "s1 -- \"where steps", "s2 --> failed", "s1 -- \"else; after 24h\" --> s3", "s3 --> done", "s0 -. "]
    {
        assert!(graph.contains(arrow), "no {arrow} in\n{graph}");
    }
}

#[test]
fn a_device_that_nobody_has_looked_at_is_what_it_is_declared_to_be() {
    let fleet = Fleet::nothing();
    fleet.write("rmm.toml", "[limits]\nmax_percent = 100\n");
    fleet.write("devices.yaml", "devices:\n  ws-1: {os: windows}\n");
    fleet.rmm(&["run", "Reboot", "--on", "ws-1", "--dry-run"]).code(0).says("System32\\shutdown.exe");
}
