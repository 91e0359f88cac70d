//! The script on this machine, under every shell that is installed.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;
use crate::model::facts::{Facts, Status};

/// Shells of this machine, as command lines.
fn shells() -> Vec<Vec<&'static str>> {
    let all: [&[&str]; 5] = [&["/bin/sh"], &["dash"], &["bash", "--posix"], &["busybox", "sh"], &["ksh"]];
    let there = |line: &&[&str]| Command::new(line[0]).args(&line[1..]).args(["-c", ":"]).output().is_ok_and(|o| o.status.success());
    all.into_iter().filter(there).map(<[&str]>::to_vec).collect()
}

fn run(shell: &[&str], text: &str) -> Vec<u8> {
    let mut child = Command::new(shell[0]).args(&shell[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.as_bytes().to_vec();
    let writer = std::thread::spawn(move || input.write_all(&text));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    output.stdout
}

fn observe(shell: &[&str], request: &Request) -> Observation {
    let nonce = nonce();
    let raw = run(shell, &script(request, &nonce).unwrap());
    parse(request, &nonce, &raw, chrono::Utc::now())
}

fn facts(observation: Observation) -> Facts {
    Facts { sections: observation.sections }
}

#[test]
fn every_shell_sees_this_machine_as_it_is() {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap();
    let kilobytes: u64 = meminfo.lines().next().unwrap().split_ascii_whitespace().nth(1).unwrap().parse().unwrap();
    let shells = shells();
    assert!(!shells.is_empty());
    for shell in shells {
        let observation = observe(&shell, &Request::full());
        assert_eq!(observation.problems, Vec::<String>::new(), "{shell:?}");
        assert_eq!(observation.sections.len(), Request::full().sections.len());
        let facts = facts(observation);
        let value = |path: &str| facts.value(path).cloned().unwrap_or_else(|| panic!("{shell:?}: {path}: {:?}", facts.section(path).map(|s| &s.0.status)));
        assert_eq!(value("software.os.hostname"), hostname.trim());
        assert_eq!(value("hardware.memory.total_bytes"), kilobytes * 1024);
        assert_eq!(value("performance.memory.total_bytes"), kilobytes * 1024);
        assert_eq!(value("security.users.root.uid"), 0);
        assert_eq!(value("hardware.cpu.threads"), std::thread::available_parallelism().unwrap().get());
        assert!(value("software.os.boot_time").as_str().unwrap().ends_with('Z'));
        assert!(!value("software.services").as_object().unwrap().is_empty());
        assert!(value("hardware.volumes").as_array().unwrap().iter().any(|v| v["mount"] == "/"));
    }
}

#[test]
fn an_unchanged_machine_hashes_the_same_outside_performance() {
    let request = Request::categories(&[
        crate::model::Category::Hardware,
        crate::model::Category::Security,
    ]);
    let (first, second) = (observe(&["/bin/sh"], &request), observe(&["/bin/sh"], &request));
    for (name, section) in &first.sections {
        if &**name != "security.time_sync" {
            assert_eq!(section.hash, second.sections[name].hash, "{name}");
        }
    }
}

#[test]
fn paths_of_any_kind_are_seen_literally() {
    let directory = tempfile::tempdir().unwrap();
    let names = ["plain", "a b", "it's", "$(touch owned)", "`id`", "back\\slash", "-rf", "\u{fc}ml\u{e4}ut", "a\"b", "*", "x;y|z", "~", " lead", "trail "];
    let mut request = Request::default();
    let path = |name: &str| format!("{}/{name}", directory.path().display());
    for name in names {
        std::fs::write(path(name), name).unwrap();
        request.add_probe("files", vec![path(name)]);
    }
    std::os::unix::fs::symlink("a b", path("link")).unwrap();
    std::fs::create_dir(path("dir")).unwrap();
    for name in ["link", "dir", "gone", "plain/below", "it's gone"] {
        request.add_probe("files", vec![path(name)]);
    }
    for shell in shells() {
        let observation = observe(&shell, &request);
        let section = &observation.sections["files"];
        assert_eq!(section.status, Status::Ok, "{shell:?}");
        for name in names {
            use sha2::Digest;
            let seen = &section.data[path(name)];
            assert_eq!(seen["type"], "file", "{shell:?} {name}: {seen}");
            assert_eq!(seen["sha256"], hex::encode(sha2::Sha256::digest(name.as_bytes())), "{shell:?} {name}: {seen}");
            assert_eq!(seen["size"], name.len());
        }
        assert_eq!(section.data[path("link")]["target"], "a b", "{shell:?}");
        assert_eq!(section.data[path("dir")]["type"], "dir");
        for gone in ["gone", "plain/below", "it's gone"] {
            assert_eq!(section.data[path(gone)], serde_json::json!({"type": "absent"}), "{shell:?} {gone}");
        }
        assert!(!std::path::Path::new(&path("owned")).exists() && !std::path::Path::new("owned").exists());
    }
}

#[test]
fn lines_are_compared_as_data_and_expressions_as_expressions() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("a file").display().to_string();
    std::fs::write(&file, "Port 22\n-e $(reboot) 'x'\nPort 2222\n").unwrap();
    let gone = directory.path().join("gone").display().to_string();
    let mut request = Request::default();
    let ask = |file: &str, pattern: &str, line: &str| vec![file.to_owned(), pattern.to_owned(), line.to_owned()];
    let asked = [
        (ask(&file, "^Port ", "Port 22"), serde_json::json!({"exists": true, "present": true, "matches": 2, "line": "Port 22"})),
        (ask(&file, "", "-e $(reboot) 'x'"), serde_json::json!({"exists": true, "present": true, "matches": 0, "line": null})),
        (ask(&file, "", "Port"), serde_json::json!({"exists": true, "present": false, "matches": 0, "line": null})),
        (ask(&gone, "x", "y"), serde_json::json!({"exists": false, "present": false, "matches": 0, "line": null})),
    ];
    for (args, _) in &asked {
        request.add_probe("lines", args.clone());
    }
    request.add_probe("lines", ask(&file, "(", "x"));
    for shell in shells() {
        let observation = observe(&shell, &request);
        for (args, expected) in &asked {
            assert_eq!(&observation.sections["lines"].data[crate::model::facts::probe_key(args)], expected, "{shell:?} {args:?}");
        }
        assert!(observation.sections["lines"].data[format!("{file}\t(\tx")]["error"].is_string());
    }
}

#[test]
fn kernel_parameters_modules_and_keys_are_probed() {
    let ostype = std::fs::read_to_string("/proc/sys/kernel/ostype").unwrap();
    let mut request = Request::default();
    for key in ["kernel.ostype", "kernel/ostype", "no.such.parameter"] {
        request.add_probe("sysctl", vec![key.into()]);
    }
    request.add_probe("modules", vec!["no-such-module".into()]);
    for user in ["root", "no-such-user"] {
        request.add_probe("authorized_keys", vec![user.into()]);
    }
    for shell in shells() {
        let observation = observe(&shell, &request);
        let data = |kind: &str, key: &str| observation.sections[kind].data[key].clone();
        assert_eq!(data("sysctl", "kernel.ostype")["runtime"], ostype.trim(), "{shell:?}");
        assert_eq!(data("sysctl", "kernel/ostype")["runtime"], ostype.trim());
        assert_eq!(data("sysctl", "no.such.parameter")["runtime"], Value::Null);
        assert_eq!(data("modules", "no-such-module")["loaded"], false);
        assert_eq!(data("authorized_keys", "no-such-user")["exists"], false);
        assert_eq!(data("authorized_keys", "root")["exists"], true);
    }
}

#[test]
fn output_that_is_cut_anywhere_leaves_the_lost_sections_unknown_and_the_others_as_they_were() {
    let request = Request::full();
    let nonce = nonce();
    let raw = run(&["/bin/sh"], &script(&request, &nonce).unwrap());
    let at = chrono::Utc::now();
    let whole = parse(&request, &nonce, &raw, at);
    for part in 0..40 {
        let cut = parse(&request, &nonce, &raw[..raw.len() * part / 40], at);
        assert_eq!(cut.sections.len(), whole.sections.len());
        assert!(!cut.problems.is_empty());
        for (name, section) in &cut.sections {
            assert!(section == &whole.sections[name] || matches!(section.status, Status::Unknown(_)), "{name} at {part}/40");
        }
    }
}

#[test]
fn nothing_at_all_is_unknown_and_not_absent() {
    let observation = parse(&Request::full(), "n", b"", chrono::Utc::now());
    assert!(observation.sections.values().all(|s| matches!(s.status, Status::Unknown(_))));
    assert_eq!(observation.sections.len(), Request::full().sections.len());
}

#[test]
fn the_script_is_small() {
    assert!(script(&Request::full(), "0123456789abcdef0123456789abcdef").unwrap().len() < 24_000);
}
#[test]
fn zz_dump() {
    let r = Request::full();
    std::fs::write("/tmp/full.sh", script(&r, "abc").unwrap()).unwrap();
    let raw = run(&["/bin/sh"], &script(&r, "abc").unwrap());
    let t = std::time::Instant::now();
    let o = parse(&r, "abc", &raw, chrono::Utc::now());
    let mut s = format!("parse {:?} raw {}\n", t.elapsed(), raw.len());
    for (n, x) in &o.sections { s += &format!("{n} {:?} {}\n", x.status, x.data.to_string().chars().take(600).collect::<String>()); }
    std::fs::write("/tmp/full.txt", s).unwrap();
    let mut r = Request::for_paths(["software.packages", "software.services", "security.users"]);
    for i in 0..1000 { r.add_probe("files", vec![format!("/usr/share/doc/x{i}/copyright")]); }
    for f in std::fs::read_dir("/usr/bin").unwrap().take(0) { let _ = f; }
    std::fs::write("/tmp/probe.sh", script(&r, "abc").unwrap()).unwrap();
}
