//! The trait that every transport implements, and what goes in and comes out.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::diagnose::{Category, Diagnose};
pub use crate::model::operation::Shell;

/// A command for a device.
#[derive(Clone, Debug, Default)]
pub struct Command {
    /// Text for the [`Shell`] of the session, composed by `script::render` or `collect`; values in it are quoted there.
    pub line: String,
    /// What is sent to its standard input, which is then closed. It may hold secrets.
    pub input: Zeroizing<Vec<u8>>,
    /// Become root by the device's own `elevate` rule. No effect where that is `none` or the user is root.
    pub elevate: bool,
    /// Time for the command; the connection's `command_timeout` where absent.
    pub timeout: Option<Duration>,
    /// Most bytes kept of standard output and of standard error; reading more is [`TransportError::OutputLimit`].
    pub max_output: Option<u64>,
}

/// What a command answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Exit code; 128 + signal where it was ended by a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Why a command has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Name does not resolve, connection refused, no route, connection time limit.
    #[error("cannot reach {address}: {reason}")]
    Unreachable {
        /// Host and port.
        address: String,
        /// In the system's words.
        reason: String,
    },
    /// None of the ways to sign in was accepted.
    #[error("cannot sign in to {address} as {user}: {reason}")]
    Authentication {
        /// Host and port.
        address: String,
        /// User.
        user: String,
        /// What was tried, in order, and why each did not work.
        reason: String,
    },
    /// `known_hosts` does not hold the host's key.
    #[error("the host key of {address} is not known: {fingerprint}")]
    UnknownHostKey {
        /// Host and port.
        address: String,
        /// `ssh-ed25519 SHA256:…`
        fingerprint: String,
        /// The file that was read.
        known_hosts: String,
    },
    /// `known_hosts` holds another key: refused always.
    #[error("the host key of {address} has changed: known {known}, offered {offered}")]
    ChangedHostKey {
        /// Host and port.
        address: String,
        /// Fingerprint in `known_hosts`.
        known: String,
        /// Fingerprint that the host offers.
        offered: String,
        /// `FILE:LINE` of the known key.
        known_hosts: String,
    },
    /// The command did not end in time; it was ended.
    #[error("no answer within {seconds} s; the command was ended")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// The command printed too much; it was ended.
    #[error("the command printed more than {limit} bytes and was ended")]
    OutputLimit {
        /// The limit in bytes.
        limit: u64,
    },
    /// `sudo` refused.
    #[error("sudo refused: {reason}")]
    Sudo {
        /// In sudo's words.
        reason: String,
    },
    /// The connection broke while the command ran; whether it ended is not known.
    #[error("the connection to {address} broke: {reason}")]
    Lost {
        /// Host and port.
        address: String,
        /// In the system's words.
        reason: String,
    },
    /// A device behind a share has not fetched the job; it was taken back, and nothing has happened.
    #[error("the device did not fetch its job from {share} within {seconds} s; the job was taken back")]
    NotFetched {
        /// Folder of the device on the share.
        share: String,
        /// The limit.
        seconds: u64,
    },
    /// The share cannot be read or written.
    #[error("the share {share}: {reason}")]
    Share {
        /// Folder of the device on the share.
        share: String,
        /// In the system's words.
        reason: String,
    },
    /// WinRM: the sign-in was refused.
    #[error("cannot sign in to {address} as {user}: {reason}")]
    SignIn {
        /// Host and port.
        address: String,
        /// User.
        user: String,
        /// What was tried, and why it did not work.
        reason: String,
    },
    /// WinRM: nobody who is trusted vouches for the device's certificate.
    #[error("the certificate of {address} is not accepted: {reason}")]
    Certificate {
        /// Host and port.
        address: String,
        /// Why not.
        reason: String,
        /// SHA-256, as `certificateFingerprint` takes it.
        fingerprint: String,
    },
    /// WinRM: the device shows another certificate than the one that was pinned.
    #[error("the certificate of {address} has changed: pinned {pinned}, offered {offered}")]
    ChangedCertificate {
        /// Host and port.
        address: String,
        /// SHA-256 of the pin.
        pinned: String,
        /// SHA-256 of what it shows.
        offered: String,
    },
    /// WinRM: the endpoint refuses what was asked.
    #[error("{address} refuses: {reason}{}", number(*.code))]
    Fault {
        /// Host and port.
        address: String,
        /// Number of WinRM or of Windows; 0 where there is none.
        code: u32,
        /// Kind of fault in WS-Management: `AccessDenied`.
        subcode: String,
        /// In the endpoint's words and language.
        reason: String,
    },
    /// WinRM: the endpoint has no room for another shell, command or user.
    #[error("{address} has reached a limit: {reason}")]
    Quota {
        /// Host and port.
        address: String,
        /// In the endpoint's words and language.
        reason: String,
    },
    /// WinRM: an answer in clear where every message has to be sealed.
    #[error("{address} does not encrypt: {reason}")]
    Clear {
        /// Host and port.
        address: String,
        /// What it did.
        reason: String,
    },
    /// Somebody stopped the work; the remote command was ended.
    #[error("cancelled")]
    Cancelled,
    /// A key file, certificate, agent, `~/.ssh/config` or secret that cannot be used.
    #[error("{what}: {reason}")]
    Setup {
        /// Path or name.
        what: String,
        /// Why.
        reason: String,
    },
}

