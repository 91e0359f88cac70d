//! Updates with dnf, zypper and pacman for real, side by side in one fleet: what a device offers, what is installed, held, taken back.
//! With apk too where there is a program: `tests/apk`. Versions end in `-r1`, since apk takes no others.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::debian::{Debian, Device, Kind, Package};

const KINDS: [(Kind, &str); 4] = [(Kind::Dnf, "dnf-1"), (Kind::Zypper, "zypper-1"), (Kind::Pacman, "pacman-1"), (Kind::Apk, "apk-1")];

/// A device of each, with version 1 of these packages, declared.
fn fleet(packages: &[&str]) -> Option<(Debian, Vec<Device>)> {
    let debian = Debian::with_managers()?;
    let there = KINDS.iter().filter(|(kind, _)| kind.is_there());
    let devices: Vec<Device> = there.map(|(kind, name)| debian.device_of(*kind, name)).collect();
    for name in packages {
        publish(&devices, &Package::new(name, "1.0-r1"));
    }
    for device in &devices {
        for name in packages {
            device.install(name, "1.0-r1");
        }
    }
    declare(&debian, &devices);
    Some((debian, devices))
}

fn declare(debian: &Debian, devices: &[Device]) {
    debian.declare(&devices.iter().map(|device| (device, &["All"][..])).collect::<Vec<_>>());
}

fn publish(devices: &[Device], package: &Package) {
    for device in devices {
        device.publish(package);
    }
}

fn versions(devices: &[Device], package: &str) -> Vec<String> {
    devices.iter().map(|device| device.version(package).unwrap_or_else(|| "-".into())).collect()
}

fn items(debian: &Debian, args: &[&str]) -> Vec<Value> {
    debian.rmm(&[args, &["--output", "json"]].concat()).ends(0).json()["items"].as_array().unwrap().clone()
}

/// Rows of `rmm updates list --by-device` as text: device, update, versions, classification, severity, held.
fn offers(debian: &Debian) -> Vec<String> {
    let word = |row: &Value, key: &str| row[key].as_str().map_or_else(|| row[key].to_string(), str::to_owned);
    let keys = ["device", "update", "installed", "offered", "class", "severity", "held", "state"];
    items(debian, &["updates", "list", "--by-device"]).iter().map(|row| keys.map(|key| word(row, key)).join(" ")).collect()
}

fn run(debian: &Debian, action: &str, with: &[&str]) {
    let with: Vec<&str> = with.iter().flat_map(|one| ["-p", one]).collect();
    debian.rmm(&[&["run", action, "--on", "All", "--yes"], &with[..]].concat()).ends(0);
}

fn fact(debian: &Debian, device: &str, path: &str) -> Value {
    debian.rmm(&["collect", device, "--category", "software", "--force"]).ends(0);
    debian.rmm(&["facts", device, path, "--output", "json"]).ends(0).json()["facts"].clone()
}

