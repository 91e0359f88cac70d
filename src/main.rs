//! The `rmm` binary: everything is in the library.

/// The system's allocator keeps an arena per thread and gives little back: a daemon for 10,000 devices took twice the memory.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    rmm::cli::main()
}
