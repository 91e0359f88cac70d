//! Services: what systemd says where it runs, OpenRC's links, else unit files and init scripts with the process table.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::collect::raw::{Parsed, Raw, unknown};
use crate::model::facts::Status;

/// State and startup by name.
type Services<'a> = BTreeMap<&'a str, (Option<&'static str>, &'static str)>;

/// Whether systemd, where it is asked, listed everything: what a part leaves out would look stopped.
pub(super) fn answered(raw: &Raw<'_>) -> Result<(), Status> {
    let text = raw.block("services").unwrap_or_default();
    let cut = text.lines().next() == Some("#systemd-files") && text.lines().next_back() != Some("#systemd-end");
    if cut { unknown("systemd did not answer") } else { Ok(()) }
}

pub(in crate::collect) fn services(raw: &Raw<'_>) -> Parsed {
    answered(raw)?;
    let text = raw.block("services").unwrap_or_default();
    let (kind, body) = text.split_once('\n').unwrap_or((text, ""));
    let services = match kind {
        "#systemd-files" => systemd(body),
        "#openrc" => openrc(body),
        "#launchd" => launchd(body),
        "#files" => from_files(raw, body),
        _ => return unknown("the list of services is damaged"),
    };
    if services.is_empty() {
        return unknown("no service manager listed anything");
    }
    let value = |(name, (state, startup)): (&str, (Option<&str>, &str))| (name.to_owned(), json!({"state": state, "startup": startup}));
    Ok(Value::Object(services.into_iter().map(value).collect::<Map<_, _>>()))
}

/// `list-unit-files`, then after its mark `list-units`. Templates are no services; their instances are.
fn systemd(body: &str) -> Services<'_> {
    let (files, units) = body.split_once("#systemd-units\n").unwrap_or((body, ""));
    let mut services = Services::new();
    for line in files.lines() {
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next().and_then(|n| n.strip_suffix(".service")).filter(|n| !n.ends_with('@')) else { continue };
        let startup = match words.next().unwrap_or_default() {
            "enabled" | "enabled-runtime" => "enabled",
            "disabled" | "indirect" => "disabled",
            "masked" | "masked-runtime" => "masked",
            "static" | "generated" | "transient" => "static",
            // Another name of a unit that is listed itself.
            "alias" => continue,
            _ => "unknown",
        };
        services.insert(name, (Some("stopped"), startup));
    }
    for line in units.lines() {
        let mut words = line.trim_start_matches(['*', '\u{25cf}', ' ']).split_ascii_whitespace();
        let Some(name) = words.next().and_then(|n| n.strip_suffix(".service")) else { continue };
        let (load, active) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if load == "not-found" {
            continue;
        }
        let state = match active {
            "active" | "reloading" | "activating" => "running",
            "failed" => "failed",
            _ => "stopped",
        };
        let template = name.split_once('@').map(|_| "static");
        services.entry(name).or_insert((None, template.unwrap_or("unknown"))).0 = Some(state);
    }
    services
}

fn openrc(body: &str) -> Services<'_> {
    let mut services = Services::new();
    let mut started = BTreeSet::new();
    let mut failed = BTreeSet::new();
    let mut enabled = BTreeSet::new();
    for line in body.lines().filter(|l| !l.ends_with('*')) {
        let Some((directory, name)) = line.rsplit_once('/') else { continue };
        if directory == "/etc/init.d" {
            if name.strip_suffix(".sh").is_none() {
                services.insert(name, (Some("stopped"), "disabled"));
            }
        } else if directory.ends_with("/started") {
            started.insert(name);
        } else if directory.ends_with("/failed") {
            failed.insert(name);
        } else {
            enabled.insert(name);
        }
    }
    for (name, service) in &mut services {
        if enabled.contains(name) {
            service.1 = "enabled";
        }
        if failed.contains(name) {
            service.0 = Some("failed");
        } else if started.contains(name) {
            service.0 = Some("running");
        }
    }
    services
}

