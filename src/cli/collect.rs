//! `rmm collect`: observe devices now.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use serde_json::json;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::style::{Tone, count, paint};
use super::table::{Output, Table};
use crate::apply::survey::{Ask, Observed, Outcome, Survey};
use crate::collect::Visit;
use crate::model::Category;
use crate::plan::Scope;
use crate::time::Span;

/// Arguments of `rmm collect`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm collect\n  rmm collect 'Berlin Servers' --force\n  rmm collect --category security --category network\n  rmm collect --category performance --every 60s"
)]
pub(super) struct CollectArgs {
    /// Devices, groups or key=value selectors; all devices without one
    pub(super) selectors: Vec<String>,
    /// Only this category; may be repeated
    #[arg(long, value_name = "CATEGORY", value_enum)]
    pub(super) category: Vec<CategoryArg>,
    /// Ask for everything, also for what is fresh
    #[arg(long)]
    pub(super) force: bool,
    /// Devices observed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) concurrency: Option<u32>,
    /// Observe again and again, over the same sessions, until Ctrl-C: what changes by itself each time, the rest when it is due
    #[arg(long, value_name = "DURATION")]
    pub(super) every: Option<Span>,
    /// With --every: stop after so many rounds
    #[arg(long, value_name = "N", requires = "every")]
    pub(super) rounds: Option<u32>,
}

/// A category as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CategoryArg {
    /// System, CPU, memory, disks
    Hardware,
    /// OS, packages, services
    Software,
    /// Firewall, encryption, accounts
    Security,
    /// Adapters, addresses, routes
    Network,
    /// Load, memory in use, counters
    Performance,
    /// What policies name one by one: files, lines, kernel parameters
    Probe,
}

impl From<CategoryArg> for Category {
    fn from(arg: CategoryArg) -> Self {
        match arg {
            CategoryArg::Hardware => Self::Hardware,
            CategoryArg::Software => Self::Software,
            CategoryArg::Security => Self::Security,
            CategoryArg::Network => Self::Network,
            CategoryArg::Performance => Self::Performance,
            CategoryArg::Probe => Self::Probe,
        }
    }
}

pub(super) fn run(global: &Global, args: &CollectArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let scope = Scope::parse(&context.set, &args.selectors, &[])?;
    let categories: Vec<Category> = args.category.iter().map(|c| (*c).into()).collect();
    let mut survey = Survey::new(&context.set, &store, &context.secrets, &context.clock);
    survey.visit = args.every.map_or(Visit::Once, |_| Visit::Again(Arc::default()));
    super::signals::block_on(async |signals| {
        let mut exit = Exit::Done;
        let mut round = 0;
        loop {
            round += 1;
            let progress = Progress::new(global, "observing");
            let rows = Mutex::new(Vec::new());
            let start = Instant::now();
            let ask = match (args.force, args.every) {
                (true, _) => Ask::Everything,
                (false, Some(_)) => Ask::Again,
                (false, None) => Ask::Due,
            };
            let outcome = survey
                .inventory(&scope, &categories, ask, args.concurrency, &signals.stop, &|event: Observed| {
                    progress.observed(&event);
                    rows.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                })
                .await?;
            progress.finish();
            let forgotten = survey.prune()?;
            let read = serde_json::json!({ "devices": outcome.observed, "unreachable": outcome.unreachable, "failed": outcome.failed, "forgotten": forgotten });
            context.audit_read(&store, "devices.observed", &scope, read)?;
            let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
            show(global, &outcome, &rows, start.elapsed().as_secs_f64())?;
            exit = match (outcome.cancelled, outcome.failed, outcome.unreachable) {
                (true, ..) => Exit::Interrupted,
                (_, 1.., _) => Exit::SomeFailed,
                (_, _, 1..) => Exit::SomeUnreachable,
                _ => exit,
            };
            let Some(every) = args.every.filter(|_| args.rounds.is_none_or(|n| round < n)) else { return Ok::<_, Failure>(exit) };
            tokio::select! {
                () = signals.stop.cancelled() => return Ok(exit),
                () = tokio::time::sleep(every.duration()) => {}
            }
        }
    })
}

fn show(global: &Global, outcome: &Outcome, rows: &[Observed], seconds: f64) -> Result<(), Failure> {
    if global.output != Output::Table {
        let mut table = Table::new("rmm.collected/1", &["DEVICE", "STATUS", "SECONDS", "CHANGED", "ERROR"]);
        for row in rows {
            let status = if row.error.is_some() { "failed" } else { "observed" };
            let error = row.error.as_ref().map(|error| super::without_secrets(&error.to_string()));
            table.push(vec![
                json!(row.device),
                json!(status),
                json!((row.took.as_secs_f64() * 1000.0).round() / 1000.0),
                json!(row.changed),
                json!(error),
            ]);
        }
        return super::print(&table.render(global.output)?);
    }
    if rows.is_empty() {
        return super::print("Everything is fresh; --force asks all the same.\n");
    }
    let mut line = format!("{} observed in {seconds:.2} s", count(outcome.observed, "device", "devices"));
    line += &format!(", {} new or different", count(outcome.changed, "section", "sections"));
    let mut line = paint(Tone::Strong, line + ".");
    if outcome.unreachable > 0 {
        line += &paint(Tone::Bad, format!("   {} not reached", outcome.unreachable));
    }
    if outcome.failed > 0 {
        line += &paint(Tone::Bad, format!("   {} failed", outcome.failed));
    }
    super::print(&(line + "\n"))
}
