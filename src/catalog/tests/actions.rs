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
const SAID: [&str; 5] =
    ["cannot hold packages back", "not known", "without systemd", "cannot be reloaded", "named by the number of its article"];

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
fn updates_are_installed_by_the_devices_own_manager_in_the_versions_that_were_approved() {
    let given = json!({"packages": [{"name": "openssl", "version": "3.0.16-1", "from": "3.0.15-1"}]});
    let full = json!({"packages": [{"name": "openssl", "version": "1:3.0.16-1"}], "full": true});
    let suse = || os("suse", "systemd", "zypper", "none");
    let apt = "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --only-upgrade -o Dpkg::Options::=--force-confdef \
               -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120";
    for (facts, parameters, expected) in [
        (
            debian(),
            &given,
            vec![
                "apt-get --simulate --quiet=2 install --only-upgrade -- openssl=3.0.16-1".to_owned(),
                format!("{apt} --no-remove -- openssl=3.0.16-1"),
            ],
        ),
        (
            debian(),
            &full,
            vec![
                "apt-get --simulate --quiet=2 install --only-upgrade -- openssl=1:3.0.16-1".to_owned(),
                format!("{apt} -- openssl=1:3.0.16-1"),
            ],
        ),
        (
            fedora(),
            &full,
            vec![
                "dnf --assumeno --setopt=metadata_expire=-1 upgrade --allowerasing -- openssl-1:3.0.16-1".to_owned(),
                "dnf --assumeyes --setopt=metadata_expire=-1 upgrade --allowerasing -- openssl-1:3.0.16-1".to_owned(),
            ],
        ),
        (
            suse(),
            &given,
            vec![
                "zypper --non-interactive --no-refresh install --no-recommends --dry-run -- openssl=3.0.16-1".to_owned(),
                "zypper --non-interactive --no-refresh install --no-recommends -- openssl=3.0.16-1".to_owned(),
            ],
        ),
        (
            alpine(),
            &given,
            vec![
                "apk upgrade --simulate --cache-max-age 5256000 -- openssl".to_owned(),
                "apk upgrade --no-progress --cache-max-age 5256000 -- openssl".to_owned(),
            ],
        ),
        (
            os("arch", "systemd", "pacman", "none"),
            &given,
            vec![
                "pacman --query --upgrades".to_owned(),
                "pacman --sync --print --print-format '%n %v' -- openssl".to_owned(),
                "pacman --sync --noconfirm -- openssl".to_owned(),
            ],
        ),
    ] {
        // Before and after the package manager is asked which versions there are.
        let commands = ran(facts, "InstallUpdates", parameters.clone());
        assert_eq!(commands[1..commands.len() - 1], expected);
        assert_eq!(commands.first(), commands.last());
    }
    assert_eq!(ran(debian(), "InstallUpdates", json!({})), Vec::<String>::new());
    assert!(refusal(Facts::default(), "InstallUpdates", json!({})).contains("not known"));
    assert_eq!(ran(debian(), "InvokeUpdateScan", json!({})), ["apt-get update --quiet"]);
    assert_eq!(ran(fedora(), "InvokeUpdateScan", json!({})), ["dnf --assumeyes makecache"]);
    assert_eq!(ran(alpine(), "InvokeUpdateScan", json!({})), ["apk update --update-cache"]);
    for hostile in [json!({"packages": [{"name": "-o", "version": "1"}]}), json!({"packages": [{"name": "a", "version": "1 --purge"}]})] {
        assert!(!action("InstallUpdates").check(&hostile).is_empty(), "{hostile}");
    }
}

/// Answers some commands by their first words, everything else with nothing; the version query answers one after another.
struct Answers {
    facts: Facts,
    versions: Vec<&'static str>,
    rules: Vec<(&'static str, i32, &'static str)>,
    ran: Vec<String>,
}

impl crate::script::Host for Answers {
    fn perform(&mut self, operation: &crate::model::Operation) -> Result<crate::model::operation::Reply, crate::script::HostError> {
        let line = render(operation).line;
        let mut reply = crate::model::operation::Reply::default();
        if ["rpm ", "apk info", "pacman --query", "dpkg-query"].iter().any(|query| line.starts_with(query)) {
            reply.stdout = (if self.versions.len() > 1 { self.versions.remove(0) } else { self.versions[0] }).to_owned();
        } else if let Some((_, code, text)) = self.rules.iter().find(|(begin, ..)| line.starts_with(begin)) {
            (reply.code, reply.stdout) = (*code, (*text).to_owned());
        }
        self.ran.push(line);
        Ok(reply)
    }

    fn fact(&self, path: &str) -> Option<Value> {
        self.facts.value(path).cloned()
    }
}

