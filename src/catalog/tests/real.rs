//! Settings carried out on this machine, under directories of the tests' own.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::*;
use crate::model::Operation;
use crate::model::operation::Reply;
use crate::script::{Host, HostError};

/// Carries operations out with a shell of this machine, its programs found in a folder where one is given.
#[derive(Default)]
struct Local {
    programs: Option<std::path::PathBuf>,
}

impl Host for Local {
    fn perform(&mut self, operation: &Operation) -> Result<Reply, HostError> {
        use std::io::Write as _;
        let rendered = render(operation);
        let mut command = match &self.programs {
            Some(programs) => {
                let mut command = Command::new(programs.join("sh"));
                command.env("PATH", programs);
                command
            }
            None => Command::new("sh"),
        };
        let mut child =
            command.args(["-c", &rendered.line]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads no input may have ended before it is written.
        let _ = child.stdin.take().unwrap().write_all(&rendered.input.unwrap_or_default());
        let output = child.wait_with_output().unwrap();
        Ok(Reply {
            code: output.status.code().unwrap_or(255),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn fact(&self, path: &str) -> Option<Value> {
        debian().value(path).cloned()
    }
}

fn host() -> SharedHost {
    Arc::new(Mutex::new(Local::default()))
}

fn carry_out(name: &str, key: &str, desired: Value, observed: Option<Value>) {
    let setting = setting(name);
    assert_eq!(setting.check(Some(key), &desired), Vec::new());
    // Twice: the second time does no harm.
    for _ in 0..2 {
        setting.program.apply(&host(), Some(key), &desired, observed.as_ref()).unwrap_or_else(|e| panic!("{name} {key}: {e:?}"));
    }
}

/// Names that a shell could take for something else.
const NAMES: [&str; 5] = ["plain", "a b", "$(touch x)", "'; touch x #", "-rf"];

#[test]
fn files_get_exactly_their_content_mode_and_keep_what_is_not_named() {
    let dir = tempfile::tempdir().unwrap();
    let content = "'; rm -rf / #\n$(reboot)\n\\ `x` \"y\" %s\n";
    for name in NAMES {
        let path = dir.path().join(name);
        let key = path.to_str().unwrap();
        carry_out("Files", key, json!({"content": content, "mode": "0640"}), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        carry_out("Files", key, json!({"content": "new"}), Some(json!({"type": "file"})));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640, "the mode of the old file is kept");
        setting("Files").program.rollback(&host(), Some(key), None).unwrap();
        assert!(!path.exists());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left over, and nothing ran");
}

#[test]
fn a_prepared_link_beside_a_file_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "safe").unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join(".f.rmm-tmp")).unwrap();
    carry_out("Files", dir.path().join("f").to_str().unwrap(), json!({"content": "new"}), None);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "safe");
    assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "new");
}

#[test]
fn a_write_that_fails_leaves_the_old_file_and_no_litter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "old").unwrap();
    let operation = Operation::WriteFile {
        path: path.to_str().unwrap().to_owned(),
        content: "x".repeat(100_000),
        mode: None,
        owner: None,
        group: None,
    };
    let rendered = render(&operation);
    // A limit on the size of files stands for a full disk: writing fails in the middle.
    let script = format!("trap '' XFSZ; ulimit -f 8; {}", rendered.line);
    let mut child = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), &rendered.input.unwrap());
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("was not written and is as it was"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_is_never_replaced_by_a_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("d")).unwrap();
    let key = dir.path().join("d").to_str().unwrap().to_owned();
    let error = setting("Files").program.apply(&host(), Some(&key), &json!({"content": "x"}), Some(&json!({"type": "dir"}))).unwrap_err();
    assert!(matches!(error, ScriptError::Host(HostError::Exit { code: 1, .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(dir.path().join("d")).unwrap().count(), 0);
}

#[test]
fn directories_are_made_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    for name in NAMES {
        let path = dir.path().join(name).join("in");
        let key = path.to_str().unwrap();
        carry_out("Directories", key, json!({"mode": "0750"}), None);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o750);
        setting("Directories").program.apply(&host(), Some(key), &json!("absent"), Some(&json!({"type": "dir"}))).unwrap();
        assert!(!path.exists() && path.parent().unwrap().exists());
    }
}

