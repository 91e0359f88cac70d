//! Local processes, SSH, WinRM, file shares and simulated devices behind one trait. The only room that opens sessions to devices: [`Sessions`].
//!
//! `script` composes what is run, `collect` and `apply` call; here it is delivered, bounded, and ended for certain.

mod bounded;
mod conversation;
mod local;
mod look;
mod places;
#[cfg(test)]
pub(crate) mod recordings;
mod session;
mod sessions;
pub mod share;
mod simulated;
mod ssh;
mod target;
mod winrm;
mod wrapper;

pub use look::{ShownCertificate, addresses, certificate, connect};
pub use places::{BEHIND_SHARES, Places, Waiting};
pub use session::{Command, Output, Session, Shell, TransportError};
pub use sessions::{Sessions, close_everything};
pub use target::{SessionOptions, Target};
pub(crate) use winrm::readable;

/// The value of a secret that a connection names.
fn secret(secrets: &dyn crate::access::Secrets, name: &crate::model::device::SecretRef) -> Result<secrecy::SecretString, TransportError> {
    use crate::diagnose::Diagnose;

    secrets.resolve(&name.secret).map_err(|e| {
        let advice = e.advice().map(|a| format!("; {a}")).unwrap_or_default();
        TransportError::Setup { what: format!("secret '{}'", name.secret), reason: format!("{e}{advice}") }
    })
}