#[test]
fn each_manager_tells_its_updates_installs_them_and_takes_them_back() {
    let Some((debian, devices)) = fleet(&["rmm-demo", "rmm-lib", "rmm-app"]) else { return };
    publish(&devices, &Package::new("rmm-demo", "2.0-r1").advisory("security", "Important"));
    publish(&devices, &Package::new("rmm-lib", "2.0-r1").advisory("bugfix", "None"));
    publish(&devices, &Package::new("rmm-app", "2.0-r1").depends("rmm-lib (>= 2.0-r1)"));
    let count = devices.len();
    let mut names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
    names.sort_unstable();
    debian.rmm(&["updates", "list"]).ends(0).says(&format!("not known of {} and {} more", names[0], count - 1));
    debian.rmm(&["updates", "scan"]).ends(0).says("3 updates, 3 approved");
    let mut offered = Vec::new();
    for name in names {
        // Those of RPM have advisories.
        let [demo, lib] = if ["dnf-1", "zypper-1"].contains(&name) { ["security high", "bugfix null"] } else { ["other null"; 2] };
        for (package, kind) in [("rmm-app", "other null"), ("rmm-demo", demo), ("rmm-lib", lib)] {
            offered.push(format!("{name} {package} 1.0-r1 2.0-r1 {kind} false approved"));
        }
    }
    assert_eq!(offers(&debian), offered);
    // What was denied does not come by the back door.
    debian.rmm(&["updates", "deny", "rmm-lib"]).ends(0);
    debian.rmm(&["updates", "install", "All", "--dry-run"]).ends(0).says("rmm-app");
    let said = debian.rmm(&["updates", "install", "All", "--yes"]).ends(0);
    let left = said.out.lines().filter(|line| line.contains("left out rmm-app 2.0-r1: it would also update rmm-lib")).count();
    assert_eq!(left, count, "{}", said.out);
    assert_eq!(versions(&devices, "rmm-demo"), vec!["2.0-r1"; count]);
    assert_eq!(versions(&devices, "rmm-lib"), vec!["1.0-r1"; count]);
    debian.rmm(&["updates", "forget", "rmm-lib"]).ends(0);
    let said = debian.rmm(&["updates", "install", "All", "--yes"]).ends(0);
    assert_eq!(said.out.matches("rmm-app 1.0-r1 -> 2.0-r1, rmm-lib 1.0-r1 -> 2.0-r1").count(), count, "{}", said.out);
    assert_eq!(offers(&debian), Vec::<String>::new());
    debian.rmm(&["updates", "install", "All", "--yes"]).ends(0).says("Nothing is offered that is approved");
    for device in &devices {
        let said = debian.rmm(&["updates", "rollback", &device.name, "--yes"]).ends(0);
        said.says("rmm-app 2.0-r1 -> 1.0-r1").says("rmm-lib 2.0-r1 -> 1.0-r1");
        let history = items(&debian, &["updates", "history", &device.name]);
        assert_eq!(history.len(), 5, "{history:#?}");
    }
    assert_eq!(versions(&devices, "rmm-lib"), vec!["1.0-r1"; count]);
    assert_eq!(versions(&devices, "rmm-demo"), vec!["2.0-r1"; count]);
    held(&debian, &devices);
    taken_back(&debian, devices);
}

