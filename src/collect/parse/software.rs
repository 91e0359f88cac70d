//! The operating system, scheduled work, updates.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{hardware, links, marks};
use crate::collect::raw::{Parsed, Raw, unknown};

/// `KEY=value` lines with shell quoting, as in os-release.
pub(super) fn assignments<'a>(lines: &[&'a str]) -> std::collections::BTreeMap<&'a str, String> {
    let unquote = |value: &str| {
        let value = value.trim();
        let inner = ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q));
        inner.map_or_else(|| value.to_owned(), |v| v.replace("\\\"", "\"").replace("\\$", "$").replace("\\`", "`").replace("\\\\", "\\"))
    };
    lines
        .iter()
        .filter(|l| !l.trim_start().starts_with('#'))
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.trim(), unquote(v)))
        .collect()
}

fn package_manager(raw: &Raw<'_>) -> &'static str {
    let marks = marks::all(raw);
    [("+apt-get", "apt"), ("+dnf", "dnf"), ("+zypper", "zypper"), ("+yum", "yum"), ("+apk", "apk"), ("+pacman", "pacman")]
        .iter()
        .find(|(mark, _)| marks.contains(mark))
        .map_or("none", |(_, name)| name)
}

fn init(raw: &Raw<'_>) -> &'static str {
    let marks = marks::all(raw);
    let first = raw.first("/proc/1/comm").unwrap_or_default();
    match first {
        _ if raw.system == "Darwin" => "launchd",
        "systemd" => "systemd",
        _ if marks.contains("/run/systemd/system") => "systemd",
        _ if marks.contains("/run/openrc") || marks.contains("/sbin/openrc-run") => "openrc",
        "init" => "sysv",
        _ => "none",
    }
}

/// Seconds since 1970.
fn booted(raw: &Raw<'_>) -> Option<i64> {
    if raw.system == "Darwin" {
        return marks::value(raw, "boot")?.split("sec = ").nth(1)?.split(',').next()?.parse().ok();
    }
    raw.lines("/proc/stat").iter().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()
}

fn boot_time(raw: &Raw<'_>) -> Option<String> {
    let seconds = booted(raw)?;
    Some(chrono::DateTime::from_timestamp(seconds, 0)?.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

pub(in crate::collect) fn os(raw: &Raw<'_>) -> Parsed {
    let [hostname, kernel, machine] = raw.uname;
    if hostname.is_empty() || machine.is_empty() {
        return unknown("uname told nothing");
    }
    let darwin = raw.system == "Darwin";
    let release = [raw.lines("/etc/os-release"), raw.lines("/usr/lib/os-release")]
        .into_iter()
        .find(|l| !l.is_empty())
        .map(assignments)
        .unwrap_or_default();
    let get = |key: &str| release.get(key).filter(|v| !v.is_empty()).cloned();
    let zone =
        links::all(raw).get("/etc/localtime").and_then(|t| t.split("zoneinfo/").nth(1)).map(|z| z.trim_start_matches("posix/").to_owned());
    let zone = zone.or_else(|| raw.first("/etc/timezone").map(str::to_owned));
    let short = hostname.split('.').next().unwrap_or(hostname);
    let fqdn = if hostname.contains('.') {
        Some(hostname)
    } else {
        let names = raw.lines("/etc/hosts").iter().filter_map(|l| l.split('#').next()).flat_map(|l| l.split_ascii_whitespace().skip(1));
        names.into_iter().find(|n| n.strip_prefix(short).is_some_and(|rest| rest.starts_with('.')) && !n.ends_with(".localdomain"))
    };
    let version = marks::value(raw, "os");
    Ok(json!({
        "family": if darwin { "macos" } else { "linux" },
        "id": if darwin { "macos".into() } else { get("ID").unwrap_or_else(|| "linux".into()) },
        "id_like": get("ID_LIKE").unwrap_or_default().split_whitespace().collect::<Vec<_>>(),
        "name": if darwin { Some("macOS".into()) } else { get("NAME") },
        "pretty_name": if darwin { version.map(|v| format!("macOS {v}")) } else { get("PRETTY_NAME") },
        "version_id": if darwin { version.map(str::to_owned) } else { get("VERSION_ID") },
        "codename": get("VERSION_CODENAME"),
        "kernel": kernel,
        "architecture": machine,
        "hostname": hostname,
        "fqdn": fqdn,
        "timezone": zone,
        "boot_time": boot_time(raw),
        "init": init(raw),
        "package_manager": package_manager(raw),
        "machine_id": raw.first("/etc/machine-id").filter(|id| *id != "uninitialized"),
        "is_root": raw.root,
    }))
}

pub(in crate::collect) fn startup(raw: &Raw<'_>) -> Parsed {
    let marks = marks::all(raw);
    let wanted = |m: &&&str| **m == "/etc/rc.local" || m.starts_with("/etc/xdg/autostart/") || m.starts_with("/etc/local.d/");
    Ok(json!(marks.iter().filter(wanted).collect::<Vec<_>>()))
}

pub(in crate::collect) fn scheduled(raw: &Raw<'_>) -> Parsed {
    let mut cron = Vec::new();
    let system = ["/etc/crontab", "/etc/cron.d/*"].into_iter().flat_map(|p| raw.glob(p)).map(|f| (f, true));
    let own =
        ["/var/spool/cron/crontabs/*", "/var/spool/cron/*", "/etc/crontabs/*"].into_iter().flat_map(|p| raw.glob(p)).map(|f| (f, false));
    for ((path, lines), has_user) in system.chain(own) {
        for line in lines {
            if let Some(job) = job(path, line, has_user) {
                cron.push(job);
            }
        }
    }
    let marks = marks::all(raw);
    let mut timers: Vec<&str> = marks.iter().filter(|m| m.contains("/timers.target.wants/")).filter_map(|m| m.rsplit('/').next()).collect();
    timers.sort_unstable();
    timers.dedup();
    // Without root the crontabs of users cannot be seen, and a part of the list would look like all of it.
    Ok(json!({"cron": if raw.root { json!(cron) } else { Value::Null }, "timers": timers}))
}

fn job(file: &str, line: &str, has_user: bool) -> Option<Value> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let fields = if line.starts_with('@') { 1 } else { 5 };
    let mut rest = line;
    let mut word = || {
        let end = rest.find([' ', '\t'])?;
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(word)
    };
    let schedule: Vec<&str> = (0..fields).map_while(|_| word()).collect();
    // NAME=value sets the environment of the lines after it.
    if schedule.len() < fields || schedule[0].contains('=') || schedule.get(1) == Some(&"=") {
        return None;
    }
    let user = if has_user { word()? } else { file.rsplit('/').next()? };
    Some(json!({"file": file, "schedule": schedule.join(" "), "user": user, "command": rest}))
}

pub(in crate::collect) fn pending_reboot(raw: &Raw<'_>) -> Parsed {
    let marks = marks::all(raw);
    let mut reasons = Vec::new();
    if ["/run/reboot-required", "/var/run/reboot-required", "/var/run/reboot-needed"].iter().any(|m| marks.contains(m)) {
        let packages =
            ["/run/reboot-required.pkgs", "/var/run/reboot-required.pkgs"].into_iter().map(|p| raw.lines(p)).find(|l| !l.is_empty());
        let mut packages = packages.unwrap_or_default().to_vec();
        packages.sort_unstable();
        packages.dedup();
        if packages.is_empty() {
            reasons.push("the package manager asks for it".to_owned());
        }
        reasons.extend(packages.iter().map(|p| format!("updated package: {p}")));
    }
    // What a container takes for its start is that of its host: it may well be younger, with all of its packages.
    let renewed = if hardware::contained(&marks) { BTreeSet::new() } else { renewed(raw) };
    reasons.extend(renewed.into_iter().map(|package| format!("updated since it was started: {package}")));
    // A container has no modules, and the kernel of its host. Arch keeps those of the installed kernels only.
    let kernels: Vec<&&str> = marks.iter().filter(|mark| mark.starts_with("/usr/lib/modules/")).collect();
    let running = format!("/usr/lib/modules/{}/pkgbase", raw.uname[1]);
    if !kernels.is_empty() && kernels.iter().all(|mark| **mark != running) && marks.contains("+pacman") {
        reasons.push("the kernel that runs is no longer installed".to_owned());
    }
    Ok(json!({"required": !reasons.is_empty(), "reasons": reasons}))
}

/// Packages of the core that were installed after the system was started.
fn renewed<'a>(raw: &Raw<'a>) -> BTreeSet<&'a str> {
    let Some(booted) = booted(raw) else { return BTreeSet::new() };
    let one = |line: &'a str| {
        let (at, name) = line.strip_prefix("=at ")?.split_once(' ')?;
        (at.parse::<i64>().ok()? > booted).then_some(name)
    };
    raw.block("renewed").unwrap_or_default().lines().filter_map(one).collect()
}

