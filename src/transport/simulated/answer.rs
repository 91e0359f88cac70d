//! What a simulated machine prints: the blocks that a collecting script asks for, or the end of one of the few commands
//! that it knows. Everything else is refused in plain words.

use std::fmt::Write as _;

use super::files::File;
use super::machine::{Machine, SERVICES};
use super::{packages, shell};
use crate::transport::{Command, Output};

/// Bytes of memory, and of the one volume.
const MEMORY: f64 = 8.0 * 1_073_741_824.0;
const SWAP: f64 = 2.0 * 1_073_741_824.0;
const VOLUME: f64 = 64.0 * 1_073_741_824.0;

pub(super) fn answer(machine: &mut Machine, command: &Command) -> Output {
    let line = command.line.as_str();
    if line.starts_with("k=")
        && let Some(output) = super::once::answer(machine, command, answer)
    {
        return output;
    }
    if line.ends_with("\nmain </dev/null\nfinish\n") {
        return Output { code: 0, stdout: collected(machine, line).into_bytes(), stderr: Vec::new() };
    }
    let done = |result: Result<String, String>| match result {
        Ok(text) => Output { code: 0, stdout: text.into_bytes(), stderr: Vec::new() },
        Err(why) => Output { code: 64, stdout: Vec::new(), stderr: format!("{why}\n").into_bytes() },
    };
    if line.contains("journalctl --no-pager") {
        // Nothing ever happens here.
        return done(Ok("#\n#\n".into()));
    }
    if line.starts_with("f=") {
        return done(write(machine, line, &command.input));
    }
    let Some(words) = shell::words(line) else { return done(Err("a simulated device does not run shell text".into())) };
    done(run(machine, &words.iter().map(String::as_str).collect::<Vec<_>>()))
}

fn run(machine: &mut Machine, words: &[&str]) -> Result<String, String> {
    if let Some(done) = packages::run(machine, words) {
        return done;
    }
    match words {
        ["true"] => Ok(String::new()),
        ["hostname"] => Ok(format!("{}\n", machine.name)),
        ["uptime"] => Ok(format!("up {} s, load average: {:.2}\n", machine.uptime() as u64, machine.levels.load)),
        ["echo", rest @ ..] => Ok(format!("{}\n", rest.join(" "))),
        ["rm", "-f", "--", path] => {
            machine.files.remove(path);
            Ok(String::new())
        }
        ["cat", path] | ["cat", "--", path] => {
            let file = machine.files.get(path).ok_or_else(|| format!("cat: {path}: No such file or directory"))?;
            Ok(String::from_utf8_lossy(&file.content).into_owned())
        }
        ["sh", "-c", _, "own", path, who, mode] => {
            let mut file = machine.files.get(path).ok_or_else(|| format!("{path} is neither a file nor a directory"))?;
            own(&mut file, who, mode);
            machine.files.put(path, file).map(|()| String::new()).map_err(str::to_owned)
        }
        ["systemctl", verb, "--", unit] => service(machine, verb, unit.trim_end_matches(".service")),
        _ => Err(format!("a simulated device does not know '{}'", words.first().copied().unwrap_or_default().escape_debug())),
    }
}

fn service(machine: &mut Machine, verb: &str, name: &str) -> Result<String, String> {
    let (mut state, mut startup) = machine.service(name).ok_or_else(|| format!("Unit {name}.service could not be found."))?;
    match verb {
        "start" | "restart" | "reload" if startup == "masked" => return Err(format!("Unit {name}.service is masked.")),
        "start" | "restart" | "reload" => state = "running".into(),
        "stop" => state = "stopped".into(),
        "enable" | "unmask" => startup = "enabled".into(),
        "disable" => startup = "disabled".into(),
        "mask" => startup = "masked".into(),
        _ => return Err(format!("a simulated device does not know 'systemctl {}'", verb.escape_debug())),
    }
    machine.services.insert(name.to_owned(), (state, startup));
    machine.changes += 1;
    Ok(String::new())
}

