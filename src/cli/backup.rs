//! `rmm backup`: a copy of the database in one file, made while others write.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::context::STATE_DIR;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{count, thousands};
use super::table::{Output, document};
use crate::store::{AuditEvent, Copied, Store};
use crate::time::{Clock, SystemClock};

/// Arguments of `rmm backup`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm backup /backup/rmm-$(date +%F).db --verify\n  rmm restore /backup/rmm-2026-11-21.db\n\nThe copy is as of one moment; nobody has to stop for it. It holds everything but the archive of old metrics (.rmm/archive, files that\nnever change) and the secrets (.rmm/secrets)."
)]
pub(super) struct BackupArgs {
    /// Where to; a file that exists is not overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Read the copy whole afterwards: every page, every index, the chain of the audit
    #[arg(long)]
    verify: bool,
}

pub(super) fn run(global: &Global, args: &BackupArgs) -> Result<Exit, Failure> {
    // What a repository says does not matter: one that is not valid is saved too.
    let db = database(global)?;
    Store::backup_of(&db, &args.file)?;
    if args.verify {
        Store::check(&args.file)?;
    }
    let copied = Store::look_at(&args.file)?;
    // Writing would bring an older database to this version, which is not what was asked for.
    if Store::is_current(&db)? {
        let actor = super::context::actor();
        Store::open(&db, Arc::new(SystemClock))?.audit(&AuditEvent {
            at: SystemClock.now(),
            user: Some(actor.user),
            action: "database.saved".into(),
            target: Some(args.file.display().to_string()),
            details: json!({ "bytes": copied.bytes, "verified": args.verify }),
            ip: Some(actor.from),
            success: true,
        })?;
    }
    if global.output == Output::Table {
        let verified = if args.verify { ", verified" } else { "" };
        super::print(&format!("Saved {}: {}{verified}.\n", args.file.display(), in_words(&copied)))?;
    } else {
        let mut value = described(&args.file, &copied);
        value["schema"] = json!("rmm.backup/1");
        value["verified"] = json!(args.verify);
        super::print(&document(&value, global.output)?)?;
    }
    Ok(Exit::Done)
}

/// Where the database is, as told or in the repository.
pub(super) fn database(global: &Global) -> Result<PathBuf, Failure> {
    match &global.db {
        Some(db) => Ok(db.clone()),
        None => Ok(super::context::root(global)?.join(STATE_DIR).join("rmm.db")),
    }
}

/// `12 devices, 1,204 audit rows, the last of 2026-11-21 07:30:12 UTC, 840 KB`
pub(super) fn in_words(copied: &Copied) -> String {
    let devices = count(usize::try_from(copied.devices).unwrap_or(0), "device", "devices");
    let rows = count(usize::try_from(copied.audit_rows).unwrap_or(0), "audit row", "audit rows");
    let latest = copied.latest.map_or_else(String::new, |at| format!(", the last of {}", at.format("%F %T UTC")));
    format!("{devices}, {rows}{latest}, {} KB", thousands(usize::try_from(copied.bytes.div_ceil(1024)).unwrap_or(0)))
}

/// The same for programs.
pub(super) fn described(file: &Path, copied: &Copied) -> serde_json::Value {
    json!({
        "file": file.display().to_string(), "bytes": copied.bytes, "version": copied.version, "devices": copied.devices,
        "auditRows": copied.audit_rows, "latest": copied.latest,
    })
}
