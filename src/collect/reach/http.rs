//! Web addresses: status, text, time, and the certificate, which is looked at also where it is expired or unknown.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use reqwest::redirect::Policy;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};

use super::redirect::Redirects;
use super::{answered, failed};
use crate::collect::watch::{Assigned, Probed};
use crate::model::monitor::Http;

/// Most bytes in which the text is looked for.
const MOST: usize = 256 * 1024;

/// What a WinRM endpoint is asked without signing in.
const IDENTIFY: &str = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:wsmid="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/><s:Body><wsmid:Identify/></s:Body></s:Envelope>"#;

/// The authorities that this system trusts, read once.
#[derive(Default)]
pub(super) struct Trust {
    verifier: OnceLock<Result<Arc<dyn ServerCertVerifier>, String>>,
}

impl Trust {
    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let make = || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(|error| error.to_string())?;
            Ok(Arc::new(verifier) as Arc<dyn ServerCertVerifier>)
        };
        self.verifier.get_or_init(make).clone()
    }

    /// Encryption that notes what it sees. Without `verify` every certificate will do, but for the proof that the server
    /// holds its key.
    pub(super) fn config(&self, verify: bool) -> Result<(ClientConfig, Arc<Seen>), String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let seen = Arc::new(Seen::default());
        let inner = if verify { Some(self.verifier()?) } else { None };
        let noting = Noting { inner, provider: Arc::clone(&provider), seen: Arc::clone(&seen) };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(noting))
            .with_no_client_auth();
        Ok((config, seen))
    }
}

/// What was seen of the first server.
#[derive(Debug, Default)]
pub(super) struct Seen {
    certificate: Mutex<Option<Vec<u8>>>,
    refused: Mutex<Option<String>>,
}

impl Seen {
    /// When the certificate expires.
    fn expires(&self) -> Option<DateTime<Utc>> {
        let held = self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, certificate) = x509_parser::parse_x509_certificate(held.as_deref()?).ok()?;
        DateTime::from_timestamp(certificate.validity().not_after.timestamp(), 0)
    }

    fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Verifies as the system does, and notes the certificate either way.
#[derive(Debug)]
struct Noting {
    inner: Option<Arc<dyn ServerCertVerifier>>,
    provider: Arc<CryptoProvider>,
    seen: Arc<Seen>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.seen.certificate.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| end_entity.to_vec());
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now).inspect_err(|error| {
            let words = in_words(error, is_self_signed(end_entity));
            self.seen.refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(words);
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_self_signed(certificate: &CertificateDer<'_>) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, cert)| cert.subject() == cert.issuer())
}

fn in_words(error: &rustls::Error, self_signed: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the certificate has expired".into()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            "the certificate is not valid yet".into()
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => {
            "the certificate is for another name".into()
        }
        rustls::Error::InvalidCertificate(_) if self_signed => "the certificate is self-signed and not trusted".into(),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => "the certificate's issuer is not trusted".into(),
        other => format!("the certificate is not accepted: {other}"),
    }
}

/// Asks a web address.
pub(super) async fn look(trust: &Trust, http: &Http, assigned: &Assigned, now: DateTime<Utc>) -> Probed {
    let url = filled(&http.url, assigned);
    let (config, seen) = match trust.config(http.verify) {
        Ok(config) => config,
        Err(why) => return failed(format!("no encryption: {why}")),
    };
    // What is reached from here is looked at: a proxy would answer for itself.
    let redirects = Redirects::from(&url, http.redirects).await;
    let client = redirects.govern(reqwest::Client::builder().no_proxy().tls_backend_preconfigured(config)).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return failed(format!("it cannot be asked: {error}")),
    };
    let start = Instant::now();
    let answer = client.get(&url).header("user-agent", concat!("rmm/", env!("CARGO_PKG_VERSION"))).send().await;
    let mut probed = match answer {
        Err(error) => failed(seen.refused().unwrap_or_else(|| reason(&error))),
        Ok(answer) => judge(http, answer, start).await,
    };
    probed.expires = seen.expires();
    if let Some(expires) = probed.expires.filter(|expires| *expires <= now)
        && probed.ok
        && http.verify
    {
        probed = Probed { ok: false, reason: format!("the certificate expired on {}", expires.date_naive()), ..probed };
    }
    probed
}

async fn judge(http: &Http, mut answer: reqwest::Response, start: Instant) -> Probed {
    let status = answer.status();
    let good = if http.status.is_empty() { status.is_success() } else { http.status.contains(&status.as_u16()) };
    let mut text = Vec::new();
    if let Some(wanted) = http.contains.as_deref().filter(|_| good) {
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) => text.extend_from_slice(&chunk[..chunk.len().min(MOST - text.len())]),
                Ok(None) => break,
                Err(error) => return failed(reason(&error)),
            }
            if text.len() >= MOST || holds(&text, wanted) {
                break;
            }
        }
    }
    let probed = answered(start);
    let took = start.elapsed();
    let wrong = if !good {
        Some(format!("it answers {status}"))
    } else if http.contains.as_deref().is_some_and(|wanted| !holds(&text, wanted)) {
        Some(format!("it answers {status}, but without the text that it should hold"))
    } else {
        http.within
            .filter(|within| took > within.duration())
            .map(|within| format!("it took {:.1} s, longer than {within}", took.as_secs_f64()))
    };
    match wrong {
        Some(reason) => Probed { ok: false, reason, ..probed },
        None => Probed { reason: format!("answers {status} in {} ms", took.as_millis()), ..probed },
    }
}

fn holds(text: &[u8], wanted: &str) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part == wanted.as_bytes())
}

/// Whether a WinRM endpoint answers; whom it belongs to is asked when somebody signs in.
pub(super) async fn winrm(trust: &Trust, host: &str, port: u16, tls: bool) -> Probed {
    let (config, seen) = match trust.config(false) {
        Ok(config) => config,
        Err(why) => return failed(format!("no encryption: {why}")),
    };
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).tls_backend_preconfigured(config).build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return failed(format!("it cannot be asked: {error}")),
    };
    let url = format!("{}://{}:{port}/wsman", if tls { "https" } else { "http" }, in_url(host));
    let start = Instant::now();
    let request = client.post(&url).header("wsmanidentify", "unauthenticated").header("content-type", "application/soap+xml;charset=UTF-8");
    let mut probed = match request.body(IDENTIFY).send().await {
        Err(error) => failed(reason(&error)),
        Ok(answer) if matches!(answer.status().as_u16(), 200 | 401 | 405) => answered(start),
        Ok(answer) => failed(format!("port {port} answers {}, which WinRM does not", answer.status())),
    };
    probed.expires = seen.expires();
    probed
}

/// The address with what stands for the device filled in.
fn filled(url: &str, assigned: &Assigned) -> String {
    let mut out = String::new();
    let mut rest = url;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        match name.trim() {
            "device.hostname" => out.push_str(&in_url(&assigned.device)),
            _ => out.push_str(&in_url(&assigned.address)),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn in_url(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

/// The innermost of what went wrong: the outer ones repeat the address.
pub(super) fn reason(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    let text = inner.to_string();
    if error.is_connect() && text.contains("refused") { "the port refuses connections".into() } else { text }
}
