//! `rmm restore`: put a copy in the place of the database. What was there is kept beside it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::backup::{database, described, in_words};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Output, document};
use crate::diagnose::Diagnostic;
use crate::model::action::Role;
use crate::store::{AuditEvent, Store, StoreError};
use crate::time::{Clock, SystemClock};

/// Arguments of `rmm restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  rmm restore /backup/rmm-2026-11-21.db\n\nThe copy is read whole before anything is touched; one of a newer rmm is refused. The database that was there is kept beside the new\none. Stop the daemon first."
)]
pub(super) struct RestoreArgs {
    /// A copy made by `rmm backup`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

pub(super) fn run(global: &Global, args: &RestoreArgs) -> Result<Exit, Failure> {
    let db = database(global)?;
    permit(global, &db)?;
    let same = std::fs::canonicalize(&args.file).ok().is_some_and(|file| std::fs::canonicalize(&db).is_ok_and(|db| db == file));
    if same {
        return Err(Failure::usage(format!("{} is the database itself", db.display()), "name a copy that `rmm backup` has made"));
    }
    let copied = Store::look_at(&args.file)?;
    Store::check(&args.file)?;
    let now = SystemClock.now();
    let leases = match Store::leases_of(&db, now) {
        Ok(leases) => leases,
        // What cannot be read is what is to be replaced. Whether somebody has it open is seen below.
        Err(StoreError::Damaged { .. } | StoreError::Statement(_)) => Vec::new(),
        Err(other) => return Err(other.into()),
    };
    if let Some(lease) = leases.first() {
        let (message, advice) = if lease.run == "daemon" {
            ("a daemon serves the database".to_owned(), "stop it first, for example with `systemctl stop rmm`".to_owned())
        } else {
            (format!("run {} is being carried out", lease.run), "wait for it to end, or stop it with Ctrl-C".to_owned())
        };
        return Err(Failure::new(Exit::Refused, Diagnostic::error("RMM0305", message).advice(advice)));
    }
    if !args.yes {
        let what = format!("replace {} by {}", db.display(), args.file.display());
        super::confirm::ask(&what, &[format!("it holds {}", in_words(&copied))], "--yes")?;
    }
    let (store, aside) = Store::restore(&args.file, &db, Arc::new(SystemClock))?;
    let actor = super::context::actor();
    let aside = aside.map(|path| path.display().to_string());
    store.audit(&AuditEvent {
        at: now,
        user: Some(actor.user),
        action: "database.restored".into(),
        target: Some(args.file.display().to_string()),
        details: json!({ "before": aside, "bytes": copied.bytes, "auditRows": copied.audit_rows }),
        ip: Some(actor.from),
        success: true,
    })?;
    if global.output == Output::Table {
        let kept = aside.map_or_else(String::new, |aside| format!("The one before is {aside}.\n"));
        super::print(&format!("Restored {}: {}.\n{kept}", db.display(), in_words(&copied)))?;
    } else {
        let mut value = described(&args.file, &copied);
        value["schema"] = json!("rmm.restore/1");
        value["before"] = json!(aside);
        super::print(&document(&value, global.output)?)?;
    }
    Ok(Exit::Done)
}

/// Refuses whom the repository does not permit it. Without a repository nobody is named.
fn permit(global: &Global, db: &Path) -> Result<(), Failure> {
    if super::context::root(global).is_err() {
        return Ok(());
    }
    // What has been fetched may be what was lost.
    permitted(&Context::open_for_daemon(global)?, db, "restore the database")
}

/// Refuses whoever is not an Admin what takes the database away. `what` is an infinitive.
pub(super) fn permitted(context: &Context, db: &Path, what: &str) -> Result<(), Failure> {
    let roles = &context.set.config.security.roles;
    let Err(denied) = crate::access::require(roles, &context.actor.user, Role::Admin, what) else { return Ok(()) };
    // One that is damaged, or of another version, is left as it is.
    if Store::is_current(db).unwrap_or(false) {
        context.may(&Store::open(db, Arc::new(SystemClock))?, Role::Admin, what, None)?;
    }
    Err(denied.into())
}
