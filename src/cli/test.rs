//! `rmm test`: run the policy tests of the repository, or record one from a device.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::Output;
use super::test_report::{Report, Tested};
use crate::diagnose::sarif::{self, Finding};
use crate::diagnose::{Diagnostic, Level, did_you_mean};
use crate::model::policy_test::ReadyTest;
use crate::plan::Planner;
use crate::plan::policy_test::{Coverage, run_all, secret};
use crate::repo::{Tests, load_tests};

/// Arguments of `rmm test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm test\n  rmm test firewall --verbose\n  rmm test --coverage --min-coverage 60\n  rmm test --format github --report junit:tests.xml --report markdown:tests.md\n  rmm test --record web-1 --out tests/web.yaml"
)]
pub(super) struct TestArgs {
    /// Only tests whose name or file holds this text
    pub(super) filter: Option<String>,
    /// Form of the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) format: Format,
    /// Write the result into a file too: junit:tests.xml; may be repeated
    #[arg(long, value_name = "FORMAT:FILE", value_parser = report)]
    pub(super) report: Vec<(Format, PathBuf)>,
    /// List what no test touches
    #[arg(long)]
    pub(super) coverage: bool,
    /// Fail where the tests touch less than this of settings, guards and exceptions
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(super) min_coverage: Option<u8>,
    /// Write a test from what is known of this device, identifiers and secrets taken out
    #[arg(long, value_name = "DEVICE", conflicts_with_all = ["filter", "report", "coverage", "min_coverage"])]
    pub(super) record: Option<String>,
    /// File for the recorded test; standard output without one
    #[arg(long, value_name = "FILE", requires = "record")]
    pub(super) out: Option<PathBuf>,
}

/// How a result is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// What differs, line by line
    #[default]
    Human,
    /// One document
    Json,
    /// The XML that CI systems read
    Junit,
    /// A comment for a pull request
    Markdown,
    /// Annotations of a pull request
    Github,
}

/// `junit:tests.xml`.
fn report(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) = text.split_once(':').filter(|(_, file)| !file.is_empty()).ok_or("write FORMAT:FILE, such as junit:tests.xml")?;
    let known: Vec<&str> = vec!["human", "json", "junit", "markdown", "github"];
    let format = Format::from_str(format, false).map_err(|_| {
        let near = did_you_mean(format, known.iter().copied()).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
        format!("'{format}' is none of {}{near}", known.join(", "))
    })?;
    Ok((format, PathBuf::from(file)))
}

pub(super) fn run(global: &Global, args: &TestArgs) -> Result<Exit, Failure> {
    let context = Context::open(global)?;
    if let Some(device) = &args.record {
        return super::test_record::run_record(global, &context, device, args.out.as_deref());
    }
    let begun = Instant::now();
    let format = if global.output == Output::Table { args.format } else { Format::Json };
    let tests = load_tests(&context.set);
    valid(global, &context.set.root, &tests, format)?;
    let chosen: Vec<ReadyTest> = chosen(&tests, args.filter.as_deref())?.into_iter().cloned().collect();
    let planner = Planner::new(&context.set, &secret);
    let outcomes = run_all(&planner, &chosen);
    let wants_coverage = args.coverage || args.min_coverage.is_some();
    let report = Report {
        prefix: crate::repo::git_prefix(&context.set.root),
        tests: chosen.iter().zip(&outcomes).map(|(test, outcome)| Tested { test, outcome }).collect(),
        files: tests.files,
        coverage: wants_coverage.then(|| Coverage::of(&context.set, &outcomes)),
        minimum: args.min_coverage,
        list_coverage: args.coverage,
        took: begun.elapsed(),
        verbose: global.verbose > 0,
        quiet: global.quiet,
    };
    for (format, file) in &args.report {
        let text = report.text(*format, Output::Json)?;
        super::files::write(file, text.as_bytes(), "the report", false)?;
    }
    super::print(&report.text(format, global.output)?)?;
    Ok(if report.failed() { Exit::TestsFailed } else { Exit::Done })
}

/// Ends the command where a test file is not valid: a test that is not run is no test that passed.
fn valid(global: &Global, root: &Path, tests: &Tests, format: Format) -> Result<(), Failure> {
    let (errors, warnings): (Vec<_>, Vec<_>) = tests.problems.iter().cloned().partition(|problem| problem.level == Level::Error);
    if !errors.is_empty() {
        if format == Format::Github {
            let prefix = crate::repo::git_prefix(root);
            let findings: Vec<_> = errors.iter().map(|problem| Finding::of(problem, &prefix)).collect();
            super::print(&sarif::annotations(&findings))?;
        }
        return Err(Failure { exit: Exit::InvalidConfiguration, problems: errors, sources: Arc::clone(&tests.sources) });
    }
    if !global.quiet && !warnings.is_empty() {
        super::say(format!("{}; `rmm validate` shows them", super::style::count(warnings.len(), "warning", "warnings")));
    }
    Ok(())
}

/// The tests that a filter means.
fn chosen<'a>(tests: &'a Tests, filter: Option<&str>) -> Result<Vec<&'a ReadyTest>, Failure> {
    let Some(filter) = filter else { return Ok(tests.tests.iter().collect()) };
    let wanted = filter.to_lowercase();
    let found: Vec<&ReadyTest> = tests
        .tests
        .iter()
        .filter(|test| test.test.name.to_lowercase().contains(&wanted) || test.place.file.to_lowercase().contains(&wanted))
        .collect();
    if found.is_empty() {
        let near = did_you_mean(filter, tests.tests.iter().map(|test| test.test.name.as_str()));
        let advice =
            near.map_or_else(|| "the text has to be a part of a test's name or file".to_owned(), |n| format!("did you mean '{n}'?"));
        return Err(Failure::new(Exit::Usage, Diagnostic::error("RMM0534", format!("no test is called '{filter}'")).advice(advice)));
    }
    Ok(found)
}
