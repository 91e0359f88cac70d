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

#[test]
fn what_destroys_data_is_held_unless_the_configuration_allows_it() {
    let yard = Yard::new(&["a"]);
    let folder = yard.device("a").join("old");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x"), "x").unwrap();
    yard.file(
        "policies/p.yaml",
        "policies:\n  P:\n    targets: \"*\"\n    remediate: true\n    settings:\n      Directories: {\"{{ vars.dir }}/old\": absent}\n",
    );
    yard.once().ends(0).says("daemon.allow_destructive");
    assert!(folder.exists());
    yard.file("rmm.toml", "[limits]\nmax_percent = 100\n[daemon]\nallow_destructive = true\n");
    yard.once().ends(0);
    assert!(!folder.exists());
}