/// `PID STATUS LABEL`: a number for what runs, the last exit status for what does not.
fn launchd(body: &str) -> Services<'_> {
    let mut services = Services::new();
    for line in body.lines().skip(1) {
        let mut words = line.split('\t');
        let (Some(pid), Some(status), Some(label)) = (words.next(), words.next(), words.next()) else { continue };
        let state = if pid != "-" {
            "running"
        } else if status == "0" {
            "stopped"
        } else {
            "failed"
        };
        services.insert(label, (Some(state), "unknown"));
    }
    services
}

/// Programs that run others: their name says nothing of which service it is.
const INTERPRETERS: [&str; 12] = ["sh", "bash", "dash", "env", "python", "python3", "perl", "ruby", "node", "java", "php", "true"];

#[derive(Default)]
struct Unit<'a> {
    program: Option<&'a str>,
    pid_file: Option<&'a str>,
    oneshot: bool,
    install: bool,
}

/// No service manager runs. A service is running where the process of its PID file is there, or a process of its
/// program's name; stopped where neither is; `null` where its program is an interpreter, so that the name says nothing.
fn from_files<'a>(raw: &Raw<'a>, body: &'a str) -> Services<'a> {
    let processes = Processes::new(raw);
    let mut units: BTreeMap<&str, Unit<'_>> = BTreeMap::new();
    let (mut masked, mut wanted, mut scripts, mut start) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in body.lines() {
        let last = |path: &'a str| path.rsplit('/').next().unwrap_or(path);
        let unit_name = |path: &'a str| last(path).strip_suffix(".service");
        if let Some(path) = line.strip_prefix("masked ") {
            masked.extend(unit_name(path));
        } else if let Some(path) = line.strip_prefix("wanted ") {
            wanted.extend(unit_name(path));
        } else if let Some(path) = line.strip_prefix("script ") {
            scripts.insert(last(path));
        } else if let Some(path) = line.strip_prefix("start ") {
            let name = last(path);
            // S01ssh of SysV; OpenRC's links bear the name alone.
            let number = name.strip_prefix('S').and_then(|n| n.get(2..).filter(|_| n.as_bytes()[..2].iter().all(u8::is_ascii_digit)));
            start.insert(number.unwrap_or(name));
        } else if let Some((path, text)) = line.split_once(".service:") {
            let name = last(path);
            if name.ends_with('@') {
                continue;
            }
            let unit = units.entry(name).or_default();
            if let Some(command) = text.strip_prefix("ExecStart=") {
                let program = command.trim_start_matches(['-', '@', ':', '+', '!']).split_ascii_whitespace().next();
                unit.program = unit.program.or(program.filter(|p| !p.is_empty()));
            } else if let Some(path) = text.strip_prefix("PIDFile=") {
                unit.pid_file = Some(path.trim());
            } else if text.starts_with("Type=oneshot") {
                unit.oneshot = true;
            } else if text == "[Install]" {
                unit.install = true;
            }
        }
    }
    let mut services = Services::new();
    for (name, unit) in &units {
        let startup = if masked.contains(name) {
            "masked"
        } else if wanted.contains(name) {
            "enabled"
        } else if unit.install {
            "disabled"
        } else {
            "static"
        };
        services.insert(name, (processes.state(name, unit), startup));
    }
    for name in masked {
        services.entry(name).or_insert((Some("stopped"), "masked"));
    }
    for name in
        scripts.into_iter().filter(|n| n.strip_suffix(".sh").is_none() && !matches!(*n, "README" | "rc" | "rcS" | "functions" | "skeleton"))
    {
        let startup = if start.contains(name) { "enabled" } else { "disabled" };
        services.entry(name).or_insert_with(|| (processes.state(name, &Unit { program: Some(name), ..Unit::default() }), startup));
    }
    services
}

/// The process table: names by id.
struct Processes<'r, 'a> {
    raw: &'r Raw<'a>,
    pids: BTreeMap<&'a str, &'a str>,
    names: BTreeSet<&'a str>,
}

impl<'r, 'a> Processes<'r, 'a> {
    fn new(raw: &'r Raw<'a>) -> Self {
        let pids: BTreeMap<&str, &str> = processes(raw).collect();
        let names = pids.values().copied().collect();
        Self { raw, pids, names }
    }

