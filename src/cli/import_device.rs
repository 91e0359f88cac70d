//! `rmm import --from-device`: a device as it is becomes a policy that it meets, proved from the text before that is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::import::ImportArgs;
use super::progress::Progress;
use super::style::{clean, count};
use super::table::{Output, Table};
use crate::apply::survey::Survey;
use crate::diagnose::{Diagnose as _, Diagnostic, Level, did_you_mean};
use crate::model::selector::Match;
use crate::model::{Device, Facts, Policy, Selector, State};
use crate::plan::reference::{Reference, Taken, observing, reference, wanted};
use crate::plan::{PlanOptions, Planner, Scope};
use crate::repo::{LoadOptions, Loaded, World, compile, fmt};
use crate::store::AuditEvent;

/// What left out is named without -v.
const SHOWN: usize = 20;
/// Widest value of the table.
const WIDEST: usize = 60;
/// The pack that says which settings make sense.
const BASELINE: &str = "linux-baseline";

pub(super) fn run(global: &Global, context: &Context, device: &str, args: &ImportArgs) -> Result<Exit, Failure> {
    let device = super::why::find_device(context, device)?;
    let name = args.name.as_deref().unwrap_or(&device.name);
    let path = place(context, name)?;
    let targets = target(context, device, args.target.as_deref())?;
    let list = wanted(&context.set, &baseline(context)?, &args.include).map_err(|error| Failure::new(Exit::Usage, error.diagnostic()))?;
    let facts = observe(global, context, device, args, &observing(&context.set, device, &list))?;
    let mut found = reference(&context.set, device, &facts, &list, context.clock.now());
    without_secrets(context, &mut found);
    let about = About { name, device, path: &path };
    prove(global, context, &about, &facts, &mut found)?;
    show(global, &found)?;
    if found.settings.is_empty() {
        return Err(refused(format!("nothing that is known of {} makes a policy", device.name), "name settings with --include"));
    }
    let settings = count(found.settings.len(), "setting", "settings");
    if args.dry_run {
        super::say(format!("{path} would have {settings}; nothing was written."));
        return Ok(Exit::Done);
    }
    if !args.yes {
        super::confirm::ask(&format!("write a policy of {settings} into {path}"), std::slice::from_ref(&device.name), "--yes")?;
    }
    let text = written(&about, &targets, &found.settings, context)?;
    // For a group too it has to be valid, before it is there.
    valid(&compiled(global, context, &path, &text))?;
    new_file(context, &path, &text)?;
    super::init::write_schemas(context, false)?;
    context.store()?.audit(&AuditEvent {
        at: context.clock.now(),
        user: Some(context.actor.user.clone()),
        action: "policy.imported".into(),
        target: Some(device.name.clone()),
        details: json!({ "policy": name, "file": path, "settings": found.settings.len() }),
        ip: Some(context.actor.from.clone()),
        success: true,
    })?;
    super::say(format!("Wrote {settings} into {path}. It only reports. Next: rmm plan {} --compliant", crate::script::quote(&device.name)));
    Ok(Exit::Done)
}

/// What the file is about.
struct About<'a> {
    name: &'a str,
    device: &'a Device,
    path: &'a Arc<str>,
}

