//! `rmm validate`: read everything, report every problem.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use notify::{RecursiveMode, Watcher};
use serde_json::json;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, colored, count, paint};
use super::table::{Output, Table, document};
use crate::diagnose::code_quality::code_quality;
use crate::diagnose::sarif::{self, Finding};
use crate::diagnose::{Diagnostic, Level, markdown};
use crate::repo::Loaded;

/// Arguments of `rmm validate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  rmm validate\n  rmm validate ~/fleet --format json\n  rmm validate --watch")]
pub(super) struct ValidateArgs {
    /// Policy repository; as --repo
    pub(super) dir: Option<PathBuf>,
    /// Form of the problems
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) format: Format,
    /// Validate again whenever a file changes, until Ctrl-C
    #[arg(long)]
    pub(super) watch: bool,
}

/// How problems are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// The source line, underlined
    #[default]
    Human,
    /// One document
    Json,
    /// A table, for a comment
    Markdown,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of a pull request
    Github,
    /// Code Quality report of a merge request
    Gitlab,
}

/// Changes that come closer together than this are read once.
const QUIET: Duration = Duration::from_millis(100);

pub(super) fn run(global: &Global, args: &ValidateArgs) -> Result<Exit, Failure> {
    let mut global = global.clone();
    if args.dir.is_some() {
        global.repo.clone_from(&args.dir);
    }
    let root = super::context::root(&global)?;
    let exit = once(&global, args, &root)?;
    if args.watch { watch(&global, args, &root) } else { Ok(exit) }
}

fn once(global: &Global, args: &ValidateArgs, root: &Path) -> Result<Exit, Failure> {
    let mut loaded = crate::repo::load(&super::context::load_options(global, root));
    let tests = loaded.set.as_ref().map(crate::repo::load_tests).unwrap_or_default();
    loaded.problems.extend(tests.problems);
    Arc::make_mut(&mut loaded.sources).extend((*tests.sources).clone());
    let format = if global.output == Output::Table { args.format } else { Format::Json };
    super::print(&match format {
        Format::Human => human(&loaded, tests.tests.len()),
        Format::Json => {
            let value = serde_json::json!({ "schema": "rmm.problems/1", "valid": loaded.set.is_some() && !loaded.problems.iter().any(|p| p.level == Level::Error), "problems": loaded.problems });
            match global.output {
                Output::Table | Output::Json => document(&value, Output::Json)?,
                Output::Yaml => document(&value, Output::Yaml)?,
                output => listed(&loaded).render(output)?,
            }
        }
        Format::Sarif => document(&sarif::sarif(&findings(&loaded, root)), Output::Json)?,
        Format::Github => sarif::annotations(&findings(&loaded, root)),
        Format::Gitlab => document(&code_quality(&findings(&loaded, root)), Output::Json)?,
        Format::Markdown => markdown::problems(&loaded.problems, "rmm-validate", &counted(&loaded, tests.tests.len())),
    })?;
    let failed = loaded.set.is_none() || loaded.problems.iter().any(|p| p.level == Level::Error);
    Ok(if failed { Exit::InvalidConfiguration } else { Exit::Done })
}

fn listed(loaded: &Loaded) -> Table {
    let mut table = Table::new("rmm.problems/1", &["FILE", "LINE", "COLUMN", "LEVEL", "CODE", "MESSAGE", "ADVICE"]);
    for p in &loaded.problems {
        let place = p.place.as_ref();
        table.push(vec![
            json!(place.map(|p| &*p.file)),
            json!(place.map(|p| p.line)),
            json!(place.map(|p| p.column)),
            json!(p.level),
            json!(p.code),
            json!(p.message),
            json!(p.advice),
        ]);
    }
    table
}

/// The problems with paths as the Git repository has them.
fn findings(loaded: &Loaded, root: &Path) -> Vec<Finding> {
    let prefix = crate::repo::git_prefix(root);
    loaded.problems.iter().map(|problem| Finding::of(problem, &prefix)).collect()
}

/// How much was read.
fn counted(loaded: &Loaded, tests: usize) -> String {
    loaded.set.as_ref().map_or_else(String::new, |set| {
        let mut parts = vec![
            count(set.files, "file", "files"),
            count(set.devices.len(), "device", "devices"),
            count(set.policies.len(), "policy", "policies"),
            count(set.policies.iter().map(|p| p.settings.len()).sum(), "setting", "settings"),
        ];
        for (n, one, many) in [
            (set.thresholds.len(), "threshold", "thresholds"),
            (set.monitors.len(), "monitor", "monitors"),
            (set.workflows.len(), "workflow", "workflows"),
            (set.notifications.len(), "notification rule", "notification rules"),
            (tests, "test", "tests"),
        ] {
            if n > 0 {
                parts.push(count(n, one, many));
            }
        }
        parts.join(", ")
    })
}

fn human(loaded: &Loaded, tests: usize) -> String {
    let mut out = crate::diagnose::render(&loaded.problems, &|file| loaded.sources.get(file).cloned(), colored());
    let n = |level: Level| loaded.problems.iter().filter(|p| p.level == level).count();
    let (errors, warnings) = (n(Level::Error), n(Level::Warning));
    out += &match &loaded.set {
        Some(_) if errors == 0 => {
            let tail = if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning", "warnings")) };
            format!("{} {}{tail}\n", paint(Tone::Good, "Valid:"), counted(loaded, tests))
        }
        _ => {
            let tail = if warnings == 0 { String::new() } else { format!(", {}", count(warnings, "warning", "warnings")) };
            format!("{} {}{tail}\n", paint(Tone::Bad, "Not valid:"), count(errors, "error", "errors"))
        }
    };
    out
}

fn watch(global: &Global, args: &ValidateArgs, root: &Path) -> Result<Exit, Failure> {
    let failed = |error: notify::Error| {
        let problem = Diagnostic::error("RMM0001", format!("{} cannot be watched: {error}", root.display()));
        Failure::new(Exit::Error, problem)
    };
    // One waiting signal is enough: whatever else changes meanwhile is read with it.
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let state = root.join(super::context::STATE_DIR);
    let git = root.join(".git");
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = |e: &notify::Event| !e.kind.is_access() && e.paths.iter().any(|p| !p.starts_with(&state) && !p.starts_with(&git));
        if event.as_ref().map_or(true, ours) {
            let _ = sender.try_send(());
        }
    })
    .map_err(failed)?;
    watcher.watch(root, RecursiveMode::Recursive).map_err(failed)?;
    super::say(format!("Watching {}; Ctrl-C ends it.", root.display()));
    while receiver.recv().is_ok() {
        while receiver.recv_timeout(QUIET).is_ok() {}
        super::print("\n")?;
        once(global, args, root)?;
    }
    Ok(Exit::Done)
}
