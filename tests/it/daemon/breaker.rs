//! The circuit breaker: what does not converge is not hammered.

use super::*;

/// A team's own setting that fails as long as there is a file that says so.
const STUBBORN: &str = r#"//! setting: Stubborn
//! summary: Makes a file, where it is let.
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
fn compliant(observed, desired) { observed != () && observed.type == "file" && observed.sha256 == sha256(desired) }
fn apply(device, key, desired) {
    device.run(["sh", "-c", "echo ran >>\"$1.log\"; [ ! -e \"$1.fail\" ] && printf %s \"$2\" >\"$1\"", "sh", key, desired]);
}
"#;

fn wants(yard: &Yard, text: &str) {
    yard.file("scripts/stubborn.rhai", STUBBORN);
    yard.file(
        "policies/p.yaml",
        &format!("policies:\n  P:\n    targets: \"*\"\n    remediate: true\n    settings:\n      Stubborn: {{\"{{{{ vars.dir }}}}/x\": {text}}}\n"),
    );
    // A round observes what is older than this.
    yard.file("rmm.toml", "[limits]\nmax_percent = 100\n[monitoring]\nhealth_check_interval = \"0s\"\n");
}

fn tries(yard: &Yard) -> usize {
    yard.read("a", "x.log").unwrap_or_default().lines().count()
}

#[test]
fn what_fails_three_times_is_left_alone_until_the_policy_changes() {
    let yard = Yard::new(&["a"]);
    wants(&yard, "one");
    std::fs::write(yard.device("a").join("x.fail"), "").unwrap();
    for _ in 0..3 {
        yard.once().ends(8);
    }
    let tried = tries(&yard);
    yard.once().ends(0).says("suspended");
    assert_eq!(tries(&yard), tried, "it is not tried again");
    yard.rmm(&["suspend"]).ends(0).says("failed 3 times");
    // Another value is another try.
    std::fs::remove_file(yard.device("a").join("x.fail")).unwrap();
    wants(&yard, "two");
    yard.once().ends(0);
    assert_eq!(yard.read("a", "x").as_deref(), Some("two"));
    yard.rmm(&["suspend"]).ends(0).says("Nothing is suspended");
}

#[test]
fn what_does_not_last_three_times_is_left_alone() {
    let yard = Yard::new(&["a"]);
    wants(&yard, "one");
    for _ in 0..3 {
        yard.once().ends(0);
        assert_eq!(yard.read("a", "x").as_deref(), Some("one"));
        // Somebody else has another opinion.
        std::fs::write(yard.device("a").join("x"), "mine").unwrap();
    }
    yard.once().ends(0).says("did not last");
    assert_eq!(yard.read("a", "x").as_deref(), Some("mine"));
    let device = format!("Stubborn.{}/x", yard.device("a").display());
    yard.rmm(&["resume", "setting", &device, "--device", "a"]).ends(0);
    yard.once().ends(0);
    assert_eq!(yard.read("a", "x").as_deref(), Some("one"));
}

#[test]
fn another_try_for_one_device_is_none_for_the_others() {
    let yard = Yard::new(&["a", "b"]);
    wants(&yard, "one");
    for device in ["a", "b"] {
        std::fs::write(yard.device(device).join("x.fail"), "").unwrap();
    }
    let tries = |device: &str| yard.read(device, "x.log").unwrap_or_default().lines().count();
    let daemon = yard.daemon();
    daemon.until("both to fail", || tries("a") > 0 && tries("b") > 0);
    // One run for both, or one each, as they answered.
    daemon.until("the end of the runs", || yard.sql("SELECT DISTINCT State FROM Runs") == ["failed"]);
    let (a, b) = (tries("a"), tries("b"));
    yard.rmm(&["suspend", "device", "b"]).ends(0);
    daemon.says("is suspended now");
    yard.rmm(&["resume", "device", "b"]).ends(0);
    daemon.until("another try", || tries("b") > b);
    assert_eq!(tries("a"), a, "it has its time to wait");
}
