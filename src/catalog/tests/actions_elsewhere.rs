//! The commands of the actions on every platform, as snapshots: what a person would read before they run.

use std::fmt::Write as _;

use super::actions::action;
use super::*;
use crate::model::Platform;
use crate::model::action::By;

/// What updates do is tested with them.
const UPDATES: [&str; 2] = ["InstallUpdates", "InvokeUpdateScan"];

/// What every action does on its examples, by platform.
fn told(platform: Platform, systems: &[(&str, Facts)]) -> String {
    let mut out = String::new();
    let meant = |a: &&Arc<ActionDef>| a.by == By::Script && a.platforms.contains(&platform) && !UPDATES.contains(&&*a.name);
    for action in Catalog::builtin().actions.values().filter(meant) {
        for example in &action.examples {
            for (name, facts) in systems {
                let recorder = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(facts.clone()))));
                let host: SharedHost = recorder.clone();
                let end = action.program.run(&host, example).err().map(|error| format!("! {error}\n")).unwrap_or_default();
                let _ = writeln!(out, "== {} {example} on {name}\n{}\n{end}", action.name, rendered(&recorder).join("\n"));
            }
        }
    }
    out
}

#[test]
fn actions_on_windows() {
    insta::assert_snapshot!(told(Platform::Windows, &[("windows", windows())]));
}

#[test]
fn actions_on_macos() {
    insta::assert_snapshot!(told(Platform::Macos, &[("macos", macos())]));
}

#[test]
fn actions_on_linux() {
    let running = |mut facts: Facts, names: &[&str]| {
        let services: serde_json::Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({"state": "running", "startup": "enabled"}))).collect();
        facts.sections.insert("software.services".into(), Section::new(services.into(), Status::Ok, chrono::DateTime::UNIX_EPOCH));
        let routes = json!([{"destination": "0.0.0.0/0", "gateway": "192.0.2.1", "interface": "eth0", "metric": 100}]);
        facts.sections.insert("network.routes".into(), Section::new(routes, Status::Ok, chrono::DateTime::UNIX_EPOCH));
        facts
    };
    let systems = [
        ("debian", running(debian(), &["systemd-networkd", "systemd-resolved"])),
        ("fedora", running(fedora(), &["NetworkManager"])),
        ("alpine", running(alpine(), &["networking"])),
    ];
    insta::assert_snapshot!(told(Platform::Linux, &systems));
}

/// Runs the `rollback(device, params, result)` of an action.
fn undone(facts: Facts, name: &str, parameters: Value, result: Value) -> Result<Vec<String>, String> {
    let recorder = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(facts))));
    let host: SharedHost = recorder.clone();
    action(name).program.undo(&host, &parameters, &result).map_err(|error| error.to_string())?;
    Ok(rendered(&recorder))
}

#[test]
fn what_was_permitted_is_refused_again_as_it_was_before() {
    let before = json!({"deny": 1, "nla": 0, "closed": ["RemoteDesktop-UserMode-In-TCP"]});
    let lines = undone(windows(), "EnableRDP", json!({}), before).unwrap();
    assert!(lines[0].starts_with(r#"PowerShell with $p = {"closed":["RemoteDesktop-UserMode-In-TCP"],"deny":1,"nla":0}"#), "{lines:?}");
    assert!(undone(windows(), "EnableRDP", json!({}), Value::Null).unwrap_err().contains("not known"));
    let lines = undone(windows(), "DisableRDP", json!({}), json!({"deny": 0, "open": ["a"]})).unwrap();
    assert!(lines[0].contains(r#""deny":0"#) && lines[0].contains("Enable-NetFirewallRule"), "{lines:?}");
}

#[test]
fn a_value_of_the_registry_comes_back_as_it_was() {
    let edit = json!({"path": r"HKLM\SOFTWARE\Example", "name": "Level", "type": "dword", "value": 3});
    let lines = undone(windows(), "RegistryEdit", edit.clone(), json!({"existed": true, "kind": "binary", "value": "00ff"})).unwrap();
    assert!(
        lines[0].contains(r#""absent":false"#) && lines[0].contains(r#""kind":"binary""#) && lines[0].contains(r#""value":"00ff""#),
        "{lines:?}"
    );
    let lines = undone(windows(), "RegistryEdit", edit, json!({"existed": false, "kind": null, "value": null})).unwrap();
    assert!(lines[0].contains(r#""absent":true"#), "{lines:?}");
}

#[test]
fn values_of_the_registry_fit_their_type() {
    for (fits, edit) in [
        (true, json!({"path": r"HKLM\SOFTWARE\A", "name": "", "value": "x"})),
        (true, json!({"path": r"HKU\S-1-5-18\A", "name": "n", "type": "binary", "value": "00FF"})),
        (true, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "dword", "value": 4_294_967_295_u32})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "dword", "value": 4_294_967_296_u64})),
        // As the command line gives it.
        (true, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "dword", "value": "3"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "dword", "value": "three"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "qword", "value": "-1"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "binary", "value": "0FF"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "multiString", "value": "x"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "type": "string", "value": 3})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n"})),
        (false, json!({"path": r"HKLM\SOFTWARE\A", "name": "n", "state": "absent", "value": "x"})),
        (false, json!({"path": r"SOFTWARE\A", "name": "n", "value": "x"})),
    ] {
        let host: SharedHost = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(windows()))));
        let action = action("RegistryEdit");
        let accepted = action.check(&edit).is_empty() && action.program.run(&host, &edit).is_ok();
        assert_eq!(accepted, fits, "{edit}");
    }
}

#[test]
fn a_service_that_was_stopped_is_started_again_where_it_ran_before() {
    let stop = json!({"name": "nginx", "state": "stop"});
    assert_eq!(undone(debian(), "ServiceControl", stop.clone(), json!({"running": true})).unwrap(), ["systemctl start -- nginx.service"]);
    assert_eq!(undone(debian(), "ServiceControl", stop.clone(), json!({"running": false})).unwrap(), Vec::<String>::new());
    assert!(undone(debian(), "ServiceControl", stop, Value::Null).is_err());
    assert!(undone(debian(), "ServiceControl", json!({"name": "nginx", "state": "restart"}), Value::Null).unwrap().is_empty());
}