/// What a device holds back is told as such, and left alone.
fn held(debian: &Debian, devices: &[Device]) {
    let count = devices.len();
    twice(debian, devices, "HoldUpdates", &["names=[\"rmm-app\"]"]);
    debian.rmm(&["updates", "scan"]).ends(0).says("2 updates, 2 approved");
    let told = |rows: &[String]| rows.iter().map(|row| row.split(' ').nth(6).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(told(&offers(debian)), ["true", "false"].repeat(count), "{:#?}", offers(debian));
    let said = debian.rmm(&["updates", "install", "All", "--yes"]).ends(0);
    assert_eq!(said.out.matches("left out rmm-app 2.0-r1: the device holds it back").count(), count, "{}", said.out);
    assert_eq!(versions(devices, "rmm-app"), vec!["1.0-r1"; count]);
    assert_eq!(versions(devices, "rmm-lib"), vec!["2.0-r1"; count]);
    twice(debian, devices, "HoldUpdates", &["names=[\"rmm-app\"]", "hold=false"]);
    debian.rmm(&["updates", "scan"]).ends(0);
    assert_eq!(told(&offers(debian)), vec!["false"; count]);
}

/// A bad update goes from every kind of device at once, and does not come back.
fn taken_back(debian: &Debian, mut devices: Vec<Device>) {
    debian.publish("1.0-r1");
    debian.publish("2.0-r1");
    let apt = debian.device("apt-1");
    apt.install("rmm-demo", "2.0-r1");
    devices.push(apt);
    let count = devices.len();
    declare(debian, &devices);
    debian.rmm(&["updates", "scan"]).ends(0);
    assert_eq!(versions(&devices, "rmm-demo"), vec!["2.0-r1"; count]);
    debian.rmm(&["updates", "deny", "rmm-demo", "-m", "2.0-r1 drops connections"]).ends(0);
    let said = debian.rmm(&["updates", "uninstall", "rmm-demo=2.0-r1", "--yes", "-m", "drops connections"]).ends(0);
    debian.rmm(&["updates", "forget", "rmm-demo"]).ends(0);
    assert_eq!(said.out.matches("rmm-demo 2.0-r1 -> 1.0-r1").count(), count, "{}", said.out);
    assert!(!said.out.contains("not held"), "{}", said.out);
    assert_eq!(versions(&devices, "rmm-demo"), vec!["1.0-r1"; count]);
    let rows = items(debian, &["updates", "list", "--by-device", "--name", "rmm-demo"]);
    let denied =
        |row: &&Value| row["held"] == true && row["state"] == "denied" && row["because"].as_str().unwrap().ends_with("drops connections");
    assert_eq!(rows.iter().filter(denied).count(), count, "{rows:#?}");
    debian.rmm(&["updates", "install", "*", "--name", "rmm-demo", "--yes"]).ends(0).says("Nothing is offered that is approved");
    debian.rmm(&["updates", "uninstall", "rmm-demo=2.0-r1", "--yes"]).ends(0).says("No device is known to have it");
    twice(debian, &devices, "UninstallUpdate", &["name=rmm-demo", "bad=2.0-r1"]);
    // The device's own updates do not bring it either.
    for device in &devices {
        let words = match device.kind {
            Kind::Apt => "apt-get -y -qq upgrade",
            Kind::Dnf => "dnf -y -q upgrade",
            Kind::Zypper => "zypper -q -n update",
            Kind::Pacman => "pacman -Su --noconfirm",
            Kind::Apk => "apk upgrade",
        };
        device.run(&words.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(versions(&devices, "rmm-demo"), vec!["1.0-r1"; count]);
    // A better one comes, and is let in.
    publish(&devices[..count - 1], &Package::new("rmm-demo", "3.0-r1"));
    debian.publish("3.0-r1");
    debian.rmm(&["run", "HoldUpdates", "--on", "*", "--yes", "-p", "names=[\"rmm-demo\"]", "-p", "hold=false"]).ends(0);
    debian.rmm(&["updates", "scan"]).ends(0);
    debian.rmm(&["updates", "install", "*", "--yes"]).ends(0);
    assert_eq!(versions(&devices, "rmm-demo"), vec!["3.0-r1"; count]);
}

/// Carries an action out twice: the second time nothing changes.
fn twice(debian: &Debian, devices: &[Device], action: &str, with: &[&str]) {
    let state = |device: &Device| {
        let files = ["etc/dnf/plugins/versionlock.list", "etc/zypp/locks", "etc/pacman.conf", "etc/apk/world", "var/lib/dpkg/status"];
        let texts = files.map(|file| std::fs::read_to_string(device.path(file)).unwrap_or_default());
        (["rmm-demo", "rmm-lib", "rmm-app"].map(|name| device.version(name)), texts)
    };
    run(debian, action, with);
    let first: Vec<_> = devices.iter().map(state).collect();
    run(debian, action, with);
    for (device, first) in devices.iter().zip(first) {
        assert_eq!(state(device), first, "{action} on {}", device.name);
    }
}

#[test]
fn packages_are_as_the_policy_wants_them_and_a_new_core_asks_for_a_restart() {
    let Some((debian, devices)) = fleet(&["rmm-gone", "rmm-old", "rmm-lib"]) else { return };
    for version in ["1.0-r1", "2.0-r1", "3.0-r1"] {
        publish(&devices, &Package::new("rmm-new", version));
        publish(&devices, &Package::new("rmm-old", version));
    }
    publish(&devices, &Package::new("rmm-lib", "2.0-r1"));
    // pacman knows the newest version only.
    let others = devices.iter().filter(|device| device.kind != Kind::Pacman);
    let targets = others.map(|device| format!("{{device: {}}}", device.name)).collect::<Vec<_>>().join(", ");
    let each = |one: &'static str, pacman: &'static str| {
        devices.iter().map(|device| if device.kind == Kind::Pacman { pacman } else { one }).collect::<Vec<_>>()
    };
    let policy = |settings: &str, targets: &str| {
        format!("policies:\n  P:\n    targets: [{targets}]\n    remediate: true\n    settings:\n      Packages: {settings}\n")
    };
    let exact = "{rmm-new: {version: \"=2.0-r1\"}, rmm-gone: absent, rmm-old: {version: \">=3\"}, rmm-lib: present}";
    debian.file("policies/p.yaml", &policy(exact, &targets));
    debian.file(
        "policies/q.yaml",
        &policy("{rmm-new: present, rmm-gone: absent, rmm-old: {version: \">=3\"}, rmm-lib: present}", "{device: pacman-1}")
            .replace("P:", "Q:"),
    );
    let apply = || {
        debian.rmm(&["collect", "All", "--category", "software"]).ends(0);
        debian.rmm(&["apply", "--auto-approve"]).ends(0);
        // Everything is as it should be now.
        debian.rmm(&["plan", "--refresh", "always", "--detailed-exitcode"]).ends(0);
    };
    apply();
    assert_eq!(versions(&devices, "rmm-new"), each("2.0-r1", "3.0-r1"));
    assert_eq!(versions(&devices, "rmm-gone"), each("-", "-"));
    assert_eq!(versions(&devices, "rmm-old"), each("3.0-r1", "3.0-r1"));
    assert_eq!(versions(&devices, "rmm-lib"), each("1.0-r1", "1.0-r1"), "what is there is left alone");
    // Back to an older one, and gone without what others need.
    std::fs::remove_file(debian.repo().join("policies/q.yaml")).unwrap();
    debian.file("policies/p.yaml", &policy("{rmm-new: {version: \"=1.0-r1\"}, rmm-old: absent}", &targets));
    apply();
    assert_eq!(versions(&devices, "rmm-new"), each("1.0-r1", "3.0-r1"));
    assert_eq!(versions(&devices, "rmm-old"), each("-", "3.0-r1"));
    restarts(&debian, &devices);
}

/// A device whose core was replaced asks for a restart until it was restarted.
fn restarts(debian: &Debian, devices: &[Device]) {
    let required = |device: &Device| fact(debian, &device.name, "software.pending_reboot");
    for device in &devices[..2] {
        assert_eq!(required(device), json!({"required": false, "reasons": []}), "{}", device.name);
        device.publish(&Package::new("glibc", "2.40-1"));
        device.install("glibc", "2.40-1");
        assert_eq!(required(device), json!({"required": true, "reasons": ["updated since it was started: glibc"]}), "{}", device.name);
    }
    // dnf says the same.
    let said = devices[0].sh("dnf -q needs-restarting -r", b"");
    assert_eq!(said.status.code(), Some(1), "{}", String::from_utf8_lossy(&said.stdout));
    for device in &devices[..2] {
        started(device, SystemTime::now() + Duration::from_mins(2));
        assert_eq!(required(device), json!({"required": false, "reasons": []}), "{}", device.name);
    }
    // With pacman the modules of the kernel that runs are gone.
    let arch = &devices[2];
    let release = std::fs::read_to_string(arch.path("proc/sys/kernel/osrelease")).unwrap();
    let modules = arch.path("usr/lib/modules");
    std::fs::create_dir_all(modules.join(release.trim())).unwrap();
    std::fs::write(modules.join(release.trim()).join("pkgbase"), "linux\n").unwrap();
    assert_eq!(required(arch), json!({"required": false, "reasons": []}));
    std::fs::rename(modules.join(release.trim()), modules.join("9.9.9-arch1-1")).unwrap();
    assert_eq!(required(arch), json!({"required": true, "reasons": ["the kernel that runs is no longer installed"]}));
}

/// Lets the device say that it was started then.
fn started(device: &Device, at: SystemTime) {
    let path = device.path("proc/stat");
    let at = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| if line.starts_with("btime ") { format!("btime {at}\n") } else { format!("{line}\n") });
    std::fs::write(path, lines.collect::<String>()).unwrap();
}
