//! What goes wrong around the program: each with a clear error and an exit code, and nothing lost.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, Said};
use crate::sshd::keygen;

const NOTE: &str = "      Files:\n        \"{{ vars.dir }}/note\": {content: \"hello\\n\"}\n";

/// Does something of its own on the second device, what it is told on the others.
fn instead(on_second: &str) -> String {
    format!("ForceCommand case \"$SSH_CONNECTION\" in *\" 127.0.1.2 \"*) {on_second} ;; *) exec sh -c \"$SSH_ORIGINAL_COMMAND\" ;; esac")
}

/// The first device is changed, whatever happens to the second.
#[track_caller]
fn first_goes_on(fleet: &Fleet, code: i32, says: &str) -> Said {
    let said = fleet.rmm(&["collect"]).says(says).ends(code);
    fleet.apply(&[]);
    assert_eq!(fleet.read(1, "note").as_deref(), Some("hello\n"));
    fleet.intact();
    said
}

#[test]
fn a_typo_in_a_policy_is_shown_where_it_is_and_nothing_is_done() {
    let fleet = Fleet::new(1);
    fleet.policy(&NOTE.replace("Files", "Flies"));
    fleet.apply(&[]).ends(4).says("policies/test.yaml:6").says("Files");
    fleet.file("policies/test.yaml", "policies:\n  Test:\n    tragets: [\"*\"]\n    settings: {}\n");
    fleet.rmm(&["plan"]).ends(4).says("policies/test.yaml:3").says("targets");
    assert!(!fleet.db().exists());
}

#[test]
fn a_device_that_never_answers_delays_nobody() {
    let silent = TcpListener::bind("127.0.1.2:0").unwrap();
    let fleet = Fleet::new(2);
    fleet.policy(NOTE);
    fleet.file("rmm.toml", "[connections]\nssh_timeout = \"1s\"\n[limits]\nmax_percent = 100\n");
    let port = silent.local_addr().unwrap().port();
    fleet.declare(|i| if i == 2 { format!("connection: {{port: {port}}}") } else { String::new() });
    first_goes_on(&fleet, 9, "no answer within 1 s");
}

#[test]
fn a_device_that_hangs_after_the_login_costs_its_time_limit_alone() {
    let fleet = Fleet::with(2, &instead("sleep 100"));
    fleet.policy(NOTE);
    fleet.file("rmm.toml", "[connections]\ncommand_timeout = \"8s\"\n[limits]\nmax_percent = 100\n");
    let begun = Instant::now();
    first_goes_on(&fleet, 9, "no answer within 8 s; the command was ended");
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
}

#[test]
fn a_device_that_prints_without_end_is_cut_off() {
    let fleet = Fleet::with(2, &instead("head -c 1000000000 /dev/zero"));
    fleet.policy(NOTE);
    first_goes_on(&fleet, 8, "printed more than 16777216 bytes");
}

#[test]
fn a_device_whose_disk_is_full_fails_and_keeps_what_it_had() {
    let fleet = Fleet::new(2);
    let small = SmallDisk::on(&fleet.dir(2));
    let big = "x".repeat(400_000);
    std::fs::write(fleet.dir(2).join("note"), "old").unwrap();
    fleet.policy(&NOTE.replace("hello\\n", &big));
    fleet.apply(&[]).ends(8).says("No space left");
    assert_eq!((fleet.read(1, "note"), fleet.read(2, "note").as_deref()), (Some(big), Some("old")));
    fleet.intact();
    drop(small);
}

#[test]
fn a_script_in_an_endless_loop_is_stopped_at_its_limit() {
    let fleet = Fleet::new(1);
    let script = |setting: &str, compliant: &str, apply: &str| {
        format!(
            "//! setting: {setting}\n//! summary: Loops.\n//! platforms: [linux]\n//! value: {{type: string}}\n//! observe: software.os.id\n//! compare: script\n//! risk: low\n//! examples:\n//!   - x\nfn compliant(observed, desired) {{ {compliant} }}\nfn apply(device, desired) {{ {apply} }}\n"
        )
    };
    fleet.file("scripts/one.rhai", &script("LoopsInApply", "false", "loop { }"));
    fleet.file("scripts/two.rhai", &script("LoopsInCompare", "loop { }", ""));
    fleet.policy(&format!("{NOTE}      LoopsInApply: x\n      LoopsInCompare: x\n"));
    let begun = Instant::now();
    fleet.rmm(&["plan"]).ends(0).says("1 unknown").says("limit");
    fleet.apply(&[]).ends(8).says("the script went past its limit");
    assert!(begun.elapsed() < Duration::from_mins(1));
    assert_eq!(fleet.read(1, "note").as_deref(), Some("hello\n"));
}

#[test]
fn a_wrong_key_is_told_from_a_device_that_is_away() {
    let fleet = Fleet::new(1);
    fleet.policy(NOTE);
    std::fs::write(fleet.sshd.path("authorized_keys"), "").unwrap();
    fleet.rmm(&["collect"]).ends(8).says("cannot sign in").says("refused");
    fleet.rmm(&["status"]).ends(0).says("1 with errors");
}

#[test]
fn a_changed_host_key_is_refused_and_both_fingerprints_are_named() {
    let fleet = Fleet::new(1);
    fleet.policy(NOTE);
    keygen(&fleet.sshd.path("other"), "ed25519", "");
    let key = std::fs::read_to_string(fleet.sshd.path("other.pub")).unwrap();
    std::fs::write(fleet.sshd.path(".ssh/known_hosts"), format!("[127.0.1.1]:{} {key}", fleet.sshd.port)).unwrap();
    let said = fleet.rmm(&["collect"]).ends(8);
    assert_eq!(format!("{}{}", said.out, said.err).matches("SHA256:").count(), 2, "{said:?}");
    fleet.rmm(&["plan"]).ends(0).says("unknown");
}

