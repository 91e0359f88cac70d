//! Firewall, encryption, secure boot, mandatory access control, time, audit, antivirus.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::software::assignments;
use super::{marks, mounts, services};
use crate::collect::raw::{Parsed, Raw, unknown};

/// Whether rules of nftables filter what comes in.
fn nft_filters(rules: &str) -> bool {
    let mut input = false;
    for line in rules.lines().map(str::trim) {
        if line.starts_with("chain ") {
            input = false;
        } else if line.starts_with("type filter hook input") {
            input = true;
            if line.contains("policy drop") {
                return true;
            }
        } else if input && (line.contains("drop") || line.contains("reject")) {
            return true;
        } else if line == "}" {
            input = false;
        }
    }
    // Rules of iptables-nft jump to other chains; a drop anywhere counts there.
    rules.contains("hook input") && rules.lines().any(|l| l.trim().ends_with(" drop") || l.contains(" reject"))
}

fn iptables_filters(rules: &str) -> bool {
    rules.lines().any(|l| {
        l.starts_with("-P INPUT DROP")
            || l.starts_with("-P INPUT REJECT")
            || (l.starts_with("-A INPUT") && (l.contains("-j DROP") || l.contains("-j REJECT")))
    })
}

pub(in crate::collect) fn firewall(raw: &Raw<'_>) -> Parsed {
    let marks = marks::all(raw);
    let ufw = assignments(raw.lines("/etc/ufw/ufw.conf"));
    if ufw.get("ENABLED").is_some_and(|v| v.eq_ignore_ascii_case("yes")) {
        return Ok(json!({"enabled": true, "backend": "ufw"}));
    }
    if marks.contains("+firewall-cmd") {
        services::answered(raw)?;
        if services::runs(raw, &["firewalld"]) == Some(true) {
            return Ok(json!({"enabled": true, "backend": "firewalld"}));
        }
    }
    let text = raw.block("firewall").unwrap_or_default();
    let (kind, rules) = text.split_once('\n').unwrap_or((text, ""));
    let installed = if marks.contains("+ufw") { Some("ufw") } else { marks.contains("+firewall-cmd").then_some("firewalld") };
    match kind {
        "#nft" if raw.code("firewall") != Some(0) => unknown("nft refused to list its rules"),
        "#nft" => Ok(json!({"enabled": nft_filters(rules), "backend": installed.unwrap_or("nftables")})),
        "#iptables" if rules.is_empty() => unknown("iptables refused to list its rules"),
        "#iptables" => Ok(json!({"enabled": iptables_filters(rules), "backend": installed.unwrap_or("iptables")})),
        "#pf" => Ok(json!({"enabled": rules.contains("Status: Enabled"), "backend": "pf"})),
        "#none" => Ok(json!({"enabled": false, "backend": installed.unwrap_or("none")})),
        _ => unknown("needs root"),
    }
}

pub(in crate::collect) fn firewall_rules(raw: &Raw<'_>) -> Parsed {
    let text = raw.block("firewall").unwrap_or_default();
    let Some((kind, rules)) = text.split_once('\n') else {
        return if text == "#none" { Ok(json!([])) } else { unknown("needs root") };
    };
    if !kind.starts_with('#') {
        return unknown("needs root");
    }
    if kind == "#nft" && raw.code("firewall") != Some(0) {
        return unknown("nft refused to list its rules");
    }
    Ok(json!(rules.lines().filter(|l| !l.trim().is_empty()).take(2000).collect::<Vec<_>>()))
}

pub(in crate::collect) fn disk_encryption(raw: &Raw<'_>) -> Parsed {
    let marks = marks::all(raw);
    let mut kinds: BTreeMap<&str, (&str, bool)> = BTreeMap::new();
    for dm in raw.names("/sys/class/block/", "/dm/name") {
        let name = raw.first(&format!("/sys/class/block/{dm}/dm/name")).unwrap_or_default();
        let uuid = raw.first(&format!("/sys/class/block/{dm}/dm/uuid")).unwrap_or_default();
        kinds.insert(dm, (name, uuid.starts_with("CRYPT-")));
    }
    // A volume is encrypted where it, or anything that it lies on, is a crypt device.
    let encrypted = |device: &str| {
        let Some(name) = device.strip_prefix("/dev/mapper/").or_else(|| device.strip_prefix("/dev/")) else { return false };
        let first = kinds.iter().find(|(dm, (mapped, _))| *mapped == name || **dm == name).map(|(dm, _)| *dm);
        let mut todo: Vec<&str> = first.into_iter().collect();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(dm) = todo.pop() {
            if !seen.insert(dm) {
                continue;
            }
            if kinds.get(dm).is_some_and(|k| k.1) {
                return true;
            }
            let slaves = format!("/sys/class/block/{dm}/slaves/");
            todo.extend(marks.iter().filter_map(|m| m.strip_prefix(slaves.as_str())));
        }
        false
    };
    let mounted = mounts::mounted(raw);
    let mut root = None;
    let mut volumes = BTreeMap::new();
    for m in &mounted {
        if m.mount == "/" {
            root = Some(m);
        }
        if m.device.starts_with("/dev/") && !m.device.starts_with("/dev/loop") {
            volumes.insert(m.mount.as_str(), json!({"mount": m.mount, "device": m.device, "encrypted": encrypted(&m.device)}));
        }
    }
    let Some(root) = root else { return unknown("/proc/mounts cannot be read") };
    if !root.device.starts_with("/dev/") && !matches!(root.fs.as_str(), "tmpfs" | "rootfs") {
        return unknown(format!("the root file system ({} on {}) does not tell what it lies on", root.fs, root.device));
    }
    Ok(json!({"root_encrypted": encrypted(&root.device), "volumes": volumes.into_values().collect::<Vec<_>>()}))
}

