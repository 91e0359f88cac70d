//! What can be seen of a device without signing in: its name, its port, its certificate. Called by `rmm doctor`.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;

use super::winrm;
use super::{Target, TransportError};

/// A certificate that a device shows, whoever vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownCertificate {
    /// SHA-256, as `certificateFingerprint` takes it.
    pub fingerprint: String,
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The end of its validity, in seconds since 1970.
    pub not_after: i64,
}

/// `host:port`
fn place(target: &Target) -> (&str, u16) {
    (target.address.as_str(), target.connection.port(target.transport()))
}

/// The addresses of a device's name.
pub async fn addresses(target: &Target, limit: Duration) -> Result<Vec<SocketAddr>, TransportError> {
    let (host, port) = place(target);
    let unreachable = |reason: String| TransportError::Unreachable { address: format!("{host}:{port}"), reason };
    let found = tokio::time::timeout(limit, tokio::net::lookup_host((host, port))).await;
    let found: Vec<SocketAddr> = found
        .map_err(|_| unreachable("the name is not answered in time".into()))?
        .map_err(|error| unreachable(error.to_string()))?
        .collect();
    if found.is_empty() { Err(unreachable("the name has no address".into())) } else { Ok(found) }
}

/// Connects, and lets go.
pub async fn connect(target: &Target, limit: Duration) -> Result<SocketAddr, TransportError> {
    Ok(reach(target, limit).await?.1)
}

async fn reach(target: &Target, limit: Duration) -> Result<(TcpStream, SocketAddr), TransportError> {
    let (host, port) = place(target);
    let unreachable = |reason: String| TransportError::Unreachable { address: format!("{host}:{port}"), reason };
    let stream = tokio::time::timeout(limit, TcpStream::connect((host, port))).await;
    let stream = stream
        .map_err(|_| unreachable(format!("no connection within {} s", limit.as_secs_f32())))?
        .map_err(|error| unreachable(error.to_string()))?;
    let peer = stream.peer_addr().map_err(|error| unreachable(error.to_string()))?;
    Ok((stream, peer))
}

/// The certificate that a device shows. Nothing is sent to it, and nobody is asked whether it is to be trusted.
pub async fn certificate(target: &Target, limit: Duration) -> Result<ShownCertificate, TransportError> {
    let (stream, _) = reach(target, limit).await?;
    let (host, port) = place(target);
    let address = format!("{host}:{port}");
    let late = TransportError::Unreachable { address: address.clone(), reason: "no TLS in time".into() };
    let der = tokio::time::timeout(limit, winrm::shown_certificate(host, &address, stream)).await.map_err(|_| late)??;
    let wrong = |reason: String| TransportError::Unreachable { address: address.clone(), reason };
    let (_, parsed) = x509_parser::parse_x509_certificate(&der).map_err(|error| wrong(format!("its certificate is damaged: {error}")))?;
    Ok(ShownCertificate {
        fingerprint: winrm::fingerprint(&der),
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        not_after: parsed.validity().not_after.timestamp(),
    })
}