impl TransportError {
    /// Takes out of the words of others what this takes out of a text: a fault may repeat what was sent.
    pub fn hide(&mut self, hide: &dyn Fn(&str) -> String) {
        match self {
            Self::Unreachable { reason, .. }
            | Self::Authentication { reason, .. }
            | Self::Sudo { reason }
            | Self::Lost { reason, .. }
            | Self::Share { reason, .. }
            | Self::SignIn { reason, .. }
            | Self::Certificate { reason, .. }
            | Self::Fault { reason, .. }
            | Self::Quota { reason, .. }
            | Self::Clear { reason, .. }
            | Self::Setup { reason, .. } => *reason = hide(reason),
            Self::UnknownHostKey { .. }
            | Self::ChangedHostKey { .. }
            | Self::Timeout { .. }
            | Self::OutputLimit { .. }
            | Self::NotFetched { .. }
            | Self::ChangedCertificate { .. }
            | Self::Cancelled => {}
        }
    }
}

impl Diagnose for TransportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "RMM0401",
            Self::Authentication { .. } => "RMM0402",
            Self::UnknownHostKey { .. } => "RMM0403",
            Self::ChangedHostKey { .. } => "RMM0404",
            Self::Timeout { .. } => "RMM0405",
            Self::OutputLimit { .. } => "RMM0406",
            Self::Sudo { .. } => "RMM0407",
            Self::Lost { .. } => "RMM0408",
            Self::Cancelled => "RMM0409",
            Self::Setup { .. } => "RMM0410",
            Self::NotFetched { .. } => "RMM0440",
            Self::Share { .. } => "RMM0441",
            Self::SignIn { .. } => "RMM0412",
            Self::Certificate { .. } => "RMM0413",
            Self::ChangedCertificate { .. } => "RMM0414",
            Self::Fault { .. } => "RMM0415",
            Self::Quota { .. } => "RMM0416",
            Self::Clear { .. } => "RMM0417",
        }
    }

    fn category(&self) -> Category {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } | Self::NotFetched { .. } | Self::Share { .. } => Category::Device,
            Self::Lost { .. } | Self::Cancelled | Self::Quota { .. } => Category::Transient,
            Self::OutputLimit { .. }
            | Self::Authentication { .. }
            | Self::UnknownHostKey { .. }
            | Self::ChangedHostKey { .. }
            | Self::Sudo { .. }
            | Self::SignIn { .. }
            | Self::Certificate { .. }
            | Self::ChangedCertificate { .. }
            | Self::Fault { .. }
            | Self::Clear { .. }
            | Self::Setup { .. } => Category::Configuration,
        }
    }

    fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { address, .. } => {
                let (host, port) = host_and_port(address);
                if matches!(port, "5985" | "5986") {
                    format!(
                        "check the device's address and connection.scheme, that `winrm quickconfig` was run there and that its firewall lets \
                         port {port} in; `rmm doctor DEVICE` looks step by step"
                    )
                } else if port == "22" {
                    format!("check the device's address, port and proxyJump, and that `ssh -p {port} {host}` reaches it from here")
                } else {
                    // The number does not tell what speaks there.
                    format!(
                        "check the device's address and connection (port; proxyJump with SSH, scheme with WinRM), and that port {port} of \
                         {host} can be reached from here; `rmm doctor DEVICE` looks step by step"
                    )
                }
            }
            Self::Authentication { user, .. } => format!(
                "put a public key of yours into authorized_keys of {user} on the device, or name another user or key (connection.user, \
                 connection.identityFiles); keys of an agent need SSH_AUTH_SOCK"
            ),
            Self::UnknownHostKey { address, .. } => {
                let (host, port) = host_and_port(address);
                format!(
                    "compare the fingerprint with the device's own, then answer yes to `ssh -p {port} USER@{host}` once; \
                     `connection.hostKey: accept-new` trusts a key when it is first seen"
                )
            }
            Self::ChangedHostKey { address, known_hosts, .. } => {
                let (host, port) = host_and_port(address);
                let name = if port == "22" { host.to_owned() } else { format!("[{host}]:{port}") };
                format!(
                    "somebody may be in between: ask who looks after the device. Where it was installed anew, remove the old key \
                     ({known_hosts}) with `ssh-keygen -R '{name}'`, and compare the new fingerprint with the device's own"
                )
            }
            Self::Timeout { .. } => {
                "raise connections.command_timeout in rmm.toml where the command needs longer; see on the device what it \
                                     waits for"
                    .into()
            }
            Self::OutputLimit { .. } => "have the command print less, or raise connections.max_output_bytes in rmm.toml".into(),
            Self::Sudo { .. } => {
                "let the user run sudo without a password, or name one with connection.sudoPassword; `sudo -l` on the device \
                                  shows what is allowed"
                    .into()
            }
            Self::Lost { .. } => "it is tried again; where it happens often, look into the device's own log".into(),
            Self::NotFetched { .. } => {
                "see on the device that the task 'rmm runner' runs and that the computer's account may read and change the share; \
                                        connections.share_timeout in rmm.toml is the time it has"
                    .into()
            }
            Self::Share { .. } => {
                "see that the share is mounted and that you may read and change it; `rmm share init DIRECTORY` prepares one".into()
            }
            Self::SignIn { .. } => {
                "check connection.user (DOMAIN\\user, user@domain, or a local user) and connection.password; the user has to be an \
                 administrator or in Remote Management Users, and `winrm get winrm/config/service/auth` on the device shows the ways \
                 that it allows (connection.auth)"
                    .into()
            }
            Self::Certificate { fingerprint, .. } => format!(
                "name the authority that signed it with connection.caFile, or compare its fingerprint with the device's own and pin it: \
                 certificateFingerprint: {fingerprint}"
            ),
            Self::ChangedCertificate { offered, .. } => format!(
                "somebody may be in between: ask who looks after the device. Where its certificate was renewed, compare the new one with \
                 the device's own and pin it: certificateFingerprint: {offered}"
            ),
            Self::Fault { code, subcode, .. } => fault_advice(*code, subcode).into(),
            Self::Quota { .. } => {
                "it is tried again; `winrm get winrm/config/winrs` on the device shows its limits, and `winrm enumerate shell` who holds \
                 shells there"
                    .into()
            }
            Self::Clear { .. } => {
                "nothing was sent to it in clear. Use scheme: https, or see whether something between here and the device answers in \
                 its place"
                    .into()
            }
            // Somebody asked for it.
            Self::Cancelled => return None,
            Self::Setup { .. } => "mend the file or the setting that is named, or remove it from the connection".into(),
        })
    }
}