#[test]
fn lines_are_set_replaced_and_removed_literally() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("'; touch x #.conf");
    let file = path.to_str().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap();
    carry_out("LineInFile", "new", json!({"path": file, "line": "$(reboot) \\1 & 'x' \"y\" \\n 10"}), None);
    assert_eq!(read(), "$(reboot) \\1 & 'x' \"y\" \\n 10\n");
    std::fs::write(&path, "# head\numask 022\nother\n umask 077\nlast without end").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o604)).unwrap();
    carry_out("LineInFile", "umask", json!({"path": file, "match": "^[[:space:]]*umask", "line": "umask 027"}), None);
    assert_eq!(read(), "# head\numask 027\nother\nlast without end\n");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o604);
    carry_out("LineInFile", "umask", json!({"path": file, "match": "^umask", "line": "x", "state": "absent"}), None);
    carry_out("LineInFile", "end", json!({"path": file, "line": "-e --help"}), None);
    assert_eq!(read(), "# head\nother\nlast without end\n-e --help\n");
    // `1e1` and `10` are the same number, but not the same line.
    std::fs::write(&path, "1e1\n").unwrap();
    carry_out("LineInFile", "number", json!({"path": file, "line": "10"}), None);
    assert_eq!(read(), "1e1\n10\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_first_line_goes_before_everything_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sshd_config");
    std::fs::write(&path, "Port 22\nBanner none\nMatch User x\n  Banner /y\n").unwrap();
    let script = "fn apply(device, key, desired) { device.set_first_line(key, \"^Banner[[:space:]]\", desired); }";
    let program = Program::compile(script).unwrap();
    for _ in 0..2 {
        program.apply(&host(), path.to_str(), &json!("Banner /etc/issue.net"), None).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "Banner /etc/issue.net\nPort 22\nMatch User x\n  Banner /y\n");
}

#[test]
fn a_pattern_that_is_none_is_an_error_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, "a\n").unwrap();
    let desired = json!({"path": path.to_str().unwrap(), "match": "(", "line": "b"});
    let error = setting("LineInFile").program.apply(&host(), Some("x"), &desired, None);
    assert!(error.is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\n");
}

/// An account of this test alone, removed with what belongs to it.
struct Account(String);

impl Drop for Account {
    fn drop(&mut self) {
        for program in ["userdel", "groupdel"] {
            let _ = Command::new(program).arg(&self.0).stderr(Stdio::null()).status();
        }
    }
}

fn entry(database: &str, name: &str) -> String {
    String::from_utf8(Command::new("getent").args([database, name]).output().unwrap().stdout).unwrap().trim().to_owned()
}

