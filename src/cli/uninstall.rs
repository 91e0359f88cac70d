//! `rmm uninstall`: remove what rmm keeps beside a repository. The repository itself and the devices are left alone.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::args::Global;
use super::context::{Context, STATE_DIR};
use super::exit::Exit;
use super::failure::Failure;
use crate::diagnose::{Diagnose as _, Diagnostic};
use crate::model::action::Role;
use crate::store::{Store, StoreError};
use crate::time::SystemClock;

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
    let db = global.db.clone().unwrap_or_else(|| state.join("rmm.db"));
    permit(global, &root, &db)?;
    // A repository that is not valid can be removed too, so nothing but the database is read.
    let store = match db.is_file().then(|| Store::open(&db, Arc::new(SystemClock))) {
        Some(Ok(store)) => Some(store),
        // Whoever holds it would go on writing into a file that is gone.
        Some(Err(error @ StoreError::Locked { .. })) => return Err(error.into()),
        Some(Err(_)) | None => None,
    };
    let leases = store.as_ref().map(Store::leases).transpose()?.unwrap_or_default();
    if let Some(daemon) = store.as_ref().map(Store::daemon).transpose()?.flatten() {
        let problem = StoreError::DaemonRuns { until: daemon.expires_at }.diagnostic();
        let advice = "end it first: systemctl disable --now rmm-reconcile, or Ctrl-C where it runs; nothing was removed";
        return Err(Failure::new(Exit::Refused, problem.advice(advice)));
    }
    if let Some(run) = leases.into_iter().next().map(|lease| lease.run) {
        let problem = Diagnostic::error("RMM0305", format!("run {run} is being carried out"));
        return Err(Failure::new(Exit::Refused, problem.advice("wait for it to end, or stop it with Ctrl-C")));
    }
    if !args.yes {
        super::confirm::ask(
            &format!("remove {} with all facts, runs and the audit record", state.display()),
            &["this cannot be undone".into()],
            "--yes",
        )?;
    }
    let failed = |what: &Path, error: std::io::Error| {
        Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("{}: {error}", what.display())))
    };
    if let Some(file) = &args.keep_audit {
        let Some(store) = &store else {
            let message = format!("{} cannot be opened, so its audit record cannot be kept", db.display());
            let advice = "nothing was removed; mend it with `rmm init --repair`, or leave out --keep-audit";
            return Err(Failure::new(Exit::Refused, Diagnostic::error("RMM0005", message).advice(advice)));
        };
        let text = super::audit::export(store)?;
        std::fs::write(file, text).map_err(|e| failed(file, e))?;
    }
    drop(store);
    std::fs::remove_dir_all(&state).map_err(|e| failed(&state, e))?;
    super::print(&format!("Removed {}. Policies and devices in {} are untouched.\n", state.display(), root.display()))?;
    Ok(Exit::Done)
}

/// Refuses whom the repository does not permit it, also one that is not valid: a variable or an option is enough to make it so.
fn permit(global: &Global, root: &Path, db: &Path) -> Result<(), Failure> {
    const WHAT: &str = "remove the database and the audit record";
    let error = match Context::open_for_daemon(global) {
        Ok(context) => return super::restore::permitted(&context, db, WHAT),
        Err(error) => error,
    };
    let table = settings(root);
    // The roles of a branch that is followed stand there: whoever keeps them from being read is not let past them.
    if table.get("repository").is_some_and(|repository| repository.get("remote").is_some()) {
        return Err(error);
    }
    let actor = super::context::actor();
    Ok(crate::access::require(&roles(&table), &actor.user, Role::Admin, WHAT)?)
}

/// What can be read of rmm.toml, whatever else is wrong there or elsewhere.
fn settings(root: &Path) -> toml::Table {
    let text = std::fs::read_to_string(root.join("rmm.toml")).unwrap_or_default();
    toml::from_str::<toml::Table>(text.trim_start_matches('\u{feff}')).unwrap_or_default()
}

/// The roles there. Whose role cannot be read is a Viewer.
fn roles(table: &toml::Table) -> BTreeMap<String, Role> {
    let roles = table.get("security").and_then(|security| security.get("roles")).and_then(toml::Value::as_table);
    let role = |word: &toml::Value| word.clone().try_into().unwrap_or(Role::Viewer);
    roles.into_iter().flatten().map(|(name, word)| (name.clone(), role(word))).collect()
}
