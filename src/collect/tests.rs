//! The script on this machine, under every shell that is installed.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::*;
use crate::model::device::TransportKind;
use crate::model::facts::{Facts, Status};

/// Shells of this machine, as command lines.
fn shells() -> Vec<Vec<&'static str>> {
    let all: [&[&str]; 5] = [&["/bin/sh"], &["dash"], &["bash", "--posix"], &["busybox", "sh"], &["ksh"]];
    let there = |line: &&[&str]| Command::new(line[0]).args(&line[1..]).args(["-c", ":"]).output().is_ok_and(|o| o.status.success());
    all.into_iter().filter(there).map(<[&str]>::to_vec).collect()
}

fn run(shell: &[&str], text: &str) -> Vec<u8> {
    let mut child =
        Command::new(shell[0]).args(&shell[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
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
        let value = |path: &str| {
            facts.value(path).cloned().unwrap_or_else(|| panic!("{shell:?}: {path}: {:?}", facts.section(path).map(|s| &s.0.status)))
        };
        assert_eq!(value("software.os.hostname"), hostname.trim());
        assert_eq!(value("hardware.memory.total_bytes"), kilobytes * 1024);
        assert_eq!(value("performance.memory.total_bytes"), kilobytes * 1024);
        assert_eq!(value("security.users.root.uid"), 0);
        assert_eq!(value("security.users.root.group"), "root");
        assert_eq!(value("hardware.cpu.threads"), std::thread::available_parallelism().unwrap().get());
        assert!(value("software.os.boot_time").as_str().unwrap().ends_with('Z'));
        assert!(!value("software.services").as_object().unwrap().is_empty());
        assert!(value("hardware.volumes").as_array().unwrap().iter().any(|v| v["mount"] == "/"));
    }
}

#[test]
fn an_unchanged_machine_hashes_the_same_outside_performance() {
    let request = Request::categories(&[crate::model::Category::Hardware, crate::model::Category::Security]);
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
    let names = [
        "plain",
        "a b",
        "it's",
        "$(touch owned)",
        "`id`",
        "back\\slash",
        "-rf",
        "\u{fc}ml\u{e4}ut",
        "a\"b",
        "*",
        "x;y|z",
        "~",
        " lead",
        "trail ",
    ];
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
    let pid_max = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let mut request = Request::default();
    for key in ["kernel.ostype", "kernel/ostype", "kernel.pid_max", "no.such.parameter"] {
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
        // A number of several digits: the kernel gives it in one piece or not at all.
        assert_eq!(data("sysctl", "kernel.pid_max")["runtime"], pid_max.trim(), "{shell:?}");
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
/// A recorded answer of this machine, to be damaged.
fn recorded() -> &'static (Request, Vec<u8>, Observation) {
    static RECORDED: std::sync::OnceLock<(Request, Vec<u8>, Observation)> = std::sync::OnceLock::new();
    RECORDED.get_or_init(|| {
        let request = Request::full();
        let raw = run(&["/bin/sh"], &script(&request, "recorded").unwrap());
        let whole = parse(&request, "recorded", &raw, chrono::DateTime::UNIX_EPOCH);
        (request, raw, whole)
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    #[test]
    fn flipped_bits_never_panic_and_never_lose_a_section_silently(flips in proptest::collection::vec((0_usize..1 << 20, 0_u8..8), 1..200)) {
        let (request, raw, _) = recorded();
        let mut damaged = raw.clone();
        for (at, bit) in flips {
            let at = at % damaged.len();
            damaged[at] ^= 1 << bit;
        }
        let seen = parse(request, "recorded", &damaged, chrono::DateTime::UNIX_EPOCH);
        proptest::prop_assert_eq!(seen.sections.len(), request.sections.len());
    }

    #[test]
    fn blocks_in_any_order_and_lost_frames_leave_only_intact_sections(lost in proptest::collection::btree_set(0_usize..60, 0..6), seed in 0_usize..60) {
        let (request, raw, whole) = recorded();
        let text = String::from_utf8_lossy(raw);
        let mut blocks: Vec<String> = text.split_inclusive("\n@recorded end ").map(str::to_owned).collect();
        // Each piece ends in the frame of its block; without it the block and its neighbour are damaged.
        for index in &lost {
            if let Some(block) = blocks.get_mut(*index) {
                let kept = block.len() - "\n@recorded end ".len().min(block.len());
                block.truncate(kept);
            }
        }
        let seen = parse(request, "recorded", blocks.concat().as_bytes(), chrono::DateTime::UNIX_EPOCH);
        for (name, section) in &seen.sections {
            proptest::prop_assert!(section == &whole.sections[name] || matches!(section.status, Status::Unknown(_)), "{}", name);
        }
        // Whole blocks in another order are the same answer.
        let mut whole_blocks: Vec<&str> = text.split("@recorded begin ").skip(1).collect();
        let last = whole_blocks.pop().unwrap();
        let middle = seed % whole_blocks.len();
        whole_blocks.rotate_left(middle);
        whole_blocks.push(last);
        let turned: String = whole_blocks.iter().flat_map(|b| ["@recorded begin ", b]).collect();
        let seen = parse(request, "recorded", turned.as_bytes(), chrono::DateTime::UNIX_EPOCH);
        proptest::prop_assert_eq!(&seen.sections, &whole.sections);
    }
}

#[test]
fn a_fleet_answers_once_per_device_and_a_device_that_is_away_costs_only_itself() {
    use crate::transport::{Command as Remote, Output, Session, TransportError};
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    /// Runs commands as processes of this machine.
    struct Here;

    #[async_trait::async_trait]
    impl Session for Here {
        async fn run(&self, command: Remote, _: &CancellationToken) -> Result<Output, TransportError> {
            // A short script is the command itself, a long one comes as its input.
            let text = if command.input.is_empty() { command.line } else { String::from_utf8(command.input.to_vec()).unwrap() };
            let stdout = tokio::task::spawn_blocking(move || run(&["/bin/sh"], &text)).await.unwrap();
            Ok(Output { code: 0, stdout, stderr: Vec::new() })
        }
    }

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let seen = runtime.block_on(async {
        let request = Arc::new(Request::for_paths(["software.os"]));
        let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
        let devices = (0..12).map(move |device: u32| (device, Arc::clone(&request)));
        let open = |device: &u32| {
            let away = *device == 3;
            async move {
                let unreachable = TransportError::Unreachable { address: "192.0.2.3:22".into(), reason: "no route".into() };
                if away { Err(unreachable) } else { Ok(Arc::new(Here) as Arc<dyn Session>) }
            }
        };
        let round = Round { concurrency: 4, behind_shares: 4, limits: Limits::default(), visit: Visit::Once, name: |_| "" };
        let work = collect_fleet(
            devices,
            (open, |_: &u32| TransportKind::Ssh),
            Arc::new(crate::time::SystemClock),
            round,
            CancellationToken::new(),
            sender,
        );
        let read = async {
            let mut seen = std::collections::BTreeMap::new();
            while let Some(done) = receiver.recv().await {
                assert!(seen.insert(done.device, done.result.map(|o| o.sections["software.os"].status.clone())).is_none());
            }
            seen
        };
        tokio::join!(work, read).1
    });
    assert_eq!(seen.len(), 12);
    for (device, result) in seen {
        assert_eq!(result.is_ok(), device != 3);
        assert!(result.is_err() || result == Ok(Status::Ok));
    }
}

#[test]
fn every_section_and_probe_has_a_page_and_its_members_are_those_of_the_page() {
    let pages = crate::catalog::facts::fact_pages();
    let (request, _, whole) = recorded();
    for name in request.sections.iter().map(ToString::to_string).chain(Request::probe_kinds().map(str::to_owned)) {
        assert!(pages.contains_key(&name), "{name} has no page");
    }
    for (name, section) in &whole.sections {
        let page = &pages[&**name];
        let one = match (&*section.data, page.shape.as_str()) {
            (Value::Array(list), "list") => list.first().cloned(),
            (Value::Object(map), "map") => map.values().next().cloned(),
            (object @ Value::Object(_), "object") => Some(object.clone()),
            (Value::Null, _) => None,
            (other, shape) => panic!("{name} is not a {shape}: {other}"),
        };
        for (member, about) in page.members() {
            let here = about.platforms.is_empty() || about.platforms.contains(&crate::model::Platform::Linux);
            if let (Some(Value::Object(one)), true) = (&one, here) {
                assert!(one.contains_key(&member), "{name} has no {member}");
            }
        }
        // A member without a line on the page would be taken for a misspelling.
        if let (Some(Value::Object(one)), false) = (&one, page.members.is_empty()) {
            for member in one.keys() {
                assert!(page.members.contains_key(member), "the page of {name} has no {member}");
            }
        }
    }
}
