//! Signing in with Kerberos: a key distribution centre of MIT on loopback, and MIT's own GSSAPI at the endpoint.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rmm::diagnose::Diagnose;
use rmm::model::device::WinrmAuth;
use rmm::transport::Target;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::endpoint::{Endpoint, Given, sessions, target};
use super::{line, said};

pub(super) const SECRET: &str = "Secret-1";
/// Of Debian, whose Python that of the endpoint is.
const PACKAGES: &str = "/usr/lib/python3/dist-packages";

/// A realm with the user kim, and the service HTTP on localhost.
pub(super) struct Realm {
    pub(super) folder: tempfile::TempDir,
    kdc: Child,
    pub(super) port: u16,
}

impl Realm {
    pub(super) fn start() -> Self {
        Self::start_with(false)
    }

    /// The service, on 127.1, is in the realm EXAMPLE.ORG, where the users of this one are let in.
    pub(super) fn with_a_neighbour() -> Self {
        Self::start_with(true)
    }

    fn start_with(neighbour: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let path = |name: &str| folder.path().join(name).display().to_string();
        // A name without a dot leads to no other realm.
        let host = if neighbour { "127.1" } else { "localhost" };
        let names: &[&str] = if neighbour { &["EXAMPLE.COM", "EXAMPLE.ORG"] } else { &["EXAMPLE.COM"] };
        let kdcs: String = names.iter().map(|name| format!(" {name} = {{\n  kdc = 127.0.0.1:{port}\n }}\n")).collect();
        std::fs::write(
            path("krb5.conf"),
            format!(
                "[libdefaults]\n default_realm = EXAMPLE.COM\n dns_lookup_kdc = false\n dns_canonicalize_hostname = false\n\
                 [realms]\n{kdcs}[domain_realm]\n {host} = {}\n",
                names.last().unwrap()
            ),
        )
        .unwrap();
        let places: String = names
            .iter()
            .map(|name| {
                let [base, stash, acl] = ["base", "stash", "acl"].map(|kind| path(&format!("{kind}.{name}")));
                format!(" {name} = {{\n  database_name = {base}\n  key_stash_file = {stash}\n  acl_file = {acl}\n }}\n")
            })
            .collect();
        std::fs::write(
            path("kdc.conf"),
            format!("[kdcdefaults]\n kdc_listen = 127.0.0.1:{port}\n kdc_tcp_listen = 127.0.0.1:{port}\n[realms]\n{places}"),
        )
        .unwrap();
        let shared = "addprinc -pw shared krbtgt/EXAMPLE.ORG@EXAMPLE.COM";
        for name in names {
            ask(folder.path(), "kdb5_util", &["-r", name, "create", "-s", "-P", "master"]);
            if neighbour {
                ask(folder.path(), "kadmin.local", &["-r", name, "-q", shared]);
            }
        }
        for question in [&format!("addprinc -randkey HTTP/{host}"), &format!("ktadd -k {} HTTP/{host}", path("http.keytab"))] {
            ask(folder.path(), "kadmin.local", &["-r", names.last().unwrap(), "-q", question]);
        }
        for question in [
            // Domain controllers always want proof before they give a ticket.
            &format!("addprinc +requires_preauth -pw {SECRET} kim"),
            &format!("ktadd -norandkey -k {} kim", path("kim.keytab")),
        ] {
            ask(folder.path(), "kadmin.local", &["-r", "EXAMPLE.COM", "-q", question]);
        }
        let all: Vec<&str> = names.iter().flat_map(|name| ["-r", name]).collect();
        let kdc = tool(folder.path(), "krb5kdc").arg("-n").args(all).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the key distribution centre does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { folder, kdc, port }
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    pub(super) fn endpoint(&self, given: Given) -> Endpoint {
        let (config, keytab) = (self.path("krb5.conf"), self.path("http.keytab"));
        let variables = [("KRB5_CONFIG", config.as_str()), ("KRB5_KTNAME", &keytab), ("KRB5RCACHENAME", "none:"), ("PYTHONPATH", PACKAGES)];
        assert!(
            Path::new(PACKAGES).join("gssapi").exists(),
            "the endpoint needs python3-gssapi: apt-get install python3-gssapi; tests/run does it"
        );
        Endpoint::start_with(given, json!({"users": {}}), &variables)
    }

    pub(super) fn target(&self, endpoint: &Endpoint) -> Target {
        let mut target = target(endpoint);
        target.address = "localhost".into();
        target.connection.user = Some("kim".into());
        target.connection.auth = Some(WinrmAuth::Kerberos);
        target.connection.realm = Some("EXAMPLE.COM".into());
        target.connection.kdc = Some(format!("127.0.0.1:{}", self.port));
        target
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        let _ = self.kdc.kill();
        let _ = self.kdc.wait();
    }
}

fn tool(folder: &Path, name: &str) -> Command {
    // They stand where only root looks for programs.
    let place = ["/usr/sbin", "/usr/bin"].iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    let place = place.unwrap_or_else(|| {
        panic!("{name} is missing: apt-get install krb5-kdc krb5-admin-server krb5-user; tests/run does it");
    });
    let mut command = Command::new(place);
    command.env("KRB5_CONFIG", folder.join("krb5.conf")).env("KRB5_KDC_PROFILE", folder.join("kdc.conf"));
    command
}

pub(super) fn ask(folder: &Path, name: &str, words: &[&str]) {
    let output = tool(folder, name).args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{name} {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn kerberos_signs_in_with_a_password_and_with_a_keytab_and_seals_every_message() {
    let realm = Realm::start();
    let endpoint = realm.endpoint(Given::default());
    let sessions = sessions(SECRET);
    let mut target = realm.target(&endpoint);
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo with a password")).await.0, "with a password\r\n");
    let big = rmm::transport::Command { line: "cat".into(), input: vec![7_u8; 300_000].into(), ..Default::default() };
    assert_eq!(super::ask(&session, big).await.unwrap().stdout.len(), 300_000);

    (target.connection.password, target.connection.realm) = (None, None);
    target.connection.keytab = Some(realm.path("kim.keytab"));
    let session = sessions.open(&target, &CancellationToken::new()).await.unwrap();
    assert_eq!(said(&session, line("echo with a keytab")).await.0, "with a keytab\r\n");

    sessions.close_all().await;
    let keytab = std::path::PathBuf::from(realm.path("kim.keytab"));
    std::fs::set_permissions(&keytab, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let error = sessions.open(&target, &CancellationToken::new()).await.err().unwrap();
    assert_eq!(error.code(), "RMM0410");
    assert!(error.to_string().contains("its mode is 0644, others may use it"), "{error}");

    let wrong = super::sessions("Wrong-1");
    let error = wrong.open(&realm.target(&endpoint), &CancellationToken::new()).await.err().unwrap();
    assert_eq!(error.code(), "RMM0412");
    assert!(error.to_string().contains("Kerberos: the password or the key is wrong"), "{error}");

    let log = endpoint.log();
    let users: Vec<_> = log.named("signed in").map(|one| (one["way"].as_str().unwrap(), one["user"].as_str().unwrap())).collect();
    assert_eq!(users, [("kerberos", "kim@EXAMPLE.COM"); 2]);
    assert_eq!((log.count("clear"), log.count("refused")), (0, 0));
    assert!(log.named("asked").all(|asked| asked["sealed"] == true));
    log.assert_no_shell_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_kerberos_has_sealed_is_not_taken_twice_nor_when_it_was_changed() {
    let realm = Realm::start();
    for (mode, words) in [("again", "belongs to another message"), ("tamper", "cannot be opened")] {
        let endpoint = realm.endpoint(Given { mode, ..Given::default() });
        let session = sessions(SECRET).open(&realm.target(&endpoint), &CancellationToken::new()).await.unwrap();
        let error = super::ask(&session, line("echo x")).await.unwrap_err();
        assert_eq!(error.code(), "RMM0408");
        assert!(error.to_string().contains(words), "{mode}: {error}");
    }
}
