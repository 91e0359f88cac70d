//! Starts `tests/winrm/endpoint.py`, and reads its log.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rmm::access::{SecretError, Secrets};
use rmm::model::Platform;
use rmm::model::device::{Connection, SecretRef, WinrmScheme};
use rmm::transport::{SessionOptions, Sessions, Target};
use secrecy::SecretString;
use serde_json::{Value, json};

pub(crate) const USER: &str = "EXAMPLE\\kim";
pub(crate) const PASSWORD: &str = "Geh\u{e4}im-1 <&>";

/// How the endpoint behaves.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub(crate) tls: bool,
    pub(crate) mode: &'static str,
    pub(crate) quota: u32,
}

impl Default for Given {
    fn default() -> Self {
        Self { tls: false, mode: "", quota: 1000 }
    }
}

/// A running endpoint; it ends with its standard input.
pub(crate) struct Endpoint {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    certificate: Vec<u8>,
}

/// The Python that has what the endpoint needs, made once.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let made = Command::new(root.join("tests/winrm/environment")).output().unwrap();
        let path = String::from_utf8(made.stdout).unwrap();
        assert!(
            made.status.success(),
            "tests/winrm/environment cannot make its Python; it needs python3-venv and pip with a package index: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        PathBuf::from(path.trim())
    })
}

impl Endpoint {
    pub(crate) fn start(given: Given) -> Self {
        Self::start_with(given, json!({}), &[])
    }

    /// With more of its configuration, and variables of its environment.
    pub(crate) fn start_with(given: Given, more: Value, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut config = json!({
            "users": {USER: PASSWORD}, "log": path("log"), "mode": given.mode, "quota": given.quota,
        });
        let mut certificate = Vec::new();
        if given.tls {
            certificate = certificates(folder.path());
            config["certificate"] = json!(path("server.pem"));
            config["clients"] = json!(path("ca.pem"));
        }
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        std::fs::write(path("config.json"), config.to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/winrm/endpoint.py");
        let mut child = Command::new(python())
            .arg(script)
            .arg(path("config.json"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        let port = first.trim().parse().unwrap_or_else(|_| panic!("the endpoint does not start: {first}"));
        Self { child, folder, port, tls: given.tls, certificate }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Of the certificate that it shows, as it is written.
    pub(crate) fn fingerprint(&self) -> String {
        use sha2::Digest as _;

        sha2::Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
    }

    pub(crate) fn log(&self) -> Log {
        let text = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        // The last line may be half written.
        Log(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// What the endpoint has seen.
#[derive(Debug)]
pub(crate) struct Log(Vec<Value>);

impl Log {
    pub(crate) fn named<'a>(&'a self, event: &'a str) -> impl Iterator<Item = &'a Value> {
        self.0.iter().filter(move |line| line["event"] == event)
    }

    pub(crate) fn count(&self, event: &str) -> usize {
        self.named(event).count()
    }

    pub(crate) fn actions(&self, action: &str) -> usize {
        self.named("asked").filter(|asked| asked["action"] == action).count()
    }

    pub(crate) fn assert_no_shell_is_left(&self) {
        let ids = |event| self.named(event).filter_map(|line| line["id"].as_str()).collect::<std::collections::BTreeSet<_>>();
        let left: Vec<_> = ids("shell").difference(&ids("deleted")).copied().map(str::to_owned).collect();
        assert!(left.is_empty(), "shells that nobody ended: {left:?}\n{self:?}");
    }
}

/// An authority, a certificate of the endpoint for 127.0.0.1, and one of a client; gives the endpoint's.
fn certificates(folder: &Path) -> Vec<u8> {
    let named = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let mut params = named("Authority of the tests");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    let mut params = named("ws-1");
    params.subject_alt_names = vec![rcgen::SanType::IpAddress("127.0.0.1".parse().unwrap())];
    let key = KeyPair::generate().unwrap();
    let server = params.signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("server.pem"), [server.pem(), key.serialize_pem()].concat()).unwrap();
    let key = KeyPair::generate().unwrap();
    let client = named("kim").signed_by(&key, &authority).unwrap();
    std::fs::write(folder.join("client.pem"), client.pem()).unwrap();
    std::fs::write(folder.join("client.key"), key.serialize_pem()).unwrap();
    std::fs::set_permissions(folder.join("client.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    server.der().to_vec()
}

/// One secret: the password.
struct Known(String);

impl Secrets for Known {
    fn resolve(&self, name: &str) -> Result<SecretString, SecretError> {
        if name == "win" { Ok(self.0.as_str().into()) } else { Err(SecretError::Name { name: name.into() }) }
    }
}

pub(crate) fn sessions_with(options: SessionOptions, password: &str) -> Sessions {
    Sessions::new(options, Arc::new(Known(password.into())))
}

pub(crate) fn sessions(password: &str) -> Sessions {
    sessions_with(SessionOptions::default(), password)
}

pub(crate) fn target(endpoint: &Endpoint) -> Target {
    let connection = Connection {
        user: Some(USER.into()),
        password: Some(SecretRef { secret: "win".into() }),
        port: Some(endpoint.port),
        scheme: Some(if endpoint.tls { WinrmScheme::Https } else { WinrmScheme::Http }),
        ..Connection::default()
    };
    Target { name: "ws-1".into(), address: "127.0.0.1".into(), connection, platform: Some(Platform::Windows) }
}

/// Waits for what is about to happen.
pub(crate) async fn until(happened: impl Fn() -> bool) {
    let begin = Instant::now();
    while !happened() {
        assert!(begin.elapsed() < Duration::from_secs(20), "it does not happen");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
