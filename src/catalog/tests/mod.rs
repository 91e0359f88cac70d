//! The built-in settings: that all are well made, and what each would do, with harmless and with hostile values.

mod actions;
mod actions_elsewhere;
mod commands;
mod hostile;
pub(crate) mod powershell;
mod powershell_rules;
mod real;
mod values;
mod windows;
mod windows_updates;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::*;
use crate::model::Facts;
use crate::model::facts::{Section, Status};
use crate::script::{Recorder, Rendered, SharedHost};

#[test]
fn every_built_in_setting_is_well_made() {
    let (catalog, mut problems) = Catalog::read_builtin();
    for setting in catalog.settings.values() {
        if let Some(error) = setting.program.problem() {
            problems.push(error.diagnostic().at(&head::place(
                &setting.file,
                if let ScriptError::Compile { line, .. } = error { line } else { 0 },
                0,
            )));
            continue;
        }
        problems.extend(problems_of(setting));
        assert!(!setting.examples.is_empty(), "{} has no example", setting.name);
    }
    assert!(problems.is_empty(), "{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    assert_eq!(catalog.settings.len(), SETTINGS.files().count(), "two files declare the same setting");
}

/// Every function of every setting is run on every example, with nothing observed: typing errors in scripts show here.
#[test]
fn every_function_of_every_setting_runs_on_every_example() {
    let catalog = Catalog::builtin();
    let mut done = BTreeSet::new();
    for setting in catalog.settings.values() {
        for (key, value) in examples(setting) {
            let label = format!("{} {key:?} {value}", setting.name);
            for os in [debian(), alpine(), fedora(), windows()] {
                let platform = os.platform();
                if platform.is_some_and(|platform| !setting.platforms.contains(&platform)) {
                    continue;
                }
                let host: SharedHost = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(os))));
                let unsupported = setting.program.unsupported(&host).unwrap_or_else(|e| panic!("{label}: unsupported: {e:?}"));
                setting.program.risk(&value).unwrap_or_else(|e| panic!("{label}: risk: {e:?}"));
                setting.program.describe(None, &value).unwrap_or_else(|e| panic!("{label}: describe: {e:?}"));
                if setting.compare == Compare::Script {
                    match setting.program.compliant(None, &value) {
                        Ok(_) => {}
                        Err(ScriptError::Runtime { message, .. }) if message.starts_with("cannot be observed") => {}
                        Err(error) => panic!("{label}: compliant: {error:?}"),
                    }
                }
                setting.answers(&value).unwrap_or_else(|e| panic!("{label}: answers: {e:?}"));
                if let Some(key) = &key {
                    setting.program.probes(key, &value).unwrap_or_else(|e| panic!("{label}: probes: {e:?}"));
                }
                if setting.remediable_on(platform) && unsupported.is_none() {
                    let seen = match &*setting.name {
                        "MountOptions" => Some(json!({"device": "tmpfs", "fs": "tmpfs", "options": ["rw"]})),
                        "WindowsFeatures" => Some(json!({"name": "Web-Server", "kind": "role", "state": "Disabled"})),
                        _ => None,
                    };
                    match setting.program.apply(&host, key.as_deref(), &value, seen.as_ref()) {
                        Ok(()) => drop(done.insert(setting.name.clone())),
                        Err(ScriptError::Runtime { message, .. }) if THROWS.iter().any(|text| message.contains(text)) => {}
                        Err(error) => panic!("{label}: apply: {error:?}"),
                    }
                }
            }
        }
    }
    let missing: Vec<_> = catalog.settings.values().filter(|s| s.remediable() && !done.contains(&s.name)).map(|s| &s.name).collect();
    assert!(missing.is_empty(), "never carried out: {missing:?}");
}

/// What a script may rightly say where the recorder answers nothing.
const THROWS: [&str; 5] = ["is not installed", "does not satisfy", "not known", "of Windows has no", "only systemd can mask"];

/// Key and value of every example.
fn examples(setting: &SettingDef) -> Vec<(Option<String>, Value)> {
    setting
        .examples
        .iter()
        .flat_map(|example| match (&setting.keyed, example) {
            (Some(_), Value::Object(map)) => map.iter().map(|(k, v)| (Some(k.clone()), v.clone())).collect(),
            _ => vec![(None, example.clone())],
        })
        .collect()
}

/// Facts of a device from its sections.
fn facts(sections: &[(&str, Value)]) -> Facts {
    let mut facts = Facts::default();
    for (name, data) in sections {
        facts.sections.insert((*name).into(), Section::new(data.clone(), Status::Ok, chrono::DateTime::UNIX_EPOCH));
    }
    facts
}

fn os(id: &str, init: &str, manager: &str, firewall: &str) -> Facts {
    facts(&[
        (
            "software.os",
            json!({"family": "linux", "id": id, "init": init, "package_manager": manager, "hostname": "web-1", "is_root": true}),
        ),
        ("security.firewall", json!({"enabled": false, "backend": firewall})),
        ("security.time_sync", json!({"service": "chrony", "enabled": false, "servers": []})),
        ("hardware.system", json!({"virtualization": "kvm"})),
        ("hardware.fstab", json!({"/tmp": {"device": "tmpfs", "fs": "tmpfs", "options": ["defaults"]}})),
        ("hardware.mounts", json!({"/tmp": {"device": "tmpfs", "fs": "tmpfs", "options": ["rw"]}})),
    ])
}