/// As root the account is really made; without root making it has to fail with the program's own words.
#[test]
fn accounts_groups_and_keys_are_made_and_removed_on_this_machine() {
    let account = Account(format!("rmmt{}", std::process::id()));
    let name = account.0.as_str();
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let home = dir.path().join("'; touch x #");
    let desired = json!({"home": home.to_str().unwrap(), "shell": "/bin/sh", "comment": "$(touch x) '; reboot #", "locked": true});
    let users = setting("Users");
    let root = String::from_utf8(Command::new("id").arg("-u").output().unwrap().stdout).unwrap().trim() == "0";
    let made = users.program.apply(&host(), Some(name), &desired, None);
    if !root {
        assert!(matches!(made, Err(ScriptError::Host(HostError::Exit { .. }))), "{made:?}");
        return;
    }
    made.unwrap();
    // A number of its own: a device in a directory of this machine may have processes of the one that was free in here.
    let number = (60_000_000 + std::process::id()).to_string();
    assert!(Command::new("usermod").args(["-u", &number, name]).status().unwrap().success());
    let fields: Vec<String> = entry("passwd", name).split(':').map(str::to_owned).collect();
    assert_eq!((fields[4].as_str(), fields[5].as_str()), ("$(touch x) '; reboot #", home.to_str().unwrap()));

    let seen = json!({"uid": fields[2].parse::<u32>().unwrap(), "home": home.to_str().unwrap(), "comment": "x", "shell": "/bin/sh", "locked": true, "groups": []});
    for _ in 0..2 {
        users.program.apply(&host(), Some(name), &json!({"comment": "Kim & Co. %s", "groups": ["adm"]}), Some(&seen)).unwrap();
    }
    assert_eq!(entry("passwd", name).split(':').nth(4), Some("Kim & Co. %s"));
    assert!(entry("group", "adm").contains(name));
    users.program.rollback(&host(), Some(name), Some(&seen)).unwrap();
    assert!(!entry("group", "adm").contains(name));

    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJq0lY3HjVb4Wm1p0zT0h1Y2n2o9Zk5o1oD9Zz0bX1Yc $(touch x) '; reboot #";
    carry_out("AuthorizedKeys", name, json!({"keys": [key]}), None);
    let path = home.join(".ssh/authorized_keys");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{key}\n"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(home.join(".ssh")).unwrap().permissions().mode() & 0o7777, 0o700);

    // A link that the user made to a folder of somebody else does not lead root there.
    let victim = dir.path().join("victim");
    std::fs::create_dir(&victim).unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::remove_dir_all(home.join(".ssh")).unwrap();
    std::os::unix::fs::symlink(&victim, home.join(".ssh")).unwrap();
    setting("AuthorizedKeys").program.apply(&host(), Some(name), &json!({"keys": [key]}), None).unwrap_err();
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    assert_eq!(std::fs::metadata(&victim).unwrap().permissions().mode() & 0o7777, 0o755);

    users.program.apply(&host(), Some(name), &json!("absent"), Some(&seen)).unwrap();
    assert_eq!(entry("passwd", name), "");
    let group = setting("Groups");
    group.program.apply(&host(), Some(name), &json!({"members": []}), None).unwrap();
    assert!(entry("group", name).starts_with(name));
    users.program.apply(&host(), Some(name), &json!({"system": true}), None).unwrap();
    assert_eq!(entry("passwd", name).split(':').nth(3), entry("group", name).split(':').nth(2), "an existing group is the user's own");
    users.program.apply(&host(), Some(name), &json!("absent"), Some(&seen)).unwrap();
    group
        .program
        .apply(&host(), Some(name), &json!("present"), None)
        .or_else(|e| if entry("group", name).is_empty() { Err(e) } else { Ok(()) })
        .unwrap();
    group.program.rollback(&host(), Some(name), None).unwrap();
    assert_eq!(entry("group", name), "");
}

/// Alpine and embedded systems have busybox only. (The Debian package `busybox` is one that the tests need.)
#[test]
fn files_and_lines_are_written_in_the_same_way_by_busybox() {
    let dir = tempfile::tempdir().unwrap();
    let programs = dir.path().join("bin");
    std::fs::create_dir(&programs).unwrap();
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| std::path::Path::new(path).exists()).expect("busybox is installed");
    for name in ["sh", "cat", "rm", "mv", "chmod", "chown", "stat", "grep", "cut", "tr", "awk", "mkdir", "rmdir", "test"] {
        std::os::unix::fs::symlink(busybox, programs.join(name)).unwrap();
    }
    let host: SharedHost = Arc::new(Mutex::new(Local { programs: Some(programs) }));
    let path = dir.path().join("'; touch x #");
    let key = path.to_str().unwrap();
    let read = || std::fs::read_to_string(&path).unwrap();
    let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
    let apply = |name: &str, key: &str, desired: Value| setting(name).program.apply(&host, Some(key), &desired, None).unwrap();
    apply("Files", key, json!({"content": "a\numask 022\n$(reboot)\n", "mode": "0640"}));
    apply("LineInFile", "x", json!({"path": key, "match": "^[[:space:]]*umask", "line": "umask '027' \\n & #"}));
    apply("LineInFile", "y", json!({"path": key, "line": "-e end"}));
    assert_eq!((read().as_str(), mode()), ("a\numask '027' \\n & #\n$(reboot)\n-e end\n", 0o640));
    apply("LineInFile", "y", json!({"path": key, "line": "-e end", "state": "absent"}));
    apply("Files", key, json!({"content": "new"}));
    assert_eq!((read().as_str(), mode()), ("new", 0o640));
    setting("Files").program.apply(&host, Some(key), &json!({"mode": "0604"}), Some(&json!({"type": "file"}))).unwrap();
    assert_eq!(mode(), 0o604);
    apply("Directories", dir.path().join("-d/e").to_str().unwrap(), json!({"mode": "0700"}));
    assert!(dir.path().join("-d/e").is_dir());
}