#[test]
fn what_every_package_manager_would_do_besides_is_read_from_its_own_words() {
    let given = json!({"packages": [{"name": "xz", "version": "5.2.4-1"}, {"name": "tar", "version": "1.35-1"}]});
    let suse = os("suse", "systemd", "zypper", "none");
    let arch = os("arch", "systemd", "pacman", "none");
    let rpm = "xz\t5.2.3-1\tinstalled\ntar\t1.34-1\tinstalled\nlib\t1-1\tinstalled\n";
    let dnf = "Dependencies resolved.\n====\n Package  Arch  Version  Repo  Size\n====\nUpgrading:\n xz  x86_64  5.2.4-1  base  1 k\n \
               a-name-that-is-longer-than-its-column\n         noarch  2-1  base  1 k\n\nTransaction Summary\nUpgrade 2\nOperation aborted.\n";
    for (facts, before, rule, expected) in [
        (
            fedora(),
            rpm,
            ("dnf --assumeno", 1, dnf),
            "it would also update a-name-that-is-longer-than-its-column to 2-1, which is not approved",
        ),
        (
            suse,
            rpm,
            (
                "zypper --non-interactive --no-refresh install --no-recommends --dry-run",
                0,
                "The following 2 packages are going to be upgraded:\n  lib xz\n\n2 to upgrade.\n",
            ),
            "it would also update lib, which is not approved",
        ),
        (
            alpine(),
            "xz-5.2.3-r1\ntar-1.34-r0\n",
            ("apk upgrade --simulate", 0, "(1/2) Upgrading xz (5.2.3-r1 -> 5.2.4-1)\n(2/2) Installing libz (1-r0)\nOK: 5 MiB\n"),
            "it needs libz, which is not installed; full allows that",
        ),
        (
            alpine(),
            "xz-5.2.3-r1\ntar-1.34-r0\n",
            ("apk upgrade --simulate", 0, "( 1/10) Upgrading libz (1-r0 -> 2-r0)\n(10/10) Upgrading xz (5.2.3-r1 -> 5.2.4-1)\nOK: 5 B\n"),
            "it would also update libz to 2-r0, which is not approved",
        ),
        (
            arch,
            "xz 5.2.3-1\ntar 1.34-1\n",
            ("pacman --sync --print", 0, "xz 5.2.4-1\nxz-libs 5.2.4-1\n"),
            "it needs xz-libs, which is not installed",
        ),
    ] {
        let host = Arc::new(Mutex::new(Answers { facts, versions: vec![before], rules: vec![rule], ran: Vec::new() }));
        let shared: SharedHost = host.clone();
        let result = action("InstallUpdates").program.run(&shared, &given).unwrap();
        let reasons: Vec<&str> = result["left"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons.len(), 2, "{result}");
        assert!(reasons[0].starts_with(expected), "{reasons:?}");
        assert_eq!(result["installed"], json!([]));
        let ran = host.lock().unwrap().ran.join("\n");
        assert!(!ran.contains("--assumeyes") && !ran.contains("--noconfirm") && !ran.contains("apk upgrade --no-progress"), "{ran}");
    }
}

#[test]
fn the_result_names_every_change_and_undoing_goes_back_by_it() {
    let given = json!({"packages": [{"name": "xz", "version": "5.2.4-1", "from": "5.2.3-1"}]});
    let (before, after) =
        ("xz\t5.2.3-1\tinstalled\nkernel\t1-1\tinstalled\n", "xz\t5.2.4-1\tinstalled\nkernel\t1-1\tinstalled\nkernel\t2-1\tinstalled\n");
    let host =
        Arc::new(Mutex::new(Answers { facts: fedora(), versions: vec![before, after, after, before], rules: Vec::new(), ran: Vec::new() }));
    let shared: SharedHost = host.clone();
    let program = &action("InstallUpdates").program;
    let result = program.run(&shared, &given).unwrap();
    assert_eq!(
        result["installed"],
        json!([{"from": "1-1", "package": "kernel", "to": "1-1, 2-1"}, {"from": "5.2.3-1", "package": "xz", "to": "5.2.4-1"}])
    );
    host.lock().unwrap().ran.clear();
    let undone = program.undo(&shared, &given, &result).unwrap();
    let ran = host.lock().unwrap().ran.clone();
    assert_eq!(ran[1..3], ["dnf --assumeyes --setopt=metadata_expire=-1 downgrade -- xz-5.2.3-1", "dnf --assumeyes remove -- kernel-2-1"]);
    assert_eq!(undone["restored"].as_array().unwrap().len(), 2, "{undone}");
    // Begun again after a crash, it finds everything done, and still tells where each came from.
    let host: SharedHost = Arc::new(Mutex::new(Answers { facts: fedora(), versions: vec![after], rules: Vec::new(), ran: Vec::new() }));
    assert_eq!(program.run(&host, &given).unwrap()["installed"], json!([{"from": "5.2.3-1", "package": "xz", "to": "5.2.4-1"}]));
}