    fn state(&self, name: &str, unit: &Unit<'_>) -> Option<&'static str> {
        if self.pids.is_empty() {
            return None;
        }
        let program = unit.program.map(|p| p.rsplit('/').next().unwrap_or(p));
        // The kernel keeps 15 bytes of a process's name.
        let short = |text: &'_ str| text.char_indices().take_while(|(i, c)| i + c.len_utf8() <= 15).map(|(_, c)| c).collect::<String>();
        let given = unit.pid_file.map(|p| p.replacen("/var/run/", "/run/", 1));
        let files = given.into_iter().chain([format!("/run/{name}.pid"), format!("/run/{name}/{name}.pid")]);
        let alive = files.filter_map(|path| self.raw.first(&path)).any(|pid| {
            let comm = self.pids.get(pid);
            // A PID that was given to another program since does not count.
            comm.is_some_and(|comm| program.is_none_or(|p| INTERPRETERS.contains(&p) || *comm == short(p) || *comm == short(name)))
        });
        if alive {
            return Some("running");
        }
        if unit.oneshot {
            return Some("stopped");
        }
        match program {
            Some(p) if INTERPRETERS.contains(&p) || p.starts_with("python") => None,
            Some(p) if self.names.contains(short(p).as_str()) => Some("running"),
            Some(_) => Some("stopped"),
            None => None,
        }
    }
}

/// Processes: id and name.
fn processes<'a>(raw: &Raw<'a>) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    let line = |line: &'a str| line.strip_prefix("/proc/")?.split_once("/comm:");
    raw.block("procs").unwrap_or_default().lines().filter_map(line)
}

/// Whether a service of one of these names, or a process of it, runs; `None` where neither can be told.
pub(super) fn runs(raw: &Raw<'_>, names: &[&str]) -> Option<bool> {
    let text = raw.block("services").unwrap_or_default();
    if let Some(body) = text.strip_prefix("#systemd-files\n") {
        let services = systemd(body);
        return Some(names.iter().any(|n| services.get(n).is_some_and(|s| s.0 == Some("running"))));
    }
    let mut seen = false;
    for (_, comm) in processes(raw) {
        seen = true;
        if names.contains(&comm) {
            return Some(true);
        }
    }
    seen.then_some(false)
}

/// Whether a service of one of these names starts with the system.
pub(super) fn enabled(raw: &Raw<'_>, names: &[&str]) -> bool {
    let text = raw.block("services").unwrap_or_default();
    let (kind, body) = text.split_once('\n').unwrap_or((text, ""));
    let services = match kind {
        "#systemd-files" => systemd(body),
        "#openrc" => openrc(body),
        "#files" => from_files(raw, body),
        _ => return false,
    };
    names.iter().any(|n| services.get(n).is_some_and(|s| s.1 == "enabled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_tells_state_and_startup() {
        let body = "ssh.service enabled enabled\nautovt@.service alias -\ngetty@.service enabled enabled\nrsync.service disabled enabled\nnginx.service masked enabled\n#systemd-units\nssh.service loaded active running OpenBSD Secure Shell server\ngetty@tty1.service loaded active running Getty on tty1\nfoo.service not-found inactive dead foo.service\n* bad.service loaded failed failed Bad\n";
        let services = systemd(body);
        assert_eq!(services["ssh"], (Some("running"), "enabled"));
        assert_eq!(services["rsync"], (Some("stopped"), "disabled"));
        assert_eq!(services["nginx"], (Some("stopped"), "masked"));
        assert_eq!(services["getty@tty1"].0, Some("running"));
        assert_eq!(services["bad"].0, Some("failed"));
        assert!(!services.contains_key("foo") && !services.contains_key("getty@"));
    }

    #[test]
    fn openrc_tells_by_its_links() {
        let body = "/etc/init.d/sshd\n/etc/init.d/crond\n/etc/init.d/functions.sh\n/etc/runlevels/default/sshd\n/run/openrc/started/sshd\n/run/openrc/failed/*\n";
        let services = openrc(body);
        assert_eq!(services["sshd"], (Some("running"), "enabled"));
        assert_eq!(services["crond"], (Some("stopped"), "disabled"));
        assert_eq!(services.len(), 2);
    }
}