/// What a user can do in a folder of their own while root works there: the name becomes a link to a file of somebody else.
#[test]
fn owner_and_mode_never_reach_a_file_through_a_planted_link() {
    let dir = tempfile::tempdir().unwrap();
    let (programs, own) = (dir.path().join("bin"), dir.path().join("home"));
    let (victim, file) = (dir.path().join("victim"), own.join("f"));
    std::fs::create_dir(&programs).unwrap();
    std::fs::create_dir(&own).unwrap();
    std::fs::write(&victim, "safe").unwrap();
    std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o600)).unwrap();
    let untouched = |what: &str| {
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "safe", "{what}");
        assert_eq!(std::fs::metadata(&victim).unwrap().permissions().mode() & 0o7777, 0o600, "{what}");
    };
    let key = file.to_str().unwrap();

    // Between the probe and the change.
    std::os::unix::fs::symlink(&victim, &file).unwrap();
    let seen = json!({"type": "file", "mode": "0600"});
    let error = setting("Files").program.apply(&host(), Some(key), &json!({"mode": "0666"}), Some(&seen)).unwrap_err();
    assert!(format!("{error:?}").contains("is a link"), "{error:?}");
    untouched("Files");
    setting("Directories").program.apply(&host(), Some(key), &json!({"mode": "0777"}), Some(&json!({"type": "dir"}))).unwrap_err();
    untouched("Directories");
    std::fs::remove_file(&file).unwrap();

    // Between writing the new file and giving it a mode: the programs that write plant the link when they are done.
    let path = std::env::var("PATH").unwrap();
    for name in ["sh", "rm", "mv", "chmod", "chown", "stat", "grep", "cut", "tr", "ln"] {
        let real = path.split(':').map(|folder| std::path::Path::new(folder).join(name)).find(|p| p.exists()).unwrap();
        std::os::unix::fs::symlink(real, programs.join(name)).unwrap();
    }
    let temporary = own.join(".f.rmm-tmp");
    for name in ["cat", "awk"] {
        let script = format!("#!/bin/sh\nPATH='{path}'\n{name} \"$@\"\nln -sf '{}' '{}'\n", victim.display(), temporary.display());
        let program = programs.join(name);
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let host: SharedHost = Arc::new(Mutex::new(Local { programs: Some(programs) }));
    let attempts = [("Files", key, json!({"content": "x", "mode": "0666"})), ("LineInFile", "l", json!({"path": key, "line": "x"}))];
    for (name, key, desired) in attempts {
        // Whether it fails is of no matter: the name is the user's.
        let _ = setting(name).program.apply(&host, Some(key), &desired, None);
        assert!(file.is_symlink(), "{name}: the link was planted");
        untouched(name);
        std::fs::remove_file(&file).unwrap();
    }
}

#[test]
fn mode_of_files_and_directories_that_exist_is_set() {
    let dir = tempfile::tempdir().unwrap();
    for name in NAMES {
        let (file, folder) = (dir.path().join(name), dir.path().join(format!("{name} d")));
        std::fs::write(&file, "x").unwrap();
        std::fs::create_dir(&folder).unwrap();
        carry_out("Files", file.to_str().unwrap(), json!({"mode": "0604"}), Some(json!({"type": "file"})));
        carry_out("Directories", folder.to_str().unwrap(), json!({"mode": "1705"}), Some(json!({"type": "dir"})));
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&file), mode(&folder)), (0o604, 0o1705));
    }
}
