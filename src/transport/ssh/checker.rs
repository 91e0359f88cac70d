//! Decides about the host key that a server shows, and remembers why it was refused.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use russh::client::Handler;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::known_hosts::{HostKeys, KnownHosts, Verdict, algorithm_of, fingerprint};
use crate::model::device::HostKeyCheck;
use crate::transport::TransportError;

/// The reason of a refusal, shared with whoever waits for the connection.
pub(super) type Refusal = Arc<Mutex<Option<TransportError>>>;

/// The client's side of one connection.
pub(super) struct Checker {
    pub(super) address: String,
    pub(super) key_name: String,
    pub(super) keys: HostKeys,
    pub(super) check: HostKeyCheck,
    pub(super) known: Arc<KnownHosts>,
    pub(super) refusal: Refusal,
}

impl Checker {
    fn judge(&self, shown: &PublicKeyOrCertificate) -> Result<(), TransportError> {
        if let PublicKeyOrCertificate::Certificate(certificate) = shown {
            return self.judge_certificate(certificate);
        }
        let blob = shown
            .public_key()
            .to_bytes()
            .map_err(|e| TransportError::Unreachable { address: self.address.clone(), reason: format!("its host key is damaged: {e}") })?;
        let offered = fingerprint(algorithm_of(&blob), &blob);
        let mut verdict = self.keys.judge(&blob);
        if verdict == Verdict::Unknown && self.check == HostKeyCheck::AcceptNew {
            verdict = self.known.record(&self.keys, &blob).map_err(|e| TransportError::Setup {
                what: self.keys.file.display().to_string(),
                reason: format!("the host key cannot be recorded: {e}"),
            })?;
        }
        match verdict {
            Verdict::Known => Ok(()),
            Verdict::Unknown => Err(TransportError::UnknownHostKey {
                address: self.address.clone(),
                fingerprint: offered,
                known_hosts: self.keys.file.display().to_string(),
            }),
            Verdict::Changed { known, place } => {
                Err(TransportError::ChangedHostKey { address: self.address.clone(), known, offered, known_hosts: place })
            }
            Verdict::Revoked { place } => {
                Err(TransportError::Setup { what: place, reason: format!("the host key of {} is revoked: {offered}", self.address) })
            }
        }
    }

    /// A certificate is as good as the authority that stands in `known_hosts` for this host.
    fn judge_certificate(&self, certificate: &Certificate) -> Result<(), TransportError> {
        let refuse = |reason: String| TransportError::Setup { what: format!("host certificate of {}", self.address), reason };
        let authority = blob_of(certificate.signature_key()).ok_or_else(|| refuse("its authority is damaged".into()))?;
        let own = blob_of(certificate.public_key()).ok_or_else(|| refuse("its key is damaged".into()))?;
        for blob in [&authority, &own] {
            if let Verdict::Revoked { place } = self.keys.judge(blob) {
                return Err(refuse(format!("it is revoked in {place}")));
            }
        }
        if !self.keys.authorities().contains(&authority) {
            return Err(refuse("its authority is not known for this host".into()));
        }
        if !certificate.cert_type().is_host() {
            return Err(refuse("it is not for hosts".into()));
        }
        let names = certificate.valid_principals();
        if !names.is_empty() && !names.iter().any(|n| n.eq_ignore_ascii_case(&self.key_name)) {
            return Err(refuse(format!("it is for {}, not for {}", names.join(", "), self.key_name)));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let trusted = [certificate.signature_key().fingerprint(HashAlg::Sha256)];
        certificate.validate_at(now, &trusted).map_err(|e| refuse(e.to_string()))
    }
}

fn blob_of(key: &KeyData) -> Option<Vec<u8>> {
    PublicKey::new(key.clone(), "").to_bytes().ok()
}

impl Handler for Checker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let Err(reason) = self.judge(shown) else { return Ok(true) };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
        Ok(false)
    }
}
