//! What starts workflows, and that each occasion starts one run, also where the daemon is killed in between.

use std::net::TcpListener;

use super::*;

/// Writes a line into a file: what was done can be counted.
const MARK: &str = r#"//! action: Mark
//! summary: Writes a line.
//! platforms: [linux]
//! parameters: {type: object, required: [file, word], properties: {file: {type: string}, word: {type: string}}}
//! risk: low
//! idempotent: false
//! examples: [{file: /tmp/x, word: one}]
fn run(device, params) { device.run(["sh", "-c", "echo \"$2\" >>\"$1\"", "sh", params.file, params.word]); }
"#;

fn marks(yard: &Yard) -> Vec<String> {
    let mut lines: Vec<String> = std::fs::read_to_string(yard.beside("marks")).unwrap_or_default().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A workflow that writes its name.
fn marking(yard: &Yard, name: &str, trigger: &str, on: &str) -> String {
    let file = yard.beside("marks");
    format!(
        "{name}:\n  trigger: {trigger}\n  steps:\n    - {{name: Mark, action: Mark, {on}with: {{file: '{}', word: {name}}}}}\n",
        file.display()
    )
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

const LOCAL: &str = "os: linux, connection: {transport: local, elevate: none}";

fn devices(yard: &Yard, devices: &[(&str, &str)]) {
    let mut text = String::from("groups: {New: {}, Known: {}}\ndevices:\n");
    for (name, group) in devices {
        text += &format!("  {name}: {{{LOCAL}, groups: [{group}]}}\n");
    }
    yard.file("devices.yaml", &text);
}

fn ended(yard: &Yard) -> usize {
    yard.sql("SELECT Id FROM WorkflowRuns WHERE State = 'succeeded'").len()
}

#[test]
fn an_alert_starts_one_run_and_a_daemon_that_is_killed_starts_no_second_one() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "Known")]);
    yard.file("scripts/mark.rhai", MARK);
    let workflows = marking(&yard, "Told", "'Alert: Repository severity >= High'", "on: [Known], ")
        + marking(&yard, "Other", "'Alert: Offline'", "on: [Known], ").as_str()
        + marking(&yard, "Mild", "'Alert: Repository severity = Low'", "on: [Known], ").as_str();
    yard.file("workflows/w.yaml", &workflows);
    let daemon = yard.daemon();
    daemon.until("the first look", || !yard.sql("SELECT Value FROM Revisions WHERE Name = 'workflow-alerts'").is_empty());
    yard.file("policies/bad.yaml", "policies: [\n");
    daemon.until("its run", || ended(&yard) == 1);
    assert_eq!(marks(&yard), ["Told"]);
    let cause = yard.sql("SELECT CauseKey FROM WorkflowRuns");
    assert!(cause[0].starts_with("alert:a-"), "{cause:?}");
    daemon.kill();
    // As if it had been killed before it had noted how far it had looked.
    yard.sql("UPDATE Revisions SET Value = 0 WHERE Name = 'workflow-alerts' RETURNING Value");
    std::fs::remove_file(yard.repo().join("policies/bad.yaml")).unwrap();
    let daemon = yard.daemon();
    daemon.until("a look", || yard.sql("SELECT Value FROM Revisions WHERE Name = 'workflow-alerts'") != ["0"]);
    assert_eq!(yard.sql("SELECT count(*) FROM WorkflowRuns"), ["1"]);
    assert_eq!(daemon.stop().0, Some(0));
    assert_eq!(marks(&yard), ["Told"]);
}

#[test]
fn a_device_that_comes_into_a_group_starts_one_run_and_those_who_were_there_start_none() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "New"), ("b", "Known")]);
    yard.file("scripts/mark.rhai", MARK);
    yard.file("workflows/w.yaml", &marking(&yard, "Welcome", "\"Device added to group 'New'\"", ""));
    let daemon = yard.daemon();
    daemon.until("the first look", || yard.sql("SELECT Name FROM WatchedGroups") == ["New"]);
    devices(&yard, &[("a", "New"), ("b", "Known"), ("c", "New")]);
    daemon.until("its run", || ended(&yard) == 1);
    assert_eq!(yard.sql("SELECT Device FROM WorkflowRuns"), ["c"]);
    // While nobody looks, another one comes; and the one before it is killed before it had noted what it has started.
    daemon.kill();
    yard.sql("UPDATE WatchedMembers SET State = 'new' WHERE Device = 'c' RETURNING Device");
    devices(&yard, &[("a", "New"), ("b", "New"), ("c", "New")]);
    let daemon = yard.daemon();
    daemon.until("the other one", || ended(&yard) == 2);
    assert_eq!(yard.sql("SELECT Device FROM WorkflowRuns ORDER BY Device"), ["b", "c"]);
    assert_eq!(yard.sql("SELECT DISTINCT State FROM WatchedMembers"), ["member"]);
    assert_eq!(daemon.stop().0, Some(0));
    assert_eq!(marks(&yard), ["Welcome", "Welcome"]);
}

