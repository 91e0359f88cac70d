//! Sessions against real OpenSSH servers and against this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command as Process;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rmm::access::{SecretError, Secrets};
use rmm::model::device::{Connection, Elevate, HostKeyCheck, SecretRef, TransportKind};
use rmm::transport::{Command, SessionOptions, Sessions, Target, TransportError};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use crate::sshd::{Account, Sshd, keygen, runs, until, user};

struct Known(BTreeMap<String, String>);

impl Secrets for Known {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        self.0.get(name).map(|v| v.as_str().into()).ok_or_else(|| SecretError::Name { name: name.into() })
    }
}

fn options(sshd: &Sshd) -> SessionOptions {
    SessionOptions {
        ssh_timeout: Duration::from_secs(20),
        command_timeout: Duration::from_mins(1),
        home: Some(sshd.home().to_owned()),
        agent: Some(PathBuf::new()),
        ..SessionOptions::default()
    }
}

fn sessions_with(options: SessionOptions, secrets: &[(&str, &str)]) -> Sessions {
    let secrets = secrets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Sessions::new(options, Arc::new(Known(secrets)))
}

fn sessions(sshd: &Sshd) -> Sessions {
    sessions_with(options(sshd), &[])
}

fn target(sshd: &Sshd) -> Target {
    Target {
        name: "t".into(),
        address: "127.0.0.1".into(),
        connection: Connection { user: Some(user()), port: Some(sshd.port), ..Connection::default() },
        platform: None,
    }
}

fn secret(name: &str) -> SecretRef {
    SecretRef { secret: name.into() }
}

fn line(line: &str) -> Command {
    Command { line: line.into(), ..Command::default() }
}

async fn ask(sessions: &Sessions, target: &Target, command: Command) -> Result<rmm::transport::Output, TransportError> {
    let cancel = CancellationToken::new();
    sessions.open(target, &cancel).await?.run(command, &cancel).await
}

fn local() -> Target {
    let connection = Connection { transport: Some(TransportKind::Local), ..Connection::default() };
    Target { name: "here".into(), address: "here".into(), connection, platform: None }
}

fn nowhere() -> Sessions {
    sessions_with(SessionOptions::default(), &[])
}

/// A duration in seconds that no other test sleeps.
fn unique_sleep() -> String {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("sleep {}", 1_000_000 + u64::from(std::process::id()) * 100 + next)
}

#[tokio::test]
async fn a_command_gets_its_input_and_gives_its_output_and_code() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        let input = b"a\0b'\n".repeat(50_000);
        let command = Command { line: "cat; echo \"it's\\n\" >&2; exit 7".into(), input: input.clone().into(), ..Command::default() };
        let output = ask(&sessions, &target, command).await.unwrap();
        assert_eq!(output.code, 7);
        assert!(output.stdout == input);
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("it's"));
        let output = ask(&sessions, &target, line("cat; kill -9 $$; true")).await.unwrap();
        assert_eq!((output.code, output.stdout), (137, Vec::new()));
    }
}

#[tokio::test]
async fn a_long_command_travels_with_its_input() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        let long = format!(": {}x\ncat; echo end", "x'\\".repeat(100_000).replace('\'', ""));
        let command = Command { line: long, input: b"input ".to_vec().into(), ..Command::default() };
        assert_eq!(ask(&sessions, &target, command).await.unwrap().stdout, b"input end\n");
    }
}

#[tokio::test]
async fn an_unknown_host_key_is_refused_and_accept_new_records_it() {
    let sshd = Sshd::start();
    let known = sshd.path(".ssh/known_hosts");
    std::fs::remove_file(&known).unwrap();
    let mut target = target(&sshd);
    let error = ask(&sessions(&sshd), &target, line("true")).await.unwrap_err();
    let TransportError::UnknownHostKey { fingerprint, known_hosts, .. } = &error else { panic!("{error:?}") };
    assert!(fingerprint.starts_with("ssh-ed25519 SHA256:"));
    assert_eq!(known_hosts, known.to_str().unwrap());
    target.connection.host_key = Some(HostKeyCheck::AcceptNew);
    ask(&sessions(&sshd), &target, line("true")).await.unwrap();
    target.connection.host_key = None;
    ask(&sessions(&sshd), &target, line("true")).await.unwrap();
}

