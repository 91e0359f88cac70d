//! `rmm fmt`: the YAML files of a repository in canonical form.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use rustix::fs::{Mode, OFlags};
use serde_json::json;

use super::args::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::style::{Tone, clean, count, paint};
use super::table::{Output, Table};
use crate::diagnose::Diagnostic;
use crate::model::Place;
use crate::repo::fmt::{FormatError, format};
use crate::repo::{devices_file, find_root};

/// Arguments of `rmm fmt`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  rmm fmt\n  rmm fmt policies/security.yaml --diff\n  rmm fmt --check\n  rmm fmt - --stdin-path policies/a.yaml < a.yaml\n\nComments are kept, and the meaning never changes: it is compared before anything is written. JSON and TOML files are left alone."
)]
pub(super) struct FmtArgs {
    /// Files and folders; the whole repository without one, standard input for -
    pub(super) paths: Vec<PathBuf>,
    /// Write nothing; show what is not in canonical form, and end with 1 where there is anything
    #[arg(long)]
    pub(super) check: bool,
    /// Write nothing; show what would change
    #[arg(long, conflicts_with = "check")]
    pub(super) diff: bool,
    /// Path within the repository that standard input stands for; it tells the order of members
    #[arg(long, value_name = "PATH")]
    pub(super) stdin_path: Option<PathBuf>,
}

/// Largest file.
const MAX_BYTES: u64 = crate::repo::yaml::MAX_BYTES;
/// Deepest folder below the one that is named.
const MAX_FOLDERS: usize = 16;
/// A difference that takes longer is shown coarser.
const DIFF_TIME: Duration = Duration::from_millis(500);
/// Folders of a repository that hold YAML.
const FOLDERS: [&str; 6] = ["devices", "monitors", "policies", "tests", "thresholds", "workflows"];
/// Files of a repository that are YAML.
const FILES: [&str; 4] = ["devices", "groups", "notifications", "sites"];

/// A file that is to be formatted.
struct Job {
    path: PathBuf,
    /// As people see it.
    shown: String,
    /// Within its repository.
    within: Arc<str>,
}

struct Done {
    old: String,
    result: Result<String, Vec<Diagnostic>>,
}

pub(super) fn run(global: &Global, args: &FmtArgs) -> Result<Exit, Failure> {
    if args.paths.iter().any(|path| path == Path::new("-")) {
        if args.paths.len() > 1 {
            return Err(Failure::usage("- stands for standard input and cannot be named beside files", "run it twice"));
        }
        return stdin(args);
    }
    let mut jobs = Vec::new();
    if args.paths.is_empty() {
        let root = super::context::root(global)?;
        folder(&root, &root, "", 0, &mut jobs);
    }
    for path in &args.paths {
        named(path, &mut jobs)?;
    }
    let done = format_all(&jobs);
    report(global, args, &jobs, done)
}

fn stdin(args: &FmtArgs) -> Result<Exit, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("standard input: {error}"))))?;
    let path = args.stdin_path.as_deref().unwrap_or(Path::new("-"));
    let name: Arc<str> = path.display().to_string().into();
    let within = find_root(path.parent().unwrap_or(Path::new("."))).map_or_else(|_| Arc::clone(&name), |root| within(&root, path));
    let new = format(&within, &text).map_err(|error| refused(error, &within, &text))?;
    if args.check || args.diff {
        let changed = new != text;
        if changed {
            super::print(&difference(&name, &text, &new))?;
        }
        return Ok(if args.check && changed { Exit::Error } else { Exit::Done });
    }
    super::print(&new)?;
    Ok(Exit::Done)
}

fn refused(error: FormatError, file: &Arc<str>, text: &str) -> Failure {
    let exit = if matches!(error, FormatError::Invalid { .. }) { Exit::InvalidConfiguration } else { Exit::Error };
    Failure { exit, problems: error.problems(), sources: Arc::new(BTreeMap::from([(Arc::clone(file), text.to_owned())])) }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|x| x == "yaml" || x == "yml")
}

/// A path within a repository, with forward slashes.
fn within(root: &Path, path: &Path) -> Arc<str> {
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let inner = full.strip_prefix(root).unwrap_or(&full);
    let parts = inner.components().filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None });
    parts.collect::<Vec<_>>().join("/").into()
}

/// A file or folder that was named. Outside a repository the folder's name tells the kind.
fn named(path: &Path, jobs: &mut Vec<Job>) -> Result<(), Failure> {
    let failed = |why: String| Failure::new(Exit::Usage, Diagnostic::error("RMM0003", format!("{}: {why}", path.display())));
    let data = std::fs::symlink_metadata(path).map_err(|error| failed(error.to_string()))?;
    if data.is_symlink() {
        return Err(failed("it is a symbolic link; name the file itself".into()));
    }
    let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let near = if data.is_dir() { &*full } else { full.parent().unwrap_or(&full) };
    let root = find_root(near).unwrap_or_else(|_| {
        let kind = near.file_name().is_some_and(|name| FOLDERS.iter().any(|folder| name == *folder));
        near.parent().filter(|_| kind).unwrap_or(near).to_owned()
    });
    if data.is_dir() {
        let shown = path.display().to_string();
        folder(&root, path, shown.trim_end_matches('/'), 0, jobs);
    } else if is_yaml(path) {
        jobs.push(Job { path: path.to_owned(), shown: path.display().to_string(), within: within(&root, path) });
    } else {
        return Err(failed("only files that end in .yaml or .yml are formatted".into()));
    }
    Ok(())
}

