//! TLS to a WinRM endpoint: who vouches for its certificate, the pin, the client certificate, and the token that binds a sign-in to
//! this very channel.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::Digest as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::model::device::{Connection, WinrmAuth, fingerprint as parse_fingerprint};
use crate::transport::{SessionOptions, TransportError};

/// Largest file of certificates.
const MOST_PEM: u64 = 4 << 20;

/// Those who vouch, read once per process: the system's, and those of files.
#[derive(Default)]
pub(super) struct Trust {
    system: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
    files: Mutex<HashMap<PathBuf, Arc<dyn ServerCertVerifier>>>,
}

impl Trust {
    fn system(&self) -> Result<Arc<dyn ServerCertVerifier>, TransportError> {
        let make = || {
            let verifier = rustls_platform_verifier::Verifier::new(provider()).map_err(|error| error.to_string())?;
            Ok(Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        };
        let made = self.system.get_or_init(make).clone();
        made.map_err(|reason| TransportError::Setup { what: "the certificates that this system trusts".into(), reason })
    }

    fn of_file(&self, path: PathBuf) -> Result<Arc<dyn ServerCertVerifier>, TransportError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = files.get(&path) {
            return Ok(Arc::clone(known));
        }
        let wrong = |reason: String| TransportError::Setup { what: format!("caFile {}", path.display()), reason };
        let pem = read(&path).map_err(wrong)?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate".into()));
        }
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let verifier: Arc<dyn ServerCertVerifier> = verifier.build().map_err(|error| wrong(error.to_string()))?;
        files.insert(path, Arc::clone(&verifier));
        Ok(verifier)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
    let meta = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !meta.is_file() || meta.len() > MOST_PEM {
        return Err("it is not a file, or larger than 4 MiB".into());
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

/// The same for a private key: it is for its owner, and its group may be that of the service.
fn read_key(path: &std::path::Path) -> Result<Vec<u8>, String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let mode = std::fs::metadata(path).map_err(|error| error.to_string())?.mode() & 0o7777;
        if mode & 0o027 != 0 {
            return Err(format!("its mode is {mode:04o}, others may use it: run chmod 640 or 600"));
        }
    }
    read(path)
}

/// A channel, and the token that stands for it.
pub(super) struct Channel {
    pub(super) stream: TlsStream<TcpStream>,
    /// `tls-server-end-point:` and a hash of the certificate that the endpoint showed.
    pub(super) binding: Option<Vec<u8>>,
}

/// Agrees on keys over a connection, and checks whose certificate is shown.
pub(super) async fn agree(
    trust: &Trust,
    options: &SessionOptions,
    connection: &Connection,
    host: &str,
    address: &str,
    stream: TcpStream,
) -> Result<Channel, TransportError> {
    let pin = connection.certificate_fingerprint.as_deref().and_then(parse_fingerprint);
    let inner = match (&pin, &connection.ca_file) {
        (Some(_), _) => None,
        (None, Some(file)) => Some(trust.of_file(options.expand(file))?),
        (None, None) => Some(trust.system()?),
    };
    let checker = Arc::new(Checker { inner, pin, provider: provider(), shown: Mutex::default(), whole: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup { what: "TLS".into(), reason: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&checker) as _);
    let mut config = if connection.auth == Some(WinrmAuth::Certificate) {
        let (chain, key) = client_certificate(options, connection)?;
        config.with_client_auth_cert(chain, key).map_err(|error| TransportError::Setup {
            what: format!("certificate {}", connection.certificate.as_deref().unwrap_or_default()),
            reason: error.to_string(),
        })?
    } else {
        config.with_no_client_auth()
    };
    // Another connection is another sign-in; nothing is carried over.
    config.resumption = rustls::client::Resumption::disabled();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| TransportError::Setup { what: format!("address {host}"), reason: error.to_string() })?;
    match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
        Ok(stream) => {
            let shown = stream.get_ref().1.peer_certificates().and_then(|all| all.first());
            let binding = shown.map(|certificate| end_point(certificate));
            Ok(Channel { stream, binding })
        }
        Err(error) => Err(checker.refusal(address, &error)),
    }
}

