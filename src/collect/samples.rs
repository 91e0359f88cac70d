//! Facts of other systems, from the answers in `samples/`.

use serde_json::json;

use super::{Observation, Request, parse};
use crate::model::facts::{Facts, Status};

fn observe(sample: &str, paths: &[&str]) -> Facts {
    let Observation { sections, problems } = answer(sample, paths);
    assert!(problems.is_empty());
    Facts { sections }
}

fn answer(sample: &str, paths: &[&str]) -> Observation {
    let mut raw = String::new();
    for block in sample.split("@@ ").skip(1) {
        let (head, body) = block.split_once('\n').unwrap();
        let (name, code) = head.split_once(' ').unwrap();
        raw += &["@n begin ", name, "\n", body, "\n@n end ", name, " ", code, "\n"].concat();
    }
    raw += "@n done\n";
    parse(&Request::for_paths(paths), "n", raw.as_bytes(), chrono::DateTime::UNIX_EPOCH)
}

#[test]
fn an_alpine_machine_is_read() {
    let facts = observe(
        include_str!("samples/alpine.txt"),
        &["software.os", "software.packages", "software.services", "security.users", "security.local_admins", "hardware.cpu"],
    );
    let value = |path: &str| facts.value(path).cloned().unwrap_or_else(|| panic!("{path}"));
    assert_eq!(value("software.os.id"), "alpine");
    assert_eq!(value("software.os.init"), "openrc");
    assert_eq!(value("software.os.package_manager"), "apk");
    assert_eq!(value("software.os.fqdn"), "edge-1.example.org");
    assert_eq!(value("software.os.timezone"), "Europe/Vienna");
    assert_eq!(value("software.packages"), json!({"busybox": "1.36.1-r29", "musl": "1.2.5-r0"}));
    assert_eq!(value("software.services.sshd"), json!({"state": "running", "startup": "enabled"}));
    assert_eq!(value("software.services.chronyd"), json!({"state": "stopped", "startup": "disabled"}));
    assert_eq!(value("security.local_admins"), json!(["carol", "root"]));
    assert_eq!(value("security.users.carol.locked"), true);
    assert_eq!(value("security.users.root.locked"), false);
    assert_eq!(value("security.users.carol.password_max_days"), 90);
    assert_eq!(value("hardware.cpu.vendor"), "ARM");
    assert_eq!(value("hardware.cpu.threads"), 2);
}

#[test]
fn a_rocky_machine_without_root_is_read_and_what_needs_root_is_unknown() {
    let facts = observe(
        include_str!("samples/rocky.txt"),
        &[
            "software.os",
            "software.packages",
            "software.services",
            "security.users",
            "security.firewall",
            "network.firewall_rules",
            "security.mac",
            "security.disk_encryption",
            "security.sshd",
            "performance.gpus",
        ],
    );
    let value = |path: &str| facts.value(path).cloned().unwrap_or_else(|| panic!("{path}"));
    let status = |name: &str| facts.sections[name].status.clone();
    assert_eq!(value("software.os.id_like"), json!(["rhel", "centos", "fedora"]));
    assert_eq!(value("software.os.timezone"), "America/Chicago");
    assert_eq!(value("software.os.is_root"), false);
    assert_eq!(value("software.packages.kernel-core"), "5.14.0-362.el9, 5.14.0-427.el9");
    assert_eq!(value("software.packages.openssl-libs"), "1:3.0.7-27.el9");
    assert_eq!(value("software.services.sshd.state"), "failed");
    assert_eq!(value("software.services.rpcbind.startup"), "masked");
    assert_eq!(value("security.firewall"), json!({"enabled": true, "backend": "firewalld"}));
    assert_eq!(value("security.mac"), json!({"selinux": "enforcing", "apparmor": "absent"}));
    assert_eq!(value("security.disk_encryption.root_encrypted"), true);
    assert_eq!(value("security.users.root.locked"), json!(null));
    let gpu = |name: &str, product: Option<&str>, busy: Option<u8>, memory: Option<(u64, u64)>, heat: Option<f64>| {
        json!({"name": name, "product": product, "busy_percent": busy, "memory_used_bytes": memory.map(|memory| memory.0),
            "memory_total_bytes": memory.map(|memory| memory.1), "temperature_c": heat})
    };
    assert_eq!(
        value("performance.gpus"),
        json!([
            gpu("card1", None, Some(7), Some((256 << 20, 512 << 20)), Some(48.5)),
            gpu("nvidia0", Some("NVIDIA RTX A5000, rev 2"), Some(41), Some((1 << 30, 24 << 30)), Some(63.0)),
            gpu("nvidia1", Some("Tesla K80"), None, None, None),
        ])
    );
    for name in ["network.firewall_rules", "security.sshd"] {
        assert!(matches!(status(name), Status::Unknown(_)), "{name}");
    }
}