#[test]
fn a_hundred_megabytes_of_yaml_and_a_bomb_of_aliases_are_refused_at_once() {
    let fleet = Fleet::new(1);
    let begun = Instant::now();
    fleet.policy(&format!("{NOTE}      # {}\n", "x".repeat(100 << 20)));
    fleet.apply(&[]).ends(4).says("policies/test.yaml");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    fleet.file("policies/test.yaml", &bomb);
    fleet.apply(&[]).ends(4).says("policies/test.yaml");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_broken_line_in_the_middle_of_a_csv_file_imports_nothing() {
    let fleet = Fleet::new(1);
    let mut csv = "name,address\n".to_owned();
    for i in 0..1000 {
        csv += &if i == 500 { "ws-500,\"half a\" quote,too,many\n".to_owned() } else { format!("ws-{i},192.0.2.{}\n", i % 250) };
    }
    fleet.file("new.csv", &csv);
    let file = fleet.repo().join("new.csv");
    let said = fleet.rmm(&["devices", "import", file.to_str().unwrap(), "--yes"]).says("502");
    assert!(matches!(said.code, Some(1 | 4)), "{said:?}");
    assert!(!fleet.repo().join("devices/imported.yaml").exists());
}

/// A file system of 256 KiB, unmounted with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn on(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "rmm-test"]).arg(path).status().unwrap();
        assert!(status.success(), "a small file system cannot be mounted: this test needs root");
        Self(path.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_under_the_database_stops_cleanly_and_goes_on_once_there_is_room() {
    let fleet = Fleet::new(2);
    fleet.policy(NOTE);
    let disk = fleet.repo().join(".rmm");
    let small = SmallDisk::on(&disk);
    fleet.apply(&[]).ends(1).says("RMM0505");
    assert_eq!(fleet.read(1, "note"), None);
    // More room, and it goes on as if nothing had been.
    assert!(Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).status().unwrap().success());
    fleet.apply(&[]).ends(0);
    assert_eq!(fleet.read(1, "note").as_deref(), Some("hello\n"));
    // Full again, this time with everything in place.
    let rest = Command::new("sh").args(["-c", "cat /dev/zero >\"$1/filler\" 2>/dev/null; ls -l \"$1\"", "sh"]).arg(&disk).output().unwrap();
    assert!(rest.status.success());
    fleet.policy(&NOTE.replace("hello", "bye"));
    fleet.apply(&["--refresh", "always"]).ends(1).says("RMM0505");
    std::fs::remove_file(disk.join("filler")).unwrap();
    fleet.apply(&["--refresh", "always"]).ends(0);
    assert_eq!(fleet.read(2, "note").as_deref(), Some("bye\n"));
    fleet.intact();
    drop(small);
}

fn with_database() -> Fleet {
    let fleet = Fleet::new(1);
    fleet.policy(NOTE);
    fleet.apply(&[]).ends(0);
    fleet.policy(&NOTE.replace("hello", "bye"));
    fleet
}

/// The command ends with this error, and neither the database nor the device is touched.
#[track_caller]
fn untouched(fleet: &Fleet, code: &str) {
    let before = std::fs::read(fleet.db()).unwrap();
    fleet.apply(&[]).ends(1).says(code);
    assert!(std::fs::read(fleet.db()).unwrap() == before, "the database was touched");
    assert_eq!(fleet.read(1, "note").as_deref(), Some("hello\n"));
}

#[test]
fn a_read_only_or_newer_database_is_left_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let fleet = with_database();
    let mode = |mode: u32| std::fs::set_permissions(fleet.db(), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o444);
    untouched(&fleet, "RMM0503");
    mode(0o600);
    let connection = rusqlite::Connection::open(fleet.db()).unwrap();
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", version + 1000).unwrap();
    connection.close().unwrap();
    untouched(&fleet, "RMM0501");
    let connection = rusqlite::Connection::open(fleet.db()).unwrap();
    connection.pragma_update(None, "user_version", version).unwrap();
    connection.close().unwrap();
    fleet.apply(&[]).ends(0);
    assert_eq!(fleet.read(1, "note").as_deref(), Some("bye\n"));
}

#[test]
fn a_locked_database_is_waited_for_and_then_refused() {
    let fleet = with_database();
    let connection = rusqlite::Connection::open(fleet.db()).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    untouched(&fleet, "RMM0504");
    connection.execute_batch("ROLLBACK").unwrap();
    fleet.apply(&[]).ends(0);
    fleet.intact();
}

#[test]
fn a_damaged_database_is_refused_and_repair_puts_it_aside() {
    let fleet = with_database();
    // Everything into the one file, of which the second half is lost then.
    rusqlite::Connection::open(fleet.db()).unwrap().pragma_update(None, "wal_checkpoint", "truncate").unwrap();
    let mut bytes = std::fs::read(fleet.db()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    std::fs::write(fleet.db(), &bytes).unwrap();
    untouched(&fleet, "RMM0502");
    fleet.rmm(&["init", "--repair"]).ends(0).says("put aside");
    let aside: Vec<_> = std::fs::read_dir(fleet.repo().join(".rmm"))
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.to_string_lossy().contains("damaged"))
        .collect();
    assert!(aside.iter().any(|p| std::fs::read(p).unwrap() == bytes), "{aside:?}");
    fleet.apply(&[]).ends(0);
    assert_eq!(fleet.read(1, "note").as_deref(), Some("bye\n"));
    fleet.intact();
}
