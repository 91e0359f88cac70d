//! The recipes of `examples/ci`: read with a YAML reader, and every script in them run by `sh -e` in clones of a real Git server,
//! with the variables that the service sets. Only what is the service's own (its API, its store of files) has a stand-in.
#![cfg(unix)]

mod github;
mod gitlab;
mod hook;
mod origin;