#[test]
fn undoing_updates_of_apk_leaves_nothing_held_that_was_not() {
    let names = ["xz", "zlib", "musl"];
    let given = json!({"packages": names.map(|name| json!({"name": name, "version": "2-r0", "from": "1-r0"}))});
    let installed = names.map(|name| json!({"package": name, "from": "1-r0", "to": "2-r0"}));
    let versions = vec!["musl-2-r0\nxz-2-r0\nzlib-2-r0\n", "musl-1-r0\nxz-1-r0\nzlib-1-r0\n"];
    let rules = vec![("cat /etc/apk/world", 0, "busybox\nxz\nxz-doc=2\nzlib>1\n")];
    let host = Arc::new(Mutex::new(Answers { facts: alpine(), versions, rules, ran: Vec::new() }));
    let shared: SharedHost = host.clone();
    let undone = action("InstallUpdates").program.undo(&shared, &given, &json!({"installed": installed, "left": []})).unwrap();
    let ran = host.lock().unwrap().ran.clone();
    let expected = [
        "cat /etc/apk/world",
        "apk add --no-progress -- xz=1-r0 zlib=1-r0 musl=1-r0",
        "apk add --no-progress -- xz 'zlib>1'",
        "apk del --no-progress -- musl",
    ];
    assert_eq!(ran[1..ran.len() - 1], expected);
    assert_eq!(undone["restored"].as_array().unwrap().len(), 3, "{undone}");
}

#[test]
fn a_bad_update_is_taken_back_in_each_managers_own_words() {
    let given =
        |to: &str| if to.is_empty() { json!({"name": "nginx", "bad": "2-1"}) } else { json!({"name": "nginx", "bad": "2-1", "to": to}) };
    assert!(ran(debian(), "UninstallUpdate", given("1-1")).iter().any(|line| line.ends_with(
        "--no-remove -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=120 -- nginx=1-1"
    )));
    assert!(ran(debian(), "UninstallUpdate", given("1-1")).contains(&"apt-mark hold -- nginx".to_owned()));
    assert!(ran(fedora(), "UninstallUpdate", given("")).contains(&"dnf --assumeyes downgrade -- nginx".to_owned()));
    assert!(ran(alpine(), "UninstallUpdate", given("")).contains(&"apk add --no-progress -- 'nginx<2-1'".to_owned()));
    let suse = os("suse", "systemd", "zypper", "none");
    assert!(
        ran(suse, "UninstallUpdate", given(""))
            .contains(&"zypper --non-interactive install --no-recommends --oldpackage -- 'nginx<2-1'".to_owned())
    );
    assert_eq!(ran(debian(), "HoldUpdates", json!({"names": ["nginx"], "hold": false})), ["apt-mark unhold -- nginx"]);
    let arch = os("arch", "systemd", "pacman", "none");
    assert!(ran(arch.clone(), "HoldUpdates", json!({"names": ["nginx"]})).concat().contains("/a IgnorePkg = nginx"));
    assert!(ran(arch, "HoldUpdates", json!({"names": ["a.b"], "hold": false})).concat().contains("s/([[:space:]=])a\\.b"));
}

#[test]
fn zypper_installs_from_the_other_repositories_where_one_cannot_be_fetched() {
    let facts = os("suse", "systemd", "zypper", "none");
    let rules = vec![("zypper --non-interactive refresh", 4, "")];
    let host = Arc::new(Mutex::new(Answers { facts, versions: vec![""], rules, ran: Vec::new() }));
    let shared: SharedHost = host.clone();
    setting("Packages").program.apply(&shared, Some("nginx"), &json!({"version": ">=1.26"}), Some(&json!("1.24-1"))).unwrap();
    let expected = ["zypper --non-interactive refresh", "zypper --non-interactive install --no-recommends -- nginx"];
    assert_eq!(host.lock().unwrap().ran, expected);
}

#[test]
fn apk_holds_the_version_that_is_installed_now() {
    let mut facts = alpine();
    facts.sections.extend(self::facts(&[("software.packages", json!({"nginx": "1.26.1-r0"}))]).sections);
    let host = Arc::new(Mutex::new(Answers { facts, versions: vec!["nginx-1.26.2-r1\n"], rules: Vec::new(), ran: Vec::new() }));
    let shared: SharedHost = host.clone();
    action("HoldUpdates").program.run(&shared, &json!({"names": ["nginx"]})).unwrap();
    assert_eq!(host.lock().unwrap().ran.last().unwrap(), "apk add --no-progress -- nginx=1.26.2-r1");
}

#[test]
fn apk_lets_go_of_what_the_collector_tells_as_held() {
    let world = "musl\nnginx~1.26\nopenssl<3.4\nzlib=1.3-r2\nbash>=5\nbash-doc=5\n";
    let rules = vec![("cat /etc/apk/world", 0, world)];
    let host = Arc::new(Mutex::new(Answers { facts: alpine(), versions: vec![""], rules, ran: Vec::new() }));
    let shared: SharedHost = host.clone();
    let given = json!({"names": ["musl", "nginx", "openssl", "zlib", "bash"], "hold": false});
    action("HoldUpdates").program.run(&shared, &given).unwrap();
    let add = |name: &str| format!("apk add --no-progress -- {name}");
    assert_eq!(host.lock().unwrap().ran[1..], [add("nginx"), add("openssl"), add("zlib")]);
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
