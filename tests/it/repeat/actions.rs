//! Every action that says so of itself.

use std::collections::BTreeSet;
use std::sync::Mutex;

use rmm::apply::{Allowed, Ask, End, Listener, Part, Parts, act, act_together};
use rmm::model::action::By;
use rmm::model::{ActionCall, Platform};
use rmm::script::{Recorder, ScriptError, SharedHost, shown};
use rmm::time::SystemClock;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::debian::{Debian, Package};

/// How an action is tried.
enum How {
    /// On the device, with these parameters.
    Device(Value),
    /// Its examples are recorded, on systems like these.
    Recorded(&'static [Platform]),
}

fn table() -> Vec<(&'static str, How)> {
    use How::{Device, Recorded};
    use Platform::{Linux, Macos, Windows};
    let update = json!([{"name": "rmm-demo", "version": "2.0-1", "from": "1.0-1"}]);
    vec![
        ("ApplyPolicy", Device(json!({"name": "Wanted"}))),
        ("CleanJournal", Recorded(&[Linux])),
        ("ClearPrintQueue", Device(json!({}))),
        ("ClearPrintQueue", Recorded(&[Macos, Windows])),
        ("ClearTemp", Device(json!({"days": 1}))),
        ("ClearTemp", Recorded(&[Macos, Windows])),
        ("DisableRDP", Recorded(&[Windows])),
        ("EnableRDP", Recorded(&[Windows])),
        ("FileTransfer", Device(json!({"direction": "toDevice", "local": "files/a", "remote": "/srv/a"}))),
        ("FlushDNS", Device(json!({}))),
        ("FlushDNS", Recorded(&[Macos, Windows])),
        ("GPUpdate", Recorded(&[Windows])),
        ("HoldUpdates", Device(json!({"names": ["rmm-lib"]}))),
        ("InstallRequiredApps", Device(json!({}))),
        ("InvokeUpdateScan", Device(json!({}))),
        ("InstallUpdates", Device(json!({"packages": update}))),
        ("InvokeInventory", Device(json!({"full": true}))),
        ("Lock", Recorded(&[Linux, Windows])),
        ("Logoff", Device(json!({"user": "games"}))),
        ("Logoff", Recorded(&[Linux, Windows])),
        ("RegistryEdit", Recorded(&[Windows])),
        ("RenewDHCP", Recorded(&[Linux, Macos, Windows])),
        ("RepairPackageManager", Device(json!({}))),
        ("RepairWMI", Recorded(&[Windows])),
        ("ReregisterDLLs", Recorded(&[Windows])),
        ("RestartHungServices", Recorded(&[Linux, Windows])),
        ("SetDeviceGroup", Device(json!({"group": "Production", "from": "New"}))),
        ("TestGroupHealth", Device(json!({"minScore": 0}))),
        ("TestWinRMConnection", Device(json!({}))),
        ("UninstallUpdate", Device(json!({"name": "rmm-bad", "bad": "2.0-1"}))),
        ("UninstallUpdate", Device(json!({"name": "rmm-bad", "to": "1.0-1"}))),
        ("WakeOnLAN", Device(json!({"mac": "52:54:00:12:34:56", "broadcast": "127.255.255.255"}))),
    ]
}

fn system(platform: Platform) -> Facts {
    let (family, init, manager) = match platform {
        Platform::Windows => ("windows", "none", "none"),
        Platform::Macos => ("macos", "launchd", "none"),
        Platform::Linux => ("linux", "systemd", "apt"),
    };
    facts(&[
        (
            "software.os",
            json!({"family": family, "id": family, "init": init, "package_manager": manager, "hostname": "pc-1", "is_root": true}),
        ),
        ("security.users", json!({"kim": {"uid": 501}})),
        ("network.routes", json!([{"destination": "default", "gateway": "192.0.2.1", "interface": "eth0", "metric": null}])),
    ])
}

async fn once(parts: &Parts, action: &str, params: &Value) {
    let with = params.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let call = ActionCall { action: action.into(), with, on: Vec::new() };
    let together = rmm::workflow::together(&parts.set.catalog.actions[action]);
    let ask = Ask {
        device: if together { "" } else { "pc-1" },
        call: &call,
        because: "a test",
        allowed: Allowed::Confirmed,
        once: None,
        timeout: None,
        part: Part::Run,
        leased: false,
        on: Listener::default(),
    };
    let cancel = CancellationToken::new();
    let acted = if together {
        act_together(parts, &ask, &["pc-1".to_owned()], "", &cancel).await.unwrap()
    } else {
        act(parts, &ask, &cancel).await.unwrap()
    };
    assert_eq!(acted.end, End::Done, "{action} {params}: {} {:#?}", acted.message, acted.ran);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_idempotent_action_that_is_run_twice_changes_nothing_the_second_time() {
    let Some(debian) = Debian::new() else { return };
    for package in ["rmm-demo", "rmm-lib", "rmm-bad", "rmm-tool"] {
        debian.publish_package(&Package::new(package, "1.0-1"));
    }
    let device = debian.device("pc-1");
    for package in ["rmm-demo", "rmm-lib"] {
        device.install(package, "1.0-1");
    }
    debian.publish("2.0-1");
    debian.publish_package(&Package::new("rmm-bad", "2.0-1"));
    device.install("rmm-bad", "2.0-1");
    device.run(&["touch", "-d", "2 years ago", "/tmp/old", "/var/tmp/old"]);
    debian.declare(&[(&device, &["New"])]);
    debian.file("devices/groups.yaml", "groups: {Production: {}}\n");
    debian.file("files/a", "a file\n");
    debian.file(
        "policies/p.yaml",
        "policies:\n  Wanted:\n    targets: [Production]\n    settings: {Files: {/etc/wanted: {content: x}}}\n  Apps:\n    targets: ['*']\n    remediate: true\n    settings: {Packages: {rmm-tool: present}}\n",
    );
    let parts = debian.parts(Arc::new(SystemClock));
    let whole = || {
        let mut all = fingerprint(&device.path("/"));
        let repo = fingerprint(&debian.repo()).into_iter().filter(|(name, _)| !name.starts_with(".rmm/rmm.db"));
        all.extend(repo.map(|(name, how)| (format!("repository: {name}"), how)));
        all
    };
    let mut tried: BTreeSet<String> = BTreeSet::new();
    let mut effects = Vec::new();
    let mut before = whole();
    for (name, how) in table() {
        let def = &parts.set.catalog.actions[name];
        assert!(def.idempotent, "{name}");
        match how {
            How::Device(params) => {
                assert_eq!(def.check(&params), [], "{name}");
                once(&parts, name, &params).await;
                let first = whole();
                once(&parts, name, &params).await;
                assert_eq!(differences(&first, &whole()), Vec::<String>::new(), "{name}");
                if !differences(&before, &first).is_empty() {
                    effects.push(name);
                }
                before = first;
            }
            How::Recorded(platforms) => {
                for platform in platforms {
                    assert!(def.by == By::Script && def.platforms.contains(platform), "{name} on {platform}");
                    for example in &def.examples {
                        let asked = || {
                            let recorder = Arc::new(Mutex::new(Recorder::new("pc-1", Arc::new(system(*platform)))));
                            let host: SharedHost = recorder.clone();
                            let ended: Result<Value, ScriptError> = def.program.run(&host, example);
                            ended.unwrap_or_else(|e| panic!("{name} {example} on {platform}: {e}"));
                            let recorder = recorder.lock().unwrap();
                            recorder.operations.iter().map(|operation| shown(operation, &str::to_owned).line).collect::<Vec<_>>()
                        };
                        let first = asked();
                        assert!(!first.is_empty(), "{name} {example} does nothing on {platform}");
                        assert_eq!(first, asked(), "{name}");
                        let adds = ADDS_UP.iter().find(|word| first.iter().any(|line| line.contains(*word)));
                        assert_eq!(adds, None, "{name} {example} on {platform}: {first:#?}");
                    }
                }
            }
        }
        tried.insert(name.to_owned());
    }
    let all: BTreeSet<String> = parts.set.catalog.actions.values().filter(|def| def.idempotent).map(|def| def.name.to_string()).collect();
    assert_eq!(tried, all, "an action is not tried here");
    // That something is done at all, and seen here.
    for name in [
        "ApplyPolicy",
        "ClearTemp",
        "FileTransfer",
        "HoldUpdates",
        "InstallRequiredApps",
        "InstallUpdates",
        "SetDeviceGroup",
        "UninstallUpdate",
    ] {
        assert!(effects.contains(&name), "{name} had no effect: {effects:?}");
    }
}
