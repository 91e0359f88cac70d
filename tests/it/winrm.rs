//! Sessions against a WinRM endpoint that stands on an NTLM of its own, and judges what it is sent by its log.

mod collect;
pub(crate) mod endpoint;
mod kerberos;
mod replay;
mod tickets;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmm::diagnose::{Category, Diagnose};
use rmm::model::device::WinrmAuth;
use rmm::transport::{Command, Session, SessionOptions, Sessions, Shell, TransportError};
use tokio_util::sync::CancellationToken;

use endpoint::{Endpoint, Given, PASSWORD, sessions, sessions_with, target, until};

fn line(line: &str) -> Command {
    Command { line: line.into(), ..Command::default() }
}

async fn open(sessions: &Sessions, endpoint: &Endpoint) -> Result<Arc<dyn Session>, TransportError> {
    sessions.open(&target(endpoint), &CancellationToken::new()).await
}

async fn ask(session: &Arc<dyn Session>, command: Command) -> Result<rmm::transport::Output, TransportError> {
    session.run(command, &CancellationToken::new()).await
}

/// The texts of standard output and standard error, and the code.
async fn said(session: &Arc<dyn Session>, command: Command) -> (String, String, i32) {
    let output = ask(session, command).await.unwrap();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap(), output.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn ntlm_over_http_seals_every_message_and_leaves_nothing_behind() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(session.shell(), Shell::PowerShell);
    assert_eq!(said(&session, line("echo gr\u{fc}n <&>")).await, ("gr\u{fc}n <&>\r\n".into(), String::new(), 0));
    assert_eq!(said(&session, line("grumble no")).await, (String::new(), "no\r\n".into(), 3));
    assert_eq!(said(&session, line("exit 3221225786")).await.2, 0xC000_013A_u32.cast_signed());
    sessions.close_all().await;
    let log = endpoint.log();
    assert_eq!((log.count("connected"), log.count("signed in"), log.count("shell")), (1, 1, 1), "{log:?}");
    assert_eq!((log.count("clear"), log.count("refused"), log.count("too large")), (0, 0, 0));
    assert!(log.named("asked").all(|asked| asked["sealed"] == true && asked["user"] == "EXAMPLE\\kim"));
    assert_eq!(log.count("terminated"), 3, "a command that has ended gives its place back");
    log.assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn input_travels_in_pieces_that_fit_an_envelope_and_comes_back_whole() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let input: Vec<u8> = (0..250_000_u32).flat_map(u32::to_le_bytes).collect();
    let command = Command { line: "cat".into(), input: input.clone().into(), ..Command::default() };
    assert!(ask(&session, command).await.unwrap().stdout == input);
    assert_eq!(ask(&session, line("cat")).await.unwrap().stdout, b"", "an empty input ends at once");
    sessions.close_all().await;
    let log = endpoint.log();
    assert_eq!(log.actions("Send"), 12, "eleven pieces, and one that is empty");
    assert_eq!(log.count("too large"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_megabytes_come_whole_and_more_than_the_limit_ends_the_command() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let output = ask(&session, line("big 10485760")).await.unwrap();
    assert_eq!(output.stdout.len(), 10_485_760);
    let small = Command { max_output: Some(100_000), ..line("big 10485760") };
    assert_eq!(ask(&session, small).await, Err(TransportError::OutputLimit { limit: 100_000 }));
    assert_eq!(said(&session, line("echo on")).await.0, "on\r\n");
    sessions.close_all().await;
    let log = endpoint.log();
    assert_eq!(log.count("connected"), 1);
    log.assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_command_is_asked_again_until_it_answers() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(said(&session, line("sleep 1")).await.0, "slept\r\n");
    assert!(endpoint.log().actions("Receive") > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_limit_and_a_cancellation_end_the_remote_command() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let late = Command { timeout: Some(Duration::from_millis(500)), ..line("forever") };
    assert!(matches!(ask(&session, late).await, Err(TransportError::Timeout { .. })));
    assert!(endpoint.log().named("terminated").any(|ended| ended["running"] == true));

    let cancel = CancellationToken::new();
    let ours = cancel.clone();
    let running = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.run(line("forever"), &ours).await }
    });
    until(|| endpoint.log().count("command") == 2).await;
    let begin = Instant::now();
    cancel.cancel();
    assert_eq!(running.await.unwrap(), Err(TransportError::Cancelled));
    assert!(begin.elapsed() < Duration::from_secs(8));
    assert_eq!(endpoint.log().named("terminated").filter(|ended| ended["running"] == true).count(), 2);

    // Somebody who does not wait any more has it ended too.
    let session = Arc::clone(&session);
    let dropped = tokio::spawn(async move { session.run(line("forever"), &CancellationToken::new()).await });
    until(|| endpoint.log().count("command") == 3).await;
    dropped.abort();
    until(|| endpoint.log().named("terminated").filter(|ended| ended["running"] == true).count() == 3).await;
    sessions.close_all().await;
    endpoint.log().assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_and_never_shown() {
    for mode in ["", "reject"] {
        let endpoint = Endpoint::start(Given { mode, ..Given::default() });
        let sessions = sessions("Wrong-1");
        let (a, b) = tokio::join!(open(&sessions, &endpoint), open(&sessions, &endpoint));
        let (a, b) = (a.err().unwrap(), b.err().unwrap());
        assert_eq!(a, b);
        assert_eq!((a.code(), a.category()), ("RMM0412", Category::Configuration));
        assert!(a.to_string().contains("as EXAMPLE\\kim: NTLM: the user or the password is wrong"), "{a}");
        assert!(!format!("{a} {a:?} {:?}", a.advice()).contains("Wrong-1"));
        let log = endpoint.log();
        assert_eq!((log.count("refused"), log.count("signed in"), log.count("clear")), (1, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_is_refused_without_tls_before_anything_is_sent() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let mut target = target(&endpoint);
    target.connection.auth = Some(WinrmAuth::Basic);
    let error = sessions.open(&target, &CancellationToken::new()).await.err().unwrap();
    assert_eq!(error.code(), "RMM0410");
    assert!(error.to_string().contains("needs HTTPS"), "{error}");
    assert_eq!(endpoint.log().count("connected"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_trusted_by_its_authority_or_its_pin_and_by_nothing_else() {
    let endpoint = Endpoint::start(Given { tls: true, ..Given::default() });
    let sessions = sessions(PASSWORD);
    let mut target = target(&endpoint);
    let open = |target: rmm::transport::Target| {
        let sessions = sessions.clone();
        async move { sessions.open(&target, &CancellationToken::new()).await }
    };
    let error = open(target.clone()).await.err().unwrap();
    let TransportError::Certificate { fingerprint, reason, .. } = &error else { panic!("{error}") };
    assert_eq!((error.code(), reason.as_str()), ("RMM0413", "nobody who is trusted here vouches for it"));
    assert_eq!(*fingerprint, endpoint.fingerprint());
    assert!(error.advice().unwrap().contains(fingerprint.as_str()));

    target.connection.ca_file = Some(endpoint.path("ca.pem"));
    let session = open(target.clone()).await.unwrap();
    assert_eq!(said(&session, line("echo bound")).await.0, "bound\r\n", "NTLM is bound to the channel");

    target.connection.ca_file = None;
    target.connection.certificate_fingerprint = Some(fingerprint.to_lowercase().replace(':', ""));
    assert_eq!(said(&open(target.clone()).await.unwrap(), line("echo pinned")).await.0, "pinned\r\n");

    target.connection.certificate_fingerprint = Some("00".repeat(32));
    let error = open(target.clone()).await.err().unwrap();
    assert_eq!(error.code(), "RMM0414");
    assert!(error.to_string().contains(fingerprint.as_str()), "{error}");

    target.connection.certificate_fingerprint = None;
    target.connection.ca_file = Some(endpoint.path("ca.pem"));
    target.address = "localhost".into();
    let error = open(target).await.err().unwrap();
    assert!(error.to_string().contains("it is for another name"), "{error}");
    sessions.close_all().await;
    endpoint.log().assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_and_client_certificates_sign_in_over_https() {
    let endpoint = Endpoint::start(Given { tls: true, ..Given::default() });
    let sessions = sessions(PASSWORD);
    let mut target = target(&endpoint);
    target.connection.ca_file = Some(endpoint.path("ca.pem"));
    target.connection.auth = Some(WinrmAuth::Basic);
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo basic")).await.0, "basic\r\n");

    target.connection.auth = Some(WinrmAuth::Certificate);
    (target.connection.user, target.connection.password) = (None, None);
    let error = sessions.open(&target, &CancellationToken::new()).await.err().unwrap();
    assert!(error.to_string().contains("connection.certificate"), "{error}");
    target.connection.certificate = Some(endpoint.path("client.pem"));
    target.connection.certificate_key = Some(endpoint.path("client.key"));
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo certificate")).await.0, "certificate\r\n");
    let key = endpoint.path("client.key");
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = endpoint::sessions(PASSWORD).open(&target, &CancellationToken::new()).await.err().unwrap();
    assert_eq!(error.code(), "RMM0410");
    assert!(error.to_string().contains("client.key: its mode is 0644, others may use it"), "{error}");
    let log = endpoint.log();
    let ways: Vec<&str> = log.named("signed in").filter_map(|one| one["way"].as_str()).collect();
    assert_eq!(ways, ["basic", "certificate"]);

    let wrong = endpoint::sessions("Wrong-1");
    target.connection = endpoint::target(&endpoint).connection;
    target.connection.ca_file = Some(endpoint.path("ca.pem"));
    target.connection.auth = Some(WinrmAuth::Basic);
    assert_eq!(wrong.open(&target, &CancellationToken::new()).await.err().unwrap().code(), "RMM0412");
    sessions.close_all().await;
    endpoint.log().assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_while_a_command_runs_is_lost_and_its_shell_is_ended() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let error = ask(&session, line("drop")).await.unwrap_err();
    assert_eq!((error.code(), error.category()), ("RMM0408", Category::Transient));
    assert_eq!(said(&session, line("echo on")).await.0, "on\r\n");
    sessions.close_all().await;
    endpoint.log().assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_broke_while_idle_is_made_anew_and_keeps_its_shell() {
    let endpoint = Endpoint::start(Given { mode: "cut", ..Given::default() });
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(said(&session, line("echo one")).await.0, "one\r\n");
    // Once more: this side sees it with the next look of the runtime at its connections.
    let seen = std::cell::Cell::new(false);
    until(|| seen.replace(endpoint.log().count("disconnected") == 1)).await;
    assert_eq!(said(&session, line("echo two")).await.0, "two\r\n");
    let log = endpoint.log();
    assert_eq!((log.count("connected"), log.count("shell")), (2, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_is_gone_is_made_anew_and_the_command_runs_once() {
    let endpoint = Endpoint::start(Given { mode: "forget", ..Given::default() });
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(said(&session, line("echo one")).await.0, "one\r\n");
    assert_eq!(said(&session, line("echo two")).await.0, "two\r\n");
    let log = endpoint.log();
    assert_eq!((log.count("shell"), log.count("command")), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_and_faults_are_told_with_their_number() {
    let endpoint = Endpoint::start(Given { quota: 0, ..Given::default() });
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let error = ask(&session, line("echo x")).await.unwrap_err();
    assert_eq!((error.code(), error.category()), ("RMM0416", Category::Transient));
    assert!(error.to_string().contains("concurrent shells"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_clear_changed_answers_and_strangers_are_refused() {
    for (mode, code, words) in [
        ("clear", "RMM0417", "in clear"),
        ("tamper", "RMM0408", "cannot be opened"),
        ("again", "RMM0408", "sequence number"),
        ("html", "RMM0401", "404"),
    ] {
        let endpoint = Endpoint::start(Given { mode, ..Given::default() });
        let sessions = sessions(PASSWORD);
        let error = match open(&sessions, &endpoint).await {
            Ok(session) => ask(&session, line("echo x")).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), code, "{mode}: {error}");
        assert!(error.to_string().contains(words), "{mode}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_never_answers_costs_the_time_limit_and_no_more() {
    let endpoint = Endpoint::start(Given { mode: "hang", ..Given::default() });
    let options = SessionOptions { winrm_timeout: Duration::from_millis(300), ..SessionOptions::default() };
    let sessions = sessions_with(options, PASSWORD);
    let begin = Instant::now();
    let error = open(&sessions, &endpoint).await.err().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(error.code(), "RMM0401");
    assert!(error.to_string().contains("no answer within 0.3 s"), "{error}");
    assert!(error.advice().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_side_by_side_have_a_connection_each_and_use_them_again() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    let all: Vec<_> = (0..12)
        .map(|n| {
            let session = Arc::clone(&session);
            tokio::spawn(async move { said(&session, line(&format!("echo {n}"))).await.0 })
        })
        .collect();
    for (n, one) in all.into_iter().enumerate() {
        assert_eq!(one.await.unwrap(), format!("{n}\r\n"));
    }
    sessions.close_all().await;
    let log = endpoint.log();
    assert!((1..=4).contains(&log.count("connected")), "{}", log.count("connected"));
    log.assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_dropped_end_their_shells() {
    let endpoint = Endpoint::start(Given::default());
    let sessions = sessions(PASSWORD);
    let session = open(&sessions, &endpoint).await.unwrap();
    assert_eq!(said(&session, line("echo x")).await.0, "x\r\n");
    drop((session, sessions));
    rmm::transport::close_everything().await;
    endpoint.log().assert_no_shell_is_left();
}
