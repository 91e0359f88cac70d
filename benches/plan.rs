//! Planning 10,000 devices with 50 settings from stored facts: cold (every device judged) and warm (nothing changed).
//!
//! `cargo bench --bench plan`. With `RMM_BENCH_REPO=DIR` the repository and its database are written to DIR and kept, for
//! measuring the whole program: `rmm -C DIR plan --refresh never`.
#![allow(clippy::print_stdout, reason = "a tool for people")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use criterion::Criterion;
use rmm::access::{Redactor, SecretStore};
use rmm::apply::survey::Survey;
use rmm::model::facts::{Section, Status};
use rmm::plan::{PlanOptions, Scope};
use rmm::repo::{LoadOptions, PolicySet};
use rmm::store::{Merge, Observation, Store};
use rmm::time::{Clock, SystemClock};
use serde_json::{Value, json};

const DEVICES: usize = 10_000;
const PER_FILE: usize = 500;
/// One device in so many differs from what it should be.
const DEVIATING: usize = 50;

const CONFIG: &str = "[general]\norganization = \"Benchmark\"\ndefault_site = \"Main\"\n";

const GROUPS: &str = "\
groups:
  Servers: {}
  Web: {parent: Servers}
  Databases: {parent: Servers}
  Small: {match: {where: 'facts.hardware.memory.total_gb < 8'}}
sites:
  Main: {timezone: Europe/Berlin}
  North: {timezone: Europe/Oslo}
";

/// Fifty settings in five policies; four of them come to most devices.
const POLICIES: &str = "\
policies:
  Baseline:
    targets: ['*']
    remediate: true
    settings:
      Timezone: Europe/Berlin
      Firewall: Enabled
      TimeSync: Enabled
      PasswordMinLength: 12
      PasswordMaxAge: 365
      Sysctl:
        net.ipv4.ip_forward: 0
        net.ipv4.conf.all.accept_redirects: 0
        net.ipv4.conf.all.send_redirects: 0
        net.ipv4.conf.all.rp_filter: 1
        net.ipv4.tcp_syncookies: 1
        kernel.dmesg_restrict: 1
        kernel.kptr_restrict: 2
        kernel.randomize_va_space: 2
        fs.protected_symlinks: 1
        fs.suid_dumpable: 0
      KernelModules: {cramfs: blocked, usb-storage: blocked}
  Access:
    targets: [Servers]
    remediate: approve
    severity: high
    settings:
      SshdConfig:
        PermitRootLogin: 'no'
        PasswordAuthentication: 'no'
        PermitEmptyPasswords: 'no'
        X11Forwarding: 'no'
        MaxAuthTries: 4
        ClientAliveInterval: 300
        LoginGraceTime: 60
      Users:
        deploy: {shell: /bin/bash, groups: [adm]}
        guest: absent
      Files:
        /etc/motd: {content: \"Property of Example Ltd.\\n\", mode: '0644', owner: root}
        /etc/ssh/sshd_config: {mode: '0600', owner: root}
        /etc/passwd: {mode: '0644', owner: root, group: root}
        /etc/hosts.equiv: absent
  Software:
    targets: [Servers]
    remediate: true
    settings:
      Packages:
        openssl: {version: '>=3.0'}
        curl: present
        rsync: present
        telnet: absent
        rsh-client: absent
        nis: absent
      Services:
        ssh: {state: running, startup: enabled}
        cron: {state: running, startup: enabled}
        avahi-daemon: {state: stopped, startup: disabled}
        rsyslog: {state: running}
  Web:
    targets: [Web]
    remediate: true
    activeHours: '20:00-06:00'
    timezone: Europe/Berlin
    settings:
      Packages: {nginx: present, certbot: present, apache2: absent}
      Services: {nginx: {state: running, startup: enabled}}
      Sysctl: {net.core.somaxconn: 1024}
  SmallMachines:
    targets: [Small]
    settings:
      Sysctl: {vm.swappiness: 10}
      Packages: {thunderbird: absent, libreoffice-core: absent}
      Services: {bluetooth: {state: stopped}, cups: {state: stopped}}
";

fn devices(from: usize) -> String {
    let mut text = String::from("devices:\n");
    for i in from..from + PER_FILE {
        let group = if i % 2 == 0 { "Web" } else { "Databases" };
        let site = if i % 3 == 0 { "North" } else { "Main" };
        let _ = writeln!(
            text,
            "  {}:\n    address: 10.{}.{}.{}\n    site: {site}\n    groups: [{group}]\n    tags: [production, rack-{}]\n    os: linux\n    vars: {{slot: {i}}}",
            name(i),
            i / 65_536,
            i / 256 % 256,
            i % 256,
            i % 40,
        );
    }
    text
}

fn name(i: usize) -> String {
    format!("srv-{i:05}")
}

/// A number that looks random and is always the same.
fn mix(i: usize, salt: usize) -> usize {
    let mut x = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (salt as u64).wrapping_mul(0xC2B2_AE3D_27D4_EB4F);
    x ^= x >> 31;
    x = x.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (x >> 20) as usize
}

fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect())
}

