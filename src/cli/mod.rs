//! The command line: one file per command; parse, call, print, exit code.
#![allow(clippy::print_stdout)] // this is the face whose task is to print

/// Parses the arguments, runs the command, returns its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