fn own(file: &mut File, who: &str, mode: &str) {
    let (owner, group) = who.split_once(':').unwrap_or((who, ""));
    let set = |to: &mut String, from: &str| {
        if !from.is_empty() {
            from.clone_into(to);
        }
    };
    set(&mut file.owner, owner);
    set(&mut file.group, group);
    set(&mut file.mode, mode.trim_start_matches('0'));
}

/// `f=PATH t=... `: the line that writes a file atomically, with owner and mode in it.
fn write(machine: &mut Machine, line: &str, content: &[u8]) -> Result<String, String> {
    let (path, _) = shell::word(&line["f=".len()..]).ok_or("not a path that can be read")?;
    let mut file =
        machine.files.get(&path).unwrap_or(File { content: Vec::new(), mode: "644".into(), owner: "root".into(), group: "root".into() });
    let after = |mark: &str| line.split_once(mark).and_then(|(_, rest)| shell::word(rest)).map(|(word, _)| word).unwrap_or_default();
    own(&mut file, &after("chown $h -- "), &after("chmod -- "));
    file.content = content.to_vec();
    machine.changes += 1;
    machine.files.put(&path, file).map(|()| String::new()).map_err(|why| format!("{path} was not written and is as it was: {why}"))
}

/// The answer to a collecting script.
fn collected(machine: &Machine, script: &str) -> String {
    let nonce = script.split_once("\nN=").and_then(|(_, rest)| shell::word(rest)).map(|(nonce, _)| nonce).unwrap_or_default();
    let stamp = machine.stamp();
    // The caller remembers what stood in blocks that have not changed.
    let known = script.contains(&format!("[ \"$H\" = '{stamp}' ]"));
    let mut out = String::with_capacity(8 * 1024);
    let body = script.split_once("\nmain() {\n").map_or("", |(_, body)| body);
    let mut same: Option<&str> = None;
    let mut lines = body.lines();
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("s ") {
            same = Some(name);
        } else if let Some(name) = line.strip_prefix("b ") {
            if known && same == Some(name) {
                let _ = writeln!(out, "@{nonce} same {name}");
                continue;
            }
            let mut asked = Vec::new();
            for line in lines.by_ref().take_while(|line| !line.strip_prefix("e ").is_some_and(|rest| rest.starts_with(name))) {
                asked.push(line);
            }
            let _ = writeln!(out, "@{nonce} begin {name}");
            let code = block(machine, name, &stamp, &asked, &mut out);
            let _ = writeln!(out, "\n@{nonce} end {name} {code}");
        }
    }
    let _ = writeln!(out, "@{nonce} done");
    out
}

/// Prints one block; its exit code.
fn block(machine: &Machine, name: &str, stamp: &str, asked: &[&str], out: &mut String) -> u8 {
    let host = &machine.name;
    match name {
        "host" => {
            let _ = writeln!(out, "Linux {host} 6.1.0-28-amd64 x86_64 0");
        }
        "stamp" => {
            let _ = writeln!(out, "{stamp}");
        }
        "files-proc" | "files-sys" | "files-etc" => {
            files(machine, asked.first().unwrap_or(&""), out);
            return 2;
        }
        "exists" => {
            out.push_str("/run/systemd/system\n/run/systemd/timesync/synchronized\n+apt-get\n+nft\n+sshd\n+systemctl\n/sys/firmware/efi\n");
        }
        "links" => out.push_str("lrwxrwxrwx 1 0 0 27 Jan  1 00:00 /etc/localtime -> /usr/share/zoneinfo/Etc/UTC\n"),
        "cpuinfo" => {
            for core in 0..machine.cores {
                let _ = write!(
                    out,
                    "processor\t: {core}\nvendor_id\t: GenuineIntel\nmodel name\t: Simulated CPU\nphysical id\t: 0\ncore id\t: {core}\n"
                );
            }
            out.push_str(" hypervisor \n");
        }
        "packages" => packages::installed(machine, out),
        "updates" => packages::offered(machine, out),
        "services" => services(machine, out),
        "shadow" => out.push_str("root:*:19000:0:99999:7:::\n"),
        "sshd" => out.push_str("port 22\npermitrootlogin no\npasswordauthentication no\nx11forwarding no\nmaxauthtries 4\n"),
        "volumes" => {
            let blocks = VOLUME / 4096.0;
            let free = blocks * machine.levels.disk_free / 100.0;
            let _ = writeln!(out, "4096 {blocks:.0} {free:.0} {free:.0} /");
        }
        "addresses" => {
            let octet = |what| (machine.draw(what) * 254.0) as u8 + 1;
            let _ = write!(
                out,
                "1: lo    inet 127.0.0.1/8 scope host lo\n2: eth0    inet 10.{}.{}.{}/8 scope global eth0\n",
                octet(80),
                octet(81),
                octet(82)
            );
        }
        "firewall" => {
            out.push_str("#nft\ntable inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n");
        }
        "listeners" => out.push_str("tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\ntcp LISTEN 0 511 0.0.0.0:80 0.0.0.0:*\n"),
        "connections" => out.push_str("tcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:50000\n"),
        "procs" | "memory" | "secureboot" | "gpus" => {}
        _ => return probe(machine, name, asked, out),
    }
    0
}

