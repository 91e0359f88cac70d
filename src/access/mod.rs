//! Who may do what, and the secrets that are needed for it: names in the repository, values outside of it.

mod redact;
mod secrets;

pub use redact::Redactor;
pub use secrets::{SecretError, SecretStore, Secrets};
