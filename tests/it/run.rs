//! `rmm run`: what would happen, what happens, who is asked, what is told. And what nobody may see: secrets.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fleet::{Fleet, Said};

/// Leaves a line behind, and prints some.
const NOTE: &str = r#"//! action: Note
//! summary: Writes a line.
//! platforms: [linux]
//! parameters: {type: object, additionalProperties: false, required: [text], properties: {text: {type: string, description: "what to write"}, dir: {type: string, default: "{{ vars.dir }}"}}}
//! idempotent: false
//! timeout: 1m
//! examples: [{text: hello}]
fn before(device, params) { if params.text == "refuse" { throw "not this one"; } device.run(["mkdir", "-p", params.dir]); }
fn run(device, params) {
    device.run_input(["tee", "-a", params.dir + "/note"], params.text + "\n");
    if params.text == "fail" { device.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo line $i; done; exit 3"]); }
    #{wrote: params.text}
}
fn after(device, params, result) {
    device.write_file(params.dir + "/after", if result.ok { "ok " + result.value.wrote } else { "not ok: " + result.error });
}
fn rollback(device, params, result) { device.run(["rm", "-f", "--", params.dir + "/note"]); }
"#;

struct House {
    fleet: Fleet,
    _receipts: tempfile::TempDir,
}

impl House {
    fn new(devices: usize) -> Self {
        let receipts = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o700)).tempdir().unwrap();
        let fleet = Fleet::with(devices, &format!("SetEnv RMM_RECEIPTS={}", receipts.path().display()));
        fleet.file("scripts/note.rhai", NOTE);
        Self { fleet, _receipts: receipts }
    }

    fn run(&self, args: &[&str]) -> Said {
        self.fleet.rmm(&[&["run"], args].concat())
    }
}

const DIR: &str = "dir={{ vars.dir }}";

#[test]
fn a_dry_run_shows_the_commands_of_every_device_and_does_nothing() {
    let house = House::new(2);
    let said = house.run(&["Note", "--on", "*", "-p", "text=hello", "-p", DIR, "--dry-run"]).ends(0);
    let note = |i: usize| house.fleet.dir(i).join("note").display().to_string();
    let said = said.says(&format!("$ tee -a {}", note(1))).says(&format!("$ tee -a {}", note(2)));
    let said = said.says("< 6 bytes on its standard input").says("dev-02").says("Nothing was done. Note would run on 2 devices.");
    assert!(!said.out.contains("hello"), "{}", said.out);
    assert_eq!(house.fleet.read(1, "note"), None);
    assert_eq!(house.fleet.sshd.sign_ins(), 0);
    let json = house.run(&["Note", "--on", "dev-01", "-p", "text=hello", "-p", DIR, "--dry-run", "--output", "json"]).ends(0).json();
    assert_eq!((&json["schema"], json["items"][0]["commands"].as_array().unwrap().len()), (&Value::from("rmm.preview/1"), 3));
}

#[test]
fn what_is_misspelt_is_told_before_anything_happens() {
    let house = House::new(1);
    house.run(&["Not", "--on", "*"]).ends(3).says("there is no action 'Not'").says("did you mean 'Note'?");
    house.run(&["Note", "--on", "*", "-p", "txt=x"]).ends(3).says("Note has no parameter 'txt'").says("did you mean 'text'?");
    house.run(&["Note", "--on", "dev-1", "-p", "text=x"]).ends(3).says("did you mean 'dev-01'?");
    house.run(&["Note", "-p", "text=x"]).ends(3).says("--on SELECTOR");
    house.run(&["Reboot", "--on", "*", "-p", "delay=soon"]).ends(3).says("expected a whole number, found 'soon'");
    assert_eq!(house.fleet.sshd.sign_ins(), 0);
}