/// The certificate that is shown, whoever vouches for it. The connection is given up at once.
pub(in crate::transport) async fn shown_certificate(host: &str, address: &str, stream: TcpStream) -> Result<Vec<u8>, TransportError> {
    let checker = Arc::new(Checker { inner: None, pin: None, provider: provider(), shown: Mutex::default(), whole: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TransportError::Setup { what: "TLS".into(), reason: error.to_string() })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&checker) as _)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| TransportError::Setup { what: format!("address {host}"), reason: error.to_string() })?;
    // It fails always: nobody vouches for anything here. What was shown is kept.
    let failed = TlsConnector::from(Arc::new(config)).connect(name, stream).await.err();
    let shown = checker.whole.lock().unwrap_or_else(PoisonError::into_inner).take();
    shown.ok_or_else(|| TransportError::Unreachable {
        address: address.into(),
        reason: format!("no TLS: {}", failed.map_or_else(|| "it shows no certificate".to_owned(), |error| error.to_string())),
    })
}

/// SHA-256 of a certificate, as it is shown and written.
pub(in crate::transport) fn fingerprint(certificate: &[u8]) -> String {
    shown(&sha2::Sha256::digest(certificate))
}

/// The client certificate with its chain, and its key.
fn client_certificate(
    options: &SessionOptions,
    connection: &Connection,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TransportError> {
    let path = |member: &'static str, value: &Option<String>| {
        let missing = || TransportError::Setup {
            what: "auth: certificate".into(),
            reason: format!("it needs connection.{member}, the name of a file in PEM"),
        };
        value.as_deref().map(|text| options.expand(text)).ok_or_else(missing)
    };
    let certificate = path("certificate", &connection.certificate)?;
    let key = path("certificateKey", &connection.certificate_key)?;
    let wrong = |path: &std::path::Path, reason: String| TransportError::Setup { what: path.display().to_string(), reason };
    let pem = read(&certificate).map_err(|reason| wrong(&certificate, reason))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let chain = chain.map_err(|error| wrong(&certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(&certificate, "it holds no certificate".into()));
    }
    let pem = zeroize::Zeroizing::new(read_key(&key).map_err(|reason| wrong(&key, reason))?);
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| wrong(&key, format!("it holds no private key in clear: {error}")))?;
    Ok((chain, key))
}

/// What binds a sign-in to the channel (RFC 5929): a hash of the certificate, by the hash of its own signature, SHA-256 at least.
fn end_point(certificate: &[u8]) -> Vec<u8> {
    // The last number of the signature's algorithm: of RSA 12 and 13, of ECDSA 3 and 4 stand for SHA-384 and SHA-512.
    let algorithm = x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| parsed.signature_algorithm.algorithm.to_id_string())
        .unwrap_or_default();
    let hash = match algorithm.as_str() {
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => sha2::Sha384::digest(certificate).to_vec(),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => sha2::Sha512::digest(certificate).to_vec(),
        _ => sha2::Sha256::digest(certificate).to_vec(),
    };
    [b"tls-server-end-point:".as_slice(), &hash].concat()
}

/// A fingerprint as it is shown and written.
fn shown(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// Checks a certificate: by its pin, or by those who vouch for it.
#[derive(Debug)]
struct Checker {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    pin: Option<[u8; 32]>,
    provider: Arc<CryptoProvider>,
    shown: Mutex<Option<[u8; 32]>>,
    whole: Mutex<Option<Vec<u8>>>,
}

impl Checker {
    /// Why there is no channel.
    fn refusal(&self, address: &str, error: &std::io::Error) -> TransportError {
        let address = address.to_owned();
        let seen = *self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let about_it = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match (about_it, seen, &self.pin) {
            (Some(rustls::Error::InvalidCertificate(_)), Some(seen), Some(pin)) if *pin != seen => {
                TransportError::ChangedCertificate { address, pinned: shown(pin), offered: shown(&seen) }
            }
            (Some(rustls::Error::InvalidCertificate(why)), Some(seen), _) => {
                TransportError::Certificate { address, reason: words(why), fingerprint: shown(&seen) }
            }
            _ => TransportError::Unreachable { address, reason: format!("no TLS: {error}") },
        }
    }
}

fn words(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => "nobody who is trusted here vouches for it".into(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".into(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".into(),
        CertificateError::Revoked => "it is revoked".into(),
        other => other.to_string(),
    }
}

impl ServerCertVerifier for Checker {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen: [u8; 32] = sha2::Sha256::digest(end_entity).into();
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        if self.pin.is_none() && self.inner.is_none() {
            *self.whole.lock().unwrap_or_else(PoisonError::into_inner) = Some(end_entity.to_vec());
        }
        match (&self.pin, &self.inner) {
            (Some(pin), _) if *pin == seen => Ok(ServerCertVerified::assertion()),
            (None, Some(inner)) => inner.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            _ => Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
