use super::*;

#[test]
fn a_key_becomes_the_name_of_a_file_and_nothing_else() {
    assert_eq!(Receipts::new("j-17.2").key, "j-17.2");
    for key in ["", "../x", "a/b", "a b", "-x", ".x", &"x".repeat(101)] {
        let made = Receipts::new(key).key;
        assert!(made.starts_with("k-") && made.len() == 34, "{key}: {made}");
    }
}

#[test]
fn the_program_is_short_enough_to_be_sent_in_one_piece_and_holds_nothing_of_the_operation() {
    let rendered = Rendered { line: "app --login".into(), input: Some(b"hunter2".to_vec().into()) };
    let command = waiting("j-1.1.1", &rendered, Duration::from_secs(5));
    assert!(command.line.len() < 7000, "{}", command.line.len());
    assert!(!command.line.contains("app --login") && !command.line.contains("hunter2"));
    assert!(command.input.ends_with(b"app --loginhunter2"));
    // Neither as text nor as bytes.
    let shown = format!("{command:?} {rendered:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("104, 117, 110"), "{shown}");
}

#[test]
fn an_answer_is_read_exactly_or_not_at_all() {
    let output = |text: &str| Output { code: 0, stdout: text.as_bytes().to_vec(), stderr: b"why".to_vec() };
    let limit = Duration::from_secs(7);
    let read = |text: &str| super::read(&output(text), limit);
    let done = read("rmm-once done 3 2 1\nabc").unwrap().unwrap();
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (3, &b"ab"[..], &b"c"[..]));
    assert_eq!(read("rmm-once none 0 0 0\n"), Ok(None));
    assert_eq!(read("rmm-once late 0 0 0\n"), Err(TransportError::Timeout { seconds: 7 }.into()));
    assert_eq!(read("rmm-once unsafe 0 0 0\n"), Err(OnceError::Unsafe("why".into())));
    for state in ["cut", "lost", "other"] {
        assert!(matches!(read(&format!("rmm-once {state} 0 0 0\n")), Err(OnceError::Interrupted(_))));
    }
    for text in [
        "",
        "hello\n",
        "rmm-once done x 0 0\n",
        "rmm-once done 0 5 0\nabc",
        "rmm-once done 0 1 1\nabc",
        "rmm-once done 0 18446744073709551615 5\n",
    ] {
        assert!(matches!(read(text), Err(OnceError::Unreadable(_))), "{text}");
    }
}

/// Runs the program with a shell that is not the system's own.
fn under(shell: &str, receipts: &std::path::Path, key: &str, line: &str, input: &str) -> Result<Option<Output>, OnceError> {
    use std::io::Write as _;
    let limit = Duration::from_secs(20);
    let rendered = Rendered { line: line.into(), input: (!input.is_empty()).then(|| input.as_bytes().to_vec().into()) };
    let command = waiting(key, &rendered, limit);
    // As the transport does it: from a file.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&command.input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let mut words = shell.split(' ');
    let mut child = std::process::Command::new(words.next().unwrap());
    child.args(words).arg("-c").arg(command.line.replace("/bin/sh -c", &format!("{shell} -c")));
    let output = child.env("RMM_RECEIPTS", receipts).stdin(file).output().unwrap();
    read(&Output { code: 0, stdout: output.stdout, stderr: output.stderr }, limit)
}

#[test]
fn the_small_shells_know_every_word_of_it() {
    let there = |shell: &str| std::process::Command::new(shell.split(' ').next().unwrap()).args(["-c", "true"]).output().is_ok();
    for shell in ["dash", "busybox sh", "bash"].into_iter().filter(|shell| there(shell)) {
        let folder = tempfile::tempdir().unwrap();
        let receipts = folder.path().join("a folder/receipts");
        let count = folder.path().join("count");
        let line = format!("echo once >>{}; printf out; cat; printf err >&2; exit 7", quote(count.to_str().unwrap()));
        for _ in 0..2 {
            let output = under(shell, &receipts, "k.1", &line, "input\n").unwrap().unwrap();
            assert_eq!((output.code, &*output.stdout, &*output.stderr), (7, &b"outinput\n"[..], &b"err"[..]), "{shell}");
        }
        assert_eq!(std::fs::read_to_string(&count).unwrap(), "once\n", "{shell}");
        let changed = under(shell, &receipts, "k.1", "true", "");
        assert!(matches!(changed, Err(OnceError::Interrupted(why)) if why.contains("another command")), "{shell}: {changed:?}");
        let killed = under(shell, &receipts, "k.2", "kill -KILL 0", "");
        assert!(matches!(killed, Err(OnceError::Interrupted(why)) if why.contains("neither its end")), "{shell}: {killed:?}");
        let long = under(shell, &receipts, "k.3", "yes x | head -c 3000000", "").unwrap().unwrap();
        assert!((1 << 20..=1 << 21).contains(&long.stdout.len()) && long.code == 0, "{shell}: {}", long.stdout.len());
        // What a command leaves behind in the background does not keep its end from being told.
        let left = under(shell, &receipts, "k.4", "sleep 77 & echo $!", "").unwrap().unwrap();
        let left: i32 = String::from_utf8(left.stdout).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(left).unwrap(), rustix::process::Signal::KILL).unwrap();
    }
}

