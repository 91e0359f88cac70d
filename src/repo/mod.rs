//! The policy repository: read, places, schemas, checks; a directory becomes one immutable [`PolicySet`].
//!
//! `load.rs` does the reading of files; everything else is pure over (path, text) pairs. The faces call [`load`];
//! planning, applying and the daemon take the [`PolicySet`].

mod action_call;
pub mod ansible;
mod blame;
mod channels;
mod check;
mod cmdlet;
mod codes;
mod compile;
mod config;
mod conflicts;
mod connections;
mod decode;
mod depends;
pub mod devices_csv;
pub mod devices_file;
mod disk;
mod duties;
mod fleet;
pub mod fmt;
pub mod follow;
mod git;
pub mod imported;
mod kinds;
mod load;
mod members;
pub mod memberships;
mod monitor_doc;
mod monitors;
mod notification_doc;
mod notifications;
mod plaintext;
mod policies;
mod policy_doc;
mod policy_tests;
pub mod revision;
mod schema;
mod schema_values;
mod sealed;
mod secret_names;
mod selector;
mod set;
mod signed;
mod threshold_doc;
mod thresholds;
pub mod toml;
pub mod tree;
mod trigger;
mod update_rules;
mod workflow_doc;
mod workflows;
pub mod yaml;

pub use action_call::typed;
pub use blame::{Blame, blame};
pub use check::unknown_facts_in;
pub use compile::{LoadOptions, Loaded, World, builtin_packs, compile};
pub use fleet::bad_name;
pub use load::{RepoError, find_root, folders, git_prefix, is_read, load};
pub use policy_tests::{Tests, compile_tests, load_tests, read_facts};
pub use schema::{Kind, schema, schema_catalog};
pub use secret_names::secret_names;
pub use selector::read_selector;
pub use set::PolicySet;

#[cfg(test)]
mod tests;