/// What a Linux server says of itself, about 16 KB of it. Packages, accounts, network and hardware differ on every device.
fn facts(i: usize) -> Vec<(&'static str, Value)> {
    let deviates = i.is_multiple_of(DEVIATING);
    let yes_no = |yes: bool| if yes { "yes" } else { "no" };
    let gb = [4.0, 8.0, 16.0, 32.0, 64.0][mix(i, 1) % 5];
    let mut packages: BTreeMap<String, Value> = (0..220)
        .map(|n| (format!("lib-package-{n}"), json!(format!("{}.{}.{}-{}+deb12u1", n % 7, n % 13, mix(i % 40, n) % 10, n % 5))))
        .collect();
    packages.extend((0..6).map(|n| (format!("extra-{}", mix(i, n) % 5000), json!("1.0-1"))));
    for known in ["openssl", "curl", "rsync", "openssh-server", "cron", "rsyslog", "nginx", "certbot"] {
        packages.insert(known.into(), json!("3.0.15-1~deb12u1"));
    }
    if deviates {
        packages.insert("telnet".into(), json!("0.17-2"));
        packages.remove("rsync");
    }
    let mut services: BTreeMap<String, Value> = (0..70)
        .map(|n| {
            (
                format!("unit-{n}"),
                json!({"state": if n % 3 == 0 { "running" } else { "stopped" }, "startup": (["enabled", "disabled", "static"][n % 3])}),
            )
        })
        .collect();
    for known in ["ssh", "cron", "rsyslog", "nginx"] {
        services
            .insert(known.into(), json!({"state": if deviates && known == "cron" { "stopped" } else { "running" }, "startup": "enabled"}));
    }
    let account = |uid: usize, groups: Value| json!({"uid": uid, "gid": uid, "home": format!("/home/u{uid}"), "shell": "/bin/bash", "comment": "", "locked": false, "groups": groups, "password_max_days": 99999});
    let mut users: BTreeMap<String, Value> = (0..24).map(|n| (format!("user{n}"), account(1000 + n + mix(i, n) % 50, json!([])))).collect();
    users.insert("deploy".into(), account(990, json!(["adm"])));
    let mut sshd: BTreeMap<String, Value> = (0..60).map(|n| (format!("option{n}"), json!("none"))).collect();
    for (key, value) in [
        ("permitrootlogin", yes_no(deviates)),
        ("passwordauthentication", "no"),
        ("permitemptypasswords", "no"),
        ("x11forwarding", yes_no(deviates)),
        ("maxauthtries", "4"),
        ("clientaliveinterval", "300"),
        ("logingracetime", "60"),
        ("port", "22"),
    ] {
        sshd.insert(key.into(), json!(value));
    }
    let sysctl = |key: &str, value: &str| (key.to_owned(), json!({"runtime": value, "configured": value}));
    let file = |path: &str, mode: &str, content: &str| {
        use sha2::Digest;
        (
            path.to_owned(),
            json!({"type": "file", "mode": mode, "owner": "root", "group": "root", "size": content.len(), "sha256": hex::encode(sha2::Sha256::digest(content))}),
        )
    };
    vec![
        (
            "hardware.system",
            json!({"vendor": "Example", "product": "Server 9", "version": "1", "serial": format!("SN{i:08}"), "uuid": format!("{:032x}", mix(i, 2)), "chassis": "server", "virtualization": "kvm"}),
        ),
        (
            "hardware.cpu",
            json!({"model": "Example CPU", "vendor": "Example", "architecture": "x86_64", "sockets": 2, "cores": 16, "threads": 32, "mhz_max": 3200}),
        ),
        ("hardware.memory", json!({"total_bytes": (gb * 1e9) as u64, "total_gb": gb, "swap_total_bytes": 0, "modules": null})),
        (
            "hardware.disks",
            json!([{"name": "sda", "model": "Disk", "vendor": "Example", "serial": format!("D{i:08}"), "size_bytes": 512_000_000_000_u64, "rotational": false, "removable": false, "bus": "sata"}]),
        ),
        (
            "hardware.mounts",
            map((0..12).map(|n| {
                (format!("/mount/{n}"), json!({"device": format!("/dev/sda{n}"), "fs": "ext4", "options": ["rw", "nosuid", "relatime"]}))
            })),
        ),
        (
            "software.os",
            json!({"family": "linux", "id": "debian", "id_like": [], "name": "Debian GNU/Linux", "pretty_name": "Debian GNU/Linux 12 (bookworm)", "version_id": "12", "codename": "bookworm", "kernel": "6.1.0-28-amd64", "architecture": "x86_64", "hostname": name(i), "fqdn": null, "timezone": "Europe/Berlin", "boot_time": "2026-01-01T00:00:00Z", "init": "systemd", "package_manager": "apt", "machine_id": format!("{:032x}", mix(i, 3)), "is_root": true}),
        ),
        ("software.packages", map(packages)),
        ("software.services", map(services)),
        ("security.users", map(users)),
        ("security.firewall", json!({"enabled": true, "backend": "nftables"})),
        ("security.sshd", map(sshd)),
        (
            "security.password_policy",
            json!({"min_length": if deviates { 8 } else { 14 }, "max_age_days": 365, "min_age_days": 1, "warn_age_days": 7, "history": null}),
        ),
        ("security.time_sync", json!({"service": "chrony", "enabled": true, "servers": ["0.pool.ntp.org"], "synchronized": true})),
        (
            "network.interfaces",
            json!([{"name": "eth0", "mac": format!("02:00:00:{:02x}:{:02x}:{:02x}", i >> 16 & 255, i >> 8 & 255, i & 255), "mtu": 1500, "state": "up", "addresses": [format!("10.{}.{}.{}/16", i / 65_536, i / 256 % 256, i % 256)]}]),
        ),
        (
            "network.listeners",
            json!(
                (0..20)
                    .map(|n| json!({"protocol": "tcp", "address": "0.0.0.0", "port": 1000 + n, "process": "daemon"}))
                    .collect::<Vec<_>>()
            ),
        ),
        (
            "sysctl",
            map([
                sysctl("net.ipv4.ip_forward", if deviates { "1" } else { "0" }),
                sysctl("net.ipv4.conf.all.accept_redirects", "0"),
                sysctl("net.ipv4.conf.all.send_redirects", "0"),
                sysctl("net.ipv4.conf.all.rp_filter", "1"),
                sysctl("net.ipv4.tcp_syncookies", "1"),
                sysctl("kernel.dmesg_restrict", "1"),
                sysctl("kernel.kptr_restrict", "2"),
                sysctl("kernel.randomize_va_space", "2"),
                sysctl("fs.protected_symlinks", "1"),
                sysctl("fs.suid_dumpable", "0"),
                sysctl("net.core.somaxconn", "1024"),
                sysctl("vm.swappiness", "10"),
            ]),
        ),
        ("modules", map(["cramfs", "usb-storage"].map(|n| (n.to_owned(), json!({"loaded": false, "blocked": true, "available": true}))))),
        (
            "files",
            map([
                file("/etc/motd", "0644", if deviates { "Hello\n" } else { "Property of Example Ltd.\n" }),
                file("/etc/ssh/sshd_config", "0600", &name(i)),
                file("/etc/passwd", "0644", &name(i)),
                ("/etc/hosts.equiv".to_owned(), json!({"type": "absent"})),
            ]),
        ),
    ]
}