pub(in crate::collect) fn secure_boot(raw: &Raw<'_>) -> Parsed {
    if !marks::all(raw).contains("/sys/firmware/efi") {
        return Ok(json!({"enabled": false}));
    }
    let last = raw.block("secureboot").unwrap_or_default().split_whitespace().next_back();
    match last {
        Some("1") => Ok(json!({"enabled": true})),
        Some("0") => Ok(json!({"enabled": false})),
        _ => unknown("the firmware variable cannot be read"),
    }
}

pub(in crate::collect) fn tpm(raw: &Raw<'_>) -> Parsed {
    let version = raw.first("/sys/class/tpm/tpm0/tpm_version_major").map(|v| if v == "2" { "2.0" } else { "1.2" });
    Ok(json!({"present": version.is_some() || marks::all(raw).contains("/sys/class/tpm/tpm0"), "version": version}))
}

pub(in crate::collect) fn kernel_modules(raw: &Raw<'_>) -> Parsed {
    let mut loaded: Vec<&str> = raw.lines("/proc/modules").iter().filter_map(|l| l.split(' ').next()).collect();
    loaded.sort_unstable();
    Ok(json!({ "loaded": loaded }))
}

pub(in crate::collect) fn mac(raw: &Raw<'_>) -> Parsed {
    let selinux = match raw.first("/sys/fs/selinux/enforce") {
        Some("1") => "enforcing",
        Some(_) => "permissive",
        None if raw.lines("/etc/selinux/config").is_empty() => "absent",
        None => "disabled",
    };
    let apparmor = match raw.first("/sys/module/apparmor/parameters/enabled") {
        Some("Y") => "enabled",
        Some(_) => "disabled",
        None => "absent",
    };
    Ok(json!({"selinux": selinux, "apparmor": apparmor}))
}

/// Time services: name, unit and process names, configuration files.
type TimeService = (&'static str, &'static [&'static str], &'static [&'static str]);

const TIME: [TimeService; 4] = [
    (
        "chrony",
        &["chronyd", "chrony"],
        &[
            "/etc/chrony/chrony.conf",
            "/etc/chrony.conf",
            "/etc/chrony/conf.d/*.conf",
            "/etc/chrony/sources.d/*.sources",
            "/etc/chrony.d/*.conf",
        ],
    ),
    ("ntpd", &["ntpd", "ntp", "ntpsec"], &["/etc/ntp.conf", "/etc/ntpsec/ntp.conf"]),
    ("openntpd", &["openntpd"], &["/etc/openntpd/ntpd.conf"]),
    (
        "systemd-timesyncd",
        &["systemd-timesyncd", "systemd-timesyn"],
        &["/etc/systemd/timesyncd.conf", "/etc/systemd/timesyncd.conf.d/*.conf"],
    ),
];

pub(in crate::collect) fn time_sync(raw: &Raw<'_>) -> Parsed {
    services::answered(raw)?;
    let configured = |files: &[&str]| files.iter().any(|f| raw.glob(f).next().is_some());
    let running = |names| services::runs(raw, names) == Some(true);
    let on = |s: &&TimeService| running(s.1) || services::enabled(raw, s.1);
    let found = TIME.iter().find(|s| running(s.1)).or_else(|| TIME.iter().find(on)).or_else(|| TIME[..3].iter().find(|s| configured(s.2)));
    let Some(&(name, names, files)) = found else {
        return Ok(json!({"service": "none", "enabled": false, "servers": [], "synchronized": null}));
    };
    let mut servers: Vec<&str> = Vec::new();
    for line in files.iter().flat_map(|f| raw.glob(f)).flat_map(|(_, lines)| lines) {
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some("server" | "pool" | "servers" | "peer") => servers.extend(words.next()),
            Some(first) => servers.extend(
                first
                    .strip_prefix("NTP=")
                    .filter(|s| !s.is_empty())
                    .into_iter()
                    .chain(first.starts_with("NTP=").then_some(words).into_iter().flatten()),
            ),
            None => {}
        }
    }
    servers.sort_unstable();
    servers.dedup();
    let synchronized =
        (name == "systemd-timesyncd" && running(names)).then(|| marks::all(raw).contains("/run/systemd/timesync/synchronized"));
    Ok(
        json!({"service": name, "enabled": running(names) || services::enabled(raw, names), "servers": servers, "synchronized": synchronized}),
    )
}

pub(in crate::collect) fn audit(raw: &Raw<'_>) -> Parsed {
    services::answered(raw)?;
    services::runs(raw, &["auditd"]).map_or_else(|| unknown("the process table cannot be read"), |runs| Ok(json!({ "auditd": runs })))
}

pub(in crate::collect) fn antivirus(raw: &Raw<'_>) -> Parsed {
    services::answered(raw)?;
    let known: [(&str, &[&str]); 6] = [
        ("ClamAV", &["clamd", "clamav-daemon", "clamd@scan"]),
        ("Microsoft Defender", &["wdavdaemon", "mdatp"]),
        ("CrowdStrike Falcon", &["falcon-sensor", "falcond"]),
        ("SentinelOne", &["s1-agent", "sentinelone"]),
        ("Sophos", &["sophos_threat_d", "sophos-spl", "savd"]),
        ("ESET", &["oaeventd", "eea", "efs"]),
    ];
    for (name, processes) in known {
        if services::runs(raw, processes) == Some(true) {
            return Ok(json!({"name": name, "running": true}));
        }
    }
    let installed = marks::all(raw).contains("+clamd");
    let running = services::runs(raw, &[]).map(|_| false);
    let mut out = Map::new();
    out.insert("name".into(), if installed { json!("ClamAV") } else { Value::Null });
    out.insert("running".into(), json!(running));
    Ok(Value::Object(out))
}
