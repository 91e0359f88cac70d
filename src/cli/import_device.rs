//! `rmm import --from-device`: a device as it is becomes a policy that it meets, proved from the text before that is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::args::Global;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::import::ImportArgs;
use super::import_write::{Made, compiled, offer, place, refused, targets, valid};
use super::progress::Progress;
use super::style::clean;
use super::table::{Output, Table};
use crate::apply::survey::Survey;
use crate::diagnose::{Diagnose as _, Diagnostic};
use crate::model::selector::Match;
use crate::model::{Device, Facts, Policy, Selector, State};
use crate::plan::reference::{Reference, Taken, observing, reference, wanted};
use crate::plan::{PlanOptions, Planner, Scope};
use crate::repo::{LoadOptions, World, compile, fmt};

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
    let targets = targets(context, args.target.as_deref(), json!({ "device": device.name }))?;
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
    let text = written(&about, &targets, &found.settings, context)?;
    let made = Made {
        path: &path,
        text: &text,
        settings: found.settings.len(),
        of: &device.name,
        recorded: json!({ "policy": name, "file": path, "settings": found.settings.len() }),
        next: &format!("rmm plan {} --compliant", crate::script::quote(&device.name)),
    };
    offer(global, context, &made, args)
}

/// What the file is about.
struct About<'a> {
    name: &'a str,
    device: &'a Device,
    path: &'a Arc<str>,
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