fn write_repository(root: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(root.join("policies"))?;
    std::fs::create_dir_all(root.join("devices"))?;
    std::fs::write(root.join("rmm.toml"), CONFIG)?;
    std::fs::write(root.join("groups.yaml"), GROUPS)?;
    std::fs::write(root.join("policies/fleet.yaml"), POLICIES)?;
    for from in (0..DEVICES).step_by(PER_FILE) {
        std::fs::write(root.join(format!("devices/rack-{:02}.yaml", from / PER_FILE)), devices(from))?;
    }
    Ok(())
}

fn load(root: &Path, now: DateTime<Utc>) -> Result<Arc<PolicySet>, Box<dyn Error>> {
    let options = LoadOptions { root: root.to_owned(), env: None, environment: Vec::new(), now };
    let loaded = rmm::repo::load(&options);
    loaded.set.map(Arc::new).ok_or_else(|| format!("{:?}", loaded.problems).into())
}

fn observe(store: &Store, at: DateTime<Utc>) -> Result<usize, Box<dyn Error>> {
    let mut bytes = 0;
    for from in (0..DEVICES).step_by(PER_FILE) {
        let mut observations = Vec::with_capacity(PER_FILE);
        for i in from..from + PER_FILE {
            let mut sections = BTreeMap::new();
            for (name, data) in facts(i) {
                bytes += data.to_string().len();
                sections.insert(Arc::from(name), Section::new(data, Status::Ok, at));
            }
            observations.push(Observation { device: name(i), sections, merge: Merge::Replace });
        }
        store.put_observations(&observations)?;
    }
    Ok(bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let kept = std::env::var_os("RMM_BENCH_REPO").map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let root = kept.clone().unwrap_or_else(|| temporary.path().join("fleet"));
    write_repository(&root)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let set = load(&root, clock.now())?;
    let store = Store::open(&root.join(".rmm/rmm.db"), Arc::clone(&clock))?;
    rmm::apply::declare(&set, &store)?;
    let bytes = observe(&store, clock.now())?;
    let settings: usize = set.policies.iter().map(|p| p.settings.len()).sum();
    println!("{DEVICES} devices, {settings} settings, {} KB of facts each", bytes / DEVICES / 1024);
    let secrets = Arc::new(SecretStore::new(&root, Redactor::new()));
    let survey = Survey::new(&set, &store, &secrets, &clock);
    let plan = || survey.plan(&Scope::default(), &PlanOptions::default());
    let first = plan()?;
    println!("{} devices deviate: {:?}", first.devices.len(), first.summary.states);
    if kept.is_some() {
        store.forget_verdicts()?;
        println!("rmm -C {} plan --refresh never", root.display());
        return Ok(());
    }
    let mut criterion = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(15)).configure_from_args();
    criterion.bench_function("load 10,000 devices", |b| b.iter(|| load(&root, clock.now()).map(|set| set.devices.len()).ok()));
    criterion.bench_function("plan 10,000 x 50, cold", |b| {
        b.iter_custom(|runs| {
            let mut took = Duration::ZERO;
            for _ in 0..runs {
                assert!(store.forget_verdicts().is_ok());
                let begun = Instant::now();
                assert_eq!(plan().ok().map(|p| p.summary), Some(first.summary.clone()));
                took += begun.elapsed();
            }
            took
        });
    });
    criterion.bench_function("plan 10,000 x 50, nothing changed", |b| b.iter(|| plan().map(|p| p.devices.len()).ok()));
    criterion.final_summary();
    Ok(())
}