fn refused(message: impl Into<String>, advice: &str) -> Failure {
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

/// Whom the policy is for.
fn target(context: &Context, device: &Device, group: Option<&str>) -> Result<Value, Failure> {
    let Some(group) = group else { return Ok(json!([{ "device": device.name }])) };
    if group != "*" && !context.set.groups.contains_key(group) {
        let near = did_you_mean(group, context.set.groups.keys().map(String::as_str));
        let advice = near.map_or_else(|| "`rmm devices groups` lists them".to_owned(), |near| format!("did you mean '{near}'?"));
        return Err(Failure::new(Exit::Usage, Diagnostic::error("RMM0108", format!("there is no group '{group}'")).advice(advice)));
    }
    Ok(json!([group]))
}

/// The policies of the pack.
fn baseline(context: &Context) -> Result<Vec<Arc<Policy>>, Failure> {
    let options = LoadOptions { root: context.root.clone(), env: None, environment: Vec::new(), now: context.clock.now() };
    let files = vec![("rmm.toml".into(), String::new()), ("policies/b.yaml".into(), format!("import: [{BASELINE}]\n"))];
    let loaded = compile(files, &options, World::default());
    valid(&loaded)?;
    Ok(loaded.set.map(|set| set.policies).unwrap_or_default())
}

/// Observes what is missing, and gives what is known then.
fn observe(global: &Global, context: &Context, device: &Device, args: &ImportArgs, set: &crate::repo::PolicySet) -> Result<Facts, Failure> {
    let store = context.store()?;
    let set = Arc::new(set.clone());
    let survey = Survey::new(&set, &store, &context.secrets, &context.clock);
    let selector = Selector::Match(Match { device: Some(device.name.clone()), ..Match::default() });
    let scope = Scope { selectors: vec![selector], ..Scope::default() };
    let progress = Progress::new(global, "observing");
    super::signals::block_on(async |signals| {
        survey.refresh(&scope, args.refresh, None, &signals.stop, &|event| progress.observed(&event)).await
    })?;
    progress.finish();
    let facts = store.facts(&device.name, None)?;
    if facts.sections.is_empty() {
        let problem = Diagnostic::error("RMM0311", format!("nothing is known of {} yet", device.name));
        return Err(Failure::new(Exit::Error, problem.advice(format!("rmm collect {}", crate::script::quote(&device.name)))));
    }
    Ok(facts)
}

/// Takes out values that hold a secret which this process knows.
fn without_secrets(context: &Context, found: &mut Reference) {
    let left_out = &mut found.left_out;
    found.settings.retain(|taken| {
        let text = format!("{} {}", taken.label(), taken.value);
        let holds = context.redactor.redact(&text) != text;
        if holds {
            left_out.push((context.redactor.redact(&taken.label()).into_owned(), "it holds a secret".into()));
        }
        !holds
    });
}

/// Reads the text back with the rest of the repository and plans the device: what does not come out compliant there, or comes
/// from another policy already, is left out.
fn prove(global: &Global, context: &Context, about: &About<'_>, facts: &Facts, found: &mut Reference) -> Result<(), Failure> {
    let own = json!([{ "device": about.device.name }]);
    while !found.settings.is_empty() {
        let loaded = compiled(global, context, about.path, &written(about, &own, &found.settings, context)?);
        valid(&loaded)?;
        let Some(set) = loaded.set else { break };
        let none = |_: &str| None;
        let options = PlanOptions { compliant: true, ..PlanOptions::default() };
        let evaluated = Planner::new(&set, &none).evaluate(about.device, facts, &options, context.clock.now());
        let verdicts: BTreeMap<String, _> = evaluated.changes.iter().map(|change| (change.label(), change)).collect();
        let before = found.settings.len();
        let left_out = &mut found.left_out;
        found.settings.retain(|taken| {
            let why = match verdicts.get(&taken.label()) {
                Some(change) if *change.policy != *about.name && change.state != State::Conflict => {
                    format!("{} sets it already", change.policy)
                }
                Some(change) if change.state == State::Compliant => return true,
                Some(change) if change.state == State::Conflict => "another policy sets it to something else".into(),
                Some(change) => change.reason.clone().unwrap_or_else(|| "read back it is not met".into()),
                None => "it does not apply to the device".into(),
            };
            left_out.push((taken.label(), why));
            false
        });
        if found.settings.len() == before {
            break;
        }
    }
    found.left_out.sort();
    Ok(())
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

/// The file, in canonical form.
fn written(about: &About<'_>, targets: &Value, settings: &[Taken], context: &Context) -> Result<String, Failure> {
    let mut values = Map::new();
    for taken in settings {
        match &taken.key {
            None => drop(values.insert(taken.name.to_string(), taken.value.clone())),
            Some(key) => {
                let keys = values.entry(taken.name.to_string()).or_insert_with(|| json!({}));
                if let Value::Object(keys) = keys {
                    keys.insert(key.to_string(), taken.value.clone());
                }
            }
        }
    }
    let observed = context.clock.now().format("%F");
    let policy = json!({
        "description": format!("What {} was observed to have on {observed}.", about.device.name),
        "targets": targets,
        "settings": values,
        "remediate": false,
    });
    let document = json!({ "policies": { about.name: policy } });
    let unwritten = |why: String| Failure::new(Exit::Error, Diagnostic::error("RMM0001", format!("the policy cannot be written: {why}")));
    let body = serde_yaml::to_string(&document).map_err(|error| unwritten(error.to_string()))?;
    let text = format!("# yaml-language-server: $schema=../schemas/policies.json\n{body}");
    fmt::format(about.path, &text).map_err(|error| unwritten(error.to_string()))
}

/// Writes the file, and never over another one.
pub(super) fn new_file(context: &Context, path: &str, text: &str) -> Result<(), Failure> {
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

fn show(global: &Global, found: &Reference) -> Result<(), Failure> {
    let mut table = Table::new("rmm.reference/1", &["SETTING", "VALUE", "BASELINE"]);
    let short = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if global.output != Output::Table {
            return value.clone();
        }
        json!(if text.chars().count() > WIDEST { text.chars().take(WIDEST - 3).collect::<String>() + "..." } else { text })
    };
    for taken in &found.settings {
        table.push(vec![json!(taken.label()), short(&taken.value), taken.model.as_deref().map_or(Value::Null, short)]);
    }
    super::print(&table.render(global.output)?)?;
    if global.quiet {
        return Ok(());
    }
    let shown = if global.verbose > 0 { found.left_out.len() } else { found.left_out.len().min(SHOWN) };
    for (label, why) in &found.left_out[..shown] {
        super::say(format!("left out: {}: {}", clean(label), clean(why)));
    }
    if shown < found.left_out.len() {
        super::say(format!("{} more are shown with -v", found.left_out.len() - shown));
    }
    Ok(())
}
