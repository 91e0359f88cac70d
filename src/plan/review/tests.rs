use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::model::Facts;
use crate::repo::{LoadOptions, Loaded, World, compile};

const DEVICES: &str = "\
groups:
  Servers: {members: [web-1, db-1]}
  Big: {match: {where: 'facts.hardware.memory.total_gb > 8'}}
devices:
  web-1: {os: linux, tags: [web], vars: {zone: UTC}}
  db-1: {os: linux}
  spare: {os: linux, tags: [spare]}
";
const POLICIES: &str = "\
Ssh:
  targets: [Servers]
  remediate: true
  settings:
    SshdConfig: {PermitRootLogin: \"no\", PermitEmptyPasswords: \"no\"}
Spare:
  targets: [{tag: spare}]
  settings:
    Timezone: UTC
";
const THRESHOLDS: &str = "\
CPU: {warning: 80, critical: 95}
Memory:
  warning: 85
  critical: 95
  overrides:
    - {targets: [Big], warning: 90}
    - {targets: [Servers], warning: 91}
";
const WORKFLOWS: &str = "\
Patch:
  trigger: Manual
  steps:
    - name: Look
      action: ServiceControl
      on: [Servers]
      with: {name: cron, state: restart}
    - name: Do
      action: ServiceControl
      on: [Servers]
      with: {name: sshd, state: restart}
";
const SCRIPT: &str = "\
//! setting: Motto
//! summary: A motto.
//! platforms: [linux]
//! value: {type: string}
//! observe: software.os.motto
//! risk: low

fn apply(device, desired) { device.write_file(\"/etc/motto\", desired); }
";
const FILES: [(&str, &str); 6] = [
    ("rmm.toml", "[review]\nfail_on = ['conflict']\n"),
    ("devices.yaml", DEVICES),
    ("policies/p.yaml", POLICIES),
    ("thresholds/t.yaml", THRESHOLDS),
    ("workflows/w.yaml", WORKFLOWS),
    ("scripts/motto.rhai", SCRIPT),
];

fn now() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

#[track_caller]
fn loaded(files: Vec<(Arc<str>, String)>) -> Loaded {
    let options = LoadOptions { root: "/fleet".into(), env: None, environment: Vec::new(), now: now() };
    let loaded = compile(files, &options, World::default());
    assert!(loaded.set.is_some(), "{:#?}", loaded.problems);
    loaded
}

fn files() -> Vec<(Arc<str>, String)> {
    FILES.iter().map(|(path, text)| (Arc::from(*path), (*text).to_owned())).collect()
}

/// Both sides: the usual files, and those with one text replaced in one of them.
#[track_caller]
fn sides(file: &str, from: &str, to: &str) -> (Loaded, Loaded) {
    let mut changed = files();
    let text = changed.iter_mut().find(|(path, _)| **path == *file).map(|(_, text)| text).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    *text = text.replacen(from, to, 1);
    (loaded(files()), loaded(changed))
}

/// The differences, each as `how kind name member: from -> to`, and the line where it stands.
#[track_caller]
fn said(file: &str, from: &str, to: &str) -> Vec<String> {
    let (old, new) = sides(file, from, to);
    let found = differences(old.set.as_ref().unwrap(), new.set.as_ref().unwrap(), &old.sources, &new.sources);
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    found
        .iter()
        .map(|d| {
            let line = d.place.line;
            format!("{:?} {} {} {}: {} -> {} at {line}", d.how, d.kind, d.name, d.member, or_dash(&d.from), or_dash(&d.to))
        })
        .collect()
}

struct Known(BTreeMap<String, Facts>);

impl FactsSource for Known {
    type Error = ();

    fn each(
        &self,
        _: &[&str],
        _: &BTreeMap<String, BTreeSet<String>>,
        devices: &[&str],
        visit: &(dyn Fn(&str, Facts) + Sync),
    ) -> Result<(), ()> {
        self.0.iter().filter(|(name, _)| devices.contains(&name.as_str())).for_each(|(name, facts)| visit(name, facts.clone()));
        Ok(())
    }

    fn whole(&self, device: &str) -> Option<Facts> {
        self.0.get(device).cloned()
    }
}

/// What a change does; every device is as wanted before it.
#[track_caller]
fn done(file: &str, from: &str, to: &str) -> Effects {
    let (old, new) = sides(file, from, to);
    let document = json!({
        "security": { "sshd": { "permitrootlogin": "no", "permitemptypasswords": "no" } },
        "hardware": { "memory": { "total_gb": 16 } },
        "software": { "os": { "family": "linux" } },
        "system": { "time": { "timezone": "UTC" } },
    });
    let facts = Facts::from_value(document.as_object().unwrap(), now());
    let known = Known(["web-1", "db-1", "spare"].map(|name| (name.to_owned(), facts.clone())).into());
    effects(old.set.as_ref().unwrap(), new.set.as_ref().unwrap(), &known, now()).unwrap()
}

#[test]
fn order_layout_comments_and_defaults_that_are_written_out_are_no_difference() {
    let same = Vec::<String>::new();
    assert_eq!(said("policies/p.yaml", POLICIES, &POLICIES.replace("  remediate", "  # about it\n  priority: 0\n  remediate")), same);
    let swapped =
        POLICIES.replace("PermitRootLogin: \"no\", PermitEmptyPasswords: \"no\"", "PermitEmptyPasswords: no, PermitRootLogin: no");
    assert_eq!(said("policies/p.yaml", POLICIES, &swapped), same);
    assert_eq!(said("devices.yaml", "[web-1, db-1]", "[db-1, web-1]"), same);
    assert_eq!(said("thresholds/t.yaml", "warning: 80, critical: 95", "critical: 95, warning: 80.0, targets: []"), same);
    assert_eq!(said("workflows/w.yaml", "name: Look\n", "name: Look\n      retries: 0 # once\n"), same);
}

#[test]
fn two_spellings_of_one_step_are_no_difference() {
    let long = "action: ServiceControl\n      on: [Servers]\n      with: {name: cron, state: restart}";
    assert_eq!(said("workflows/w.yaml", long, "action: Service-Control -Name cron -State restart -Group Servers"), Vec::<String>::new());
}

#[test]
fn a_value_a_target_and_a_rule_are_named_with_their_lines() {
    assert_eq!(
        said("policies/p.yaml", "PermitRootLogin: \"no\"", "PermitRootLogin: \"yes\""),
        ["Changed policy Ssh settings.SshdConfig.PermitRootLogin: no -> yes at 5"]
    );
    assert_eq!(said("policies/p.yaml", "[Servers]", "[Big]"), ["Changed policy Ssh targets: Servers -> Big at 2"]);
    assert_eq!(said("policies/p.yaml", "  remediate: true\n", ""), ["Changed policy Ssh remediate: apply -> report at 1"]);
    let rule = said("devices.yaml", "total_gb > 8", "total_gb > 4");
    assert_eq!(rule.len(), 1);
    assert!(rule[0].starts_with("Changed group Big match.where: ") && rule[0].ends_with(" at 3"), "{rule:?}");
    assert_eq!(
        said("devices.yaml", "[web-1, db-1]", "[web-1]"),
        ["Changed group Servers members: db-1 -> - at 2", "Removed device db-1 groups: Servers -> - at 6"]
    );
}

#[test]
fn a_device_that_goes_is_named() {
    let gone = said("devices.yaml", "  spare: {os: linux, tags: [spare]}\n", "  other: {os: linux}\n");
    assert_eq!(gone, ["Added device other : - -> - at 7", "Removed device spare : - -> - at 7"]);
}

#[test]
fn a_threshold_is_compared_value_by_value_and_its_overrides_in_their_order() {
    assert_eq!(said("thresholds/t.yaml", "warning: 80", "warning: 90"), ["Changed threshold CPU limits.warning: 80.0 -> 90.0 at 1"]);
    let swapped =
        THRESHOLDS.replace("[Big], warning: 90", "[Big], warning: 91").replace("[Servers], warning: 91", "[Servers], warning: 90");
    assert_eq!(
        said("thresholds/t.yaml", THRESHOLDS, &swapped),
        [
            "Changed threshold Memory overrides.1.limits.warning: 90.0 -> 91.0 at 6",
            "Changed threshold Memory overrides.2.limits.warning: 91.0 -> 90.0 at 7",
        ]
    );
}

#[test]
fn a_step_of_a_workflow_that_changes_its_place_is_a_difference() {
    let (look, act) = WORKFLOWS.split_at(WORKFLOWS.find("    - name: Do").unwrap());
    let (head, look) = look.split_at(look.find("    - name: Look").unwrap());
    assert_eq!(
        said("workflows/w.yaml", WORKFLOWS, &format!("{head}{act}{look}")),
        ["Changed workflow Patch steps: [Look, Do] -> [Do, Look] at 3"]
    );
    assert_eq!(
        said("workflows/w.yaml", "name: sshd", "name: nginx"),
        ["Changed workflow Patch steps.Do.work.action.with.name: sshd -> nginx at 11"]
    );
}

#[test]
fn a_script_of_the_team_is_compared_by_its_text() {
    assert_eq!(
        said("scripts/motto.rhai", "/etc/motto", "/etc/shadow"),
        ["Changed script scripts/motto.rhai text: 8 lines -> 8 lines at 0"]
    );
}

#[test]
fn values_that_only_read_the_same_are_a_difference() {
    let found = said("devices.yaml", "vars: {zone: UTC}", "vars: {zone: UTC, n: \"1\", l: [\"a, b\"]}");
    assert_eq!(found.len(), 2, "{found:?}");
    let texts = DEVICES.replace("zone: UTC", "zone: UTC, n: \"1\", l: [\"a, b\"]");
    let numbers = DEVICES.replace("zone: UTC", "zone: UTC, n: 1, l: [a, b]");
    let with =
        |text: String| loaded(files().into_iter().map(|(p, t)| if &*p == "devices.yaml" { (p, text.clone()) } else { (p, t) }).collect());
    let (old, new) = (with(texts), with(numbers));
    let found = differences(old.set.as_ref().unwrap(), new.set.as_ref().unwrap(), &old.sources, &new.sources);
    assert_eq!(found.iter().map(|d| d.member.as_str()).collect::<Vec<_>>(), ["vars.l", "vars.n"]);
}

#[test]
fn of_several_exceptions_for_one_setting_none_is_lost() {
    let one = "  exceptions:\n    - {device: spare, setting: Timezone, until: 2027-12-31, reason: one}\n";
    let two = format!("{one}    - {{device: spare, setting: Timezone, until: 2026-12-31, reason: two}}\n");
    let base = format!("{POLICIES}{two}");
    let less = format!("{POLICIES}  exceptions:\n    - {{device: spare, setting: Timezone, until: 2026-12-31, reason: two}}\n");
    let with =
        |text: &str| loaded(files().into_iter().map(|(p, t)| if &*p == "policies/p.yaml" { (p, text.into()) } else { (p, t) }).collect());
    let (old, new) = (with(&base), with(&less));
    let found = differences(old.set.as_ref().unwrap(), new.set.as_ref().unwrap(), &old.sources, &new.sources);
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn what_a_change_does_is_told_by_device_and_setting() {
    let changed = done("policies/p.yaml", "PermitRootLogin: \"no\"", "PermitRootLogin: \"yes\"");
    let told: Vec<_> = changed.items.iter().map(|i| (i.device.as_str(), i.settings[0].setting.as_str(), i.settings[0].effect)).collect();
    assert_eq!(told, [("db-1", "SshdConfig.PermitRootLogin", Effect::Change), ("web-1", "SshdConfig.PermitRootLogin", Effect::Change)]);
    assert_eq!((changed.devices, changed.affected), (3, 2));
    assert_eq!(done("policies/p.yaml", "  settings:\n    Timezone", "  severity: high\n  settings:\n    Timezone").affected, 0);
}

#[test]
fn a_device_that_falls_out_of_every_policy_is_counted_whatever_takes_it_out() {
    for (file, from, to) in [
        ("policies/p.yaml", "{tag: spare}", "{device: web-1}"),
        ("policies/p.yaml", "  targets: [{tag: spare}]", "  targets: [{tag: spare}]\n  exclude: [{os: linux}]"),
        ("policies/p.yaml", POLICIES, POLICIES.split("Spare:").next().unwrap()),
    ] {
        let effects = done(file, from, to);
        let out: Vec<_> = effects.items.iter().filter(|i| i.unmanaged).map(|i| i.device.as_str()).collect();
        assert_eq!((effects.unmanaged, out), (1, vec!["spare"]), "{to}");
    }
    let effects = done("devices.yaml", "[web-1, db-1]", "[web-1]");
    assert_eq!((effects.unmanaged, effects.removed), (1, 0));
}

#[test]
fn a_device_that_goes_and_a_rule_that_no_longer_holds_are_effects() {
    let effects = done("devices.yaml", "  spare: {os: linux, tags: [spare]}\n", "  other: {os: linux}\n");
    assert_eq!((effects.removed, effects.added, effects.without_facts), (1, 1, 1));
    let by_rule = POLICIES.replace("[Servers]", "[Big]");
    let with = |rule: &str| {
        let changed = files().into_iter().map(|(path, text)| match &*path {
            "policies/p.yaml" => (path, by_rule.clone()),
            "devices.yaml" => (path, text.replace("total_gb > 8", rule)),
            _ => (path, text),
        });
        loaded(changed.collect())
    };
    let (old, new) = (with("total_gb > 8"), with("total_gb > 32"));
    let document = json!({ "hardware": { "memory": { "total_gb": 16 } }, "software": { "os": { "family": "linux" } } });
    let known = Known([("web-1".to_owned(), Facts::from_value(document.as_object().unwrap(), now()))].into());
    let effects = super::effects(old.set.as_ref().unwrap(), new.set.as_ref().unwrap(), &known, now()).unwrap();
    let web = effects.items.iter().find(|item| item.device == "web-1").unwrap();
    assert!(web.unmanaged && web.settings.iter().all(|s| s.effect == Effect::Released), "{web:#?}");
}

#[test]
fn what_was_wrong_before_is_told_from_what_is_new() {
    let problem = |message: &str| Diagnostic::error("RMM0101", message).at(&Place::file("a.yaml"));
    let marked = mark_new(&[problem("one")], vec![problem("one"), problem("one"), problem("two")]);
    assert_eq!(marked.iter().map(|p| p.new).collect::<Vec<_>>(), [false, true, true]);
}
