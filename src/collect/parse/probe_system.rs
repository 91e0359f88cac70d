//! The probes `sysctl` and `modules`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::collect::raw::Raw;
use crate::model::facts::Status;

/// Where kernel parameters are configured; of two files of the same name the earlier directory counts.
const SYSCTL_DIRECTORIES: [&str; 5] = ["/etc/sysctl.d/", "/run/sysctl.d/", "/usr/local/lib/sysctl.d/", "/usr/lib/sysctl.d/", "/lib/sysctl.d/"];

pub(in crate::collect) fn check_sysctl(key: &str) -> Result<(), &'static str> {
    let legal = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:@".contains(&b));
    if legal && !key.contains("//") && !key.contains("..") && !key.starts_with(['/', '.']) {
        Ok(())
    } else {
        Err("it is not the name of a kernel parameter")
    }
}

/// The name as a path below /proc/sys: where its first separator is a slash, dots are literal.
fn path(key: &str) -> String {
    let key = key.trim().trim_start_matches('-');
    match key.find(['.', '/']).map(|at| &key[at..=at]) {
        Some("/") => key.to_owned(),
        _ => key.chars().map(|c| if c == '.' { '/' } else if c == '/' { '.' } else { c }).collect(),
    }
}

/// Values as they would be after a boot: files by name, /etc/sysctl.conf last, the last line wins.
fn configured(raw: &Raw<'_>) -> BTreeMap<String, String> {
    let mut files: BTreeMap<&str, &[&str]> = BTreeMap::new();
    for directory in SYSCTL_DIRECTORIES {
        for (path, lines) in raw.below(directory) {
            if let Some(name) = path.strip_prefix(directory) {
                files.entry(name).or_insert(lines);
            }
        }
    }
    let mut values = BTreeMap::new();
    for lines in files.into_values().chain([raw.lines("/etc/sysctl.conf")]) {
        for line in lines.iter().filter(|l| !l.trim_start().starts_with(['#', ';'])) {
            if let Some((key, value)) = line.split_once('=') {
                values.insert(path(key), value.split_whitespace().collect::<Vec<_>>().join(" "));
            }
        }
    }
    values
}

pub(in crate::collect) fn sysctl(raw: &Raw<'_>, batch: &[&Vec<String>], text: &str, answers: &mut Map<String, Value>) -> Result<(), Status> {
    let configured = configured(raw);
    let said: BTreeMap<&str, (&str, &str)> =
        text.lines().filter_map(|l| l.split_once('|')).filter_map(|(i, rest)| Some((i, rest.split_once('|')?))).collect();
    for (index, args) in batch.iter().enumerate() {
        let wanted = configured.get(&path(&args[0]));
        let runtime = match said.get(index.to_string().as_str()) {
            // Fields of one value are divided by tabs.
            Some(("seen", value)) => json!(value.split_whitespace().collect::<Vec<_>>().join(" ")),
            Some(("absent", _)) => Value::Null,
            _ => {
                answers.insert(args[0].clone(), json!({"runtime": null, "configured": wanted, "error": "it cannot be read"}));
                continue;
            }
        };
        answers.insert(args[0].clone(), json!({"runtime": runtime, "configured": wanted}));
    }
    Ok(())
}

pub(in crate::collect) fn check_module(name: &str) -> Result<(), &'static str> {
    let legal = !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if legal { Ok(()) } else { Err("it is not the name of a kernel module") }
}

/// Dashes and underscores are the same to the kernel.
fn module(name: &str) -> String {
    name.replace('-', "_")
}

pub(in crate::collect) fn modules(raw: &Raw<'_>, batch: &[&Vec<String>], text: &str, answers: &mut Map<String, Value>) -> Result<(), Status> {
    let loaded: std::collections::BTreeSet<String> = raw.lines("/proc/modules").iter().filter_map(|l| l.split(' ').next()).map(module).collect();
    let known = text.lines().any(|l| l == "=known");
    let built: std::collections::BTreeSet<String> = text.lines().filter_map(|l| l.strip_prefix('/')?.strip_suffix(".ko")).map(module).collect();
    let directories = ["/etc/modprobe.d/*.conf", "/run/modprobe.d/*.conf", "/usr/lib/modprobe.d/*.conf", "/lib/modprobe.d/*.conf"];
    let mut blocked = std::collections::BTreeSet::new();
    for line in directories.iter().flat_map(|p| raw.glob(p)).flat_map(|(_, lines)| lines) {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words[..] {
            ["blacklist", name] => drop(blocked.insert(module(name))),
            ["install", name, program, ..] if matches!(program.rsplit('/').next(), Some("false" | "true")) => drop(blocked.insert(module(name))),
            _ => {}
        }
    }
    for args in batch {
        let name = module(&args[0]);
        let available = known.then(|| built.contains(&name));
        answers.insert(args[0].clone(), json!({"loaded": loaded.contains(&name), "blocked": blocked.contains(&name), "available": available}));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_parameter_are_one() {
        assert_eq!(path("net.ipv4.conf.eth0/1.rp_filter"), path("net/ipv4/conf/eth0.1/rp_filter"));
        assert_eq!(path("-kernel.sysrq"), "kernel/sysrq");
    }

    #[test]
    fn names_that_would_leave_their_directory_are_refused() {
        for bad in ["", "../etc/shadow", "//.//.etc", "a b", "a;b", "/etc"] {
            assert!(check_sysctl(bad).is_err(), "{bad}");
        }
        assert!(check_sysctl("net.ipv4.ip_forward").is_ok());
        assert!(check_module("usb-storage").is_ok() && check_module("x y").is_err());
    }
}
