//! Requests to vendors and webhooks: encrypted with rustls on ring, bounded in time and size, and never carried to
//! another host by a redirect.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::channel::Surroundings;
use super::{SendError, text};
use crate::model::channel::{bad_url, is_loopback};

/// Most of an answer that is read.
const MOST_ANSWER: usize = 64 * 1024;
/// Most of an answer that is kept.
const MOST_SAID: usize = 300;
/// Longest pause that the other side may ask for.
const MOST_PAUSE: Duration = Duration::from_hours(1);
/// Largest file of certificates.
const MOST_CA: u64 = 1024 * 1024;

/// A client for one channel.
#[derive(Debug, Clone)]
pub(super) struct Http {
    through: Client,
    direct: Client,
    timeout: Duration,
}

/// An answer, read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Vec<u8>,
    /// In a few words, for people.
    pub(super) said: String,
    /// Whether the connection held to the end of it.
    pub(super) whole: bool,
}

impl Http {
    pub(super) fn new(surroundings: &Surroundings, ca_file: Option<&str>, timeout: Duration) -> Result<Self, SendError> {
        let tls = tls(&surroundings.root, ca_file)?;
        let build = |proxies: bool| {
            let builder = Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(concat!("rmm/", env!("CARGO_PKG_VERSION")))
                .referer(false)
                .redirect(redirect::Policy::custom(same_host))
                .connect_timeout(timeout)
                .timeout(timeout)
                // What is tried again is decided by the queue, where it is counted.
                .retry(reqwest::retry::never())
                .pool_idle_timeout(Duration::from_secs(30))
                .pool_max_idle_per_host(2);
            let builder = if proxies { builder } else { builder.no_proxy() };
            builder.build().map_err(|error| SendError::Incomplete(format!("no client for HTTPS: {}", chain(&error))))
        };
        Ok(Self { through: build(true)?, direct: build(false)?, timeout })
    }

    /// A request. This machine itself is never asked through a proxy.
    pub(super) fn request(&self, method: reqwest::Method, url: &str) -> Result<RequestBuilder, SendError> {
        if let Some(why) = bad_url(url) {
            return Err(SendError::Incomplete(format!("the address cannot be used: {why}")));
        }
        let url: Url = url.parse().map_err(|_| SendError::Incomplete("the address cannot be read".into()))?;
        let client = if url.host_str().is_some_and(is_loopback) { &self.direct } else { &self.through };
        Ok(client.request(method, url))
    }

    /// Sends a request and reads the answer; `Err` for every answer that is not a yes.
    pub(super) async fn send(&self, request: RequestBuilder, house: &Surroundings, now: DateTime<Utc>) -> Result<Reply, SendError> {
        let request =
            request.build().map_err(|error| SendError::Unwritable(house.redactor.redact(&chain(&error.without_url())).into_owned()))?;
        let host = request.url().host_str().unwrap_or("the other side").to_owned();
        let client = if is_loopback(&host) { &self.direct } else { &self.through };
        let failed = |error: reqwest::Error| self.failed(&host, error, house);
        let mut response = client.execute(request).await.map_err(failed)?;
        let status = response.status();
        let pause = retry_after(response.headers(), now);
        let (mut body, mut whole) = (Vec::new(), true);
        while body.len() < MOST_ANSWER {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk[..chunk.len().min(MOST_ANSWER - body.len())]),
                Ok(None) => break,
                // Who has said yes has the message: to send it again would be to send it twice.
                Err(_) if status.is_success() => {
                    whole = false;
                    break;
                }
                Err(error) => return Err(failed(error)),
            }
        }
        let said = text::line(&house.redactor.redact(&String::from_utf8_lossy(&body)), MOST_SAID);
        let said = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        if status.is_success() {
            return Ok(Reply { body, said, whole });
        }
        Err(if status.is_redirection() {
            SendError::Refused { host, said: format!("{status}: it leads elsewhere; give the address that it leads to") }
        } else if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
            SendError::Later { host, said, after: pause }
        } else {
            SendError::Refused { host, said }
        })
    }

    fn failed(&self, host: &str, error: reqwest::Error, house: &Surroundings) -> SendError {
        // The address may be a secret.
        let error = error.without_url();
        if error.is_timeout() {
            return SendError::TimedOut { host: host.to_owned(), after: self.timeout };
        }
        SendError::Unreachable { host: host.to_owned(), why: text::line(&house.redactor.redact(&chain(&error)), MOST_SAID) }
    }
}

/// Follows only to the same host, and only where the request stays as it is.
fn same_host(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let keeps = matches!(attempt.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    let origin = attempt.previous().first().map(Url::origin);
    if keeps && attempt.previous().len() <= 3 && origin == Some(attempt.url().origin()) { attempt.follow() } else { attempt.stop() }
}

/// The pause that an answer asks for: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match value.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(value).ok()?.to_utc() - now).to_std().unwrap_or_default(),
    };
    Some(pause.min(MOST_PAUSE))
}

/// An error with its causes, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut parts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !parts.iter().any(|part| part.contains(&cause_text)) {
            parts.push(cause_text);
        }
        next = cause.source();
    }
    parts.join(": ")
}

/// Certificates of authorities from a file.
pub(super) fn authorities(root: &Path, file: &str) -> Result<Vec<u8>, SendError> {
    use std::io::Read as _;
    let wrong = |why: String| SendError::Incomplete(format!("ca_file {file}: {why}"));
    let path = root.join(file);
    // A pipe would wait for somebody who writes to it.
    if std::fs::metadata(&path).is_ok_and(|data| !data.is_file()) {
        return Err(wrong("it is not a file".into()));
    }
    let opened = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut pem = Vec::new();
    opened.take(MOST_CA + 1).read_to_end(&mut pem).map_err(|error| wrong(error.to_string()))?;
    if pem.len() as u64 > MOST_CA {
        return Err(wrong("it is larger than 1 MiB".into()));
    }
    Ok(pem)
}

/// Encryption: certificates are verified as the system does, plus those of `ca_file`.
fn tls(root: &Path, ca_file: Option<&str>) -> Result<rustls::ClientConfig, SendError> {
    let wrong = |why: String| SendError::Incomplete(format!("no encryption: {why}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = match ca_file {
        None => rustls_platform_verifier::Verifier::new(Arc::clone(&provider)),
        Some(file) => {
            let pem = authorities(root, file)?;
            let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
            let roots = roots.map_err(|error| SendError::Incomplete(format!("ca_file {file}: {error}")))?;
            if roots.is_empty() {
                return Err(SendError::Incomplete(format!("ca_file {file}: it holds no certificate")));
            }
            rustls_platform_verifier::Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
        }
    };
    let verifier = verifier.map_err(|error| wrong(error.to_string()))?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_seconds_or_a_date_and_has_a_bound() {
        let now = DateTime::parse_from_rfc3339("2026-11-21T07:30:00Z").unwrap().to_utc();
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(read("17"), Some(17));
        assert_eq!(read("Sat, 21 Nov 2026 07:31:30 GMT"), Some(90));
        assert_eq!(read("Sat, 21 Nov 2026 07:00:00 GMT"), Some(0));
        assert_eq!(read("99999999"), Some(3600));
        assert_eq!(read("soon"), None);
    }
}