pub(in crate::collect) fn automatic_updates(raw: &Raw<'_>) -> Parsed {
    let marks = marks::all(raw);
    if marks.contains("+apt-get") {
        // The last assignment wins, files in the order of their names.
        let mut enabled = None;
        for (_, lines) in raw.glob("/etc/apt/apt.conf.d/*").chain(raw.glob("/etc/apt/apt.conf")) {
            for line in lines.iter().map(|l| l.trim()).filter(|l| !l.starts_with("//")) {
                if let Some(value) = line.strip_prefix("APT::Periodic::Unattended-Upgrade") {
                    enabled = Some(value.trim().trim_end_matches(';').trim_matches([' ', '"']).to_owned());
                }
            }
        }
        let enabled = enabled.is_some_and(|v| !matches!(v.as_str(), "" | "0" | "false"));
        return Ok(json!({"enabled": enabled, "mechanism": enabled.then_some("unattended-upgrades")}));
    }
    for (timer, mechanism) in [
        ("dnf-automatic.timer", "dnf-automatic"),
        ("dnf-automatic-install.timer", "dnf-automatic"),
        ("dnf5-automatic.timer", "dnf-automatic"),
        ("transactional-update.timer", "transactional-update"),
    ] {
        if marks.iter().any(|m| m.ends_with(timer)) {
            let conf = assignments(raw.lines("/etc/dnf/automatic.conf"));
            let applies =
                timer != "dnf-automatic.timer" || conf.get("apply_updates").is_some_and(|v| matches!(v.as_str(), "yes" | "true" | "1"));
            return Ok(json!({"enabled": applies, "mechanism": mechanism}));
        }
    }
    if marks.contains("+yum") || marks.contains("+dnf") || marks.contains("+zypper") || marks.contains("+apk") || marks.contains("+pacman")
    {
        return Ok(json!({"enabled": false, "mechanism": null}));
    }
    unknown("no known package manager")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crontab_line_is_a_schedule_a_user_and_a_command() {
        let line = job("/etc/crontab", "17 *\t* * *\troot  cd / && run-parts /etc/cron.hourly", true).unwrap();
        assert_eq!(
            line,
            json!({"file": "/etc/crontab", "schedule": "17 * * * *", "user": "root", "command": "cd / && run-parts /etc/cron.hourly"})
        );
        let line = job("/var/spool/cron/crontabs/alice", "@reboot /home/alice/a b", false).unwrap();
        assert_eq!(line["user"], "alice");
        assert_eq!(line["command"], "/home/alice/a b");
        for nothing in ["# 1 2 3 4 5 root x", "SHELL=/bin/sh", "PATH = /bin:/sbin x y z w v", "", "1 2 3"] {
            assert!(job("/etc/crontab", nothing, true).is_none(), "{nothing}");
        }
    }

    #[test]
    fn quotes_of_os_release_are_undone() {
        let map = assignments(&["NAME=\"Rocky \\\"Linux\\\"\"", "ID='rocky'", "VERSION_ID=9.4", "# X=1"]);
        assert_eq!(map["NAME"], "Rocky \"Linux\"");
        assert_eq!((map["ID"].as_str(), map["VERSION_ID"].as_str(), map.len()), ("rocky", "9.4", 3));
    }
}