#[test]
fn of_the_moments_that_were_missed_the_last_one_has_its_run() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "Known")]);
    yard.file("scripts/mark.rhai", MARK);
    yard.file("workflows/w.yaml", &marking(&yard, "Nightly", "'Schedule: Daily 02:00'", "on: [Known], "));
    yard.once().ends(0);
    assert_eq!(yard.sql("SELECT Name FROM Schedules WHERE Name LIKE 'workflow %'"), ["workflow Nightly"]);
    assert!(marks(&yard).is_empty(), "a schedule that is seen for the first time has missed nothing");
    // As if that had been a week ago.
    yard.sql("UPDATE Schedules SET Due = Due - 604800000, Ran = NULL WHERE Name = 'workflow Nightly' RETURNING Name");
    yard.once().ends(0);
    assert_eq!(marks(&yard), ["Nightly"]);
    yard.once().ends(0);
    assert_eq!(marks(&yard), ["Nightly"]);
    let cause = yard.sql("SELECT CauseKey FROM WorkflowRuns");
    assert!(cause.len() == 1 && cause[0].starts_with("schedule:") && cause[0].ends_with("T02:00:00Z"), "{cause:?}");
}

#[test]
fn a_moment_that_was_missed_for_too_long_is_left_out_where_the_workflow_says_so() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "Known")]);
    yard.file("scripts/mark.rhai", MARK);
    let soon = marking(&yard, "Soon", "'Schedule: 0 3 1 * *'", "on: [Known], ").replace("  steps:", "  startWithin: 1s\n  steps:");
    let late = marking(&yard, "Late", "'Schedule: Daily 02:00'", "on: [Known], ").replace("  steps:", "  startWithin: 2d\n  steps:");
    yard.file("workflows/w.yaml", &format!("{soon}{late}"));
    yard.once().ends(0);
    yard.sql("UPDATE Schedules SET Due = Due - 5184000000, Ran = NULL WHERE Name LIKE 'workflow %' RETURNING Name");
    yard.once().ends(0);
    assert_eq!(marks(&yard), ["Late"]);
    assert_eq!(yard.sql("SELECT Outcome FROM Schedules WHERE Name = 'workflow Soon'"), ["missed"]);
    assert_eq!(yard.sql("SELECT Target FROM AuditLog WHERE Action = 'workflow.missed'"), ["Soon"]);
    yard.once().ends(0);
    assert_eq!(marks(&yard), ["Late"]);
}

/// A client of its own, as anybody may write one: status, and body.
fn post(url: &str, signature: Option<&str>, body: &str) -> (u16, String) {
    let mut request = std::process::Command::new("curl");
    request.args(["-sS", "-o", "-", "-w", "\n%{http_code}", "--data-binary", "@-", url]).env_remove("http_proxy");
    if let Some(signature) = signature {
        request.args(["-H", &format!("X-RMM-Signature: {signature}")]);
    }
    let mut child = request.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), body.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (code.parse().unwrap(), body.to_owned())
}

/// As the documentation says how to sign.
fn sign(secret: &str, time: u64, body: &str) -> String {
    let script = r#"printf '%s.%s' "$1" "$2" | openssl dgst -sha256 -hmac "$3" -r | cut -d' ' -f1"#;
    let output = std::process::Command::new("sh").args(["-c", script, "sh", &time.to_string(), body, secret]).output().unwrap();
    format!("t={time},v1={}", String::from_utf8(output.stdout).unwrap().trim())
}

