use super::*;
use crate::diagnose::Level;
use crate::model::{Remediate, Severity};

const FLEET: (&str, &str) = ("devices.yaml", "groups: {Servers: , Lab: }\ndevices: {ws-1: {groups: [Servers]}}\n");

fn policy(text: &str) -> Loaded {
    read(&[FLEET, ("policies/p.yaml", text)])
}

fn only(text: &str) -> (String, String, String) {
    one(&[FLEET, ("policies/p.yaml", text)])
}

#[test]
fn a_whole_policy_is_read() {
    let text = "policies:
  Base:
    description: What for
    targets: [Servers, {tag: x, os: linux, where: 'device.hostname == \"a\"'}]
    exclude: Lab
    settings:
      Timezone: Europe/Berlin
      Services:
        sshd: {state: running, restartOn: [\"Files./etc/ssh/sshd_config\"]}
      Files:
        /etc/ssh/sshd_config: {content: x}
    remediate: approve
    schedule: Daily 02:00
    severity: high
    priority: 100
    references: {cis: [\"9.1.1\"], nist: [SC-7]}
    exceptions:
      - {device: ws-1, setting: Timezone, until: 2026-12-31, reason: later, approvedBy: kim}
    activeHours: 10PM-6AM
    timezone: Europe/Berlin
";
    let set = good(&[FLEET, ("devices/x.yaml", "x-1: {tags: [x], os: linux}\n"), ("policies/p.yaml", text)]);
    let policy = &set.policies[0];
    assert_eq!((policy.targets.len(), policy.exclude.len(), policy.priority), (2, 1, 100));
    assert_eq!((policy.remediate, policy.severity), (Remediate::Approve, Severity::High));
    let labels: Vec<String> = policy.settings.iter().map(|s| format!("{} {}", s.label(), s.place.line)).collect();
    assert_eq!(labels, ["Timezone 7", "Services.sshd 9", "Files./etc/ssh/sshd_config 11"]);
    assert_eq!(policy.settings[1].restart_on, ["Files./etc/ssh/sshd_config"]);
    assert_eq!(*policy.settings[1].value, json!({"state": "running"}));
    assert_eq!(policy.exceptions[0].until.unwrap().to_string(), "2026-12-31");
}

#[test]
fn a_policy_without_targets_is_an_error_at_its_name() {
    let (spot, message, advice) = only("P:\n  settings: {Timezone: UTC}\n");
    assert_eq!((spot.as_str(), message.as_str()), ("RMM0113 policies/p.yaml:1:1", "the key 'targets' is missing"));
    assert!(advice.contains("targets: [Servers]"));
    assert_eq!(only("P:\n  targets: []\n").0, "RMM0113 policies/p.yaml:2:12");
}

#[test]
fn each_mistake_of_a_policy_has_its_place() {
    for (text, spot, message) in [
        ("P: {tragets: '*', targets: '*'}", "RMM0102 policies/p.yaml:1:5", "unknown key 'tragets'"),
        // The key is there, misspelt: that it is missing would be the same mistake told twice.
        ("P: {tragets: '*'}", "RMM0102 policies/p.yaml:1:5", "unknown key 'tragets'"),
        ("P: {targets: '*', settings: {Timezne: UTC}}", "RMM0109 policies/p.yaml:1:30", "there is no setting 'Timezne'"),
        ("P: {targets: [Servrs]}", "RMM0108 policies/p.yaml:1:15", "there is no group 'Servrs'"),
        ("P: {targets: {sit: x}}", "RMM0102 policies/p.yaml:1:15", "unknown key 'sit'"),
        ("P: {targets: [{os: linus}]}", "RMM0103 policies/p.yaml:1:20", "expected 'linux', 'windows' or 'macos', found text 'linus'"),
        ("P: {targets: 5}", "RMM0103 policies/p.yaml:1:14", "expected a list, a text or a map, found number 5"),
        ("P: {targets: '*', remediate: maybe}", "RMM0103 policies/p.yaml:1:30", "expected true or false or 'approve', found text 'maybe'"),
        ("P: {targets: '*', schedule: sometimes}", "RMM0115 policies/p.yaml:1:29", ""),
        (
            "P: {targets: '*', timezone: Europe/Berln}",
            "RMM0115 policies/p.yaml:1:29",
            "'Europe/Berln' is not a time zone; did you mean 'Europe/Berlin'?",
        ),
        ("P: {targets: '*', activeHours: 25:00-26:00}", "RMM0115 policies/p.yaml:1:32", ""),
        ("P: {targets: '*', priority: high}", "RMM0103 policies/p.yaml:1:29", "expected a whole number, found text 'high'"),
        ("P: {targets: '*', settings: {AllowReboots: no}}", "RMM0103 policies/p.yaml:1:44", "expected true or false, found text 'no'"),
        (
            "P: {targets: '*', settings: {Services: sshd}}",
            "RMM0103 policies/p.yaml:1:40",
            "expected a map from name to value, found text 'sshd'",
        ),
        ("P: 5", "RMM0103 policies/p.yaml:1:4", "expected a map that describes the policy 'P', found number 5"),
        (
            "P: {targets: '*'}\nP2: {targets: '*', exceptions: [{device: ws-1}]}",
            "RMM0113 policies/p.yaml:2:33",
            "the key 'reason' is missing",
        ),
        ("P: {targets: '*', exceptions: [{device: ws-2, reason: x}]}", "RMM0108 policies/p.yaml:1:41", "there is no device 'ws-2'"),
        (
            "P: {targets: '*', settings: {Timezone: UTC}, exceptions: [{device: ws-1, setting: Timezon, reason: x}]}",
            "RMM0109 policies/p.yaml:1:83",
            "the policy 'P' does not set 'Timezon'",
        ),
        (
            "P: {targets: '*', exceptions: [{device: ws-1, reason: x, until: tomorrow}]}",
            "RMM0103 policies/p.yaml:1:65",
            "expected a date such as 2026-12-31, found 'tomorrow'",
        ),
    ] {
        let (found, words, _) = only(text);
        assert_eq!(found, spot, "{text}: {words}");
        assert!(message.is_empty() || words == message, "{text}: {words}");
    }
}

#[test]
fn a_value_that_the_catalog_refuses_is_shown_at_its_key() {
    let loaded = policy("P:\n  targets: '*'\n  settings:\n    PasswordMinLength: twelve\n");
    assert_eq!(spots(&loaded), ["RMM0110 policies/p.yaml:4:24"]);
}

#[test]
fn the_name_of_a_device_is_no_target_and_the_advice_says_what_to_write() {
    assert_eq!(only("P: {targets: [ws-1]}").2, "to select one device, write {device: ws-1}");
}

#[test]
fn a_condition_that_does_not_compile_is_shown_where_it_breaks() {
    let (spot, ..) = only("P: {targets: [{where: 'facts.a +'}]}");
    assert!(spot.starts_with("RMM0112 policies/p.yaml:1:"), "{spot}");
}

#[test]
fn an_exception_that_has_ended_is_a_warning() {
    let loaded = policy("P: {targets: '*', exceptions: [{device: ws-1, reason: x, until: 2026-11-20}]}");
    assert_eq!((loaded.problems[0].code.as_str(), loaded.problems[0].level), ("RMM0114", Level::Warning));
    assert!(loaded.set.is_some());
    assert!(policy("P: {targets: '*', exceptions: [{device: ws-1, reason: x, until: 2026-11-21}]}").problems.is_empty());
}

#[test]
fn a_restart_after_something_that_is_not_set_is_a_warning() {
    let loaded = policy("P:\n  targets: '*'\n  settings:\n    Services: {a: {restartOn: [Files.b]}}\n");
    assert_eq!(spots(&loaded), ["RMM0116 policies/p.yaml:4:32"]);
    assert!(loaded.set.is_some());
}

#[test]
fn a_pack_is_imported_once_and_its_places_say_so() {
    let set = good(&[
        ("policies/a.yaml", "import: [linux-baseline]\n"),
        ("policies/b.yaml", "import: linux-baseline\npolicies: {P: {targets: '*'}}\n"),
    ]);
    assert_eq!(
        set.policies.iter().map(|p| p.place.to_string()).collect::<Vec<_>>(),
        ["builtin:policies/linux-baseline.yaml:2", "policies/b.yaml:2"]
    );
    let (spot, _, advice) = only("import: [linux-basline]\n");
    assert_eq!((spot.as_str(), advice.as_str()), ("RMM0118 policies/p.yaml:1:10", "did you mean 'linux-baseline'?"));
}

#[test]
fn a_policy_that_is_declared_twice_shows_both_places() {
    let loaded = read(&[("policies/a.yaml", "P: {targets: '*'}"), ("policies/b.yml", "policies: {P: {targets: '*'}}")]);
    assert_eq!(spots(&loaded), ["RMM0107 policies/b.yml:1:12"]);
}

#[test]
fn a_key_may_be_a_template_and_its_form_is_then_not_checked_here() {
    let files = |key: &str| {
        let text = format!("P: {{targets: '*', settings: {{Files: {{'{key}': {{content: x}}}}}}}}");
        let world = World { commit: None, catalog: None, packs: BTreeMap::new() };
        compile(vec![("rmm.toml".into(), String::new()), ("policies/p.yaml".into(), text)], &options(), world)
    };
    assert_eq!(files("{{ vars.dir }}/a").problems, Vec::new());
    assert_eq!(spots(&files("not/absolute")), ["RMM0110 policies/p.yaml:1:54"]);
}

#[test]
fn a_secret_is_refused_where_the_answer_of_the_device_would_hold_it() {
    for (settings, spot) in [
        ("LineInFile: {a: {path: /etc/a, line: {secret: A}}}", "RMM0120 policies/p.yaml:1:67"),
        ("SshdConfig: {Banner: {secret: A}}", "RMM0120 policies/p.yaml:1:51"),
        ("AuthorizedKeys: {kim: {keys: [{secret: A}]}}", "RMM0120 policies/p.yaml:1:60"),
    ] {
        let (found, message, advice) = only(&format!("P: {{targets: '*', settings: {{{settings}}}}}"));
        assert_eq!(found, spot, "{settings}");
        assert!(message.ends_with("a secret cannot be compared here: what the device answers would be stored with the facts"), "{message}");
        assert!(advice.contains("Files"), "{advice}");
    }
    let text = "P: {targets: '*', settings: {Files: {/etc/a: {content: {secret: A}}}}}".to_owned();
    let world = World { commit: None, catalog: None, packs: BTreeMap::new() };
    assert_eq!(compile(vec![("rmm.toml".into(), String::new()), ("policies/p.yaml".into(), text)], &options(), world).problems, Vec::new());
}

#[test]
fn a_misspelt_fact_in_a_condition_is_underlined() {
    let base = |condition: &str| {
        format!(
            "policies:\n  Base:\n    targets: [{{where: '{condition}'}}]\n    settings: {{Timezone: Europe/Berlin}}\n    remediate: true\n"
        )
    };
    for (condition, column, length, advice) in [
        ("facts.software.os.familly == \"linux\"", 42, 7, "did you mean 'family'?"),
        ("facts.os.family == \"linux\"", 30, 2, "there are: software.os"),
        ("true && device.hostnam == \"a\"", 39, 7, "did you mean 'hostname'?"),
    ] {
        let loaded = policy(&base(condition));
        let [problem] = &loaded.problems[..] else { panic!("{:?}", loaded.problems) };
        let place = problem.place.as_ref().unwrap();
        assert_eq!((&*problem.code, place.line, place.column, place.length), ("RMM0146", 3, column, length), "{condition}");
        assert_eq!(problem.advice.as_deref(), Some(advice));
    }
}
