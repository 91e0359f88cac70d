//! Signing in: agent, keys with their certificates, password. Remembers what was tried, for the error.

use std::path::Path;
use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use secrecy::{ExposeSecret, SecretString};

use super::checker::Checker;
use super::hop::Hop;
use super::keys::Keys;
use crate::transport::TransportError;

/// Servers ask for a password a few times at most.
const MOST_QUESTIONS: usize = 8;

/// What is needed to sign in to one machine.
pub(super) struct SignIn<'a> {
    pub(super) handle: &'a mut Handle<Checker>,
    pub(super) hop: &'a Hop,
    pub(super) keys: &'a Keys,
    pub(super) agent: Option<&'a Path>,
    pub(super) passphrase: Option<SecretString>,
    pub(super) password: Option<SecretString>,
}

/// Where signing in stands.
struct Tried {
    attempts: Vec<String>,
    methods: Option<MethodSet>,
}

impl Tried {
    /// Takes the server's answer; whether it let us in.
    fn answer(&mut self, what: String, result: Result<AuthResult, String>) -> bool {
        match result {
            Ok(AuthResult::Success) => return true,
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                self.attempts.push(format!("{what}: {}", if partial_success { "accepted, but more is wanted" } else { "refused" }));
                if !remaining_methods.is_empty() {
                    self.methods = Some(remaining_methods);
                }
            }
            Err(e) => self.attempts.push(format!("{what}: {e}")),
        }
        false
    }

    fn offered(&self, method: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|m| m.contains(&method))
    }
}

impl SignIn<'_> {
    /// Signs in, or says everything that was tried.
    pub(super) async fn run(mut self) -> Result<(), TransportError> {
        let mut tried = Tried { attempts: Vec::new(), methods: None };
        if self.agent_keys(&mut tried).await || self.key_files(&mut tried).await || self.with_password(&mut tried).await {
            return Ok(());
        }
        if self.handle.is_closed() {
            tried.attempts.push("then the server closed the connection".into());
        }
        if tried.attempts.is_empty() {
            tried.attempts.push("there is no agent, no key file and no password to try".into());
        }
        Err(TransportError::Authentication { address: self.hop.address(), user: self.hop.user.clone(), reason: tried.attempts.join("; ") })
    }

    /// The hash for an RSA key: what the server announces, else the strongest.
    async fn hash(&self, rsa: bool) -> Option<HashAlg> {
        if !rsa {
            return None;
        }
        self.handle.best_supported_rsa_hash().await.ok().flatten().unwrap_or(Some(HashAlg::Sha512))
    }

    async fn agent_keys(&mut self, tried: &mut Tried) -> bool {
        let Some(socket) = self.agent.filter(|_| self.hop.use_agent) else { return false };
        let mut agent = match AgentClient::connect_uds(socket).await {
            Ok(agent) => agent,
            Err(e) => {
                tried.attempts.push(format!("agent {}: {e}", socket.display()));
                return false;
            }
        };
        let identities = match agent.request_identities().await {
            Ok(identities) => identities,
            Err(e) => {
                tried.attempts.push(format!("agent {}: {e}", socket.display()));
                return false;
            }
        };
        if identities.is_empty() {
            tried.attempts.push("agent: it holds no key".into());
        }
        for identity in identities {
            if self.handle.is_closed() || !tried.offered(MethodKind::PublicKey) {
                return false;
            }
            let user = self.hop.user.clone();
            let (what, result) = match identity {
                AgentIdentity::PublicKey { key, comment } => {
                    let hash = self.hash(key.algorithm().is_rsa()).await;
                    let result = self.handle.authenticate_publickey_with(user, key, hash, &mut agent).await;
                    (format!("agent key {comment}"), result)
                }
                AgentIdentity::Certificate { certificate, comment } => {
                    let hash = self.hash(certificate.algorithm().is_rsa()).await;
                    let result = self.handle.authenticate_certificate_with(user, certificate, hash, &mut agent).await;
                    (format!("agent certificate {comment}"), result)
                }
            };
            if tried.answer(what, result.map_err(|e| e.to_string())) {
                return true;
            }
        }
        false
    }

    async fn key_files(&mut self, tried: &mut Tried) -> bool {
        for path in &self.hop.identity_files {
            if self.handle.is_closed() || !tried.offered(MethodKind::PublicKey) {
                return false;
            }
            let shown = path.display();
            let identity = match self.keys.load(path, self.passphrase.as_ref()).await {
                Some(Ok(identity)) => identity,
                Some(Err(reason)) => {
                    tried.attempts.push(format!("key {shown}: {reason}"));
                    continue;
                }
                None => {
                    tried.attempts.push(format!("key {shown}: there is no such file"));
                    continue;
                }
            };
            if let Some(certificate) = &identity.certificate {
                let key = Arc::clone(&identity.key);
                let result = self.handle.authenticate_openssh_cert(self.hop.user.clone(), key, certificate.clone()).await;
                if tried.answer(format!("certificate {shown}-cert.pub"), result.map_err(|e| e.to_string())) {
                    return true;
                }
            }
            if self.handle.is_closed() {
                return false;
            }
            let hash = self.hash(identity.key.algorithm().is_rsa()).await;
            let key = PrivateKeyWithHashAlg::new(Arc::clone(&identity.key), hash);
            let result = self.handle.authenticate_publickey(self.hop.user.clone(), key).await;
            if tried.answer(format!("key {shown}"), result.map_err(|e| e.to_string())) {
                return true;
            }
        }
        false
    }

    async fn with_password(&mut self, tried: &mut Tried) -> bool {
        let Some(password) = self.password.take() else { return false };
        if !self.handle.is_closed() && tried.offered(MethodKind::Password) {
            let result = self.handle.authenticate_password(self.hop.user.clone(), password.expose_secret()).await;
            if tried.answer("password".into(), result.map_err(|e| e.to_string())) {
                return true;
            }
        }
        if self.handle.is_closed() || !tried.offered(MethodKind::KeyboardInteractive) {
            return false;
        }
        match self.interactive(&password).await {
            Ok(true) => return true,
            Ok(false) => tried.attempts.push("keyboard-interactive: refused".into()),
            Err(e) => tried.attempts.push(format!("keyboard-interactive: {e}")),
        }
        false
    }

    /// Answers one hidden question with the password; whatever else is asked has no answer.
    async fn interactive(&mut self, password: &SecretString) -> Result<bool, russh::Error> {
        let mut answer = self.handle.authenticate_keyboard_interactive_start(self.hop.user.clone(), None::<String>).await?;
        let mut used = false;
        for _ in 0..MOST_QUESTIONS {
            let prompts = match answer {
                KeyboardInteractiveAuthResponse::Success => return Ok(true),
                KeyboardInteractiveAuthResponse::Failure { .. } => return Ok(false),
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            let answers = match prompts.as_slice() {
                [] => Vec::new(),
                [prompt] if !prompt.echo && !used => {
                    used = true;
                    vec![password.expose_secret().to_owned()]
                }
                _ => return Ok(false),
            };
            answer = self.handle.authenticate_keyboard_interactive_respond(answers).await?;
        }
        Ok(false)
    }
}
