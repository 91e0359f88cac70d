//! Who may do what, and the secrets that are needed for it: names in policies, values outside of them.

mod commands;
mod redact;
mod roles;
mod secrets;
pub mod vault;

pub use redact::Redactor;
pub use roles::{Denied, require, role_of};
pub use secrets::{SecretError, SecretSource, SecretStore, Secrets, is_name as is_secret_name, one_value};
