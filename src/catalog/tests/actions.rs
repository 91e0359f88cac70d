//! The built-in actions: that all are well made, and exactly which commands they run.

use super::*;
use crate::model::Platform;
use crate::model::action::{ActsOn, By};

pub(super) fn action(name: &str) -> Arc<ActionDef> {
    Arc::clone(&Catalog::builtin().actions[name])
}

/// The commands that an action runs, as the device's shell reads them.
pub(super) fn ran(facts: Facts, name: &str, parameters: Value) -> Vec<String> {
    let action = action(name);
    assert_eq!(action.check(&parameters), [], "{name}");
    let recorder = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(facts))));
    let host: SharedHost = recorder.clone();
    action.program.run(&host, &parameters).unwrap_or_else(|e| panic!("{name}: {e:?}"));
    rendered(&recorder)
}

fn refusal(facts: Facts, name: &str, parameters: Value) -> String {
    let host: SharedHost = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(facts))));
    action(name).program.run(&host, &parameters).unwrap_err().to_string()
}

/// What an action may rightly say about a device.
const SAID: [&str; 4] = ["does not tell security updates apart", "not known", "without systemd", "cannot be reloaded"];

fn systems() -> impl Iterator<Item = (Platform, Facts)> {
    use Platform::{Linux, Macos, Windows};
    [(Linux, debian()), (Linux, fedora()), (Linux, alpine()), (Windows, windows()), (Macos, macos())].into_iter()
}

#[test]
fn every_built_in_action_is_well_made_and_runs_on_its_examples() {
    let catalog = Catalog::builtin();
    assert_eq!(catalog.actions.len(), ACTIONS.files().count(), "two files declare the same action, or one cannot be read");
    for action in catalog.actions.values() {
        assert_eq!(problems_of_action(action), [], "{}", action.name);
        assert!(!action.examples.is_empty(), "{} has no example", action.name);
        if action.by == By::Engine {
            continue;
        }
        for example in &action.examples {
            let mut done = 0;
            for (platform, system) in systems().filter(|(platform, _)| action.platforms.contains(platform)) {
                let host: SharedHost = Arc::new(Mutex::new(Recorder::new("web-1", Arc::new(system))));
                match action.program.run(&host, example) {
                    Ok(_) => done += 1,
                    Err(ScriptError::Runtime { message, .. }) if SAID.iter().any(|said| message.contains(said)) => {}
                    Err(error) => panic!("{} {example} on {platform}: {error:?}", action.name),
                }
            }
            assert!(done > 0, "{} {example} works nowhere", action.name);
        }
    }
}

#[test]
fn an_action_is_found_in_every_spelling() {
    let catalog = Catalog::builtin();
    for name in ["InstallUpdates", "Install-Updates", "install-updates", "installupdates"] {
        assert_eq!(&*catalog.action(name).unwrap().name, "InstallUpdates");
    }
    assert!(catalog.action("Install").is_none());
    assert_eq!(action("InstallUpdates").cmdlet(), "Install-Updates");
    assert_eq!(action("TestWinRMConnection").cmdlet(), "Test-WinRMConnection");
    assert_eq!(action("SendNotification").on, ActsOn::Nothing);
}

#[test]
fn updates_are_installed_by_the_devices_own_manager() {
    let upgrade = |what: &str| {
        format!(
            "env DEBIAN_FRONTEND=noninteractive apt-get {what} --yes --quiet -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
        )
    };
    let name = "InstallUpdates";
    assert_eq!(ran(debian(), name, json!({})), ["apt-get update --quiet".to_owned(), upgrade("upgrade")]);
    assert_eq!(ran(debian(), name, json!({"full": true})), ["apt-get update --quiet".to_owned(), upgrade("dist-upgrade")]);
    assert_eq!(ran(debian(), name, json!({"classification": "security"})), ["apt-get update --quiet", "unattended-upgrade"]);
    assert_eq!(
        ran(fedora(), name, json!({"classification": "security", "full": true})),
        ["dnf --assumeyes upgrade --security --allowerasing"]
    );
    assert_eq!(ran(alpine(), name, json!({})), ["apk upgrade --no-progress --update-cache"]);
    assert_eq!(
        ran(os("suse", "systemd", "zypper", "none"), name, json!({"classification": "security"})),
        ["zypper --non-interactive refresh", "zypper --non-interactive patch --category security"]
    );
    assert!(refusal(alpine(), name, json!({"classification": "security"})).contains("security updates apart"));
    assert!(refusal(Facts::default(), name, json!({})).contains("not known"));
    assert_eq!(ran(debian(), "InvokeUpdateScan", json!({})), ["apt-get update --quiet"]);
    assert_eq!(ran(fedora(), "InvokeUpdateScan", json!({})), ["dnf --assumeyes makecache"]);
}

