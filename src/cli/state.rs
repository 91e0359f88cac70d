//! `rmm state`: what is known of the fleet in one file, for reviewing where the database is not.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{count, thousands};
use crate::diagnose::Diagnostic;
use crate::plan::Scope;

/// Arguments of `rmm state`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rmm state export --out fleet.state")]
pub(super) struct StateArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the facts that a review needs: no others, without identifiers that no policy reads, and without secrets
    #[command(after_help = "Examples:\n  rmm state export --out fleet.state\n  rmm review main..HEAD --state fleet.state")]
    Export {
        /// Where to; standard output without it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

pub(super) fn run(global: &Global, args: &StateArgs) -> Result<Exit, Failure> {
    let Action::Export { out } = &args.action;
    let context = Context::open(global)?;
    let store = context.store()?;
    let now = context.clock.now();
    let (bytes, header) = store.export_state(&crate::plan::review::wanted(&context.set), now)?;
    let details = serde_json::json!({ "devices": header.devices, "sections": header.sections.len(), "hash": header.hash, "file": out });
    context.audit_read(&store, "state.exported", &Scope::default(), details)?;
    match out {
        Some(file) => super::files::write(file, &bytes, "the state", true)?,
        None if std::io::stdout().is_terminal() => {
            return Err(Failure::usage("the state is no text for a terminal", "name a file: rmm state export --out fleet.state"));
        }
        None => std::io::stdout().lock().write_all(&bytes).map_err(|error| {
            Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("standard output cannot be written: {error}")))
        })?,
    }
    if !global.quiet {
        let kb = thousands(bytes.len().div_ceil(1024));
        super::say(format!("Exported {}, {kb} KB.", count(header.devices, "device", "devices")));
    }
    Ok(Exit::Done)
}
