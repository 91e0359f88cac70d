//! `rmm man`: manual pages.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;

/// Arguments of `rmm man`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm man | man -l -\n  rmm man --dir /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write a page for every command into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> Result<Exit, Failure> {
    let failed = |what: &str, error: std::io::Error| {
        Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{what} cannot be written: {error}")))
    };
    let command = super::command();
    let Some(dir) = &args.dir else {
        let mut out = Vec::new();
        clap_mangen::Man::new(command).render(&mut out).map_err(|e| failed("the page", e))?;
        super::print(&String::from_utf8_lossy(&out))?;
        return Ok(Exit::Done);
    };
    std::fs::create_dir_all(dir).map_err(|e| failed(&dir.display().to_string(), e))?;
    pages(command, "rmm", dir).map_err(|e| failed(&dir.display().to_string(), e))?;
    Ok(Exit::Done)
}

fn pages(command: clap::Command, name: &str, dir: &Path) -> std::io::Result<()> {
    for sub in command.get_subcommands() {
        pages(sub.clone(), &format!("{name}-{}", sub.get_name()), dir)?;
    }
    let mut out = Vec::new();
    // clap wants names that live as long as the program; one leak per page of a command that then ends.
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    clap_mangen::Man::new(command.name(title)).render(&mut out)?;
    std::fs::write(dir.join(format!("{name}.1")), out)
}
