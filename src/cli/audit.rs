//! `rmm audit`: who did what, and proof that the record was not altered.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, count, paint};
use super::table::{Output, Table, document};
use crate::diagnose::Diagnostic;
use crate::store::{AuditFilter, AuditRow, Head};

/// Arguments of `rmm audit`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm audit list --target web-1\n  rmm audit verify\n  rmm audit export --since 30d > audit.jsonl")]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the newest rows
    #[command(after_help = "Example:\n  rmm audit list --action change.failed --since 7d")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// At most so many, the newest
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Prove that no row was altered, added or removed
    #[command(
        after_help = "Example:\n  rmm audit verify --head 1204:5c1f...\n\nWhoever may write the database file could replace the whole record by a shorter one. Note the head that is printed somewhere else,\nand give it with --head the next time."
    )]
    Verify {
        /// A head noted earlier: ROWS:HASH
        #[arg(long, value_name = "ROWS:HASH")]
        head: Option<String>,
    },
    /// Write rows with their hashes, one JSON document a line
    #[command(after_help = "Example:\n  rmm audit export --since 30d > audit.jsonl")]
    Export(Filter),
}

#[derive(Debug, Args)]
struct Filter {
    /// From then on: a date, a time, or a duration ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before then
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// By this user
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// This action, or all that begin with it: change, change.failed
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// On this device, run or file
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

pub(super) fn run(global: &Global, args: &AuditArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let filter = |f: &Filter, limit: usize| -> Result<AuditFilter, Failure> {
        let time = |t: &Option<String>| t.as_deref().map(|t| super::facts::time(t, context.clock.now())).transpose();
        Ok(AuditFilter {
            from: time(&f.since)?,
            until: time(&f.until)?,
            user: f.user.clone(),
            action: f.action.clone(),
            target: f.target.clone(),
            after: None,
            limit,
        })
    };
    match &args.action {
        Action::List { filter: f, limit } => {
            let mut table = Table::new("rmm.audit/1", &["ROW", "TIME", "USER", "FROM", "ACTION", "TARGET", "OK", "DETAILS"]);
            for row in store.audit_list(&filter(f, *limit as usize)?)? {
                let details = if global.output == Output::Table { json!(in_words(&row.event.details)) } else { row.event.details.clone() };
                table.push(vec![
                    json!(row.id),
                    json!(row.event.at.format("%F %T").to_string()),
                    json!(row.event.user),
                    json!(row.event.ip),
                    json!(row.event.action),
                    json!(row.event.target),
                    json!(if row.event.success { "yes" } else { "no" }),
                    details,
                ]);
            }
            super::print(&table.render(global.output)?)?;
            Ok(Exit::Done)
        }
        Action::Verify { head } => verify(global, &store, head.as_deref()),
        Action::Export(f) => {
            let mut filter = filter(f, 1000)?;
            filter.after = Some(0);
            loop {
                let rows = store.audit_list(&filter)?;
                let Some(last) = rows.last() else { return Ok(Exit::Done) };
                filter.after = Some(last.id);
                let text: String = rows.iter().map(|row| format!("{}\n", exported(row))).collect();
                super::print(&text)?;
            }
        }
    }
}

/// The whole record, one JSON document a line.
pub(super) fn export(store: &crate::store::Store) -> Result<String, Failure> {
    let mut text = String::new();
    let mut filter = AuditFilter { after: Some(0), limit: 1000, ..AuditFilter::default() };
    loop {
        let rows = store.audit_list(&filter)?;
        let Some(last) = rows.last() else { return Ok(text) };
        filter.after = Some(last.id);
        text.extend(rows.iter().map(|row| format!("{}\n", exported(row))));
    }
}

fn exported(row: &AuditRow) -> Value {
    json!({
        "row": row.id, "time": row.event.at, "user": row.event.user, "from": row.event.ip, "action": row.event.action,
        "target": row.event.target, "success": row.event.success, "details": row.event.details, "hash": hex::encode(row.hash),
    })
}

fn verify(global: &Global, store: &crate::store::Store, head: Option<&str>) -> Result<Exit, Failure> {
    let noted = head
        .map(|text| {
            let parsed = text.split_once(':').and_then(|(rows, hash)| {
                let hash: [u8; 32] = hex::decode(hash.trim()).ok()?.try_into().ok()?;
                Some(Head { rows: rows.trim().parse().ok()?, hash })
            });
            parsed.ok_or_else(|| Failure::usage(format!("'{text}' is not a head"), "write ROWS:HASH as `rmm audit verify` prints it"))
        })
        .transpose()?;
    match store.audit_verify(noted.as_ref())? {
        Ok(verified) => {
            let head = format!("{}:{}", verified.head.rows, hex::encode(verified.head.hash));
            if global.output == Output::Table {
                let rows = count(usize::try_from(verified.head.rows).unwrap_or(0), "row", "rows");
                super::print(&format!(
                    "{}: {rows}, each chained to the one before.\nHead: {head}\n",
                    paint(Tone::Good, "The record is whole")
                ))?;
            } else {
                super::print(&document(&json!({ "schema": "rmm.auditProof/1", "whole": true, "head": head }), global.output)?)?;
            }
            Ok(Exit::Done)
        }
        Err(broken) => {
            let problem = Diagnostic::error("RMM0520", format!("the audit record was altered at row {}: {}", broken.row, broken.why));
            Err(Failure::new(Exit::Error, problem.advice("compare with an export or a backup; keep the file as it is, it is evidence")))
        }
    }
}

/// `setting=Firewall from=disabled`, without what is empty.
fn in_words(details: &Value) -> String {
    let Some(map) = details.as_object() else { return if details.is_null() { String::new() } else { details.to_string() } };
    let word = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let parts: Vec<String> = map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| format!("{k}={}", word(v))).collect();
    let text = parts.join(" ");
    if text.chars().count() > 120 { text.chars().take(117).chain("...".chars()).collect() } else { text }
}
