//! The last steps of every import that makes a policy: where its file goes, whom it is for, that the repository is valid with it; then it is
//! offered, written and recorded. Never over another one.

use std::sync::Arc;

use serde_json::{Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::import::ImportArgs;
use super::style::count;
use crate::diagnose::{Diagnostic, Level, did_you_mean};
use crate::repo::{Loaded, World, compile};
use crate::store::AuditEvent;

/// A policy that was made.
pub(super) struct Made<'a> {
    /// Its file.
    pub(super) path: &'a Arc<str>,
    /// What stands in it.
    pub(super) text: &'a str,
    /// How many settings it has.
    pub(super) settings: usize,
    /// What it was made of, for the question and the audit.
    pub(super) of: &'a str,
    /// What the audit keeps of it.
    pub(super) recorded: Value,
    /// The command that comes next.
    pub(super) next: &'a str,
}

/// Asks, and writes it.
pub(super) fn offer(global: &Global, context: &Context, made: &Made<'_>, args: &ImportArgs) -> Result<Exit, Failure> {
    let Made { path, text, of, next, .. } = made;
    valid(&compiled(global, context, path, text))?;
    let settings = count(made.settings, "setting", "settings");
    if args.dry_run {
        super::say(format!("{path} would have {settings}; nothing was written."));
        return Ok(Exit::Done);
    }
    if !args.yes {
        super::confirm::ask(&format!("write a policy of {settings} into {path}"), &[(*of).to_owned()], "--yes")?;
    }
    new_file(context, path, text)?;
    super::init::write_schemas(context, false)?;
    context.store()?.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: "policy.imported".into(),
        target: Some((*of).to_owned()),
        details: made.recorded.clone(),
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    super::say(format!("Wrote {settings} into {path}. It only reports. Next: {next}"));
    Ok(Exit::Done)
}

/// Whom the policy is for: the devices of this group, else `others`.
pub(super) fn targets(context: &Context, group: Option<&str>, others: Value) -> Result<Value, Failure> {
    let Some(group) = group else { return Ok(json!([others])) };
    if group != "*" && !context.set.groups.contains_key(group) {
        let near = did_you_mean(group, context.set.groups.keys().map(String::as_str));
        let advice = near.map_or_else(|| "`rmm devices groups` lists them".to_owned(), |near| format!("did you mean '{near}'?"));
        return Err(Failure::new(Exit::Usage, Diagnostic::error("RMM0108", format!("there is no group '{group}'")).advice(advice)));
    }
    Ok(json!([group]))
}

/// Nothing is made of it.
pub(super) fn refused(message: impl Into<String>, advice: &str) -> Failure {
    Failure::new(Exit::Refused, Diagnostic::error("RMM0563", message).advice(advice))
}

/// Where the policy goes: a file that is not there yet.
pub(super) fn place(context: &Context, name: &str) -> Result<Arc<str>, Failure> {
    if let Some(why) = crate::repo::bad_name(name) {
        return Err(Failure::usage(format!("a policy cannot be named '{}': {why}", name.escape_debug()), "name it with --name"));
    }
    if let Some(known) = context.set.policies.iter().find(|policy| &*policy.name == name) {
        let problem = Diagnostic::error("RMM0563", format!("the policy '{name}' exists already")).related(&known.place, "declared here");
        return Err(Failure::new(Exit::Refused, problem.advice("name another with --name, or remove this one")));
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c.to_ascii_lowercase() } else { '-' };
    let file: String = name.chars().map(plain).collect();
    let file = file.trim_matches(['-', '.']);
    let path = format!("policies/{}.yaml", if file.is_empty() { "reference" } else { file });
    if std::fs::symlink_metadata(context.root.join(&path)).is_ok() {
        return Err(refused(format!("{path} exists already"), "name another policy with --name, or remove this file"));
    }
    Ok(path.into())
}

/// The repository as it would be with the file.
pub(super) fn compiled(global: &Global, context: &Context, path: &Arc<str>, text: &str) -> Loaded {
    let options = super::context::load_options(global, &context.root);
    let loaded = crate::repo::load(&options);
    let mut files: Vec<(Arc<str>, String)> = loaded
        .sources
        .iter()
        .filter(|(file, _)| !file.starts_with("builtin:"))
        .map(|(file, text)| (Arc::clone(file), text.clone()))
        .collect();
    files.push((Arc::clone(path), text.to_owned()));
    compile(files, &options, World { catalog: Some(Arc::clone(&context.set.catalog)), ..World::default() })
}
pub(super) fn valid(loaded: &Loaded) -> Result<(), Failure> {
    let errors: Vec<Diagnostic> = loaded.problems.iter().filter(|problem| problem.level == Level::Error).cloned().collect();
    if loaded.set.is_some() && errors.is_empty() {
        return Ok(());
    }
    Err(Failure { exit: Exit::InvalidConfiguration, problems: errors, sources: Arc::clone(&loaded.sources) })
}

/// Writes the file, and never over another one.
fn new_file(context: &Context, path: &str, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let full = context.root.join(path);
    let unwritten = |error: std::io::Error| {
        let problem = Diagnostic::error("RMM0001", format!("{path} cannot be written: {error}"));
        Failure::new(Exit::Error, problem.advice("check that the folder is writable and has room"))
    };
    std::fs::create_dir_all(context.root.join("policies")).map_err(unwritten)?;
    let mut file = std::fs::File::create_new(&full).map_err(unwritten)?;
    file.write_all(text.as_bytes()).inspect_err(|_| drop(std::fs::remove_file(&full))).map_err(unwritten)
}