#[test]
fn a_container_is_not_to_be_restarted_for_packages_that_are_newer_than_the_start_of_its_host() {
    let pending = |marks: &str| {
        let head = "@@ host 0\nLinux a 6.1.0 x86_64 0\n@@ files-proc 2\n/proc/stat:btime 1780000000\n@@ files-etc 2\n@@ exists 0\n+dnf\n";
        let text = [head, marks, "@@ renewed 0\n=at 1780000001 glibc\n=at 1779999999 systemd\n"].concat();
        observe(&text, &["software.pending_reboot"]).value("software.pending_reboot").cloned().unwrap()
    };
    assert_eq!(pending(""), json!({"required": true, "reasons": ["updated since it was started: glibc"]}));
    for mark in ["/.dockerenv\n", "/run/systemd/container\n"] {
        assert_eq!(pending(mark), json!({"required": false, "reasons": []}), "{mark}");
    }
}

const HOST: &str = "@@ host 0\nLinux a 6.1.0 x86_64 0\n@@ files-etc 2\n@@ exists 0\n@@ procs 0\n/proc/1/comm:systemd\n";

/// The status of each section, for an answer of these blocks.
fn status(blocks: &str, path: &str) -> Status {
    observe(&[HOST, blocks].concat(), &[path]).sections[path].status.clone()
}

fn unknown(reason: &str) -> Status {
    Status::Unknown(reason.into())
}

#[test]
fn services_are_unknown_unless_systemd_answered_to_the_end() {
    let whole = "@@ services 0\n#systemd-files\nauditd.service enabled enabled\n#systemd-units\nauditd.service loaded active running x\n#systemd-end\n";
    for path in ["software.services", "security.audit", "security.time_sync", "security.antivirus"] {
        assert_eq!(status(whole, path), Status::Ok, "{path}");
        for kept in [5, 4, 3, 2] {
            let cut: String = whole.split_inclusive('\n').take(kept).collect();
            assert_eq!(status(&cut, path), unknown("systemd did not answer"), "{path}: {cut}");
        }
    }
}

#[test]
fn packages_of_a_manager_that_failed_are_unknown() {
    let list = |code: i32| status(&format!("@@ packages {code}\n#rpm\nbash\t5.1-1\n"), "software.packages");
    assert_eq!(list(0), Status::Ok);
    for code in [1, 2, 255] {
        assert_eq!(list(code), unknown("the package manager did not list everything"), "{code}");
    }
    assert_eq!(status("@@ packages 1\n#apk\n", "software.packages"), unknown("the package manager listed nothing"));
}

#[test]
fn sockets_that_could_not_be_listed_are_unknown_and_not_none() {
    let failed = unknown("the sockets could not be listed");
    let listeners = |blocks: &str| status(blocks, "network.listeners");
    assert_eq!(listeners("@@ listeners 0\n#connections\n@@ connections 0\n"), Status::Ok);
    assert_eq!(listeners("@@ listeners 0\n"), Status::Ok, "alone: it asked by itself");
    assert_eq!(listeners("@@ listeners 1\n@@ connections 1\n"), Status::Ok, "no line matched");
    assert_eq!(listeners("@@ listeners 0\n#connections\n"), failed);
    assert_eq!(listeners("@@ listeners 0\n#connections\n@@ connections 255\n"), failed);
    assert_eq!(listeners("@@ listeners 0\n\n@@ connections 143\n"), failed);
    assert_eq!(listeners("@@ listeners 255\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"), failed);
    assert_eq!(status("@@ connections 255\n", "network.connections"), failed);
}

#[test]
fn host_keys_are_those_of_the_server_and_not_the_one_that_it_was_asked_with() {
    let given = "/etc/ssh/ssh_host_ed25519_key";
    let keys = |files: &str, answer: &str| {
        let blocks = HOST.replace("@@ exists", &format!("{files}@@ sshd 0\n{answer}@@ exists"));
        let facts = observe(&blocks, &["security.sshd"]);
        facts.sections["security.sshd"].data["hostkey"].as_str().unwrap().to_owned()
    };
    let defaults = "/etc/ssh/ssh_host_rsa_key /etc/ssh/ssh_host_ecdsa_key /etc/ssh/ssh_host_ed25519_key";
    let config = |lines: &str| format!("/etc/ssh/sshd_config:{lines}\n");
    let marked = |keys: &str| format!("port 22\n{keys}#key {given}\n");
    let one = format!("hostkey {given}\n");
    let two = format!("{one}hostkey /keys/rsa\n");
    assert_eq!(keys(&config("Port 22"), &marked(&one)), defaults, "nothing is configured");
    assert_eq!(keys(&config(&format!("HostKey {given}")), &marked(&one)), given, "this very one is configured");
    assert_eq!(keys(&config("HostKey /keys/rsa"), &marked(&two)), "/keys/rsa");
    assert_eq!(keys(&config("Include /opt/x"), &marked(&two)), "/keys/rsa", "configured where we do not read");
    assert_eq!(keys(&config("Port 22"), &two), format!("{given} /keys/rsa"), "asked without a key");
}

#[test]
fn a_line_of_nothing_but_colons_is_read_in_no_time() {
    let lines = ["/etc/cron.d/", &":".repeat(40_000), "\n", "/etc/cron.d/a:b:* * * * * root x\n"].concat();
    let start = std::time::Instant::now();
    let facts = observe(&HOST.replace("@@ exists", &format!("{lines}@@ exists")), &["software.scheduled", "security.sshd"]);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(facts.sections.contains_key("software.scheduled"));
}
