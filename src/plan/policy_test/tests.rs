use std::sync::Arc;

use super::*;
use crate::repo::{LoadOptions, PolicySet, World, compile, compile_tests};

const POLICIES: &str = "\
Ssh:
  targets: [Servers]
  remediate: true
  settings:
    SshdConfig: {PermitRootLogin: \"no\", PermitEmptyPasswords: \"no\"}
    Files: {/etc/motd: {content: \"hello\\n\"}}
Night:
  targets: [Servers]
  settings: {AllowChanges: false}
  activeHours: \"06:00-22:00\"
Look:
  targets: [{os: linux}]
  settings: {Firewall: Enabled}
";

fn set() -> PolicySet {
    let devices = "groups: {Servers: {}, Web: {parent: Servers}}\ndevices: {web-1: {groups: [Web], os: linux}}\n";
    let files = [("rmm.toml", ""), ("devices.yaml", devices), ("policies/p.yaml", POLICIES)];
    let files = files.map(|(path, text)| (Arc::from(path), text.to_owned())).to_vec();
    let now = "2026-11-21T12:00:00Z".parse().unwrap();
    let loaded = compile(files, &LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now }, World::default());
    loaded.set.unwrap_or_else(|| panic!("{:#?}", loaded.problems))
}

/// The differences of one test, each as `what | expected | actual`.
#[track_caller]
fn differences(test: &str) -> Vec<String> {
    let set = set();
    let tests = compile_tests(
        vec![("tests/t.yaml".into(), format!("- name: it\n  {}\n", test.replace('\n', "\n  ")))],
        &|_| Err(String::new()),
        &set,
    );
    assert!(tests.problems.is_empty(), "{:#?}", tests.problems);
    let planner = Planner::new(&set, &secret);
    let outcome = run(&planner, &tests.tests[0]);
    outcome.differences.iter().map(|d| format!("{} | {} | {}", d.what, d.expected.join("; "), d.actual.join("; "))).collect()
}

const BAD: &str = "device: {hostname: s, os: linux, groups: [Web]}\nat: 2026-11-21T23:00:00Z\nfacts: {security: {sshd: {permitrootlogin: \"yes\", permitemptypasswords: \"no\"}, firewall: {enabled: true}}}\n";

#[test]
fn what_is_listed_has_to_be_there_with_the_members_that_it_gives() {
    let good = "expect:\n  changes: [{setting: SshdConfig, key: PermitRootLogin, from: \"yes\", to: \"no\", policy: Ssh}]\n  compliant: [SshdConfig.PermitEmptyPasswords, Firewall]\n  unknown: [{setting: Files, reason: not collected}]\n  groups: [Servers]\n  policies: [Ssh]";
    assert_eq!(differences(&format!("{BAD}{good}")), Vec::<String>::new());
    assert_eq!(
        differences(&format!("{BAD}expect: {{changes: [{{setting: SshdConfig.PermitRootLogin, from: \"no\", policy: Look}}]}}")),
        ["changes: SshdConfig.PermitRootLogin | from: no; policy: Look | from: yes; policy: Ssh"]
    );
}

#[test]
fn a_verdict_in_another_state_is_shown_as_what_it_is() {
    assert_eq!(
        differences(&format!("{BAD}expect: {{reports: [Firewall, Timezone]}}")),
        [
            "reports: Firewall | reports  Firewall | compliant  Firewall: Enabled  (policies/p.yaml:13)",
            "reports: Timezone | reports  Timezone | no policy that is for this device sets it",
        ]
    );
}

#[test]
fn an_empty_list_and_only_leave_no_room_for_more() {
    assert_eq!(
        differences(&format!("{BAD}expect: {{changes: []}}")),
        ["changes | nothing | changes  SshdConfig.PermitRootLogin: yes -> no  (policies/p.yaml:5)"]
    );
    let only = format!("{BAD}expect: {{only: true, changes: [SshdConfig]}}");
    assert_eq!(
        differences(&only),
        ["only | everything else is compliant | unknown  Files./etc/motd: not collected yet  (policies/p.yaml:6)"]
    );
    assert_eq!(differences(&format!("{BAD}expect: {{only: true, changes: [SshdConfig], unknown: [Files]}}")), Vec::<String>::new());
    assert_eq!(differences(&format!("{BAD}expect: {{nothing: true}}")).len(), 1);
    assert_eq!(
        differences(&format!("{BAD}expect: {{only: true, groups: [Web], changes: [SshdConfig], unknown: [Files]}}")),
        ["groups | no others | Servers"]
    );
}

#[test]
fn the_moment_decides_what_is_held_and_by_whom() {
    let noon = BAD.replace("23:00", "12:00");
    assert_eq!(differences(&format!("{noon}expect: {{held: [{{setting: SshdConfig, by: Night}}], changes: []}}")), Vec::<String>::new());
    assert_eq!(
        differences(&format!("{noon}expect: {{held: [{{setting: SshdConfig, by: exception}}]}}")),
        ["held: SshdConfig | SshdConfig.PermitRootLogin by: exception | SshdConfig.PermitRootLogin by: Night"]
    );
}

#[test]
fn old_facts_are_no_evidence_and_commands_can_be_asked_for() {
    assert_eq!(
        differences(&format!("{BAD}factsAge: 90d\nexpect: {{unknown: [{{setting: Firewall, reason: too long ago}}]}}")),
        Vec::<String>::new()
    );
    let files = "device: {hostname: s, os: linux, groups: [Web]}\nat: 2026-11-21T23:00:00Z\nfacts: {files: {/etc/motd: {type: absent}}}\n";
    assert_eq!(differences(&format!("{files}expect: {{changes: [{{setting: Files, commands: [/etc/motd]}}]}}")), Vec::<String>::new());
    let wrong = differences(&format!("{files}expect: {{changes: [{{setting: Files, commands: [/etc/issue]}}]}}"));
    assert!(wrong.len() == 1 && wrong[0].starts_with("changes: Files | Files./etc/motd commands: /etc/issue | "), "{wrong:?}");
}

#[test]
fn what_no_test_touches_is_counted_with_its_line() {
    let set = set();
    let text = format!("- name: it\n  {}\n", format!("{BAD}expect: {{changes: [SshdConfig]}}").replace('\n', "\n  "));
    let tests = compile_tests(vec![("tests/t.yaml".into(), text)], &|_| Err(String::new()), &set);
    let outcomes = run_all(&Planner::new(&set, &secret), &tests.tests);
    let coverage = Coverage::of(&set, &outcomes);
    let left: Vec<String> = coverage.uncovered.iter().map(|u| format!("{} {} {}", u.place, u.policy, u.what)).collect();
    assert_eq!(
        left,
        [
            "policies/p.yaml:5 Ssh SshdConfig.PermitEmptyPasswords",
            "policies/p.yaml:6 Ssh Files./etc/motd",
            "policies/p.yaml:9 Night AllowChanges",
            "policies/p.yaml:13 Look Firewall"
        ]
    );
    assert_eq!((coverage.touched, coverage.total, coverage.percent()), (1, 5, 20));
    assert_eq!(coverage.policies.len(), 2);
}

mod recording {
    use serde_json::json;

    use super::*;
    use crate::model::Facts;

    fn observed() -> Facts {
        let document = json!({
            "software": {"os": {"family": "linux", "pretty_name": "Debian 12", "hostname": "web-1.corp.example", "fqdn": "web-1.corp.example", "machine_id": "0123456789abcdef0123456789abcdef", "kernel": "6.1"},
                "packages": {"openssl": "3.0.15-1"}},
            "hardware": {"system": {"serial": "SN-4711"}},
            "security": {"sshd": {"permitrootlogin": "yes", "permitemptypasswords": "no", "allowusers": "kimberly"},
                "users": {"kimberly": {"uid": 1000, "home": "/home/kimberly", "comment": "Kim Berly"}}},
        });
        Facts::from_value(document.as_object().unwrap(), "2026-11-21T22:30:00Z".parse().unwrap())
    }

    #[test]
    fn a_recorded_test_passes_and_says_no_more_than_the_policies_read() {
        let set = set();
        let planner = Planner::new(&set, &secret);
        let now = "2026-11-21T23:00:00Z".parse().unwrap();
        let recorded = record(&planner, &set.devices["web-1"], &observed(), now, &BTreeSet::new());
        assert_eq!(recorded.differs, Vec::<String>::new());
        let text = to_yaml(&recorded.test, "../schemas/tests.json");
        insta::assert_snapshot!(text);
        let tests = compile_tests(vec![("tests/t.yaml".into(), text)], &|_| Err(String::new()), &set);
        assert!(tests.problems.is_empty(), "{:#?}", tests.problems);
        assert_eq!(run(&planner, &tests.tests[0]).differences, []);
    }

    #[test]
    fn identifiers_become_placeholders_and_what_policies_say_stays() {
        let set = set();
        let document = json!({
            "network": {"interfaces": [{"mac": "52:54:00:12:34:56", "addresses": ["10.1.2.3/24", "fe80::1/64", "127.0.0.1/8"]}]},
            "security": {"users": {"kimberly": {"uid": 1000, "home": "/home/kimberly", "comment": "Kim Berly"}}},
            "files": {"/etc/motd": {"type": "file", "owner": "kimberly"}},
            "lines": {"/etc/app\tx": {"line": "db_password = hunter22 # mail kim@corp.example"}},
            "authorized_keys": {"kimberly": {"keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG kim@web-1"]}},
            "software": {"packages": {"bind": "9.18.1.2"}},
        });
        let facts = Facts::from_value(document.as_object().unwrap(), "2026-11-21T22:30:00Z".parse().unwrap());
        let text = super::super::anonymous::Anonymous::new(&set, &set.devices["web-1"], &facts, true).facts(&facts).to_value().to_string();
        for secret in ["52:54", "10.1.2.3", "fe80", "kimberly", "Kim", "hunter22", "corp.example", "AAAAC3", "web-1"] {
            assert!(!text.contains(secret), "{secret} is left in {text}");
        }
        for kept in ["127.0.0.1", "/etc/motd", "9.18.1.2", "192.0.2.1/24", "user-1"] {
            assert!(text.contains(kept), "{kept} is gone from {text}");
        }
    }
}
