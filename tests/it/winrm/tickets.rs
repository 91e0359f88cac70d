//! Signing in with the tickets of `kinit`: those of MIT in a file, a key distribution centre and a GSSAPI of MIT on the other side.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use rmm::diagnose::Diagnose;
use rmm::transport::{Target, TransportError};
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Given, sessions};
use super::kerberos::{Realm, ask as tool};
use super::{line, said};

/// The tickets of kim, good for five minutes.
fn kinit(realm: &Realm) -> String {
    let cache = realm.path("cache");
    tool(realm.folder.path(), "kinit", &["-l", "5m", "-k", "-t", &realm.path("kim.keytab"), "-c", &format!("FILE:{cache}"), "kim"]);
    cache
}

/// Reached with the tickets, and with nothing else that is secret.
fn with_tickets(realm: &Realm, endpoint: &Endpoint) -> Target {
    let mut target = realm.target(endpoint);
    let connection = &mut target.connection;
    (connection.user, connection.password, connection.realm) = (None, None, None);
    connection.ticket_cache = Some(realm.path("cache"));
    if endpoint.tls {
        connection.certificate_fingerprint = Some(endpoint.fingerprint());
    }
    target
}

async fn refused(target: &Target) -> TransportError {
    sessions("").open(target, &CancellationToken::new()).await.err().expect("nobody is let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_signs_in_and_seals_every_message() {
    let realm = Realm::start();
    kinit(&realm);
    let endpoint = realm.endpoint(Given::default());
    let sessions = sessions("");
    let mut target = with_tickets(&realm, &endpoint);
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo with a ticket")).await.0, "with a ticket\r\n");
    let big = rmm::transport::Command { line: "cat".into(), input: vec![7_u8; 300_000].into(), ..Default::default() };
    assert_eq!(super::ask(&session, big).await.unwrap().stdout.len(), 300_000);

    // Where the way is left open, and with a ticket for the device in the cache.
    (target.connection.auth, target.connection.user) = (None, Some("KIM".into()));
    tool(realm.folder.path(), "kvno", &["-c", &realm.path("cache"), "HTTP/localhost"]);
    target.connection.kdc = Some("127.0.0.1:1".into());
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo no question")).await.0, "no question\r\n");

    sessions.close_all().await;
    let log = endpoint.log();
    let users: Vec<_> = log.named("signed in").map(|one| (one["way"].as_str().unwrap(), one["user"].as_str().unwrap())).collect();
    assert_eq!(users, [("kerberos", "kim@EXAMPLE.COM"); 2]);
    assert_eq!((log.count("clear"), log.count("refused")), (0, 0));
    assert!(log.named("asked").all(|asked| asked["sealed"] == true));
    log.assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_is_bound_to_the_tls_channel_over_which_it_is_shown() {
    let realm = Realm::start();
    kinit(&realm);
    let endpoint = realm.endpoint(Given { tls: true, ..Given::default() });
    let session = sessions("").open(&with_tickets(&realm, &endpoint), &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo bound")).await.0, "bound\r\n");

    let endpoint = realm.endpoint(Given { tls: true, mode: "elsewhere", ..Given::default() });
    assert_eq!(refused(&with_tickets(&realm, &endpoint)).await.code(), "RMM0412");
    let log = endpoint.log();
    let why = log.named("refused").next().unwrap()["why"].as_str().unwrap();
    assert!(why.contains("channel bindings"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_for_a_ticket_is_not_taken_twice_nor_when_it_was_changed() {
    let realm = Realm::start();
    kinit(&realm);
    for (mode, words) in [("again", "it has the sequence number"), ("tamper", "cannot be opened"), ("clear", "in clear")] {
        let endpoint = realm.endpoint(Given { mode, ..Given::default() });
        let session = sessions("").open(&with_tickets(&realm, &endpoint), &CancellationToken::new()).await.unwrap();
        let error = super::ask(&session, line("echo x")).await.unwrap_err();
        assert!(error.to_string().contains(words), "{mode}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_that_cannot_be_used_are_refused_with_what_to_do() {
    let realm = Realm::start();
    let cache = kinit(&realm);
    let endpoint = realm.endpoint(Given::default());
    let target = with_tickets(&realm, &endpoint);
    let tells = |error: TransportError, code: &str, words: &str| {
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };

    let mut other = target.clone();
    other.connection.realm = Some("EXAMPLE.ORG".into());
    tells(refused(&other).await, "RMM0410", "it is of kim@EXAMPLE.COM, which is not who is to sign in");
    other.connection.realm = None;
    other.connection.user = Some("lee".into());
    tells(refused(&other).await, "RMM0410", "it is of kim@EXAMPLE.COM, which is not who is to sign in");
    other.connection.user = Some("kim@EXAMPLE.ORG".into());
    tells(refused(&other).await, "RMM0410", "it is of kim@EXAMPLE.COM, which is not who is to sign in");
    other.connection.user = Some(".\\kim".into());
    tells(refused(&other).await, "RMM0410", "nothing says that the tickets are of the same one");
    other = target.clone();
    other.address = "127.1".into();
    tells(refused(&other).await, "RMM0412", "HTTP/127.1@EXAMPLE.COM is not known there");
    other = target.clone();
    other.connection.kdc = Some("127.0.0.1:1".into());
    tells(refused(&other).await, "RMM0412", "the key distribution centre 127.0.0.1:1");
    other.connection.ticket_cache = Some("KCM:0".into());
    tells(refused(&other).await, "RMM0410", "KCM: is not read");

    // The device has another key than the ticket is for.
    tool(realm.folder.path(), "kadmin.local", &["-q", "cpw -randkey HTTP/localhost"]);
    tells(refused(&target).await, "RMM0412", "the ticket for HTTP/localhost@EXAMPLE.COM cannot be opened there");

    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o644)).unwrap();
    tells(refused(&target).await, "RMM0410", "its mode is 0644, others may use it: run chmod 600");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o600)).unwrap();

    let mut bytes = std::fs::read(&cache).unwrap();
    // When it was given, when it begins, and 300 seconds later the end.
    let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let times = (0..bytes.len() - 12).find(|at| number(*at) == number(at + 4) && number(at + 8).wrapping_sub(number(*at)) == 300).unwrap();
    bytes[times + 8..times + 12].copy_from_slice(&1_u32.to_be_bytes());
    std::fs::write(&cache, &bytes).unwrap();
    tells(refused(&target).await, "RMM0412", "the ticket of kim@EXAMPLE.COM ended at 1970-01-01 00:00:01 UTC: run kinit");
    std::fs::write(&cache, &bytes[..bytes.len() - 1]).unwrap();
    tells(refused(&target).await, "RMM0410", "cut off");
}

/// The program itself, which knows nothing but what `KRB5CCNAME` and `KRB5_CONFIG` tell.
#[test]
fn the_usual_tickets_lead_to_a_device_in_a_realm_that_trusts() {
    let realm = Realm::with_a_neighbour();
    let cache = kinit(&realm);
    let endpoint = realm.endpoint(Given::default());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rmm.toml"), "").unwrap();
    let device = format!("{{os: windows, address: '127.1', connection: {{auth: kerberos, scheme: http, port: {}}}}}", endpoint.port);
    std::fs::write(folder.path().join("devices.yaml"), format!("devices:\n  ws-1: {device}\n")).unwrap();
    let rmm = |cache: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rmm"));
        command.current_dir(folder.path()).args(["exec", "ws-1", "--", "echo", "it is sealed"]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("USER", "tester");
        let output = command.env("KRB5CCNAME", cache).env("KRB5_CONFIG", realm.path("krb5.conf")).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    let said = rmm(&format!("FILE:{cache}"));
    assert!(said.contains("it is sealed"), "{said}");
    let log = endpoint.log();
    assert_eq!(log.named("signed in").map(|one| one["user"].as_str().unwrap()).collect::<Vec<_>>(), ["kim@EXAMPLE.COM"]);
    log.assert_no_shell_is_left();

    let said = rmm("FILE:/nowhere/cache");
    assert!(said.contains("ticket cache /nowhere/cache: No such file") && said.contains("neither connection.password"), "{said}");
}