fn probe(machine: &Machine, block: &str, asked: &[&str], out: &mut String) -> u8 {
    // The name of the function, its arguments line by line, and where its complaints go.
    let words: Vec<String> = asked.iter().skip(1).filter_map(|line| line.strip_suffix(" \\")).filter_map(shell::words).flatten().collect();
    match block.strip_prefix("probe-").and_then(|rest| rest.rsplit_once('-')).map(|(kind, _)| kind) {
        Some("files") => out.push_str(&machine.files.probe(&words)),
        Some("lines") => out.push_str(&machine.files.lines(&words)),
        Some("sysctl") => (0..words.len()).for_each(|i| {
            let _ = writeln!(out, "{i}|absent|");
        }),
        Some("modules") => out.push_str("=known\n"),
        Some("authorized_keys") => {}
        // The parser says that this block did not arrive.
        _ => return 124,
    }
    0
}

fn services(machine: &Machine, out: &mut String) {
    out.push_str("#systemd-files\n");
    for name in machine.service_names() {
        if let Some((_, startup)) = machine.service(name) {
            let _ = writeln!(out, "{name}.service {startup} enabled");
        }
    }
    out.push_str("#systemd-units\n");
    for name in machine.service_names() {
        let state = match machine.service(name) {
            Some((state, _)) if state == "running" => "active running",
            Some((state, _)) if state == "failed" => "failed failed",
            _ => "inactive dead",
        };
        let described = if SERVICES.contains(&name) { name } else { "a service" };
        let _ = writeln!(out, "{name}.service loaded {state} {described}");
    }
    out.push_str("#systemd-end\n");
}

