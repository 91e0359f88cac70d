//! Verdicts on Windows: names in any case, settings that ask for several answers, and those that only report on a platform.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Compare, SettingDef};
use crate::model::facts::{Section, Status};
use crate::model::{Facts, Platform, State};
use crate::plan::verdict::{Question, judge};

fn known(name: &str) -> Arc<SettingDef> {
    Arc::clone(&Catalog::builtin().settings[name])
}

fn sections(all: &[(&str, Value)]) -> Facts {
    let mut facts = Facts::default();
    for (name, data) in all {
        facts.sections.insert((*name).into(), Section::new(data.clone(), Status::Ok, chrono::DateTime::UNIX_EPOCH));
    }
    facts
}

/// Names that Windows spells otherwise are the same names.
#[test]
fn the_case_of_a_name_does_not_matter_on_windows() {
    let found = sections(&[
        ("software.os", json!({"family": "windows"})),
        ("software.services", json!({"Spooler": {"state": "running", "startup": "enabled"}})),
        ("network.shares", json!([{"name": "Data", "path": "D:\\Data", "description": ""}])),
    ]);
    let state = |name: &str, key: &str, desired: &Value, platform: Platform| {
        let def = known(name);
        let question = Question { def: &def, key: Some(key), desired, platform: Some(platform) };
        judge(&question, &found, &|_| None, chrono::DateTime::UNIX_EPOCH).state
    };
    let stopped = json!({"state": "stopped"});
    assert_eq!(state("Services", "spooler", &stopped, Platform::Windows), State::Change);
    assert_eq!(state("Services", "spooler", &stopped, Platform::Linux), State::Compliant, "another service elsewhere");
    assert_eq!(state("Shares", "data", &json!({"path": "D:\\Data"}), Platform::Windows), State::Compliant);
    assert_eq!(state("Shares", "other", &json!({"path": "D:\\Data"}), Platform::Windows), State::Change);
    assert_eq!(state("LocalAdmins", "", &json!([]), Platform::Linux), State::Unknown);
}

/// Answers of several values are one observation: all of them have to be there.
#[test]
fn a_setting_that_asks_for_several_values_is_unknown_until_all_are_answered() {
    let def = known("LLMNR");
    let keys = def.answers(&json!("Disabled")).unwrap();
    assert_eq!(keys.len(), 2);
    let mut answers = Map::new();
    let verdict = |answers: &Map<String, Value>| {
        let found = sections(&[("software.os", json!({"family": "windows"})), ("registry", Value::Object(answers.clone()))]);
        let desired = json!("Disabled");
        let question = Question { def: &def, key: None, desired: &desired, platform: Some(Platform::Windows) };
        judge(&question, &found, &|_| None, chrono::DateTime::UNIX_EPOCH)
    };
    answers.insert(keys[0].clone(), json!({"exists": true, "kind": "dword", "value": 0}));
    assert_eq!(verdict(&answers).state, State::Unknown);
    answers.insert(keys[1].clone(), json!({"exists": false, "kind": null, "value": null}));
    assert_eq!(verdict(&answers).state, State::Compliant);
    answers.insert(keys[0].clone(), json!({"error": "access denied"}));
    let refused = verdict(&answers);
    assert_eq!((refused.state, refused.reason.as_deref()), (State::Unknown, Some("access denied")));
}

/// A setting that changes Windows and only reports on Linux says so on each.
#[test]
fn a_setting_may_only_report_on_one_platform() {
    let def = known("LocalAdmins");
    let desired = json!(["root"]);
    let found = sections(&[("security.local_admins", json!(["root", "kim"]))]);
    let state = |platform: Platform| {
        let question = Question { def: &def, key: None, desired: &desired, platform: Some(platform) };
        judge(&question, &found, &|_| None, chrono::DateTime::UNIX_EPOCH).state
    };
    assert_eq!((state(Platform::Linux), state(Platform::Windows)), (State::Report, State::Change));
}

/// What winget installed is another fact than what a distribution did.
#[test]
fn packages_are_looked_up_where_the_platform_keeps_them() {
    let def = known("Packages");
    let found = sections(&[
        ("software.packages", json!({"7-Zip 24.08 (x64)": "24.08"})),
        ("software.winget", json!({"7zip.7zip": {"name": "7-Zip", "version": "24.08"}})),
    ]);
    let desired = json!({"version": ">=24"});
    let state = |platform: Platform| {
        let question = Question { def: &def, key: Some("7zip.7zip"), desired: &desired, platform: Some(platform) };
        judge(&question, &found, &|_| None, chrono::DateTime::UNIX_EPOCH).state
    };
    assert_eq!((state(Platform::Windows), state(Platform::Linux)), (State::Compliant, State::Change));
}

/// What cannot be compared is told without the value, where that is a secret.
#[test]
fn a_comparison_that_fails_does_not_quote_the_secret() {
    let mut def = SettingDef::clone(&known("Timezone"));
    def.compare = Compare::Matches;
    let found = sections(&[("software.os", json!({"family": "linux", "timezone": "UTC"}))]);
    let desired = json!({"secret": "TOKEN"});
    let question = Question { def: &def, key: None, desired: &desired, platform: Some(Platform::Linux) };
    let verdict = judge(&question, &found, &|_| Some("hunter2(".into()), chrono::DateTime::UNIX_EPOCH);
    assert_eq!((verdict.state, verdict.reason.as_deref()), (State::Unknown, Some("the secret cannot be compared with what was observed")));
}
