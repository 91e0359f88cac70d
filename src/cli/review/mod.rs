//! `rmm review`: what a change of the repository means, and what it would do to the fleet.

mod findings;
mod groups;
mod markdown;
mod text;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};

use super::args::Global;
use super::context::STATE_DIR;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Output, document};
use crate::diagnose::{Diagnostic, sarif};
use crate::plan::review::{
    Effects, REVIEW_SCHEMA, Reason, Review, Side, StateFrom, differences, effects, judge, mark_new, missing, secrets_that_differ,
};
use crate::repo::revision::{Range, Repository};
use crate::repo::{Loaded, PolicySet};
use crate::store::{StateFile, Store};
use crate::time::{Clock, SystemClock};

/// Arguments of `rmm review`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm review main..HEAD\n  rmm review main...HEAD --state fleet.state --format markdown\n  rmm review HEAD\n  rmm review --report markdown:comment.md --report sarif:review.sarif\n\nExit codes: 0 may pass, 4 the new side is not valid, 6 refused by [review] of the old side."
)]
pub(super) struct ReviewArgs {
    /// BASE..HEAD, BASE...HEAD (from where they parted), or BASE against the working tree; where the branch began without one
    pub(super) range: Option<String>,
    /// Facts from this file of `rmm state export`, instead of the database
    #[arg(long, value_name = "FILE")]
    pub(super) state: Option<PathBuf>,
    /// Folder of the policy repository within a bare Git repository
    #[arg(long, value_name = "DIR")]
    pub(super) folder: Option<String>,
    /// Form of the result
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub(super) format: Format,
    /// Write the result to a file as well; may be repeated
    #[arg(long, value_name = "FORMAT:FILE", value_parser = report)]
    pub(super) report: Vec<(Format, PathBuf)>,
}

/// How the result is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For reading
    #[default]
    Human,
    /// One document
    Json,
    /// A comment for a pull request
    Markdown,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Annotations of a pull request
    Github,
}

fn report(text: &str) -> Result<(Format, PathBuf), String> {
    let (format, file) =
        text.split_once(':').filter(|(_, file)| !file.is_empty()).ok_or("write FORMAT:FILE, such as markdown:comment.md")?;
    Ok((Format::from_str(format, false)?, PathBuf::from(file)))
}

/// A review, and what is needed to write it.
struct Made {
    review: Review,
    /// Texts of the new side.
    sources: Arc<std::collections::BTreeMap<Arc<str>, String>>,
    /// Folder within the Git repository.
    prefix: String,
}

pub(super) fn run(global: &Global, args: &ReviewArgs) -> Result<Exit, Failure> {
    let made = make(global, args)?;
    for (format, file) in &args.report {
        super::files::write(file, render(&made, *format)?.as_bytes(), "the report", false)?;
    }
    let text = match global.output {
        Output::Table => render(&made, args.format)?,
        Output::Csv => return Err(Failure::usage("a review is no table", "write --output json, or --format markdown")),
        output => document(&to_value(&made.review)?, output)?,
    };
    super::print(&text)?;
    Ok(match &made.review {
        review if !review.valid => Exit::InvalidConfiguration,
        review if !review.passed => Exit::Refused,
        _ => Exit::Done,
    })
}

fn render(made: &Made, format: Format) -> Result<String, Failure> {
    Ok(match format {
        Format::Human => text::render(&made.review, &made.sources),
        Format::Json => document(&to_value(&made.review)?, Output::Json)?,
        Format::Markdown => markdown::render(&made.review),
        Format::Sarif => document(&sarif::sarif(&findings::of(&made.review, &made.prefix)), Output::Json)?,
        Format::Github => sarif::annotations(&findings::of(&made.review, &made.prefix)),
    })
}

fn to_value(review: &Review) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(review)
        .map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the review cannot be written: {error}"))))
}

fn make(global: &Global, args: &ReviewArgs) -> Result<Made, Failure> {
    let start = match &global.repo {
        Some(dir) => dir.clone(),
        None => PathBuf::from("."),
    };
    // Where there is no working tree, the revisions themselves say where the policy repository is.
    let root = if args.folder.is_none() { crate::repo::find_root(&start).ok() } else { None };
    let mut repository = Repository::open(root.as_deref().unwrap_or(&start), args.folder.as_deref())?;
    let range = repository.range(args.range.as_deref())?;
    if root.is_none() && args.folder.is_none() {
        let (commit, name) =
            (range.head.as_deref().unwrap_or(&range.base), if range.head.is_some() { &range.head_name } else { &range.base_name });
        repository.find_folder(commit, name)?;
    }
    let options = super::context::load_options(global, repository.root());
    let (old, new) = repository.load(&range, &options)?;
    let now = SystemClock.now();
    let side = |name: &str, commit: Option<&String>, loaded: &Loaded| Side {
        name: name.to_owned(),
        commit: commit.cloned(),
        policy_set: loaded.set.as_ref().map(|set| set.hash.clone()),
    };
    let Range { base, base_name, head, head_name } = &range;
    let mut review = Review {
        schema: REVIEW_SCHEMA.into(),
        base: side(base_name, Some(base), &old),
        head: side(head_name, head.as_ref(), &new),
        created_at: now,
        valid: new.set.is_some(),
        passed: false,
        reasons: Vec::new(),
        problems: mark_new(&old.problems, new.problems),
        state: None,
        differences: Vec::new(),
        effects: None,
    };
    let refuse = |rule: &str, message: &str| Reason { rule: rule.into(), message: message.into() };
    match (&old.set, &new.set) {
        (_, None) => review.reasons.push(refuse("invalid", "the new side is not valid")),
        (None, Some(_)) => review.reasons.push(refuse("base-invalid", "the old side is not valid, so that nothing could be compared")),
        (Some(before), Some(after)) => {
            let (was, is) = (repository.secrets_of(Some(&range.base))?, repository.secrets_of(range.head.as_deref())?);
            review.differences = secrets_that_differ(&was, &is);
            review.differences.extend(differences(before, after, &old.sources, &new.sources));
            let db = global.db.clone().unwrap_or_else(|| repository.root().join(STATE_DIR).join("rmm.db"));
            let (found, state) = compare(before, after, args.state.as_deref(), &db, now)?;
            review.reasons = judge(&before.config.review, &found);
            review.effects = Some(found);
            review.state = Some(state);
        }
    }
    review.passed = review.reasons.is_empty();
    Ok(Made { review, sources: new.sources, prefix: repository.prefix().to_owned() })
}

/// The effects, from the file or the database.
fn compare(
    old: &PolicySet,
    new: &PolicySet,
    file: Option<&Path>,
    db: &Path,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(Effects, StateFrom), Failure> {
    if let Some(file) = file {
        let mut state = StateFile::open(file)?;
        let removed = state.header().removed.clone();
        for section in missing(old, &removed).union(&missing(new, &removed)) {
            state.hide(section);
        }
        let found = effects(old, new, &state, now)?;
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let from = StateFrom { source: name, exported_at: Some(state.header().exported_at), oldest: found.oldest };
        return Ok((found, from));
    }
    if !db.is_file() {
        let problem = Diagnostic::error("RMM0553", format!("nothing is known of the fleet: there is no database {}", db.display()));
        let advice = "name a state file with --state FILE (rmm state export writes one), or the database with --db FILE";
        return Err(Failure::new(Exit::Error, problem.advice(advice)));
    }
    let store = Store::open(db, Arc::new(SystemClock))?;
    let found = effects(old, new, &store, now)?;
    let from = StateFrom { source: "database".into(), exported_at: None, oldest: found.oldest };
    Ok((found, from))
}