/// Files that are read as they are; only those that the line asks for.
fn files(machine: &Machine, asked: &str, out: &mut String) {
    // What stands before the first special character decides: nobody reads what was not asked for.
    let patterns: Vec<&str> =
        asked.split(' ').filter(|word| word.starts_with('/')).map(|word| word.split(['*', '?', '[']).next().unwrap_or(word)).collect();
    let wanted = |path: &str| patterns.iter().any(|pattern| path.starts_with(pattern));
    let mut file = |path: &str, text: &str| {
        if wanted(path) {
            for line in text.lines() {
                let _ = writeln!(out, "{path}:{line}");
            }
        }
    };
    let (levels, counters) = (&machine.levels, &machine.counters);
    let kilobytes = |bytes: f64| (bytes / 1024.0) as u64;
    file("/proc/1/comm", "systemd");
    if wanted("/proc/loadavg") {
        let load = levels.load * f64::from(machine.cores);
        file("/proc/loadavg", &format!("{load:.2} {load:.2} {load:.2} 1/200 12345"));
    }
    if wanted("/proc/stat") {
        let times = |part: f64| {
            let (busy, idle) = (counters.busy * part, counters.idle * part);
            format!("{:.0} 0 {:.0} {idle:.0} 0 0 0 0 0 0", busy * 0.7, busy * 0.3)
        };
        let mut text = format!("cpu  {}\n", times(1.0));
        for core in 0..machine.cores {
            let _ = writeln!(text, "cpu{core} {}", times(1.0 / f64::from(machine.cores)));
        }
        let _ = writeln!(text, "btime {}", machine.booted());
        file("/proc/stat", &text);
    }
    if wanted("/proc/meminfo") {
        let available = MEMORY * (1.0 - levels.memory / 100.0);
        let text = format!(
            "MemTotal: {} kB\nMemFree: {} kB\nMemAvailable: {} kB\nCached: {} kB\nSwapTotal: {} kB\nSwapFree: {} kB\n",
            kilobytes(MEMORY),
            kilobytes(available / 2.0),
            kilobytes(available),
            kilobytes(available / 2.0),
            kilobytes(SWAP),
            kilobytes(SWAP * (1.0 - levels.swap / 100.0))
        );
        file("/proc/meminfo", &text);
    }
    if wanted("/proc/diskstats") {
        let sectors = counters.requests * 16.0;
        let (reads, ms) = (counters.requests / 2.0, counters.waited_ms / 2.0);
        let half = format!("{reads:.0} 0 {:.0} {ms:.0}", sectors / 2.0);
        file(
            "/proc/diskstats",
            &format!("   8       0 sda {half} {half} 0 {ms:.0} {:.0}\n   8       1 sda1 {half} {half} 0 {ms:.0} {:.0}", ms * 2.0, ms * 2.0),
        );
    }
    if wanted("/proc/net/dev") {
        let (bytes, errors, drops) = (counters.bytes, counters.errors, counters.drops);
        let text = format!(
            "Inter-|   Receive  |  Transmit\n face |bytes packets errs drop\n    lo: 1000 10 0 0 0 0 0 0 1000 10 0 0 0 0 0 0\n  eth0: {bytes:.0} 10 {errors:.0} {drops:.0} 0 0 0 0 {bytes:.0} 10 0 0 0 0 0 0"
        );
        file("/proc/net/dev", &text);
    }
    file("/proc/uptime", &format!("{:.2} 0.00", machine.uptime()));
    file("/proc/mounts", "/dev/sda1 / ext4 rw,relatime 0 0\ntmpfs /tmp tmpfs rw,nosuid,nodev 0 0");
    file("/proc/modules", "ext4 900000 1 - Live 0x0");
    file("/sys/class/thermal/thermal_zone0/type", "x86_pkg_temp");
    file("/sys/class/thermal/thermal_zone0/temp", &format!("{:.0}", levels.temperature * 1000.0));
    file("/sys/class/net/eth0/address", "02:00:00:00:00:01");
    file("/sys/class/net/eth0/mtu", "1500");
    file("/sys/class/net/eth0/operstate", "up");
    file("/sys/class/dmi/id/sys_vendor", "Example");
    file("/sys/class/dmi/id/product_name", "Simulated Machine");
    if let Some(battery) = levels.battery {
        file("/sys/class/power_supply/BAT0/type", "Battery");
        file("/sys/class/power_supply/BAT0/capacity", &format!("{battery:.0}"));
    }
    file(
        "/etc/os-release",
        "NAME=\"Debian GNU/Linux\"\nID=debian\nVERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nPRETTY_NAME=\"Debian GNU/Linux 12 (simulated)\"",
    );
    file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh");
    file("/etc/group", "root:x:0:\nsudo:x:27:");
    file("/etc/hosts", &format!("127.0.0.1 localhost\n127.0.1.1 {0}.example.org {0}", machine.name));
    file("/etc/login.defs", "PASS_MAX_DAYS 99999\nPASS_MIN_DAYS 0\nPASS_WARN_AGE 7");
    file("/etc/ssh/sshd_config", "PermitRootLogin no\nPasswordAuthentication no");
}
