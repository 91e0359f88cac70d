//! From a target to the machines on the way: the repository wins over `~/.ssh/config`, which wins over defaults.

use std::path::PathBuf;

use super::config::SshConfig;
use crate::model::device::{Connection, HostKeyCheck, SecretRef};
use crate::transport::{SessionOptions, Target, TransportError};

/// Most machines on the way to a device.
const MOST_HOPS: usize = 8;

/// One machine to sign in to.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) user: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// Name under which its key is looked up.
    pub(super) key_name: String,
    pub(super) identity_files: Vec<PathBuf>,
    pub(super) use_agent: bool,
    pub(super) passphrase: Option<SecretRef>,
    pub(super) password: Option<SecretRef>,
    pub(super) known_hosts: Vec<PathBuf>,
    pub(super) check: HostKeyCheck,
}

impl Hop {
    /// `host:port`, as it is shown.
    pub(super) fn address(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }
}

/// `user@host:port`
struct Spec<'a> {
    user: Option<&'a str>,
    host: &'a str,
    port: Option<u16>,
}

fn spec(text: &str) -> Result<Spec<'_>, TransportError> {
    let bad = || TransportError::Setup { what: format!("jump host '{text}'"), reason: "it is not user@host:port".into() };
    let rest = text.strip_prefix("ssh://").unwrap_or(text);
    let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            (host, rest.strip_prefix(':'))
        }
        None if rest.matches(':').count() == 1 => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        None => (rest, None),
    };
    let port = port.map(|p| p.parse().map_err(|_| bad())).transpose()?;
    if host.is_empty() || user == Some("") { Err(bad()) } else { Ok(Spec { user, host, port }) }
}

/// The machines on the way, the device last.
pub(super) fn hops(target: &Target, config: &SshConfig, options: &SessionOptions) -> Result<Vec<Hop>, TransportError> {
    let connection = &target.connection;
    let own = Spec { user: connection.user.as_deref(), host: &target.address, port: connection.port };
    let (last, configured) = hop(&own, connection, config, options, true)?;
    let mut jumps = if connection.proxy_jump.is_empty() { configured } else { connection.proxy_jump.clone() };
    let mut hops = vec![last];
    // From the device back to the machine that is reached directly; that one may name a jump host of its own.
    while let Some(text) = jumps.pop() {
        if hops.len() > MOST_HOPS {
            return Err(TransportError::Setup { what: target.address.clone(), reason: "too many jump hosts".into() });
        }
        let (hop, farther) = hop(&spec(&text)?, connection, config, options, false)?;
        if jumps.is_empty() && target.connection.proxy_jump.is_empty() {
            jumps = farther;
        }
        hops.push(hop);
    }
    hops.reverse();
    Ok(hops)
}

fn hop(
    spec: &Spec<'_>,
    connection: &Connection,
    config: &SshConfig,
    options: &SessionOptions,
    last: bool,
) -> Result<(Hop, Vec<String>), TransportError> {
    let settings = config.host(spec.host)?;
    let host = settings.host_name.unwrap_or_else(|| spec.host.to_owned());
    let user = spec
        .user
        .map(str::to_owned)
        .or(settings.user)
        .or_else(|| connection.user.clone())
        .or_else(|| ["USER", "LOGNAME"].iter().find_map(|v| std::env::var(v).ok()).filter(|u| !u.is_empty()))
        .unwrap_or_else(|| "root".into());
    let home = options.home();
    let expand = |path: &str| {
        let path = path.replace("%d", &home.display().to_string()).replace("%h", &host).replace("%r", &user).replace("%%", "%");
        options.expand(&path)
    };
    let named: Vec<&String> = connection.identity_files.iter().chain(&settings.identity_files).collect();
    let identity_files = if named.is_empty() {
        ["id_ed25519", "id_ecdsa", "id_rsa"].iter().map(|id| home.join(".ssh").join(id)).collect()
    } else {
        named.into_iter().map(|path| expand(path)).collect()
    };
    let known_hosts = match &connection.known_hosts {
        Some(path) => vec![options.expand(path)],
        None if settings.known_hosts.is_empty() => {
            vec![home.join(".ssh/known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")]
        }
        None => settings.known_hosts.iter().map(|path| expand(path)).collect(),
    };
    let hop = Hop {
        port: spec.port.or(settings.port).unwrap_or(22),
        key_name: settings.host_key_alias.unwrap_or_else(|| host.clone()),
        user,
        host,
        identity_files,
        use_agent: !settings.identities_only,
        passphrase: connection.passphrase.clone(),
        // The device's password is not a jump host's business.
        password: connection.password.clone().filter(|_| last),
        known_hosts,
        check: connection.host_key.unwrap_or(options.host_key),
    };
    Ok((hop, settings.proxy_jump))
}
