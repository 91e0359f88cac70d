//! `rmm updates history` and `rmm updates rollback`: what was installed where, and taking it back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use clap::Args;
use serde_json::{Value, json};

use super::carry::{self, Order};
use crate::apply::Part;
use crate::apply::survey::Survey;
use crate::cli::args::Global;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::style::{clean, count};
use crate::cli::table::{Output, Table};
use crate::model::ActionCall;
use crate::plan::Scope;
use crate::store::{Store, UpdateHistoryFilter, UpdateHistoryRow};
use crate::time::Span;

/// Arguments of `rmm updates history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Devices, groups or key=value selectors; all devices without one
    selectors: Vec<String>,
    /// Only this package
    #[arg(long, value_name = "NAME")]
    package: Option<String>,
    /// Only what this run did
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Not before: an RFC 3339 time, or a duration back from now such as 7d
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// At most so many rows
    #[arg(long, value_name = "N", default_value_t = 500)]
    limit: usize,
}

/// Arguments of `rmm updates rollback`.
#[derive(Debug, Args)]
pub(super) struct RollbackArgs {
    /// Devices, groups or key=value selectors: what was last installed on each is taken back
    #[arg(required_unless_present = "run")]
    selectors: Vec<String>,
    /// Take back what this run installed
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Show what would be brought back, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Devices at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    concurrency: Option<u32>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

fn devices(context: &Context, store: &Store, selectors: &[String]) -> Result<Option<BTreeSet<String>>, Failure> {
    if selectors.is_empty() {
        return Ok(None);
    }
    let scope = Scope::parse(&context.set, selectors, &[])?;
    let devices = Survey::new(&context.set, store, &context.secrets, &context.clock).devices(&scope)?;
    Ok(Some(devices.iter().map(|device| device.name.clone()).collect()))
}

fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    let read = DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc));
    read.or_else(|| text.parse::<Span>().ok().map(|span| now - span.delta())).ok_or_else(|| {
        Failure::usage(format!("'{}' is not a time", clean(text)), "write 2026-11-01T12:00:00Z, or 7d for seven days back from now")
    })
}

pub(super) fn run(global: &Global, context: &Context, store: &Store, args: &HistoryArgs) -> Result<Exit, Failure> {
    let now = context.clock.now();
    let filter = UpdateHistoryFilter {
        devices: devices(context, store, &args.selectors)?,
        package: args.package.clone(),
        run: args.run.clone(),
        since: args.since.as_deref().map(|text| moment(text, now)).transpose()?,
        limit: Some(args.limit),
    };
    let rows = store.update_history(&filter)?;
    let mut table = Table::new("rmm.updateHistory/1", &["AT", "DEVICE", "PACKAGE", "FROM", "TO", "HOW", "RUN", "BY"]);
    for row in &rows {
        let how = match &row.cause {
            None => "seen by a collection".to_owned(),
            Some(cause) if cause.undone => format!("{}, undone", cause.action),
            Some(cause) => cause.action.clone(),
        };
        table.push(vec![
            json!(row.at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            json!(row.device),
            json!(row.change.package),
            json!(row.change.from),
            json!(row.change.to),
            json!(how),
            json!(row.cause.as_ref().map(|cause| &cause.run)),
            json!(row.cause.as_ref().map(|cause| &cause.by)),
        ]);
    }
    if rows.is_empty() && global.output == Output::Table {
        crate::cli::print("No package is known to have changed.\n")?;
        return Ok(Exit::Done);
    }
    crate::cli::print(&table.render(global.output)?)?;
    if rows.len() == args.limit && global.output == Output::Table && !global.quiet {
        crate::cli::say(format!("Only the latest {} are shown: --limit", args.limit));
    }
    Ok(Exit::Done)
}

/// What the last installation on each device did, or this run: rows by device and action.
fn last(rows: Vec<UpdateHistoryRow>) -> BTreeMap<(String, String), Vec<UpdateHistoryRow>> {
    let mut runs: BTreeMap<String, String> = BTreeMap::new();
    let mut found: BTreeMap<(String, String), Vec<UpdateHistoryRow>> = BTreeMap::new();
    for row in rows {
        let Some(cause) = row.cause.as_ref().filter(|cause| !cause.undone) else { continue };
        let run = runs.entry(row.device.clone()).or_insert_with(|| cause.run.clone());
        if *run == cause.run {
            found.entry((row.device.clone(), cause.action.clone())).or_default().push(row);
        }
    }
    found
}

pub(super) fn rollback(global: &Global, context: &Context, store: &Store, args: &RollbackArgs) -> Result<Exit, Failure> {
    let filter =
        UpdateHistoryFilter { devices: devices(context, store, &args.selectors)?, run: args.run.clone(), ..UpdateHistoryFilter::default() };
    let found = last(store.update_history(&filter)?);
    let undoable = |action: &str| context.set.catalog.action(action).is_some_and(|def| def.program.has("rollback"));
    let mut table = Table::new("rmm.updatePlan/1", &["DEVICE", "PACKAGE", "FROM", "TO", "RUN"]);
    let mut orders = Vec::new();
    for ((device, action), rows) in found {
        if !undoable(&action) {
            continue;
        }
        let mut installed = Vec::new();
        for row in rows {
            let run = row.cause.as_ref().map(|cause| cause.run.clone());
            table.push(vec![json!(device), json!(row.change.package), json!(row.change.to), json!(row.change.from), json!(run)]);
            installed.push(json!(row.change));
        }
        let result: Value = json!({ "installed": installed });
        let call = ActionCall { action: action.into(), with: BTreeMap::new(), on: Vec::new() };
        orders.push(Order { device, call, part: Part::Rollback { result } });
    }
    if orders.is_empty() {
        crate::cli::print("Nothing that was installed here is known.\n")?;
        return Ok(Exit::Done);
    }
    if args.dry_run || (!args.yes && global.output == Output::Table) {
        crate::cli::print(&table.render(global.output)?)?;
    }
    if args.dry_run {
        return Ok(Exit::Done);
    }
    for action in orders.iter().map(|order| &*order.call.action).collect::<BTreeSet<_>>() {
        carry::may(context, store, action)?;
    }
    let names: Vec<String> = orders.iter().map(|order| order.device.clone()).collect();
    if !args.yes {
        let what = format!("bring former versions back on {}", count(names.len(), "device", "devices"));
        crate::cli::confirm::ask(&what, &names, "--yes")?;
    }
    let run = carry::new_run(context);
    let outcomes = carry::carry(global, context, store, &run, orders, args.concurrency)?;
    carry::show(global, &run, &outcomes, |value| carry::changes(value, "restored"))
}