#[test]
fn devices_are_restarted_and_turned_off_with_a_warning() {
    assert_eq!(ran(debian(), "Reboot", json!({})), ["shutdown -r -- +1 'Restart asked for by the administrators'"]);
    assert_eq!(ran(debian(), "Reboot", json!({"delay": 5, "message": "it's time; $(x)"})), ["shutdown -r -- +5 'it'\\''s time; $(x)'"]);
    assert_eq!(ran(alpine(), "Reboot", json!({"delay": 2})), ["reboot -d 120"]);
    assert_eq!(ran(debian(), "Shutdown", json!({"delay": 0})), ["shutdown -P -- +0 'Turned off by the administrators'"]);
    assert_eq!(ran(alpine(), "Shutdown", json!({})), ["poweroff -d 60"]);
}

#[test]
fn services_and_processes_are_named_as_data() {
    let control = |state: &str| json!({"name": "nginx", "state": state});
    assert_eq!(ran(debian(), "ServiceControl", control("restart")), ["systemctl restart -- nginx.service"]);
    assert_eq!(ran(alpine(), "ServiceControl", control("stop")), ["rc-service -- nginx status", "rc-service -- nginx stop"]);
    assert_eq!(ran(debian(), "ProcessKill", json!({"name": "a.out"})), ["pkill -TERM -x -- 'a[.]out'"]);
    assert_eq!(ran(debian(), "ProcessKill", json!({"pid": 4711, "force": true})), ["kill -KILL -- 4711"]);
    for (name, parameters) in [
        ("ServiceControl", json!({"name": "-x", "state": "stop"})),
        ("ServiceControl", json!({"name": "a;reboot", "state": "stop"})),
        ("ServiceControl", json!({"name": "nginx", "state": "mask"})),
        ("ProcessKill", json!({"pid": 1})),
        ("ProcessKill", json!({"name": "a", "pid": 5})),
        ("ProcessKill", json!({"name": ".*"})),
        ("Reboot", json!({"message": "two\nlines"})),
    ] {
        assert!(!action(name).check(&parameters).is_empty(), "{name} takes {parameters}");
    }
}

#[test]
fn temporary_files_and_caches_are_cleared() {
    let find = |days: u32| {
        format!(
            "find /tmp /var/tmp -xdev -mindepth 1 -path '*/systemd-private-*' -prune -o -type f -atime +{days} -mtime +{days} -exec rm -f -- '{{}}' +"
        )
    };
    assert_eq!(ran(debian(), "ClearTemp", json!({})), [find(7), "apt-get clean".to_owned()]);
    assert_eq!(ran(fedora(), "ClearTemp", json!({"days": 30, "packages": false})), [find(30)]);
    let mut resolved = debian();
    let services =
        json!({"systemd-resolved": {"state": "running", "startup": "enabled"}, "nscd": {"state": "stopped", "startup": "disabled"}});
    resolved.sections.insert("software.services".into(), Section::new(services, Status::Ok, chrono::DateTime::UNIX_EPOCH));
    assert_eq!(ran(resolved, "FlushDNS", json!({})), ["resolvectl flush-caches"]);
    assert_eq!(ran(debian(), "FlushDNS", json!({})), Vec::<String>::new());
}

#[test]
fn a_team_has_actions_of_its_own_and_their_mistakes_are_told() {
    let script = |head: &str, code: &str| vec![(Arc::<str>::from("scripts/a.rhai"), format!("{head}\n{code}\n"))];
    let head = "//! action: RestartApp\n//! summary: Restarts it.\n//! platforms: [linux]";
    let (catalog, problems) = Catalog::with_scripts(&script(head, "fn run(device, params) { device.run([\"app\"]); }"));
    assert_eq!(problems, []);
    assert!(catalog.actions.contains_key("RestartApp") && catalog.actions.contains_key("Reboot"));
    let code = |head: &str, code: &str| Catalog::with_scripts(&script(head, code)).1.iter().map(|p| p.code.clone()).collect::<Vec<_>>();
    assert_eq!(code(head, ""), ["RMM0607"]);
    assert_eq!(code(head, "fn run(device) {}"), ["RMM0607"]);
    assert_eq!(code(&format!("{head}\n//! by: engine"), ""), ["RMM0607"]);
    assert_eq!(code(&format!("{head}\n//! parametres: {{}}"), "fn run(device, params) {}"), ["RMM0605"]);
    assert_eq!(code(&format!("{head}\n//! parameters: {{type: object, properties: 5}}"), "fn run(device, params) {}"), ["RMM0608"]);
    assert_eq!(code(&format!("{head}\n//! examples: [{{x: 1}}]"), "fn run(device, params) {}"), ["RMM0609"]);
}