#[tokio::test]
async fn a_changed_host_key_is_refused_with_both_fingerprints() {
    let sshd = Sshd::start();
    keygen(&sshd.path("other"), "ed25519", "");
    let print = |name: &str| {
        let output = Process::new("ssh-keygen").args(["-lf"]).arg(sshd.path(name)).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
    };
    let text = format!("\n[127.0.0.1]:{} {}", sshd.port, std::fs::read_to_string(sshd.path("other.pub")).unwrap());
    std::fs::write(sshd.path(".ssh/known_hosts"), text).unwrap();
    let mut target = target(&sshd);
    target.connection.host_key = Some(HostKeyCheck::AcceptNew);
    let error = ask(&sessions(&sshd), &target, line("true")).await.unwrap_err();
    let TransportError::ChangedHostKey { known, offered, known_hosts, .. } = &error else { panic!("{error:?}") };
    assert!(known.ends_with(&print("other.pub")) && offered.ends_with(&print("host.pub")), "{error}");
    assert!(known_hosts.ends_with("known_hosts:2"), "{known_hosts}");
}

#[tokio::test]
async fn encrypted_keys_need_their_passphrase() {
    let sshd = Sshd::start();
    let key = sshd.path("locked");
    keygen(&key, "ed25519", "open sesame");
    sshd.authorize(&sshd.path("locked.pub"));
    let mut target = target(&sshd);
    target.connection.identity_files = vec!["~/locked".into()];
    let error = ask(&sessions(&sshd), &target, line("true")).await.unwrap_err();
    assert!(error.to_string().contains("is encrypted and no passphrase is given"), "{error}");
    target.connection.passphrase = Some(secret("p"));
    ask(&sessions_with(options(&sshd), &[("p", "open sesame")]), &target, line("true")).await.unwrap();
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let sshd = Sshd::start();
    let key = sshd.path("open");
    keygen(&key, "ed25519", "");
    sshd.authorize(&sshd.path("open.pub"));
    let mut target = target(&sshd);
    target.connection.identity_files = vec!["~/open".into()];
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = ask(&sessions(&sshd), &target, line("true")).await.unwrap_err();
    assert!(error.to_string().contains("its mode is 0640, others may use it: run chmod 600"), "{error}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    ask(&sessions(&sshd), &target, line("true")).await.unwrap();
}

#[tokio::test]
async fn rsa_and_ecdsa_keys_sign_in() {
    let sshd = Sshd::start();
    for kind in ["rsa", "ecdsa"] {
        keygen(&sshd.path(kind), kind, "");
        sshd.authorize(&sshd.path(&format!("{kind}.pub")));
        let mut target = target(&sshd);
        target.connection.identity_files = vec![format!("~/{kind}")];
        ask(&sessions(&sshd), &target, line("true")).await.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_signs_in() {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca");
    keygen(&ca, "ed25519", "");
    let sshd = Sshd::with(&["127.0.0.1"], &format!("TrustedUserCAKeys {}.pub", ca.display()));
    keygen(&sshd.path("certified"), "ed25519", "");
    let signed =
        Process::new("ssh-keygen").args(["-q", "-I", "id", "-n", &user(), "-s"]).arg(&ca).arg(sshd.path("certified.pub")).status().unwrap();
    assert!(signed.success());
    let mut target = target(&sshd);
    target.connection.identity_files = vec!["~/certified".into()];
    ask(&sessions(&sshd), &target, line("true")).await.unwrap();
    assert!(sshd.log().contains("ED25519-CERT"));
}

#[tokio::test]
async fn the_agent_signs_in() {
    let sshd = Sshd::start();
    let socket = sshd.path("agent");
    let mut agent = Process::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(std::process::Stdio::null()).spawn().unwrap();
    until("the agent listens", || socket.exists()).await;
    let key = sshd.path(".ssh/id_ed25519");
    let added = Process::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    std::fs::remove_file(key).unwrap();
    let options = SessionOptions { agent: Some(socket), ..options(&sshd) };
    let result = ask(&sessions_with(options, &[]), &target(&sshd), line("true")).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert!(added.success());
    result.unwrap();
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_everything_tried_is_named() {
    let sshd = Sshd::start();
    keygen(&sshd.path("wrong"), "ed25519", "");
    let mut target = target(&sshd);
    target.connection.identity_files = vec!["~/wrong".into(), "~/missing".into()];
    let error = ask(&sessions(&sshd), &target, line("true")).await.unwrap_err().to_string();
    assert!(error.contains("wrong: refused") && error.contains("missing: there is no such file"), "{error}");
}

#[tokio::test]
async fn a_password_signs_in() {
    let account = Account::create("correct horse", "/bin/sh");
    let sshd = Sshd::with(&["127.0.0.1"], "PasswordAuthentication yes");
    let mut target = target(&sshd);
    target.connection.user = Some(account.name.clone());
    target.connection.password = Some(secret("p"));
    target.connection.identity_files = vec!["~/none".into()];
    let output = ask(&sessions_with(options(&sshd), &[("p", "correct horse")]), &target, line("id -un")).await.unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), account.name);
    let error = ask(&sessions_with(options(&sshd), &[("p", "battery staple")]), &target, line("true")).await.unwrap_err();
    assert!(error.to_string().contains("password: refused") && !error.to_string().contains("battery"), "{error}");
}

#[tokio::test]
async fn a_jump_host_of_the_ssh_config_is_gone_through() {
    let (gate, inner) = (Sshd::start(), Sshd::start());
    let (u, g, i) = (user(), gate.port, inner.port);
    let host = |s: &Sshd| std::fs::read_to_string(s.path(".ssh/known_hosts")).unwrap();
    std::fs::write(gate.path(".ssh/known_hosts"), [host(&gate), host(&inner)].concat()).unwrap();
    inner.authorize(&gate.path(".ssh/id_ed25519.pub"));
    let config = format!(
        "Host gate\n HostName 127.0.0.1\n Port {g}\n User {u}\nHost inside\n HostName 127.0.0.1\n Port {i}\n User {u}\n ProxyJump gate\n"
    );
    std::fs::write(gate.path(".ssh/config"), config).unwrap();
    let target = Target { name: "inside".into(), address: "inside".into(), ..Target::default() };
    assert_eq!(ask(&sessions(&gate), &target, line("echo in")).await.unwrap().stdout, b"in\n");
    assert_eq!((gate.sign_ins(), inner.sign_ins()), (1, 1));
}

#[tokio::test]
async fn a_device_with_windows_gets_the_line_as_it_is_and_its_input_with_its_end() {
    let sshd = Sshd::start();
    sshd.authorize(&sshd.path(".ssh/id_ed25519.pub"));
    let sessions = sessions(&sshd);
    let mut windows = Target { platform: Some(rmm::model::Platform::Windows), ..target(&sshd) };
    windows.connection.transport = Some(rmm::model::device::TransportKind::Ssh);
    let cancel = CancellationToken::new();
    let session = sessions.open(&windows, &cancel).await.unwrap();
    assert_eq!(session.shell(), rmm::transport::Shell::PowerShell);
    // The wrapper starts sh through `eval`; without it the line is what the login shell was given.
    let command =
        Command { line: "echo \"[$0] $-\"; cat; echo end".into(), input: b"in\n".to_vec().into(), elevate: true, ..Command::default() };
    let output = session.run(command, &cancel).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("in\nend\n") && !text.starts_with("[sh]"), "{text}");
    let slow = Command { line: "sleep 60".into(), timeout: Some(Duration::from_millis(200)), ..Command::default() };
    assert!(matches!(session.run(slow, &cancel).await, Err(TransportError::Timeout { .. })));
    assert_eq!(sessions.open(&target(&sshd), &cancel).await.unwrap().shell(), rmm::transport::Shell::Posix);
}

#[tokio::test]
async fn a_device_that_never_answers_costs_the_time_limit_and_no_more() {
    let sshd = Sshd::start();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = target(&sshd);
    target.connection.port = Some(silent.local_addr().unwrap().port());
    let options = SessionOptions { ssh_timeout: Duration::from_millis(300), ..options(&sshd) };
    let error = ask(&sessions_with(options, &[]), &target, line("true")).await.unwrap_err();
    assert!(matches!(&error, TransportError::Unreachable { reason, .. } if reason.contains("no answer within")), "{error}");
}

#[tokio::test]
async fn the_time_limit_ends_the_command_and_its_children() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        let sleep = unique_sleep();
        let command = Command {
            line: format!("trap '' TERM; ({sleep}; true) & {sleep}; true"),
            timeout: Some(Duration::from_millis(500)),
            ..Command::default()
        };
        let error = ask(&sessions, &target, command).await.unwrap_err();
        assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
        until("the command ends", || !runs(&sleep)).await;
    }
}