#[test]
fn several_devices_and_what_interrupts_people_need_a_confirmation() {
    let house = House::new(2);
    house.run(&["Note", "--on", "*", "-p", "text=x", "-p", DIR]).ends(6).says("carry out Note on 2 devices").says("add --yes");
    house.run(&["Reboot", "--on", "dev-01"]).ends(6).says("needs a confirmation");
    assert_eq!(house.fleet.sshd.sign_ins(), 0);
    house.run(&["Note", "--on", "dev-01", "-p", "text=x", "-p", DIR]).ends(0);
    assert_eq!(house.fleet.read(1, "note"), Some("x\n".into()));
}

#[test]
fn results_are_told_device_by_device_with_what_was_printed() {
    let house = House::new(3);
    let said = house.run(&["Note", "--on", "*", "-p", "text=hello", "-p", DIR, "--yes"]).ends(0);
    said.says("dev-03  succeeded").says("  hello").says(r#"result: {"wrote":"hello"}"#).says("Run: 3 succeeded.");
    for i in 1..=3 {
        assert_eq!(house.fleet.read(i, "note"), Some("hello\n".into()));
        assert_eq!(house.fleet.read(i, "after"), Some("ok hello".into()));
    }
    let said = house.run(&["Note", "--on", "dev-01", "-p", "text=fail", "-p", DIR]).ends(8);
    let said = said.says("dev-01  failed").says("ended with exit code 3").says("  line 8");
    assert!(!said.out.contains("line 3") && said.out.contains("lines before (-v shows all)"), "{}", said.out);
    house.run(&["Note", "--on", "dev-01", "-p", "text=fail", "-p", DIR, "-v"]).ends(8).says("line 1").says("exit 3").says("$ tee -a ");
    assert!(house.fleet.read(1, "after").unwrap().starts_with("not ok: sh ended with exit code 3"));
    // What `before` refuses does not begin, and there is no `after`.
    house.run(&["Note", "--on", "dev-02", "-p", "text=refuse", "-p", DIR]).ends(8).says("not this one");
    assert_eq!(house.fleet.read(2, "after"), Some("ok hello".into()));
    let json = house.run(&["Note", "--on", "dev-02", "-p", "text=more", "-p", DIR, "--output", "json"]).ends(0).json();
    let item = &json["items"][0];
    assert_eq!(
        (&item["device"], &item["state"], &item["commands"][1]["stdout"]),
        (&"dev-02".into(), &"succeeded".into(), &"more\n".into())
    );
    let lines = house.run(&["Note", "--on", "dev-02", "-p", "text=more", "-p", DIR, "--output", "jsonl"]).ends(0).out;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["schema"], "rmm.jobs/1");
    assert_eq!(lines.last().unwrap()["event"], "finished");
    let audit = house.fleet.sql("SELECT json_extract(Details, '$.parameters.text'), json_extract(Details, '$.end') FROM AuditLog WHERE Action = 'action.run' AND Target = 'dev-02' ORDER BY LogId");
    assert_eq!(audit.first().unwrap(), "hello done");
    house.fleet.intact();
}

