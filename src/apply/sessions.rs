//! How sessions are opened under this configuration.

use std::sync::Arc;

use crate::access::SecretStore;
use crate::repo::PolicySet;
use crate::transport::{SessionOptions, Sessions};

/// Sessions under a repository's `[connections]` and `[security]`. Make them once per command: they are reused.
pub fn sessions(set: &PolicySet, secrets: &Arc<SecretStore>) -> Arc<Sessions> {
    Arc::new(Sessions::new(options(set), Arc::clone(secrets) as _))
}

/// The same for another policy set of the same repository, with its secrets. Simulated devices stay as they are.
pub fn renewed(sessions: &Sessions, set: &PolicySet, secrets: &Arc<SecretStore>) -> Arc<Sessions> {
    Arc::new(sessions.renewed(options(set), Arc::clone(secrets) as _))
}

fn options(set: &PolicySet) -> SessionOptions {
    let connections = &set.config.connections;
    SessionOptions {
        ssh_timeout: connections.ssh_timeout.duration(),
        winrm_timeout: connections.winrm_timeout.duration(),
        share_timeout: connections.share_timeout.duration(),
        command_timeout: connections.command_timeout.duration(),
        session_ttl: connections.session_ttl.duration(),
        sign_in_ttl: set.config.security.credential_cache_ttl.duration(),
        max_output_bytes: connections.max_output_bytes,
        host_key: set.config.security.host_key,
        ..SessionOptions::default()
    }
}
