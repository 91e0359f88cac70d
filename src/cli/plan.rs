//! `rmm plan`: what would change.

use std::path::PathBuf;

use clap::Args;

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::plan_text::{Show, render};
use super::progress::Progress;
use super::table::{Output, document};
use crate::apply::survey::{Refresh, Survey};
use crate::diagnose::Diagnostic;
use crate::model::plan::{Plan, State};
use crate::plan::{PlanOptions, Scope};

/// Arguments of `rmm plan`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm plan\n  rmm plan ws-017 --commands\n  rmm plan 'tag=pilot,os=linux' --target Packages --out pilot.plan\n  rmm plan --detailed-exitcode --output json"
)]
pub(super) struct PlanArgs {
    /// Devices, groups or key=value selectors; all devices without one
    pub(super) selectors: Vec<String>,
    /// Only this setting, or this key of it (Services, Services.sshd); may be repeated
    #[arg(long, value_name = "SETTING")]
    pub(super) target: Vec<String>,
    /// Whether devices are observed first: auto asks for what is older than the health check interval
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub(super) refresh: Refresh,
    /// Show the exact commands of every change
    #[arg(long)]
    pub(super) commands: bool,
    /// Save the plan, to be carried out exactly so by `rmm apply FILE`
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Take changes of policies with `remediate: approve` as approved
    #[arg(long)]
    pub(super) approve: bool,
    /// List compliant settings too
    #[arg(long)]
    pub(super) compliant: bool,
    /// Exit with 2 where changes are pending
    #[arg(long)]
    pub(super) detailed_exitcode: bool,
    /// Devices observed at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(super) concurrency: Option<u32>,
}

pub(super) fn run(global: &Global, args: &PlanArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    let store = context.store()?;
    let scope = Scope::parse(&context.set, &args.selectors, &args.target)?;
    let survey = Survey::new(&context.set, &store, &context.secrets, &context.clock);
    let progress = Progress::new(global, "observing");
    super::signals::block_on(async |signals| {
        survey.refresh(&scope, args.refresh, args.concurrency, &signals.stop, &|event| progress.observed(&event)).await
    })?;
    progress.finish();
    let options = PlanOptions {
        approve: args.approve,
        commands: args.commands || args.out.is_some() || global.output != Output::Table,
        compliant: args.compliant,
        ..PlanOptions::default()
    };
    let plan = survey.plan(&scope, &options)?;
    let read = serde_json::json!({ "changes": plan.summary.count(State::Change), "devices": plan.summary.devices, "saved": args.out });
    context.audit_read(&store, "plan.made", &scope, read)?;
    if let Some(file) = &args.out {
        save(&plan, file)?;
    }
    show(global, &plan, Show { commands: args.commands, verbose: global.verbose > 0, width: super::style::width() }, context.clock.now())?;
    if let Some(file) = &args.out
        && !global.quiet
    {
        super::say(format!("Saved. To carry out exactly this: rmm apply {}", file.display()));
    }
    let pending = plan.summary.count(State::Change) > 0;
    Ok(if args.detailed_exitcode && pending { Exit::ChangesPending } else { Exit::Done })
}

/// Prints a plan in the asked form.
pub(super) fn show(global: &Global, plan: &Plan, show: Show, now: chrono::DateTime<chrono::Utc>) -> Result<(), Failure> {
    let text = match global.output {
        Output::Table => render(plan, show, now),
        Output::Json | Output::Yaml => document(&to_value(plan)?, global.output)?,
        Output::Jsonl => {
            let mut lines =
                serde_json::json!({ "schema": plan.schema, "policySet": plan.policy_set, "createdAt": plan.created_at }).to_string() + "\n";
            for device in &plan.devices {
                lines += &(serde_json::to_string(device).unwrap_or_default() + "\n");
            }
            lines
        }
        Output::Csv => {
            let mut table = super::table::Table::new(
                "rmm.changes/1",
                &["DEVICE", "SETTING", "STATE", "FROM", "TO", "POLICY", "PLACE", "RISK", "REBOOT"],
            );
            for device in &plan.devices {
                for c in &device.changes {
                    let text = [
                        &*device.device,
                        &c.label(),
                        &c.state.to_string(),
                        &c.from,
                        &c.to,
                        &c.policy,
                        &c.place.to_string(),
                        &c.risk.to_string(),
                        &c.reboot.to_string(),
                    ];
                    table.push(text.iter().map(|t| serde_json::json!(t)).collect());
                }
            }
            table.render(Output::Csv)?
        }
    };
    super::print(&text)
}

fn to_value(plan: &Plan) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(plan)
        .map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the plan cannot be written: {error}"))))
}

/// Writes a plan beside its place and renames it there, so that a full disk leaves no half plan.
fn save(plan: &Plan, file: &std::path::Path) -> Result<(), Failure> {
    let text = document(&to_value(plan)?, Output::Json)?;
    let failed = |error: std::io::Error| {
        let problem = Diagnostic::error("RMM0001", format!("the plan cannot be written to {}: {error}", file.display()));
        Failure::new(Exit::Error, problem.advice("check that the folder exists, is writable and has room"))
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".tmp");
    let temporary = PathBuf::from(name);
    let written = std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, file));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.map_err(failed)
}
