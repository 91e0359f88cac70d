//! `rmm uninstall`: remove what rmm keeps beside a repository. The repository itself and the devices are left alone.

use clap::Args;

use super::args::Global;
use super::context::STATE_DIR;
use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::Diagnostic;

/// Arguments of `rmm uninstall`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rmm uninstall --yes\n\nRemoves the folder .rmm: database with facts, runs and audit, logs, secrets. Policies and devices stay, and nothing is done on any device."
)]
pub(super) struct UninstallArgs {
    /// Do not ask
    #[arg(long)]
    pub(super) yes: bool,
    /// Write the audit record there first, one JSON document a line
    #[arg(long, value_name = "FILE")]
    pub(super) keep_audit: Option<std::path::PathBuf>,
}

pub(super) fn run(global: &Global, args: UninstallArgs) -> Result<Exit, Failure> {
    let root = super::context::root(global)?;
    let state = root.join(STATE_DIR);
    if !state.exists() {
        super::print(&format!("Nothing to remove: {} does not exist.\n", state.display()))?;
        return Ok(Exit::Done);
    }
    // A link must not lead the removal somewhere else.
    let real = std::fs::symlink_metadata(&state).is_ok_and(|m| m.is_dir());
    if !real {
        let problem = Diagnostic::error("RMM0005", format!("{} is not a folder of its own", state.display()));
        return Err(Failure::new(Exit::Refused, problem.advice("look at it and remove it by hand")));
    }
    let busy = running(global)?;
    if let Some(run) = busy {
        let problem = Diagnostic::error("RMM0305", format!("run {run} is being carried out"));
        return Err(Failure::new(Exit::Refused, problem.advice("wait for it to end, or stop it with Ctrl-C")));
    }
    if !args.yes {
        super::confirm::ask(
            &format!("Remove {} with all facts, runs and the audit record", state.display()),
            &[super::context::hostname()],
            "--yes",
        )?;
    }
    let failed = |what: &std::path::Path, error: std::io::Error| {
        Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{}: {error}", what.display())))
    };
    if let Some(file) = &args.keep_audit {
        let text = export(global)?;
        std::fs::write(file, text).map_err(|e| failed(file, e))?;
    }
    std::fs::remove_dir_all(&state).map_err(|e| failed(&state, e))?;
    super::print(&format!("Removed {}. Policies and devices in {} are untouched.\n", state.display(), root.display()))?;
    Ok(Exit::Done)
}

/// A run whose process lives. A database that cannot be opened holds none.
fn running(global: &Global) -> Result<Option<String>, Failure> {
    let context = super::context::Context::open(global)?;
    let Ok(store) = context.store() else { return Ok(None) };
    Ok(store.leases()?.into_iter().next().map(|lease| lease.run))
}

fn export(global: &Global) -> Result<String, Failure> {
    let context = super::context::Context::open(global)?;
    super::audit::export(&context.store()?)
}