#[tokio::test]
async fn cancelling_ends_the_command_and_so_does_dropping_it() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        for dropped in [false, true] {
            let sleep = unique_sleep();
            let cancel = CancellationToken::new();
            let (s, t, c, l) = (sessions.clone(), target.clone(), cancel.clone(), sleep.clone());
            let task = tokio::spawn(async move { s.open(&t, &c).await?.run(line(&format!("{l}; true")), &c).await });
            until("the command runs", || runs(&sleep)).await;
            if dropped {
                task.abort();
            } else {
                cancel.cancel();
                assert_eq!(task.await.unwrap(), Err(TransportError::Cancelled));
            }
            until("the command ends", || !runs(&sleep)).await;
        }
    }
}

#[tokio::test]
async fn endless_output_is_cut_off() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        let word = unique_sleep();
        let command = Command { line: format!("yes '{word}'"), max_output: Some(1_000_000), ..Command::default() };
        let error = ask(&sessions, &target, command).await.unwrap_err();
        assert_eq!(error, TransportError::OutputLimit { limit: 1_000_000 });
        until("yes ends", || !runs(&format!("yes {word}"))).await;
    }
}

#[tokio::test]
async fn something_left_in_the_background_does_not_hold_the_answer_up() {
    let sshd = Sshd::start();
    for (sessions, target) in [(sessions(&sshd), target(&sshd)), (nowhere(), local())] {
        let sleep = unique_sleep();
        let began = Instant::now();
        let output = ask(&sessions, &target, line(&format!("setsid {sleep} & echo $!"))).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(15));
        let pid = String::from_utf8(output.stdout).unwrap();
        assert!(runs(&sleep), "a service that was started goes on");
        let _ = Process::new("kill").arg(pid.trim()).status();
    }
}

