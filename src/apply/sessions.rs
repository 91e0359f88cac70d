//! How sessions are opened under this configuration.

use std::sync::Arc;

use crate::access::SecretStore;
use crate::repo::PolicySet;
use crate::transport::{SessionOptions, Sessions};

/// Sessions under a repository's `[connections]` and `[security]`. Make them once per command: they are reused.
pub fn sessions(set: &PolicySet, secrets: &Arc<SecretStore>) -> Arc<Sessions> {
    let connections = &set.config.connections;
    let options = SessionOptions {
        ssh_timeout: connections.ssh_timeout.duration(),
        command_timeout: connections.command_timeout.duration(),
        session_ttl: connections.session_ttl.duration(),
        sign_in_ttl: set.config.security.credential_cache_ttl.duration(),
        max_output_bytes: connections.max_output_bytes,
        host_key: set.config.security.host_key,
        ..SessionOptions::default()
    };
    Arc::new(Sessions::new(options, Arc::clone(secrets) as _))
}
