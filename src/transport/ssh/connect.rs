//! Opens a connection: over all hops, each with its own host key check and its own sign-in, within one time limit.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, HashAlg};
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Shared;
use super::auth::SignIn;
use super::checker::{Checker, Refusal};
use super::hop::{Hop, hops};
use super::known_hosts::HostKeys;
use crate::access::Secrets;
use crate::model::device::SecretRef;
use crate::transport::{SessionOptions, Target, TransportError, secret};

/// A silent connection is asked this often whether it lives, and given up after three questions.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Output that may be on its way per channel. Small enough for hundreds of sessions.
const WINDOW: u32 = 256 * 1024;

/// What connecting needs beside the target.
pub(super) struct Connector<'a> {
    pub(super) shared: &'a Shared,
    pub(super) options: &'a SessionOptions,
    pub(super) secrets: &'a dyn Secrets,
}

impl Connector<'_> {
    /// The connections to all hops, the device's last, and its address.
    pub(super) async fn connect(&self, target: &Target) -> Result<(Vec<Handle<Checker>>, String), TransportError> {
        let config = self.shared.config(self.options)?;
        let hops = hops(target, config, self.options)?;
        let stage = Mutex::new((String::new(), "connecting"));
        if let Ok(result) = tokio::time::timeout(self.options.ssh_timeout, self.chain(&hops, &stage)).await {
            return Ok((result?, hops.last().map(Hop::address).unwrap_or_default()));
        }
        let (address, doing) = stage.into_inner().unwrap_or_else(PoisonError::into_inner);
        let reason = format!("no answer within {} s while {doing}", self.options.ssh_timeout.as_secs_f32());
        Err(TransportError::Unreachable { address, reason })
    }

    async fn chain(&self, hops: &[Hop], stage: &Mutex<(String, &'static str)>) -> Result<Vec<Handle<Checker>>, TransportError> {
        let doing = |hop: &Hop, what| *stage.lock().unwrap_or_else(PoisonError::into_inner) = (hop.address(), what);
        let mut handles: Vec<Handle<Checker>> = Vec::with_capacity(hops.len());
        for hop in hops {
            let unreachable = |reason: String| TransportError::Unreachable { address: hop.address(), reason };
            doing(hop, "connecting");
            let mut handle = if let Some(before) = handles.last() {
                let channel = before
                    .channel_open_direct_tcpip(hop.host.clone(), u32::from(hop.port), "127.0.0.1", 0)
                    .await
                    .map_err(|e| unreachable(format!("the jump host does not reach it: {e}")))?;
                doing(hop, "agreeing on keys");
                self.greet(hop, channel.into_stream()).await?
            } else {
                let stream = tokio::net::TcpStream::connect((hop.host.as_str(), hop.port)).await.map_err(|e| unreachable(e.to_string()))?;
                stream.set_nodelay(true).map_err(|e| unreachable(e.to_string()))?;
                doing(hop, "agreeing on keys");
                self.greet(hop, stream).await?
            };
            doing(hop, "signing in");
            let sign_in = SignIn {
                hop,
                keys: &self.shared.keys,
                agent: self.shared.agent(self.options),
                passphrase: self.secret(hop.passphrase.as_ref())?,
                password: self.secret(hop.password.as_ref())?,
                handle: &mut handle,
            };
            sign_in.run().await?;
            handles.push(handle);
        }
        Ok(handles)
    }

    fn secret(&self, name: Option<&SecretRef>) -> Result<Option<SecretString>, TransportError> {
        name.map(|name| secret(self.secrets, name)).transpose()
    }

    /// Exchanges keys over a stream, and checks the host's.
    async fn greet(
        &self,
        hop: &Hop,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Handle<Checker>, TransportError> {
        let keys = self
            .shared
            .known
            .host(&hop.known_hosts, &hop.key_name, hop.port)
            .map_err(|(path, e)| TransportError::Setup { what: path.display().to_string(), reason: e.to_string() })?;
        let config = Arc::new(configuration(&keys));
        let refusal = Refusal::default();
        let checker = Checker {
            address: hop.address(),
            key_name: hop.key_name.clone(),
            keys,
            check: hop.check,
            known: Arc::clone(&self.shared.known),
            refusal: Arc::clone(&refusal),
        };
        client::connect_stream(config, stream, checker).await.map_err(|e| {
            let refused = refusal.lock().unwrap_or_else(PoisonError::into_inner).take();
            refused.unwrap_or_else(|| TransportError::Unreachable { address: hop.address(), reason: words(&e) })
        })
    }
}

/// What went wrong, in words for somebody who does not know the protocol.
fn words(error: &russh::Error) -> String {
    match error {
        russh::Error::Disconnect | russh::Error::HUP => "it closed the connection before a session began".into(),
        other => other.to_string(),
    }
}

/// The algorithms of keys that are known come first: a server with several keys then shows one that can be checked.
fn configuration(keys: &HostKeys) -> client::Config {
    let mut preferred = russh::Preferred::DEFAULT;
    let known: Vec<&str> = keys.algorithms().collect();
    let is_rsa = |a: &Algorithm| matches!(a, Algorithm::Rsa { .. });
    let is_known = |a: &Algorithm| known.iter().any(|k| if is_rsa(a) { *k == "ssh-rsa" } else { *k == a.as_str() });
    // SHA-1 signatures are refused.
    let usable = |a: &&Algorithm| !matches!(a, Algorithm::Rsa { hash: None });
    let (mut first, rest): (Vec<Algorithm>, Vec<Algorithm>) = preferred.key.iter().filter(usable).cloned().partition(is_known);
    first.extend(rest);
    if !keys.authorities().is_empty() {
        let rsa = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
        preferred.host_key_certificates = Cow::Owned(first.iter().filter(|a| !is_rsa(a) || **a == rsa).cloned().collect());
    }
    preferred.key = Cow::Owned(first);
    // Facts compress well, but on a fast network deflating costs more than sending.
    preferred.compression = Cow::Borrowed(&[russh::compression::NONE]);
    client::Config {
        window_size: WINDOW,
        channel_buffer_size: 16,
        preferred,
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..client::Config::default()
    }
}