/// The YAML files below a folder; of a repository's root only those that belong to it. Links are not followed.
fn folder(root: &Path, dir: &Path, shown: &str, depth: usize, jobs: &mut Vec<Job>) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let top = dir.join("rmm.toml").is_file();
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        let Ok(kind) = entry.file_type() else { continue };
        let shown = if shown.is_empty() || shown == "." { name.to_owned() } else { format!("{shown}/{name}") };
        if kind.is_dir() && depth < MAX_FOLDERS && (!top || FOLDERS.contains(&name)) {
            folder(root, &path, &shown, depth + 1, jobs);
        } else if kind.is_file() && is_yaml(&path) && (!top || path.file_stem().is_some_and(|stem| FILES.iter().any(|f| stem == *f))) {
            let within = within(root, &path);
            jobs.push(Job { path, shown, within });
        }
    }
}

/// Every file by itself, on all processors.
fn format_all(jobs: &[Job]) -> Vec<Done> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
    let share = jobs.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = jobs.chunks(share).map(|jobs| scope.spawn(|| jobs.iter().map(format_one).collect::<Vec<_>>())).collect();
        // A panic goes on as one: with results missing, those that follow would go to the wrong files.
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn format_one(job: &Job) -> Done {
    match read(&job.path) {
        Ok(old) => {
            let result = format(&job.within, &old).map_err(|error| {
                let mut problems = error.problems();
                // Named as the person named it.
                for place in problems.iter_mut().flat_map(|p| p.place.iter_mut().chain(p.related.iter_mut().map(|(place, _)| place))) {
                    place.file = job.shown.as_str().into();
                }
                problems
            });
            Done { old, result }
        }
        Err(why) => {
            let problem = Diagnostic::error("RMM0106", format!("cannot be read: {why}")).at(&Place::file(job.shown.as_str()));
            Done { old: String::new(), result: Err(vec![problem]) }
        }
    }
}

/// Reads a regular file. A link is refused while opening, so that none can be put in the file's place.
fn read(path: &Path) -> Result<String, String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| std::io::Error::from(error).to_string())?;
    let file = std::fs::File::from(file);
    if !file.metadata().is_ok_and(|data| data.is_file()) {
        return Err("it is not a regular file".into());
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".into())
}

fn difference(name: &str, old: &str, new: &str) -> String {
    let diff = similar::TextDiff::configure().timeout(DIFF_TIME).diff_lines(old, new);
    let text = diff.unified_diff().context_radius(3).header(name, &format!("{name} (canonical)")).to_string();
    let tone = |line: &str| match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        _ => Tone::Dim,
    };
    let shown = |line: &str| match line.strip_prefix(' ') {
        // A build log obeys a line that begins with two colons, however deep it stands.
        Some(rest) if rest.trim_start().starts_with("::") => format!(" {}", clean(rest).replacen("::", ": :", 1)),
        Some(_) => clean(line),
        None => paint(tone(line), clean(line)),
    };
    text.lines().map(|line| format!("{}\n", shown(line))).collect()
}

fn report(global: &Global, args: &FmtArgs, jobs: &[Job], done: Vec<Done>) -> Result<Exit, Failure> {
    let dry = args.check || args.diff;
    let mut table = Table::new("rmm.fmt/1", &["FILE", "STATE"]);
    let (mut changed, mut out, mut problems) = (0, String::new(), Vec::new());
    let mut sources: BTreeMap<Arc<str>, String> = BTreeMap::new();
    for (job, done) in jobs.iter().zip(done) {
        let state = match done.result {
            Ok(new) if new == done.old => "canonical",
            Ok(new) => {
                changed += 1;
                if dry {
                    if args.check {
                        out += &format!("{} {}\n", paint(Tone::Change, "~"), clean(&job.shown));
                    }
                    if args.diff || !global.quiet {
                        out += &difference(&job.shown, &done.old, &new);
                    }
                    "would change"
                } else if let Err(error) = devices_file::replace(&job.path, new.as_bytes()) {
                    let problem = Diagnostic::error("RMM0001", format!("{}: {error}", job.shown));
                    problems.push(problem.advice("check that the folder is writable and has room; the file is as it was"));
                    "failed"
                } else {
                    out += &format!("{} {}\n", paint(Tone::Good, "~"), clean(&job.shown));
                    "formatted"
                }
            }
            Err(found) => {
                problems.extend(found);
                sources.insert(job.shown.as_str().into(), done.old);
                "left alone"
            }
        };
        table.push(vec![json!(job.shown), json!(state)]);
    }
    super::print(&if global.output == Output::Table { out } else { table.render(global.output)? })?;
    if !global.quiet {
        let rest = jobs.len() - changed;
        let what = if dry { "would change" } else { "formatted" };
        super::say(format!("{} {what}, {rest} unchanged", count(changed, "file", "files")));
    }
    if !problems.is_empty() {
        let invalid = problems.iter().any(|p| p.code != "RMM0001" && p.code != "RMM0560");
        let exit = if invalid { Exit::InvalidConfiguration } else { Exit::Error };
        return Err(Failure { exit, problems, sources: Arc::new(sources) });
    }
    Ok(if args.check && changed > 0 { Exit::Error } else { Exit::Done })
}
