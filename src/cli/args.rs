//! Arguments common to all commands, the list of commands, and `RMM_<FLAG>` for every flag.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand};

use super::style::Color;
use super::table::Output;

/// Manages a fleet of computers from a Git repository: collect, plan, apply, verify.
#[derive(Debug, Parser)]
#[command(
    name = "rmm",
    version,
    disable_help_subcommand = true,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Begin with `rmm init my-fleet`. Exit codes: `rmm help exit-codes`. Every flag can be set as RMM_<FLAG>."
)]
pub(super) struct Cli {
    /// Common to all commands.
    #[command(flatten)]
    pub(super) global: Global,
    /// The command.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Common to all commands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Common options")]
pub(super) struct Global {
    /// Policy repository; else the nearest parent folder that holds rmm.toml
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    pub(super) repo: Option<PathBuf>,
    /// Database; else .rmm/rmm.db in the repository
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) db: Option<PathBuf>,
    /// Environment whose rmm.ENV.toml is laid over rmm.toml
    #[arg(long, value_name = "ENV", global = true)]
    pub(super) env: Option<String>,
    /// Form of the result: table, json, jsonl, yaml or csv
    #[arg(long, value_name = "FORMAT", global = true, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) output: Output,
    /// When to colour: auto, always or never
    #[arg(long, value_name = "WHEN", global = true, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) color: Color,
    /// Only results and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// More detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a policy repository, create the database, add this machine as first device
    Init(super::init::InitArgs),
    /// Remove the database, caches and logs of a repository
    Uninstall(super::uninstall::UninstallArgs),
    /// Show the settings and where each value comes from
    Config(super::config::ConfigArgs),
    /// Read everything, report every problem
    Validate(super::validate::ValidateArgs),
    /// Run the policy tests, or record one from a device
    Test(super::test::TestArgs),
    /// Put the YAML files into canonical form
    Fmt(super::fmt::FmtArgs),
    /// Turn what exists into files of the repository: an Ansible inventory, a CSV, or a device as it is
    Import(super::import::ImportArgs),
    /// Observe devices now
    Collect(super::collect::CollectArgs),
    /// Show what would change
    Plan(super::plan::PlanArgs),
    /// Show what a change of the repository means, and what it would do to the fleet
    Review(super::review::ReviewArgs),
    /// Carry it out
    Apply(super::apply::ApplyArgs),
    /// Write a repository of simulated devices, for load tests and demonstrations
    Simulate(super::simulate::SimulateArgs),
    /// Keep the fleet as the repository says: the daemon, or one round of it
    Reconcile(super::reconcile::ReconcileArgs),
    /// The fleet on one screen
    Status(super::status::StatusArgs),
    /// Leave a device, a group, a policy or a setting alone for a while
    Suspend(super::suspend::SuspendArgs),
    /// Go on with what was suspended
    Resume(super::suspend::ResumeArgs),
    /// List, show, add, edit, remove, import and export devices; groups and sites
    Devices(super::devices::DevicesArgs),
    /// What is known of a device
    Facts(super::facts::FactsArgs),
    /// Why a setting of a device is as it is: fact, rule, line, commit
    Why(super::why::WhyArgs),
    /// Try an expression or a selector against devices
    Eval(super::eval::EvalArgs),
    /// Look step by step whether devices can be managed, and what to do where they cannot
    Doctor(super::doctor::DoctorArgs),
    /// What is known of the fleet, in one file for reviewing elsewhere
    State(super::state::StateArgs),
    /// Carry out an action of the catalogue on devices
    Run(super::run::RunArgs),
    /// Run a command on devices, ad hoc
    Exec(super::exec::ExecArgs),
    /// Jobs of several steps: list, show, run, status, approve, cancel, resume; and the queue of actions
    Workflow(super::workflow::WorkflowArgs),
    /// What devices offer, what of it is approved, installing it and taking it back
    Updates(super::updates::UpdatesArgs),
    /// What is wrong: list, show, ack, resolve, silence
    Alerts(super::alerts::AlertsArgs),
    /// Try channels; show and retry what was to be sent
    Notify(super::notify::NotifyArgs),
    /// Passwords and keys, encrypted in the repository: init, set, list, rotate
    Secrets(super::secrets::SecretsArgs),
    /// Prepare a file share for devices that nothing else reaches
    Share(super::share::ShareArgs),
    /// Who did what, and proof that the record was not altered
    Audit(super::audit::AuditArgs),
    /// Copy the database to a file, while others write
    Backup(super::backup::BackupArgs),
    /// Put a copy in the place of the database
    Restore(super::restore::RestoreArgs),
    /// Explain an error code, a setting, an action or a fact
    Explain(super::explain::ExplainArgs),
    /// Print the JSON Schema of a kind of file
    Schema(super::schema::SchemaArgs),
    /// Print a completion script for a shell
    Completions(super::completions::CompletionsArgs),
    /// Print the manual pages
    Man(super::man::ManArgs),
    /// Help on a command, or on exit-codes
    Help(super::help::HelpArgs),
}

/// Flags that ask rather than set; they have no environment variable.
const NO_VARIABLE: [&str; 2] = ["help", "version"];

/// The whole command, with `RMM_<FLAG>` for every flag.
pub fn command() -> clap::Command {
    with_variables(Cli::command())
}

fn with_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| {
            let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
            if NO_VARIABLE.contains(&long.as_str()) || matches!(arg.get_action(), clap::ArgAction::Count) {
                return arg;
            }
            let variable = format!("RMM_{}", long.to_uppercase().replace('-', "_"));
            let arg = arg.env(variable).hide_env(true);
            if matches!(arg.get_action(), clap::ArgAction::SetTrue) {
                arg.value_parser(clap::builder::FalseyValueParser::new())
            } else {
                arg
            }
        })
        .mut_subcommands(with_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example() {
        for sub in command().get_subcommands() {
            let help = sub.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("rmm {}", sub.get_name())), "rmm {} --help has no example", sub.get_name());
        }
    }
}