#[tokio::test]
async fn sessions_are_shared_and_broken_ones_are_replaced() {
    let sshd = Sshd::start();
    let (sessions, target) = (sessions(&sshd), target(&sshd));
    let many = (0..20).map(|_| ask(&sessions, &target, line("true")));
    for result in futures::future::join_all(many).await {
        result.unwrap();
    }
    assert_eq!(sshd.sign_ins(), 1);
    let cancel = CancellationToken::new();
    let session = sessions.open(&target, &cancel).await.unwrap();
    sshd.cut();
    session.run(line("true"), &cancel).await.unwrap();
    assert_eq!(sshd.sign_ins(), 2);
    sessions.close_all().await;
    ask(&sessions, &target, line("true")).await.unwrap();
    assert_eq!(sshd.sign_ins(), 3);
}

#[tokio::test]
async fn sudo_works_with_and_without_a_password_and_its_refusal_is_told() {
    let asked = Account::create("pass%word", "/bin/sh").with_sudo("");
    let free = Account::create("x", "/bin/sh").with_sudo("NOPASSWD:");
    let barred = Account::create("x", "/bin/sh");
    let sshd = Sshd::start();
    let sessions = sessions_with(options(&sshd), &[("right", "pass%word"), ("wrong", "nope")]);
    let with = |account: &Account, password: Option<&str>| {
        let mut target = target(&sshd);
        target.connection.user = Some(account.name.clone());
        target.connection.elevate = Some(Elevate::Sudo);
        target.connection.sudo_password = password.map(secret);
        target
    };
    let command =
        || Command { line: "id -u; cat; echo e >&2".into(), input: b"input".to_vec().into(), elevate: true, ..Command::default() };
    for (account, password) in [(&asked, Some("right")), (&asked, Some("right")), (&free, None), (&free, Some("wrong"))] {
        let output = ask(&sessions, &with(account, password), command()).await.unwrap();
        assert_eq!((output.code, output.stdout.as_slice(), output.stderr.as_slice()), (0, b"0\ninput".as_slice(), b"e\n".as_slice()));
    }
    for (account, password) in [(&asked, Some("wrong")), (&barred, None), (&barred, Some("wrong"))] {
        let error = ask(&sessions, &with(account, password), command()).await.unwrap_err();
        assert!(matches!(error, TransportError::Sudo { .. }), "{error}");
    }
    // What runs as root is ended too, though the user who signed in may not signal it.
    let sleep = unique_sleep();
    let command = Command { line: format!("{sleep}; true"), elevate: true, timeout: Some(Duration::from_secs(1)), ..Command::default() };
    let error = ask(&sessions, &with(&free, None), command).await.unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error}");
    until("the root command ends", || !runs(&sleep)).await;
}

#[tokio::test]
async fn root_needs_no_sudo() {
    let mut target = local();
    target.connection.elevate = Some(Elevate::Sudo);
    let command = Command { line: "id -u".into(), elevate: true, ..Command::default() };
    assert!(crate::sshd::is_root(), "this test needs root");
    assert_eq!(ask(&nowhere(), &target, command).await.unwrap().stdout, b"0\n");
}
