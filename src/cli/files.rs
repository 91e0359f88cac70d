//! Writing a result to a file: beside its place, then renamed there, so that a full disk leaves no half file.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;

/// Writes `bytes`; what is private is for the owner alone.
pub(super) fn write(file: &Path, bytes: &[u8], what: &str, private: bool) -> Result<(), Failure> {
    let mut name = file.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let _ = std::fs::remove_file(&temporary);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(if private { 0o600 } else { 0o644 });
    let written = options.open(&temporary).and_then(|mut open| open.write_all(bytes)).and_then(|()| std::fs::rename(&temporary, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(|error| {
        let problem = Diagnostic::error("RMM0001", format!("{what} cannot be written to {}: {error}", file.display()));
        Failure::new(Exit::Error, problem.advice("check that the folder exists, is writable and has room"))
    })
}
