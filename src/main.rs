//! The `rmm` binary: everything is in the library.

fn main() -> std::process::ExitCode {
    rmm::cli::main()
}
