//! The command line: one file per command; parse, call, print, exit code.
#![allow(clippy::print_stdout)] // this is the face whose task is to print

mod alerts;
mod apply;
mod args;
mod audit;
mod backup;
mod collect;
mod completions;
mod config;
mod confirm;
mod context;
mod devices;
mod devices_lists;
mod doctor;
mod eval;
mod exec;
mod exit;
mod explain;
mod explain_action;
mod facts;
mod failure;
mod files;
mod fmt;
mod help;
mod import;
mod import_device;
mod import_policy;
mod import_write;
mod init;
mod init_pack;
mod init_service;
mod logs;
mod man;
mod notify;
mod plan;
mod plan_text;
mod progress;
mod reconcile;
mod restore;
mod review;
mod run;
mod run_later;
mod run_parameters;
mod run_text;
mod run_watch;
mod schema;
mod secrets;
mod share;
mod signals;
mod silences;
mod simulate;
mod state;
mod status;
mod style;
mod suspend;
mod table;
mod test;
mod test_junit;
mod test_record;
mod test_report;
mod transfers;
mod uninstall;
mod updates;
mod validate;
mod why;
mod workflow;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{FromArgMatches as _, Subcommand as _};

pub use args::command;
use args::{Cli, Command};
use exit::Exit;
use failure::Failure;

use crate::access::Redactor;

/// Knows the secrets that this process has used: what goes wrong may quote one.
static KNOWN: OnceLock<Redactor> = OnceLock::new();

/// A text for a person, without the secrets that are known.
fn without_secrets(text: &str) -> String {
    KNOWN.get().map_or_else(|| text.to_owned(), |redactor| redactor.redact(text).into_owned())
}

/// Secrets are in memory: no core file is left of this process, and no other process of the same user may look into it. Programs that it
/// starts are as they always are.
#[cfg(target_os = "linux")]
fn keep_to_itself() {
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(not(target_os = "linux"))]
const fn keep_to_itself() {}

/// A defect is told as always, but without the secrets that are known: a message about a text quotes it.
fn tell_defects() {
    std::panic::set_hook(Box::new(|defect| {
        let known = KNOWN.get().map_or_else(|| Some(defect.to_string()), |redactor| redactor.try_redact(&defect.to_string()));
        let place = || defect.location().map_or_else(|| "panicked".to_owned(), |place| format!("panicked at {place}"));
        let trace = std::backtrace::Backtrace::capture();
        let mut stderr = std::io::stderr().lock();
        let _ = writeln!(stderr, "\nthis is a defect of rmm: {}", known.unwrap_or_else(place));
        if trace.status() == std::backtrace::BacktraceStatus::Captured {
            let _ = writeln!(stderr, "{trace}");
        }
    }));
}

/// Parses the arguments, runs the command, returns its exit code.
pub fn main() -> ExitCode {
    keep_to_itself();
    tell_defects();
    let matches = match args::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => {
            // Help and version go to standard output and are no error; a reader that went away is none either.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { Exit::Done.code() });
        }
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(Exit::Usage.code());
        }
    };
    style::init(cli.global.color);
    let verbose = cli.global.verbose > 0;
    match dispatch(cli) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            report(&failure, verbose);
            ExitCode::from(failure.exit.code())
        }
    }
}

fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Init(args) => init::run(&global, args),
        Command::Uninstall(args) => uninstall::run(&global, args),
        Command::Config(args) => config::run(&global, &args),
        Command::Validate(args) => validate::run(&global, &args),
        Command::Test(args) => test::run(&global, &args),
        Command::Fmt(args) => fmt::run(&global, &args),
        Command::Import(args) => import::run(&global, args),
        Command::Collect(args) => collect::run(&global, &args),
        Command::Plan(args) => plan::run(&global, &args),
        Command::Review(args) => review::run(&global, &args),
        Command::Apply(args) => apply::run(&global, args),
        Command::Simulate(args) => simulate::run(&global, &args),
        Command::Reconcile(args) => reconcile::run(&global, &args),
        Command::Status(args) => status::run(&global, &args),
        Command::Suspend(args) => suspend::suspend(&global, &args),
        Command::Resume(args) => suspend::resume(&global, &args),
        Command::Devices(args) => devices::run(&global, args),
        Command::Facts(args) => facts::run(&global, &args),
        Command::Why(args) => why::run(&global, &args),
        Command::Eval(args) => eval::run(&global, &args),
        Command::State(args) => state::run(&global, &args),
        Command::Run(args) => run::run(&global, &args),
        Command::Exec(args) => exec::run(&global, args),
        Command::Doctor(args) => doctor::run(&global, &args),
        Command::Workflow(args) => workflow::run(&global, args),
        Command::Updates(args) => updates::run(&global, args),
        Command::Alerts(args) => alerts::run(&global, args),
        Command::Share(args) => share::run(&global, &args),
        Command::Secrets(args) => secrets::run(&global, &args),
        Command::Notify(args) => notify::run(&global, args),
        Command::Audit(args) => audit::run(&global, &args),
        Command::Backup(args) => backup::run(&global, &args),
        Command::Restore(args) => restore::run(&global, &args),
        Command::Explain(args) => explain::run(&global, &args),
        Command::Schema(args) => schema::run(&global, &args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Help(args) => help::run(&args),
    }
}

/// Problems go to standard error, with the source line where there is one.
fn report(failure: &Failure, verbose: bool) {
    if failure.problems.is_empty() {
        return;
    }
    let text = crate::diagnose::render(&failure.problems, &|file| failure.sources.get(file).cloned(), style::colored_errors());
    let text = without_secrets(&text);
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.trim_end().as_bytes());
    let _ = stderr.write_all(b"\n");
    if !verbose && std::env::var_os("RMM_IN_AUTOMATION").is_none() {
        let mut codes: Vec<&str> = failure.problems.iter().map(|p| p.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let _ = writeln!(stderr, "\nmore: rmm explain {}", codes.first().unwrap_or(&""));
    }
}

/// Writes a result to standard output. A reader that went away (`| head`) is no error.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(Failure::silent(Exit::Done)),
        Err(error) => {
            let problem = crate::diagnose::Diagnostic::error("RMM0001", format!("standard output cannot be written: {error}"));
            Err(Failure::new(Exit::Error, problem))
        }
    }
}

/// A line for the person, on standard error, so that results on standard output stay clean.
fn say(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", without_secrets(&text.to_string()));
}

/// Names of all commands, for the documentation and its test.
pub fn command_names() -> Vec<String> {
    Command::augment_subcommands(clap::Command::new("rmm")).get_subcommands().map(|c| c.get_name().to_owned()).collect()
}
