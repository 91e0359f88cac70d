//! Facts of other systems, from the answers in `samples/`.

use serde_json::json;

use super::{Observation, Request, parse};
use crate::model::facts::{Facts, Status};

fn observe(sample: &str, paths: &[&str]) -> Facts {
    let mut raw = String::new();
    for block in sample.split("@@ ").skip(1) {
        let (head, body) = block.split_once('\n').unwrap();
        let (name, code) = head.split_once(' ').unwrap();
        raw += &["@n begin ", name, "\n", body, "\n@n end ", name, " ", code, "\n"].concat();
    }
    raw += "@n done\n";
    let Observation { sections, problems } = parse(&Request::for_paths(paths), "n", raw.as_bytes(), chrono::DateTime::UNIX_EPOCH);
    assert!(problems.is_empty());
    Facts { sections }
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
    for name in ["network.firewall_rules", "security.sshd"] {
        assert!(matches!(status(name), Status::Unknown(_)), "{name}");
    }
}
