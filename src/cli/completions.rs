//! `rmm completions`: a completion script for a shell.

use clap::Args;
use clap_complete::Shell;

use super::exit::Exit;
use super::failure::Failure;

/// Arguments of `rmm completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rmm completions bash > /etc/bash_completion.d/rmm")]
pub(super) struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    pub(super) shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "rmm", &mut out);
    super::print(&String::from_utf8_lossy(&out))?;
    Ok(Exit::Done)
}
