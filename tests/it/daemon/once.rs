//! One round: what it does, what it leaves alone, how it ends.

use super::*;

#[test]
fn a_round_carries_out_what_policies_allow_and_a_second_one_finds_nothing_to_do() {
    let yard = Yard::new(&["a", "b"]);
    yard.wants("one", "true");
    yard.once().ends(0).says("2 done");
    assert_eq!((yard.read("a", "app.conf"), yard.read("b", "app.conf")), (Some("one\n".into()), Some("one\n".into())));
    yard.once().ends(0).says("nothing to do");
}

#[test]
fn what_is_only_reported_or_waits_for_approval_is_left_alone() {
    for (remediate, said) in [("false", "reported"), ("approve", "approval")] {
        let yard = Yard::new(&["a"]);
        yard.wants("one", remediate);
        let ended = yard.once().ends(0);
        assert!(remediate == "false" || ended.out.contains(said), "{}", ended.out);
        assert_eq!(yard.read("a", "app.conf"), None, "{remediate}");
    }
}

#[test]
fn a_round_that_a_limit_forbids_does_nothing_and_says_so() {
    let yard = Yard::new(&["a", "b", "c"]);
    yard.wants("one", "true");
    yard.file("rmm.toml", "[limits]\nmax_devices = 2\nmax_percent = 100\n");
    yard.once().ends(6).says("RMM0302");
    assert_eq!(yard.read("a", "app.conf"), None);
}

/// A team's own setting that says of itself that it destroys data.
const WIPED: &str = r#"//! setting: Wiped
//! summary: Empties a file.
//! platforms: [linux]
//! keyed: {name: path, pattern: '^/.+$'}
//! value: {type: boolean}
//! probe: files
//! compare: script
//! phase: files
//! risk: destructive
//! examples:
//!   - {/tmp/x: true}
fn probes(key, desired) { [[key]] }
fn compliant(observed, desired) { observed != () && observed.type == "file" && observed.size == 0 }
fn apply(device, key, desired) { device.run(["sh", "-c", ": >\"$1\"", "sh", key]); }
"#;

#[test]
fn what_destroys_data_is_held_unless_the_configuration_allows_it() {
    let yard = Yard::new(&["a"]);
    let file = yard.device("a").join("old");
    std::fs::write(&file, "x").unwrap();
    yard.file("scripts/wiped.rhai", WIPED);
    yard.file(
        "policies/p.yaml",
        "policies:\n  P:\n    targets: \"*\"\n    remediate: true\n    settings:\n      Wiped: {\"{{ vars.dir }}/old\": true}\n",
    );
    yard.once().ends(0).says("daemon.allow_destructive");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
    yard.file("rmm.toml", "[limits]\nmax_percent = 100\n[daemon]\nallow_destructive = true\n");
    yard.once().ends(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
}