#[test]
fn a_device_that_is_away_keeps_its_turn_and_a_guard_keeps_its_word() {
    let house = House::new(2);
    house.fleet.declare(|i| if i == 2 { "connection: {port: 1}".into() } else { String::new() });
    let said = house.run(&["Note", "--on", "*", "-p", "text=x", "-p", DIR, "--yes"]).ends(9);
    said.says("1 succeeded").says("1 waiting for their device").says("rmm workflow cancel w-");
    // What is asked for later stands behind it, and is not waited for either.
    house.run(&["Note", "--on", "dev-02", "-p", "text=x", "-p", DIR]).ends(9).says("1 pending").says("has its turn later");
    assert_eq!(house.fleet.sql("SELECT State, WaitsFor FROM Jobs WHERE Device = 'dev-02' ORDER BY N"), ["waiting device", "pending Null"]);
    house.fleet.file("policies/guard.yaml", "policies:\n  Frozen: {targets: ['*'], settings: {AllowChanges: false}}\n");
    let said = house.run(&["Note", "--on", "dev-01", "-p", "text=y", "-p", DIR]).ends(6);
    said.says("held by Frozen").says("1 held");
    assert_eq!(house.fleet.read(1, "note"), Some("x\n".into()));
    house.run(&["Note", "--on", "dev-01", "-p", "text=y", "-p", DIR, "--dry-run"]).ends(0).says("held: Frozen").says("not on 1");
    // What changes nothing is not held.
    house.run(&["FlushDNS", "--on", "dev-01"]).ends(0);
}

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Begins, and goes on once it may.
const GATE: &str = r#"//! action: Gate
//! summary: Waits for a file.
//! platforms: [linux]
//! parameters: {type: object, properties: {dir: {type: string}, password: {type: string}, wrong: {type: boolean}}}
//! idempotent: false
//! examples: [{}]
fn run(device, params) {
    if params.wrong == true { device.run(["app", "--password", params.password]); }
    let wait = "until [ -e \"$1/go\" ]; do sleep 0.02; done; ";
    device.run(["touch", params.dir + "/begun"]);
    if params.password == () { device.run(["sh", "-c", wait, "sh", params.dir]); return; }
    device.run_input(["sh", "-c", "cat >\"$1/by-input\"; touch \"$1/first\"; " + wait + "cat \"$1/by-input\"", "sh", params.dir], params.password);
    device.run_env(["sh", "-c", "printf %s \"$PASSWORD\" >\"$1/by-env\"; touch \"$1/second\"; until [ -e \"$1/on\" ]; do sleep 0.02; done", "sh", params.dir], #{PASSWORD: params.password});
    device.write_file(params.dir + "/by-file", params.password, #{mode: "0600"});
    #{said: params.password}
}
"#;

#[test]
fn ctrl_c_finishes_what_is_in_flight_and_nothing_else_begins() {
    let house = House::new(3);
    house.fleet.file("scripts/gate.rhai", GATE);
    let args = ["run", "Gate", "--on", "*", "-p", DIR, "--yes", "--concurrency", "1"];
    let child = house.fleet.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first device is at work", || house.fleet.read(1, "begun").is_some());
    rustix::process::kill_process(rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap(), rustix::process::Signal::INT).unwrap();
    until("the rest is cancelled", || house.fleet.sql("SELECT count(*) FROM Jobs WHERE State = 'cancelled'") == ["2"]);
    std::fs::write(house.fleet.dir(1).join("go"), "").unwrap();
    Said::of(&child.wait_with_output().unwrap()).ends(130).says("1 succeeded, 2 cancelled");
    assert_eq!((house.fleet.read(2, "begun"), house.fleet.read(3, "begun")), (None, None));
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_says_what_may_be_half_done() {
    let house = House::new(2);
    house.fleet.file("scripts/gate.rhai", GATE);
    let args = ["run", "Gate", "--on", "*", "-p", DIR, "--yes", "--concurrency", "1"];
    let child = house.fleet.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    let interrupt = || rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    until("the first device is at work", || house.fleet.read(1, "begun").is_some());
    interrupt();
    until("the rest is cancelled", || house.fleet.sql("SELECT count(*) FROM Jobs WHERE State = 'cancelled'") == ["1"]);
    interrupt();
    let said = Said::of(&child.wait_with_output().unwrap()).ends(130).says("1 cancelled, 1 interrupted");
    said.says("Ended at once: what was under way on 1 device may be half done: dev-01");
    // Nobody goes on with it.
    assert_eq!(house.fleet.sql("SELECT State FROM WorkflowRuns"), ["cancelled"]);
    std::fs::write(house.fleet.dir(1).join("go"), "").unwrap();
    house.fleet.rmm(&["reconcile", "--once"]);
    assert_eq!(house.fleet.sql("SELECT State FROM Jobs ORDER BY State"), ["cancelled", "interrupted"]);
}

#[test]
fn an_action_is_asked_for_ahead_of_its_time_listed_and_taken_back() {
    let house = House::new(2);
    let note = ["Note", "--on", "*", "-p", "text=later", "-p", DIR];
    house.run(&[&note[..], &["--at", "tomorrow 22:00"]].concat()).ends(6).says("carry out Note on 2 devices at 20");
    let said = house.run(&[&note[..], &["--at", "tomorrow 22:00 Europe/Berlin", "--expires", "4h", "--yes"]].concat()).ends(0);
    let said = said.says("Note on 2 devices: 20").says("What has not begun by").says("rmm workflow cancel w-").says("No daemon runs now");
    assert!(said.out.contains(" 21:00 UTC (in") || said.out.contains(" 20:00 UTC (in"), "{}", said.out);
    house.fleet.rmm(&["workflow", "queue"]).ends(0).says("dev-01").says("pending until");
    house.fleet.rmm(&["workflow", "status"]).ends(0).says("1 of 1: Note, waits until");
    house.fleet.rmm(&["workflow", "status", "last"]).ends(0).says("on 2 devices, waits until");
    assert_eq!(
        house.fleet.sql("SELECT DISTINCT State, CAST(round((julianday(ExpiresAt) - julianday(WakeAt)) * 24) AS INTEGER) FROM Jobs"),
        ["pending 4"]
    );
    let started = house.fleet.sql("SELECT json_extract(Details, '$.notBefore') FROM AuditLog WHERE Action = 'workflow.started'");
    assert!(started[0].starts_with("20"), "{started:?}");
    house.fleet.rmm(&["workflow", "cancel", "last"]).ends(0);
    assert_eq!(house.fleet.sql("SELECT DISTINCT State FROM Jobs"), ["cancelled"]);
    for (when, why) in [("soon", "is not a moment"), ("2020-01-01 10:00", "is over"), ("every 5 min", "is not a moment")] {
        house.run(&[&note[..], &["--at", when, "--yes"]].concat()).ends(3).says(why);
    }
    house.run(&[&note[..], &["--in", "9000h", "--yes"]].concat()).ends(3).says("more than a year away");
    assert_eq!(house.fleet.sshd.sign_ins(), 0);
    // Its moment comes, and whoever drives then carries it out.
    let json = house.run(&[&note[..], &["--in", "1s", "--yes", "--output", "json"]].concat()).ends(0).json();
    assert_eq!((&json["schema"], json["devices"].as_array().unwrap().len()), (&Value::from("rmm.scheduled/1"), 2));
    until("it is carried out", || {
        house.fleet.rmm(&["reconcile", "--once"]);
        house.fleet.read(2, "note").is_some()
    });
    assert_eq!(house.fleet.read(1, "note"), Some("later\n".into()));
    // What is carried out once for all of them has one job, and is no less on both.
    let health = ["TestGroupHealth", "--on", "*", "--in", "2h", "--yes"];
    house.run(&health).ends(0).says("TestGroupHealth on 2 devices");
    let json = house.run(&[&health[..], &["--output", "json"]].concat()).ends(0).json();
    assert_eq!((&json["devices"], &json["queued"]), (&serde_json::json!(["dev-01", "dev-02"]), &Value::from(true)));
}

#[test]
fn ctrl_c_before_an_action_stands_in_the_queue_takes_it_back() {
    let house = House::new(2);
    house.fleet.rmm(&["workflow", "queue"]);
    // Another process takes it up first and does not come to it.
    house.fleet.sql(
        "CREATE TRIGGER elsewhere AFTER INSERT ON WorkflowRuns BEGIN
             INSERT INTO Leases (Name, Owner, Run, AcquiredAt, ExpiresAt) VALUES ('run ' || NEW.Id, 'elsewhere', NEW.Id, 0, 9000000000000);
         END",
    );
    let args = ["run", "Note", "--on", "*", "-p", "text=later", "-p", DIR, "--in", "2h", "--yes"];
    let child = house.fleet.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & 0b10 != 0)
    };
    until("Ctrl-C is listened for", listens);
    rustix::process::kill_process(rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap(), rustix::process::Signal::INT).unwrap();
    Said::of(&child.wait_with_output().unwrap()).ends(130).says("is asked to end: whoever has taken it up ends it");
    assert_eq!(house.fleet.sql("SELECT Cancel FROM WorkflowRuns"), ["stopped by hand"]);
    house.fleet.sql("DELETE FROM Leases");
    house.fleet.rmm(&["reconcile", "--once"]);
    assert_eq!(house.fleet.sql("SELECT State FROM WorkflowRuns"), ["cancelled"]);
    assert_eq!(house.fleet.sql("SELECT count(*) FROM Jobs WHERE State <> 'cancelled'"), ["0"]);
}

#[test]
fn roles_permit_or_refuse_and_a_refusal_is_in_the_audit() {
    let house = House::new(1);
    let as_role = |role: &str| {
        let me = crate::sshd::user();
        let roles = format!("[security.roles]\n{me} = \"{role}\"\n");
        house.fleet.file("rmm.toml", &format!("[general]\ndefault_site = \"Here\"\n[limits]\nmax_percent = 100\n{roles}"));
    };
    let sign_off = "W:\n  steps:\n    - {name: Sign-off, approval: {role: Admin}}\n    - {name: Note it, action: Note, on: ['*'], with: {text: x, dir: '{{ vars.dir }}'}}\n";
    house.fleet.file("workflows/w.yaml", sign_off);
    let off = "TurnOff:\n  steps:\n    - {name: Turn it off, action: Shutdown, on: ['*']}\n";
    let careful = "Careful:\n  steps:\n    - {name: Sign-off, approval: {role: Operator}, onFailure: 'run: TurnOff'}\n";
    house.fleet.file("workflows/careful.yaml", &format!("{careful}{off}"));
    house.fleet.rmm(&["workflow", "run", "W", "--yes", "--detach"]).ends(0);
    house.fleet.rmm(&["workflow", "resume", "last", "--detach"]).ends(0);
    as_role("Viewer");
    let note = ["Note", "--on", "dev-01", "-p", "text=x", "-p", DIR];
    house.run(&note).ends(6).says("RMM0730").says("is a Viewer; to run Note takes an Operator");
    house.run(&[&note[..], &["--dry-run"]].concat()).ends(0);
    house.fleet.rmm(&["workflow", "run", "W", "--yes"]).ends(6).says("to run W takes an Operator");
    house.fleet.rmm(&["workflow", "cancel", "last"]).ends(6).says("RMM0730");
    house.fleet.rmm(&["exec", "dev-01", "--", "true"]).ends(6).says("takes an Admin");
    house.fleet.rmm(&["updates", "approve", "x"]).ends(6).says("RMM0730");
    house.fleet.rmm(&["reconcile", "--once"]).ends(6).says("to reconcile takes an Operator");
    house.fleet.rmm(&["reconcile"]).ends(6).says("to reconcile takes an Operator");
    let refused = "SELECT count(*) FROM AuditLog WHERE Action = 'access.refused' AND json_extract(Details, '$.what') = 'reconcile'";
    assert_eq!(house.fleet.sql(refused), ["2"]);
    house.fleet.rmm(&["init", "--service=-"]).ends(0).says("may not start it yet").says("[security.roles]");
    house.fleet.rmm(&["notify", "retry", "--all-dead"]).ends(6).says("RMM0730");
    house.fleet.rmm(&["notify", "test", "pager"]).ends(6).says("to send a test takes an Operator");
    house.fleet.rmm(&["workflow", "status", "last"]).ends(0);
    assert_eq!(house.fleet.sshd.sign_ins(), 0);
    as_role("Operator");
    house.fleet.rmm(&["workflow", "run", "Careful", "--yes"]).ends(6).says("to run Careful takes an Admin");
    house.fleet.rmm(&["restore", "copy.db", "--yes"]).ends(6).says("to restore the database takes an Admin");
    house.fleet.rmm(&["init", "--repair"]).ends(6).says("to repair the database takes an Admin");
    // Neither is a repository that cannot be read a way around it.
    let refusal = "to remove the database and the audit record takes an Admin";
    house.fleet.rmm(&["uninstall", "--yes"]).ends(6).says(refusal);
    house.fleet.rmm(&["uninstall", "--yes", "--env", "elsewhere"]).ends(6).says(refusal);
    assert!(house.fleet.db().exists());
    // Until somebody drives it, it does not wait for approval.
    until("it waits for approval", || {
        house.fleet.rmm(&["reconcile", "--once"]);
        house.fleet.sql("SELECT count(*) FROM WorkflowSteps WHERE State = 'waiting'") == ["1"]
    });
    house.fleet.rmm(&["workflow", "approve", "last"]).ends(6).says("is an Operator; to approve the step 'Sign-off' takes an Admin");
    house.fleet.rmm(&["workflow", "approve", "last", "--reject"]).ends(6).says("to reject the step");
    // Nobody gives a role to himself.
    let mut command = house.fleet.command(&["workflow", "approve", "last"]);
    command.env(format!("RMM_SECURITY__ROLES__{}", crate::sshd::user().to_uppercase()), "Admin");
    Said::of(&command.output().unwrap()).ends(4).says("roles stand in rmm.toml alone");
    let refused = house.fleet.sql("SELECT Target, json_extract(Details, '$.needs') FROM AuditLog WHERE Action = 'access.refused' AND Success = 0 ORDER BY LogId DESC LIMIT 1");
    assert!(refused[0].starts_with("w-") && refused[0].ends_with(" Admin"), "{refused:?}");
    as_role("Admin");
    house.fleet.rmm(&["workflow", "approve", "last"]).ends(0);
    house.run(&note).ends(0);
}

/// The arguments and the file names that everybody on this machine can see.
pub(crate) fn seen_by_everybody(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(line);
        }
    }
    found
}