#[test]
fn a_request_that_was_left_out_is_known_to_the_next_process_too() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "Known")]);
    yard.file("workflows/w.yaml", "Slow:\n  trigger: 'Webhook: slow'\n  concurrency: skip\n  steps: [{name: Sign-off, approval: {}}]\n");
    let port = port();
    yard.file("rmm.toml", &format!("[daemon]\nlisten = \"127.0.0.1:{port}\"\n"));
    let variables = [("RMM_SECRET_WEBHOOK_SLOW", "a secret of ours")];
    let url = format!("http://127.0.0.1:{port}/hooks/slow");
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signed = |body: &str| sign("a secret of ours", time, body);
    let (first, second) = (r#"{"n": 1}"#, r#"{"n": 2}"#);
    let daemon = yard.daemon_with(&variables);
    daemon.says("at work");
    daemon.until("the first", || post(&url, Some(&signed(first)), first).0 == 202);
    let left_out = post(&url, Some(&signed(second)), second);
    assert!(left_out.0 == 202 && left_out.1.contains("skipped"), "{left_out:?}");
    daemon.kill();
    yard.sql("UPDATE WorkflowRuns SET State = 'cancelled' RETURNING Id");
    let daemon = yard.daemon_with(&variables);
    daemon.says("at work");
    daemon.until("an answer", || post(&url, None, second).0 == 401);
    assert_eq!(post(&url, Some(&signed(second)), second).0, 409);
    assert_eq!(yard.sql("SELECT count(*) FROM WorkflowRuns"), ["1"]);
    let third = r#"{"n": 3}"#;
    assert_eq!(post(&url, Some(&signed(third)), third).0, 202);
    assert_eq!(yard.sql("SELECT count(*) FROM WorkflowRuns"), ["2"]);
}

#[test]
fn a_signed_request_starts_one_run_and_whoever_cannot_sign_learns_nothing() {
    let yard = Yard::new(&["a"]);
    devices(&yard, &[("a", "Known")]);
    yard.file("scripts/mark.rhai", MARK);
    let workflow =
        marking(&yard, "Deploy", "'Webhook: deploy'", "on: [Known], ").replace("name: Mark,", "name: Mark, when: 'trigger.release == 1',");
    yard.file("workflows/w.yaml", &(workflow + marking(&yard, "Bare", "'Webhook: bare'", "on: [Known], ").as_str()));
    let port = port();
    yard.file("rmm.toml", &format!("[limits]\nmax_percent = 100\n[daemon]\nlisten = \"127.0.0.1:{port}\"\n"));
    let variables = [("RMM_SECRET_WEBHOOK_DEPLOY", "a secret of ours")];
    let daemon = yard.daemon_with(&variables);
    daemon.says("at work");
    let url = |name: &str| format!("http://127.0.0.1:{port}/hooks/{name}");
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let (body, time) = (r#"{"release": 1}"#, now());
    let good = sign("a secret of ours", time, body);
    daemon.until("an answer", || post(&url("deploy"), None, body).0 == 401);
    let refused = post(&url("deploy"), Some(&sign("another", time, body)), body);
    assert_eq!(refused.0, 401);
    for (name, signature) in [
        ("deploy", sign("a secret of ours", time - 400, body)),
        ("deploy", sign("a secret of ours", time + 400, body)),
        ("unknown", good.clone()),
        ("bare", good.clone()),
        ("deploy", "nonsense".into()),
    ] {
        assert_eq!(post(&url(name), Some(&signature), body), refused, "{name} {signature}");
    }
    assert_eq!(post(&url("deploy"), Some(&good), &body.replace('1', "2")), refused);
    assert_eq!(post(&url("deploy"), Some(&good), &"x".repeat(70_000)).0, 413);
    assert_eq!(post(&url("deploy"), Some(&sign("a secret of ours", time, "[]")), "[]").0, 400);
    assert!(yard.sql("SELECT Id FROM WorkflowRuns").is_empty());
    let taken = post(&url("deploy"), Some(&good), body);
    assert_eq!(taken.0, 202, "{taken:?}");
    assert!(taken.1.contains("Deploy"), "{taken:?}");
    assert_eq!(post(&url("deploy"), Some(&good), body).0, 409);
    daemon.until("its run", || ended(&yard) == 1);
    assert_eq!(marks(&yard), ["Deploy"]);
    assert_eq!(yard.sql("SELECT User FROM WorkflowRuns"), ["webhook deploy"]);
    assert!(yard.sql("SELECT Action FROM AuditLog WHERE Action = 'webhook.refused'").len() >= 5);
    daemon.until("figures", || {
        let output = std::process::Command::new("curl").args(["-s", &format!("http://127.0.0.1:{port}/metrics")]).output().unwrap();
        String::from_utf8_lossy(&output.stdout).contains("rmm_workflow_runs{state=\"succeeded\"} 1")
    });
    daemon.kill();
    let daemon = yard.daemon_with(&variables);
    daemon.says("at work");
    daemon.until("the same answer", || post(&url("deploy"), Some(&good), body).0 == 409);
    assert_eq!(daemon.stop().0, Some(0));
    assert_eq!(marks(&yard), ["Deploy"]);
}