fn debian() -> Facts {
    os("debian", "systemd", "apt", "ufw")
}

fn fedora() -> Facts {
    os("fedora", "systemd", "dnf", "firewalld")
}

fn alpine() -> Facts {
    os("alpine", "openrc", "apk", "nftables")
}

fn windows() -> Facts {
    facts(&[(
        "software.os",
        json!({"family": "windows", "id": "windows", "init": "scm", "package_manager": "winget", "hostname": "ws-1", "is_root": true}),
    )])
}

fn macos() -> Facts {
    facts(&[
        (
            "software.os",
            json!({"family": "macos", "id": "macos", "init": "launchd", "package_manager": "none", "hostname": "mac-1", "is_root": true}),
        ),
        ("security.users", json!({"kim": {"uid": 501}})),
        ("network.routes", json!([{"destination": "default", "gateway": "192.0.2.1", "interface": "en0", "metric": null}])),
    ])
}

/// An operation as sh is given it.
fn render(operation: &crate::model::Operation) -> Rendered {
    crate::script::render(operation, crate::model::Shell::Posix)
}

fn setting(name: &str) -> Arc<SettingDef> {
    Arc::clone(&Catalog::builtin().settings[name])
}

/// The commands that a setting would run, as the device's shell reads them (input after ` <<< `).
fn commands(facts: Facts, name: &str, key: Option<&str>, desired: Value, observed: Option<Value>) -> Vec<String> {
    let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(facts))));
    let host: SharedHost = recorder.clone();
    setting(name).program.apply(&host, key, &desired, observed.as_ref()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    rendered(&recorder)
}

/// The commands that undo a setting.
fn undoing(facts: Facts, name: &str, key: Option<&str>, before: Option<Value>) -> Vec<String> {
    let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(facts))));
    let host: SharedHost = recorder.clone();
    setting(name).program.rollback(&host, key, before.as_ref()).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    rendered(&recorder)
}

fn rendered(recorder: &Arc<Mutex<Recorder>>) -> Vec<String> {
    let recorder = recorder.lock().unwrap();
    recorder
        .operations
        .iter()
        .map(|operation| {
            let rendered = render(operation);
            let input = rendered.input.map(|bytes| format!(" <<< {}", String::from_utf8(bytes.to_vec()).unwrap())).unwrap_or_default();
            if matches!(operation, crate::model::Operation::WriteFile { .. }) {
                let crate::model::Operation::WriteFile { path, mode, owner, group, .. } = operation else { unreachable!() };
                let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
                return format!("write {path} {} {}:{}{input}", or(mode), or(owner), or(group));
            }
            match operation {
                crate::model::Operation::PowerShell { .. } => crate::script::shown(operation, &str::to_owned).line,
                crate::model::Operation::Run { argv, .. } if argv.get(3).is_some_and(|name| name == "own") => {
                    argv[3..].iter().map(|word| crate::script::quote(word)).collect::<Vec<_>>().join(" ")
                }
                _ => rendered.line + input.as_str(),
            }
        })
        .collect()
}

/// The shipped baselines name settings that exist, with values that they accept, and many of them.
#[test]
fn the_baselines_fit_the_catalog_and_have_their_references() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    for (file, os, least) in
        [("linux-baseline", "linux", 35), ("windows-baseline", "windows", 60), ("windows-server-baseline", "windows", 60)]
    {
        let text = std::fs::read_to_string(format!("{root}/{file}.yaml")).unwrap();
        let policies: BTreeMap<String, Value> = serde_yaml::from_str(&text).unwrap();
        let mut controls = BTreeSet::new();
        for (name, policy) in &policies {
            assert_eq!(policy["remediate"], json!(false), "{name} changes something");
            assert_eq!(policy["targets"][0]["os"], json!(os), "{name}");
            let given = |key: &str| policy["references"][key].as_array().is_some_and(|list| !list.is_empty());
            assert!(given("cis") && given("nist"), "{name}");
            for (setting_name, value) in policy["settings"].as_object().unwrap() {
                let setting = setting(setting_name);
                let pairs: Vec<(Option<&str>, &Value)> = match &setting.keyed {
                    Some(_) => value.as_object().unwrap().iter().map(|(key, value)| (Some(key.as_str()), value)).collect(),
                    None => vec![(None, value)],
                };
                for (key, value) in pairs {
                    assert_eq!(setting.check(key, value), Vec::new(), "{name}: {setting_name} {key:?}");
                    let label = (setting_name.clone(), key.map(str::to_lowercase));
                    assert!(controls.insert(label), "{setting_name} {key:?} stands twice");
                }
            }
        }
        assert!(controls.len() >= least, "{file}: {} controls", controls.len());
    }
}