/// Files below a directory whose name or content holds a text.
pub(crate) fn holding(folder: &std::path::Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).contains(text) || path.to_string_lossy().contains(text)
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn a_secret_reaches_the_program_and_nobody_else() {
    let house = House::new(1);
    house.fleet.file("scripts/gate.rhai", GATE);
    house.fleet.file("rmm.toml", "[general]\ndefault_site = \"Here\"\nlog_level = \"debug\"\n[limits]\nmax_percent = 100\n");
    // Not in one piece in this test's own arguments or variables.
    let mark = format!("hush-{}-it's", std::process::id());
    // In JSON it looks different: its beginning must not be left anywhere either.
    let secret = format!("{mark} \"so\"");
    let args = ["run", "Gate", "--on", "dev-01", "-p", DIR, "-p", "password={secret: app}", "--output", "json"];
    let mut command = house.fleet.command(&args);
    let child = command.env("RMM_SECRET_APP", &secret).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the first command runs", || house.fleet.read(1, "first").is_some());
    assert_eq!(seen_by_everybody(&secret), Vec::<String>::new());
    // That it would be seen: another word of the same command is.
    assert!(!seen_by_everybody("/by-input").is_empty());
    std::fs::write(house.fleet.dir(1).join("go"), "").unwrap();
    until("the second command runs", || house.fleet.read(1, "second").is_some());
    assert_eq!(seen_by_everybody(&secret), Vec::<String>::new());
    std::fs::write(house.fleet.dir(1).join("on"), "").unwrap();
    let said = Said::of(&child.wait_with_output().unwrap()).ends(0);
    for file in ["by-input", "by-env", "by-file"] {
        assert_eq!(house.fleet.read(1, file).as_ref(), Some(&secret), "{file}");
    }
    assert!(!said.out.contains(&mark) && !said.err.contains(&mark), "{} {}", said.out, said.err);
    assert_eq!(said.json()["items"][0]["result"]["said"], "(secret app)");
    assert_eq!(holding(&house.fleet.repo(), &mark), Vec::<String>::new());
    assert!(!holding(&house.fleet.repo().join(".rmm"), "(secret app)").is_empty());
    // Among the arguments it is refused before anything is sent.
    let args = ["run", "Gate", "--on", "dev-01", "-p", DIR, "-p", "password={secret: app}", "-p", "wrong"];
    let output = house.fleet.command(&args).env("RMM_SECRET_APP", &secret).output().unwrap();
    let said = Said::of(&output).ends(8).says("a secret would stand among the arguments");
    assert!(!said.out.contains(&secret) && !said.err.contains(&secret), "{} {}", said.out, said.err);
}
