//! The policy repository: read, places, schemas, checks; a directory becomes one immutable [`PolicySet`].
//!
//! `load` does the reading of files; everything else is pure over (path, text) pairs. The faces call [`load`]; planning,
//! applying and the daemon take the [`PolicySet`].

mod codes;
mod set;
pub mod toml;
pub mod tree;
pub mod yaml;

pub use set::PolicySet;