#[test]
fn receipts_are_kept_nowhere_but_in_a_folder_of_ones_own() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let try_in = |name: &str| under("sh", &path(name), "k.1", &format!("echo x >>{}", path("count").display()), "");
    let refused = |name: &str| matches!(try_in(name), Err(OnceError::Unsafe(why)) if why.contains(name));
    std::fs::create_dir(path("real")).unwrap();
    std::fs::set_permissions(path("real"), PermissionsExt::from_mode(0o700)).unwrap();
    symlink(path("real"), path("link")).unwrap();
    assert!(refused("link"));
    std::fs::create_dir(path("open")).unwrap();
    std::fs::set_permissions(path("open"), PermissionsExt::from_mode(0o777)).unwrap();
    assert!(refused("open"));
    std::fs::write(path("file"), "").unwrap();
    assert!(refused("file"));
    if rustix::process::getuid().is_root() {
        std::fs::create_dir(path("foreign")).unwrap();
        std::fs::set_permissions(path("foreign"), PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(path("foreign"), Some(65534), None).unwrap();
        assert!(refused("foreign"));
    }
    assert!(!path("count").exists());
    assert_eq!(try_in("real").unwrap().unwrap().code, 0);
    let mode = |name: &str| std::fs::metadata(path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("real/k.1"), mode("real/k.1/out")), (0o700, 0o600));
}

#[test]
fn receipts_of_a_month_ago_are_removed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let receipts = folder.path().join("receipts");
    for key in ["old.1", "young.1"] {
        under("sh", &receipts, key, "true", "").unwrap().unwrap();
    }
    let gone = |key: &str| !receipts.join(key).exists();
    let touched = std::process::Command::new("touch").args(["-d", "31 days ago"]).arg(receipts.join("old.1")).status().unwrap();
    assert!(touched.success());
    under("sh", &receipts, "next.1", "true", "").unwrap().unwrap();
    // Nobody waits for the removal, so it comes a moment later.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !gone("old.1") {
        assert!(std::time::Instant::now() < deadline, "it is never removed");
        std::thread::yield_now();
    }
    assert!(!gone("young.1") && !gone("next.1"));
}

#[tokio::test]
async fn a_simulated_device_keeps_receipts_too() {
    use crate::model::device::{Connection, TransportKind};
    struct None;
    impl crate::access::Secrets for None {
        fn resolve(&self, name: &str) -> Result<secrecy::SecretString, crate::access::SecretError> {
            Err(crate::access::SecretError::Name { name: name.into() })
        }
    }
    let sessions = crate::transport::Sessions::new(crate::transport::SessionOptions::default(), std::sync::Arc::new(None));
    let connection = Connection { transport: Some(TransportKind::Simulated), ..Connection::default() };
    let target = crate::transport::Target { name: "s-1".into(), address: "s-1".into(), connection, ..Default::default() };
    let cancel = CancellationToken::new();
    let session = sessions.open(&target, &cancel).await.unwrap();
    let carry_out = async |key: &str, line: &str| {
        let rendered = Rendered { line: line.into(), input: Option::None };
        Receipts::new(key).carry_out(&*session, rendered, Duration::from_secs(5), &cancel).await
    };
    assert_eq!(carry_out("j-1", "echo hello").await.unwrap().stdout, b"hello\n");
    assert_eq!(carry_out("j-1", "echo hello").await.unwrap().stdout, b"hello\n");
    assert!(matches!(carry_out("j-1", "echo other").await, Err(OnceError::Interrupted(_))));
    assert_eq!(carry_out("j-2", "apt-get moo").await.unwrap().code, 64);
    assert_eq!(session.run(stopping("j-2.1"), &cancel).await.unwrap().code, 0);
}