/// A fault's number, as it is looked up.
fn number(code: u32) -> String {
    match code {
        0 => String::new(),
        code if code >= 0x8000_0000 => format!(" (0x{code:08X})"),
        code => format!(" ({code})"),
    }
}

fn fault_advice(code: u32, subcode: &str) -> &'static str {
    match (code, subcode) {
        (5, _) | (_, "AccessDenied") => {
            "the user may sign in but not run commands: make it an administrator of the device or a member of Remote Management Users; a \
             local administrator other than the built-in one also needs LocalAccountTokenFilterPolicy = 1 there"
        }
        (0x8033_8169, _) => "let the service answer: allow the user's network in its firewall rule, and in winrm/config/service IPv4Filter",
        (_, "EncodingLimit") => "raise MaxEnvelopeSizekb in winrm/config on the device",
        _ => "`winrm helpmsg` with the number tells more on the device, and so does its log Microsoft-Windows-WinRM/Operational",
    }
}

/// The two halves of `host:port`, the host without its brackets.
fn host_and_port(address: &str) -> (&str, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "22"));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

/// A signed-in session on one device. Cheap to share; commands may run side by side.
#[async_trait::async_trait]
pub trait Session: Send + Sync {
    /// Runs a command to its end. Cancellation and the time limit end the remote command too.
    async fn run(&self, command: Command, cancel: &CancellationToken) -> Result<Output, TransportError>;

    /// What reads the command lines here.
    fn shell(&self) -> Shell {
        Shell::Posix
    }

    /// Closes what it holds open, for everybody who shares it; a later command connects anew.
    async fn close(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_the_very_command() {
        let unknown = TransportError::UnknownHostKey {
            address: "[2001:db8::1]:2222".into(),
            fingerprint: "ssh-ed25519 SHA256:x".into(),
            known_hosts: "/k".into(),
        };
        assert!(unknown.advice().unwrap().contains("`ssh -p 2222 USER@2001:db8::1`"));
        let changed = |address: &str| TransportError::ChangedHostKey {
            address: address.into(),
            known: "a".into(),
            offered: "b".into(),
            known_hosts: "/k:3".into(),
        };
        assert!(changed("web:22").advice().unwrap().contains("(/k:3) with `ssh-keygen -R 'web'`"));
        assert!(changed("web:2222").advice().unwrap().contains("`ssh-keygen -R '[web]:2222'`"));
        assert_eq!(TransportError::Cancelled.advice(), None);
    }

    #[test]
    fn what_a_fault_repeats_can_be_taken_out() {
        let mut fault =
            TransportError::Fault { address: "ws-1".into(), code: 5, subcode: "AccessDenied".into(), reason: "not with hunter2".into() };
        fault.hide(&|text| text.replace("hunter2", "(secret db)"));
        assert!(fault.to_string().contains("not with (secret db)"), "{fault}");
    }
}
